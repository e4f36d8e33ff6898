// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.junit.jupiter.api.Test;

/** What the driver makes of a full fault log, and of units that firmware left in some state, on simulated silicon. */
class IntelOnSiliconTest {
    private static final long K4 = 4096;
    private static final long IOVA = 0x40000000L;
    private static final long CAP = VtdUnitProvider.CAP_4_LEVEL; // with PLMR and PHMR
    private static final long ECAP = VtdUnitProvider.ECAP_SNOOP_CONTROL;

    private static Machine machine(String name, long cap) {
        return MachineFactory.load().createFlat(VtdUnitProvider.machine(name, cap, ECAP));
    }

    private static IommuDevice probe(Iommu iommu, Machine machine, Endpoint endpoint) {
        return iommu.probe(
                        machine.topology().function(endpoint.address()).orElseThrow(),
                        endpoint.address().requesterId())
                .orElseThrow();
    }

    @Test
    void faultsThatTheUnitHasNoRoomForAreCountedAndTheNextOnesAreReadAgain() {
        Machine machine = machine("eight fault records", CAP);
        Endpoint endpoint = machine.endpoint(BuiltInTopology.GPU);
        Iommu iommu = new IntelVendor().open(machine.vendorContext(LinuxRelease.NEWEST));
        for (int round = 1; round <= 3; round++) {
            for (int i = 0; i < 10; i++) {
                assertThat(endpoint.write(IOVA + i * K4, 1, false)).isFalse();
            }
            List<DmaFault> faults = iommu.takeFaults();
            assertThat(faults)
                    .extracting(DmaFault::address)
                    .containsExactly(
                            IOVA,
                            IOVA + K4,
                            IOVA + 2 * K4,
                            IOVA + 3 * K4,
                            IOVA + 4 * K4,
                            IOVA + 5 * K4,
                            IOVA + 6 * K4,
                            IOVA + 7 * K4);
            assertThat(faults.get(7).toString()).contains("dmar0", "root entry is not present");
            assertThat(iommu.faultOverflows()).isEqualTo(round);
            endpoint.read(IOVA, false);
            assertThat(iommu.takeFaults())
                    .singleElement()
                    .satisfies(fault -> assertThat(fault.write()).isFalse());
        }
    }

    // What firmware left behind

    private static final long REGION = 128L << 20;

    private static RegisterWindow registers(Machine machine) {
        return machine.registers().map(machine.units().get(0).spec().registerBase(), 4096);
    }

    @Test
    void memoryThatFirmwareProtectedIsWithinReachOnceItIsMapped() {
        Machine machine = machine("protected memory", CAP);
        Endpoint endpoint = machine.endpoint(BuiltInTopology.GPU);
        RegisterWindow registers = registers(machine);
        registers.write32(0x68, (int) REGION); // PLMBASE
        registers.write32(0x6c, (int) REGION); // PLMLIMIT: 1 MiB
        registers.write64(0x70, 1L << 40);
        registers.write64(0x78, 1L << 40);
        registers.write32(0x64, 1 << 31); // PMEN.EPM
        machine.runPending();
        assertThat(endpoint.write(REGION, 1, false)).as("before the driver").isFalse();
        assertThat(endpoint.write(REGION + (1 << 20), 1, false)).isTrue();

        Iommu iommu = new IntelVendor().open(machine.vendorContext(LinuxRelease.NEWEST));
        IommuDevice device = probe(iommu, machine, endpoint);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        domain.map(IOVA, REGION, K4, 1, Prot.READ_WRITE);
        domain.syncMap(IOVA, K4);

        assertThat(endpoint.write(IOVA, 0x5678, false)).isTrue();
        assertThat(machine.memory(0).load(REGION)).isEqualTo(0x5678);
        assertThat(registers.read32(0x64)).isZero();
        assertThat(iommu.takeFaults()).isEmpty();
    }

    @Test
    void aQueueThatStoodStillIsStartedAgainByADriverOpenedAnew() {
        Machine machine = machine("queue error", CAP);
        long before = machine.frames().inUse();
        Endpoint endpoint = machine.endpoint(BuiltInTopology.GPU);
        RegisterWindow registers = registers(machine);
        long queue = REGION;
        machine.memory(0).store(queue, 0xf); // no such descriptor
        registers.write64(0x90, queue); // IQA
        registers.write32(0x18, 1 << 26); // QIE
        machine.runPending();
        registers.write64(0x88, 16); // IQT
        machine.runPending();
        assertThat(registers.read32(0x34) & 0x10).as("FSTS.IQE").isEqualTo(0x10);

        for (int i = 0; i < 2; i++) {
            Iommu iommu = new IntelVendor().open(machine.vendorContext(LinuxRelease.NEWEST));
            assertThat(registers.read32(0x34)).isZero();
            IommuDevice device = probe(iommu, machine, endpoint);
            IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
            domain.attach(device);
            domain.map(IOVA, REGION, K4, 1, Prot.READ_WRITE);
            domain.syncMap(IOVA, K4);
            assertThat(endpoint.write(IOVA, 0x5678, false)).isTrue();
            domain.detach(device);
            iommu.close();
            assertThat(machine.frames().inUse()).isEqualTo(before);
        }
    }

    @Test
    void aFaultLogThatFirmwareLeftInMemoryComesBackToTheRegisters() {
        Machine machine = machine("advanced fault logging", CAP | 0x8);
        Endpoint endpoint = machine.endpoint(BuiltInTopology.GPU);
        RegisterWindow registers = registers(machine);
        registers.write64(0x58, REGION); // AFLOG
        for (int command : new int[] {1 << 29, 1 << 28}) { // SFL, EAFL
            registers.write32(0x18, command);
            machine.runPending();
        }
        assertThat(registers.read32(0x1c)).isEqualTo(3 << 28);
        long before = machine.memory(0).load(REGION + 8);

        Iommu iommu = new IntelVendor().open(machine.vendorContext(LinuxRelease.NEWEST));
        assertThat(endpoint.write(IOVA, 1, false)).isFalse();

        assertThat(iommu.takeFaults())
                .singleElement()
                .satisfies(fault -> assertThat(fault.requester()).isEqualTo(endpoint.address()));
        assertThat(machine.memory(0).load(REGION + 8)).isEqualTo(before);
    }
}
