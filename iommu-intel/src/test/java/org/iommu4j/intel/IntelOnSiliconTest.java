// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The driver on simulated silicon that was written apart from it, on every built-in machine, flat and with caches. */
class IntelOnSiliconTest {
    private static final long K4 = 4096;
    private static final long IOVA = 0x40000000L;

    static Stream<Arguments> machines() {
        List<Arguments> machines = new ArrayList<>();
        List<MachineDescription> descriptions = new ArrayList<>(new VtdUnitProvider().machines());
        // What no built-in machine has: walks past the caches (ECAP.C 0), caching mode (CAP.CM), both.
        long cap = VtdUnitProvider.CAP_4_LEVEL;
        long ecap = VtdUnitProvider.ECAP_SNOOP_CONTROL;
        descriptions.add(VtdUnitProvider.machine("walk not coherent", cap, ecap & ~1L));
        descriptions.add(VtdUnitProvider.machine("caching mode", cap | 0x80, ecap));
        descriptions.add(VtdUnitProvider.machine("caching mode, walk not coherent", cap | 0x80, ecap & ~1L));
        // Scalable mode (SMTS): a second stage (SLTS), a first stage (FLTS), both with nesting, PASIDs and dirty bits.
        long scalable = ecap | 1L << 43 | 1L << 48;
        long second = scalable | 1L << 46;
        long first = scalable | 1L << 47;
        long all = second | first | 1L << 26 | 0x13L << 35 | 1L << 40 | 1L << 45;
        long fiveLevels = (cap & ~(0x3fL << 16)) | 56L << 16 | 0x800 | 1L << 60;
        long notCoherent = ~(1L | 1L << 48);
        descriptions.add(VtdUnitProvider.machine("scalable, second stage", cap, second));
        descriptions.add(VtdUnitProvider.machine("scalable, first stage", cap, first));
        descriptions.add(VtdUnitProvider.machine("scalable, everything", cap, all));
        descriptions.add(VtdUnitProvider.machine("scalable, page requests", cap, all | 1L << 29));
        descriptions.add(VtdUnitProvider.machine("scalable, second stage of 5 levels", fiveLevels, second));
        descriptions.add(VtdUnitProvider.machine("scalable, first stage of 5 levels", fiveLevels, first));
        descriptions.add(
                VtdUnitProvider.machine("scalable, second stage, walk not coherent", cap, second & notCoherent));
        descriptions.add(VtdUnitProvider.machine("scalable, first stage, walk not coherent", cap, first & notCoherent));
        descriptions.add(VtdUnitProvider.machine("scalable, second stage, caching mode", cap | 0x80, second));
        descriptions.add(VtdUnitProvider.machine("scalable, first stage, caching mode", cap | 0x80, first));
        for (MachineDescription description : descriptions) {
            machines.add(Arguments.of(description.name(), description, false));
            machines.add(Arguments.of(description.name() + " flat", description, true));
        }
        return machines.stream();
    }

    private static Machine machine(MachineDescription description, boolean flat) {
        MachineFactory factory = new MachineFactory(List.of(new VtdUnitProvider()));
        return flat ? factory.createFlat(description) : factory.create(description);
    }

    private static List<Endpoint> endpoints(Machine machine) {
        List<Endpoint> endpoints = new ArrayList<>();
        for (FunctionDescription function : machine.description().functions()) {
            boolean plain = (function.config()[0x0e] & 0x7f) == 0;
            boolean hostBridge = function.config()[0x0b] == 6;
            if (plain && !hostBridge && function.unit().isPresent()) {
                endpoints.add(machine.endpoint(function.address()));
            }
        }
        assertThat(endpoints).isNotEmpty();
        return endpoints;
    }

    private static IommuDevice probe(Iommu iommu, Machine machine, Endpoint endpoint) {
        return iommu.probe(
                        machine.topology().function(endpoint.address()).orElseThrow(),
                        endpoint.address().requesterId())
                .orElseThrow();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("machines")
    void aDeviceReachesWhatIsMappedUntilItIsUnmappedAndSynced(
            String name, MachineDescription description, boolean flat) {
        Machine machine = machine(description, flat);
        long before = machine.frames().inUse();
        Iommu iommu = new IntelVendor().open(machine.vendorContext(LinuxRelease.NEWEST));
        IotlbGather gather = new IotlbGather();
        for (Endpoint endpoint : endpoints(machine)) {
            assertThat(endpoint.write(IOVA, 1, false))
                    .as("blocked after opening")
                    .isFalse();
            IommuDevice device = probe(iommu, machine, endpoint);
            IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
            assertThat(domain.attach(device).attached()).isTrue();
            long frame = machine.frames().allocate(0);
            machine.memory(0).store(frame + 8, 0x1111);
            domain.map(IOVA, frame, K4, 1, Prot.READ_WRITE | Prot.CACHE);
            domain.syncMap(IOVA, K4);

            assertThat(endpoint.write(IOVA, 0x1234567890L, false)).isTrue();
            assertThat(machine.memory(0).load(frame)).isEqualTo(0x1234567890L);
            assertThat(endpoint.read(IOVA + 8, false)).isEqualTo(0x1111);

            assertThat(domain.unmap(IOVA, K4, gather)).isEqualTo(K4);
            assertThat(endpoint.write(IOVA, 5, false))
                    .as("stale before the sync")
                    .isTrue();
            domain.sync(gather);
            assertThat(endpoint.write(IOVA, 6, false)).as("gone after the sync").isFalse();
            assertThat(machine.memory(0).load(frame)).isEqualTo(5);

            // Mapped again at once: what was cached of the hole must not stand in the way.
            domain.map(IOVA, frame, K4, 1, Prot.READ);
            domain.syncMap(IOVA, K4);
            assertThat(endpoint.read(IOVA, false)).isEqualTo(5);
            assertThat(endpoint.write(IOVA, 7, false)).as("read-only").isFalse();

            domain.detach(device);
            endpoint.read(IOVA, false);
            assertThat(endpoint.write(IOVA, 8, false)).as("detached").isFalse();
            domain.close();
            machine.frames().free(frame, 0);
        }
        iommu.close();
        assertThat(machine.frames().inUse()).isEqualTo(before);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("machines")
    void movingBetweenDomainsTakesEffectAtOnce(String name, MachineDescription description, boolean flat) {
        Machine machine = machine(description, flat);
        Iommu iommu = new IntelVendor().open(machine.vendorContext(LinuxRelease.NEWEST));
        for (Endpoint endpoint : endpoints(machine)) {
            IommuDevice device = probe(iommu, machine, endpoint);
            long[] frames = {machine.frames().allocate(0), machine.frames().allocate(0)};
            IommuDomain[] domains = new IommuDomain[2];
            for (int i = 0; i < 2; i++) {
                machine.memory(0).store(frames[i], 100 + i);
                domains[i] = iommu.allocate(DomainType.DMA, device);
                domains[i].map(IOVA, frames[i], K4, 1, Prot.READ_WRITE);
            }
            for (int i = 0; i < 6; i++) {
                assertThat(domains[i % 2].attach(device).attached()).isTrue();
                assertThat(endpoint.read(IOVA, false)).isEqualTo(100 + i % 2);
            }
            domains[1].detach(device);
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("machines")
    void largePagesTranslateWhereTheUnitHasThem(String name, MachineDescription description, boolean flat) {
        Machine machine = machine(description, flat);
        Iommu iommu = new IntelVendor().open(machine.vendorContext(LinuxRelease.NEWEST));
        Endpoint endpoint = endpoints(machine).get(0);
        IommuDevice device = probe(iommu, machine, endpoint);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        boolean enforced = domain.cacheCoherencyEnforcement().orElseThrow().enforce();
        assertThat(enforced).isEqualTo(iommu.capable(device, IommuCapability.ENFORCE_CACHE_COHERENCY));
        long frame = machine.frames().allocate(9);
        for (long pageSize = K4; pageSize <= 1L << 21; pageSize <<= 9) {
            if ((domain.pageSizes() & pageSize) != 0) {
                long iova = IOVA + pageSize;
                domain.map(iova, frame, pageSize, 1, Prot.READ_WRITE);
                domain.syncMap(iova, pageSize);
                machine.memory(0).store(frame + pageSize - 8, pageSize);
                assertThat(endpoint.read(iova + pageSize - 8, false)).isEqualTo(pageSize);
            }
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("machines")
    void anyFailureOnTheWayLeavesNothingBehind(String name, MachineDescription description, boolean flat) {
        FailNth failures = new FailNth();
        int refused = 0;
        int n = 0;
        do {
            Machine machine = machine(description, flat);
            Endpoint endpoint = endpoints(machine).get(0);
            long before = machine.frames().inUse();
            failures.arm(++n);
            Iommu[] opened = new Iommu[1];
            try (Iommu iommu = new IntelVendor()
                    .open(machine.vendorContext(LinuxRelease.NEWEST).failing(failures))) {
                opened[0] = iommu;
                IommuDevice device = probe(iommu, machine, endpoint);
                IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
                domain.attach(device);
                try {
                    domain.map(IOVA, 0, K4, 3, Prot.READ);
                    domain.syncMap(IOVA, 3 * K4);
                } finally {
                    domain.detach(device);
                }
            } catch (IommuException e) {
                refused++;
            }
            long quarantined = opened[0] == null ? 0 : opened[0].quarantinedFrames();
            assertThat(machine.frames().inUse()).as("after failure " + n).isEqualTo(before + quarantined);
        } while (failures.fired());
        assertThat(refused).isGreaterThan(5);
    }

    @Test
    void faultsThatTheUnitHasNoRoomForAreCountedAndTheNextOnesAreReadAgain() {
        Machine machine = machine(VtdUnitProvider.machine("eight fault records", CAP, ECAP), true);
        Endpoint endpoint = endpoints(machine).get(0);
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

    private static final long CAP = VtdUnitProvider.CAP_4_LEVEL; // with PLMR and PHMR
    private static final long ECAP = VtdUnitProvider.ECAP_SNOOP_CONTROL;
    private static final long REGION = 128L << 20;

    private static RegisterWindow registers(Machine machine) {
        return machine.registers().map(machine.units().get(0).spec().registerBase(), 4096);
    }

    @Test
    void memoryThatFirmwareProtectedIsWithinReachOnceItIsMapped() {
        Machine machine = machine(VtdUnitProvider.machine("protected memory", CAP, ECAP), true);
        Endpoint endpoint = endpoints(machine).get(0);
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
        Machine machine = machine(VtdUnitProvider.machine("queue error", CAP, ECAP), true);
        long before = machine.frames().inUse();
        Endpoint endpoint = endpoints(machine).get(0);
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
        Machine machine = machine(VtdUnitProvider.machine("advanced fault logging", CAP | 0x8, ECAP), true);
        Endpoint endpoint = endpoints(machine).get(0);
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
