// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.platform.support.FirmwareBytes;
import org.iommu4j.riscv.sim.RiscvSilicon;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.UnitDescription;

/**
 * No bytes of RIMT or of a device tree crash what reads them: a host is described, or refused in one line.
 *
 * <p>Without {@code JAZZER_FUZZ} the inputs that are checked in are tried, else new ones are made; CONTRIBUTING.md says
 * how.
 */
class FirmwareFuzzTest {
    private static final Machine MACHINE = new MachineFactory(List.of(new WalkingUnits())).createFlat(Hosts.pciUnit());

    private static final ShownUnit KNOWN = new ShownUnit(
            OptionalLong.of(Hosts.BASE), Map.of("capabilities", RiscvSilicon.CAPABILITIES_FULL), Answer.YES);

    private final RiscvVendor vendor = new RiscvVendor();
    private final RiscvSilicon silicon = new RiscvSilicon();

    /** What stands behind the header, whose signature and length are right. */
    @FuzzTest(maxDuration = "10m")
    void rimt(byte[] body) {
        byte[] table = new byte[36 + body.length];
        for (int i = 0; i < 4; i++) {
            table[i] = (byte) "RIMT".charAt(i);
            table[4 + i] = (byte) (table.length >> (8 * i));
        }
        System.arraycopy(body, 0, table, 36, body.length);
        read(new FirmwareBytes(Map.of("RIMT", table), Optional.empty()), "RIMT");
    }

    /** A whole tree; its magic number and its declared size are put right. */
    @FuzzTest(maxDuration = "10m")
    void deviceTree(byte[] bytes) {
        byte[] tree = Arrays.copyOf(bytes, Math.max(bytes.length, 8));
        int[] right = {0xd00dfeed, tree.length};
        for (int i = 0; i < 8; i++) {
            tree[i] = (byte) (right[i / 4] >> (24 - 8 * (i % 4)));
        }
        read(new FirmwareBytes(Map.of(), Optional.of(tree)), "device tree");
    }

    private void read(FirmwareTables firmware, String source) {
        PciTopology topology = MACHINE.topology();
        for (String release : new String[] {"6.13", "7.3"}) {
            LinuxRelease linux = LinuxRelease.of(release);
            try {
                HostDescription host = vendor.describe(firmware, topology, RegisterValues.UNKNOWN, linux);
                assertThat(host.devices()).hasSameSizeAs(topology.functions());
                assertThat(host.units()).extracting(UnitDescription::id).doesNotHaveDuplicates();
                assertThat(host.warnings()).allSatisfy(line -> assertThat(line).doesNotContain("\n", "\u001b"));
            } catch (MalformedTableException e) {
                assertThat(e.getMessage()).startsWith(source).doesNotContain("\n", "\u001b");
            } catch (IllegalArgumentException e) {
                assertThat(vendor.claims(firmware)).as(e.getMessage()).isFalse();
            }
        }
        for (String unit :
                new String[] {"riscv-iommu@RSCV0004:00", "riscv-iommu@0000:00:03.0", "riscv-iommu@3010000.iommu"}) {
            try {
                assertThat(silicon.recognise(unit, Map.of(), KNOWN, firmware)).isPresent();
            } catch (IllegalArgumentException e) {
                assertThat(e.getMessage()).isNotEmpty().doesNotContain("\n", "\u001b");
            }
        }
    }
}
