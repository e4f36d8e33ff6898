// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Map;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.spi.IommuVendors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What an IVRS reserves for a device, from the table's bytes through core's default domain to the device's own
 * requests.
 */
class FirmwareMemoryTest {
    private static final long REGISTER_BASE = 0xfeb8_0000L;
    private static final long FIRMWARE = 0x0765_4000L;

    /** The built-in machine with a memory definition block of 2 pages for the GPU alone. */
    private static Machine machine(int flags) {
        MachineDescription plain = AmdViUnitProvider.machine("amd", AmdViUnitProvider.EFR_6_LEVEL, 0);
        byte[] ivrs = plain.acpiTables().get("IVRS");
        byte[] longer = Arrays.copyOf(ivrs, ivrs.length + 32);
        ByteBuffer table = ByteBuffer.wrap(longer).order(ByteOrder.LITTLE_ENDIAN);
        table.putInt(4, longer.length).position(ivrs.length);
        table.put((byte) 0x21).put((byte) flags).putShort((short) 32);
        table.putShort((short) BuiltInTopology.GPU.requesterId()).putShort((short) 0);
        table.putLong(0).putLong(FIRMWARE).putLong(0x2000);
        longer[9] = 0;
        int sum = 0;
        for (byte each : longer) {
            sum += each;
        }
        longer[9] = (byte) -sum;
        return MachineFactory.load()
                .create(new MachineDescription(
                        plain.name(),
                        plain.processors(),
                        plain.memoryBytes(),
                        plain.units(),
                        plain.functions(),
                        Map.of("IVRS", longer),
                        plain.bootOptions()));
    }

    private static IommuCore open(Machine machine) {
        return IommuCore.open(
                IommuVendors.load().named("amd").open(machine.vendorContext(LinuxRelease.NEWEST)), machine.topology());
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "unity and IR, 3, true, false",
        "unity and IW, 5, false, true",
        "unity with both, 7, true, true",
        "exclusion, 8, true, true"
    })
    void theDeviceReachesItOneToOneWithTheRightsThatFirmwareGives(
            String name, int flags, boolean readable, boolean writable) {
        Machine machine = machine(flags);
        try (IommuCore core = open(machine)) {
            IommuGroup group = core.group(BuiltInTopology.GPU).orElseThrow();
            assertThat(group.defaultDomain().type()).isEqualTo(DomainType.DMA);
            LeafFormat.Leaf leaf = new AmdLeaves(REGISTER_BASE)
                    .walk(machine.registers(), machine.memory(0)::load, BuiltInTopology.GPU, FIRMWARE + 0x1008);
            assertThat(leaf.physicalAddress()).isEqualTo(FIRMWARE + 0x1008);
            assertThat(leaf.readable()).isEqualTo(readable);
            assertThat(leaf.writable()).isEqualTo(writable);

            PciFunction function =
                    machine.topology().function(BuiltInTopology.GPU).orElseThrow();
            function.config().write(4, 2, 6);
            Endpoint endpoint = machine.endpoint(BuiltInTopology.GPU);
            machine.memory(0).store(FIRMWARE, 42);
            assertThat(endpoint.read(FIRMWARE, false) == 42).isEqualTo(readable);
            assertThat(endpoint.write(FIRMWARE, 43, false)).isEqualTo(writable);
            assertThat(endpoint.write(FIRMWARE + 0x2000, 43, false))
                    .as("behind it")
                    .isFalse();
        }
    }

    @Test
    void aDeviceWithAnExclusionRangeIsNotGivenAway() {
        try (IommuCore core = open(machine(8))) {
            IommuGroup group = core.group(BuiltInTopology.GPU).orElseThrow();

            assertThatThrownBy(() -> group.claimDmaOwner(this))
                    .isInstanceOfSatisfying(
                            IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL))
                    .hasMessageContaining("firmware demands a direct mapping");

            assertThat(group.domain()).isSameAs(group.defaultDomain());
        }
    }
}
