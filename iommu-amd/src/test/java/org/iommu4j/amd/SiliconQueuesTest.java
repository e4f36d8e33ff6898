// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.VendorContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Command buffer and event log, driver and simulated unit together: round the rings, full, stopped and started again.
 */
class SiliconQueuesTest {
    private static final long K4 = 4096;
    private static final long IOVA = 0x1234_5000L;
    private static final int CONTROL = 0x18;
    private static final int STATUS = 0x2020;

    private final Machine machine = MachineFactory.load().create(withIotlbs());
    private final TranslationUnit unit = machine.units().get(0);
    private final PciFunction function =
            machine.topology().function(BuiltInTopology.GPU).orElseThrow();
    private final Endpoint endpoint = machine.endpoint(BuiltInTopology.GPU);
    private final long target = machine.userFrames().allocate(0);

    /** The built-in machine, whose GPUs have Address Translation Services. */
    private static MachineDescription withIotlbs() {
        MachineDescription plain = MachineFactory.load().named("amd");
        return plain.withFunctions(plain.functions().stream()
                .map(each -> each.address().bus() == 0
                        ? each
                        : new FunctionDescription(
                                each.address(),
                                each.upstreamBridge(),
                                ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_VGA)
                                        .ats()
                                        .build(),
                                each.unit(),
                                each.externalFacing()))
                .toList());
    }

    private AmdIommu open(SystemMemory memory, String parameters) {
        function.config().write(4, 2, 6);
        VendorContext context = machine.vendorContext(LinuxRelease.NEWEST);
        return (AmdIommu) new AmdVendor().open(context.withMemory(memory).withBootOptions(new BootOptions(parameters)));
    }

    private AmdIommu open(String parameters) {
        return open(machine.memory(0), parameters);
    }

    /** Maps, writes, unmaps, writes again and syncs, so often that the ring of commands goes round. */
    private void moveAPageOften(IommuDomain domain, int times) {
        IotlbGather gather = new IotlbGather();
        for (int i = 0; i < times; i++) {
            domain.map(IOVA, target, K4, 1, Prot.READ_WRITE);
            domain.syncMap(IOVA, K4);
            assertThat(endpoint.write(IOVA, i, false)).isTrue();
            assertThat(domain.unmap(IOVA, K4, gather)).isEqualTo(K4);
            assertThat(endpoint.write(IOVA, -1, false)).as("stale until sync").isTrue();
            domain.sync(gather);
            assertThat(endpoint.write(IOVA, -2, false)).isFalse();
        }
        assertThat(machine.memory(0).load(target)).isEqualTo(-1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "iommu4j.amd=completion_interrupt"})
    void invalidationsAreDoneWhenTheWaitEndsByStoreAsByInterrupt(String parameters) {
        AmdIommu iommu = open(parameters);
        assertThat(unit.readRegister64(CONTROL) & 0x10).as("ComWaitIntEn").isEqualTo(parameters.isEmpty() ? 0 : 0x10);
        IommuDevice device = iommu.probe(function).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        moveAPageOften(domain, 700);
        assertThat(unit.readRegister64(STATUS) & 4).as("ComWaitInt").isEqualTo(parameters.isEmpty() ? 0 : 4);
        domain.detach(device);
        domain.close();
        iommu.close();
        assertThat(machine.frames().inUse()).isZero();
    }

    @Test
    void moreCommandsThanTheRingHasAreAllExecuted() {
        AmdIommu iommu = open("");
        IommuDevice device = iommu.probe(function).orElseThrow();
        IommuDomain[] domains = new IommuDomain[3];
        for (int i = 0; i < domains.length; i++) {
            domains[i] = iommu.allocate(DomainType.UNMANAGED, device);
            domains[i].map(IOVA, machine.userFrames().allocate(0), K4, 1, Prot.READ);
            machine.memory(0).store(domains[i].translate(IOVA), i + 1);
        }
        // Each move is three commands: an entry, all pages of a domain, the wait.
        for (int i = 0; i < 600; i++) {
            domains[i % 3].attach(device);
            assertThat(endpoint.read(IOVA, false)).isEqualTo(i % 3 + 1);
        }
    }

    @Test
    void aLogThatOverflowedLosesEventsSaysSoAndGoesOn() {
        AmdIommu iommu = open("");
        assertThat(iommu.probe(function)).isPresent();
        for (int round = 1; round <= 3; round++) {
            for (int i = 0; i < 600; i++) {
                assertThat(endpoint.write(i * K4, 1, false)).isFalse();
            }
            assertThat(unit.readRegister64(STATUS) & 9)
                    .as("EventOverflow and not EventLogRun")
                    .isEqualTo(1);
            List<DmaFault> faults = iommu.takeFaults();
            assertThat(faults)
                    .extracting(DmaFault::address)
                    .hasSize(511)
                    .startsWith(0L, K4)
                    .endsWith(510 * K4);
            assertThat(iommu.faultOverflows()).isEqualTo(round);
            assertThat(unit.readRegister64(STATUS) & 9).as("running again").isEqualTo(8);
        }
        endpoint.write(0x7000, 1, false);
        assertThat(iommu.takeFaults()).extracting(DmaFault::address).containsExactly(0x7000L);
    }

    @Test
    void aDeviceThatDoesNotConfirmIsNotedInTheLogAndHoldsNothingUp() {
        AmdIommu iommu = open("");
        IommuDevice device = iommu.probe(function).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        moveAPageOften(domain, 3);
        iommu.takeFaults();
        long tail = unit.readRegister64(0x2018);
        // It no longer answers: somebody turned its translation services off.
        int ats = function.config().findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ATS);
        function.config().write(ats + 6, 2, 0);
        domain.map(IOVA, target, K4, 1, Prot.READ_WRITE);
        IotlbGather gather = new IotlbGather();
        domain.unmap(IOVA, K4, gather);
        domain.sync(gather);

        assertThat(unit.readRegister64(0x2018)).isEqualTo(tail + 16);
        long log = unit.readRegister64(0x10) & 0x000f_ffff_ffff_f000L;
        assertThat(machine.memory(0).load(log + tail) >>> 60)
                .as("IOTLB_INV_TIMEOUT")
                .isEqualTo(7);
        assertThat(iommu.takeFaults()).as("of requests").isEmpty();
        assertThat(endpoint.write(IOVA, 1, false)).isFalse();
    }

    @Test
    void faultsAreTakenRoundAndRoundTheLogWithoutOverflow() {
        AmdIommu iommu = open("");
        assertThat(iommu.probe(function)).isPresent();
        for (int i = 0; i < 1500; i++) {
            endpoint.write(i * K4, 1, false);
            if (i % 300 == 299) {
                assertThat(iommu.takeFaults())
                        .extracting(DmaFault::address)
                        .hasSize(300)
                        .startsWith((i - 299) * K4)
                        .endsWith(i * K4);
            }
        }
        assertThat(iommu.faultOverflows()).isZero();
        assertThat(unit.readRegister64(0x2018)).isEqualTo(1500 % 512 * 16);
    }

    @Test
    void anIllegalCommandStopsTheUnitIsReportedAndIsOverWhenTheDriverIsOpenedAgain() {
        InterposedMemory memory = new InterposedMemory(machine.memory(0));
        AmdIommu iommu = open(memory, "");
        IommuDevice device = iommu.probe(function).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        domain.map(IOVA, target, K4, 1, Prot.READ_WRITE);
        IotlbGather gather = new IotlbGather();
        domain.unmap(IOVA, K4, gather);
        long[] spoilt = {0};
        memory.spoiling = (address, value) -> {
            if (spoilt[0] != 0 || value >>> 60 != 3) {
                return value;
            }
            // An invalidation of pages becomes a command that does not exist.
            spoilt[0] = address;
            return value | 0xf000_0000_0000_0000L;
        };
        assertThatThrownBy(() -> domain.sync(gather))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ETIMEDOUT))
                .hasMessageContaining("ILLEGAL_COMMAND_ERROR command at 0x" + Long.toHexString(spoilt[0]));
        assertThat(unit.readRegister64(STATUS) & 0x10).as("CmdBufRun").isZero();
        // Nobody knows what the unit remembers: nothing is asked of it any more.
        domain.map(IOVA, target, K4, 1, Prot.READ_WRITE);
        domain.unmap(IOVA, K4, gather);
        assertThatThrownBy(() -> domain.sync(gather))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EIO))
                .hasMessageContaining("ivhd0 is broken");
        assertThatThrownBy(() -> domain.detach(device)).isInstanceOf(IommuException.class);
        domain.close();
        long kept = iommu.quarantinedFrames();
        iommu.close();

        AmdIommu again = open("");
        assertThat(unit.readRegister64(STATUS) & 0x18).as("both rings run").isEqualTo(0x18);
        IommuDevice its = again.probe(function).orElseThrow();
        IommuDomain next = again.allocate(DomainType.UNMANAGED, its);
        next.attach(its);
        moveAPageOften(next, 3);
        next.detach(its);
        next.close();
        again.close();
        assertThat(machine.frames().inUse()).isEqualTo(kept);
    }
}
