// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.UnaryOperator;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.VendorContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The driver on its silicon, found as a user finds it. */
class MinimalDriverTest {
    private static final long PAGE = 4096;
    private static final long IOVA = 0x40_0000_0000L;
    private static final long MEMORY = 128 << 20;

    private final MachineFactory factory = MachineFactory.load();
    private final Machine machine = factory.createFlat(factory.named("minimal"));
    private final Endpoint endpoint = machine.endpoint(BuiltInTopology.GPU);

    private Iommu open(UnaryOperator<VendorContext> wrapping) {
        return IommuVendors.load()
                .claiming(machine.firmware())
                .get(0)
                .open(wrapping.apply(machine.vendorContext(LinuxRelease.NEWEST)));
    }

    private IommuDevice probe(Iommu iommu, PciAddress address, int... aliases) {
        return iommu.probe(machine.topology().function(address).orElseThrow(), aliases)
                .orElseThrow();
    }

    private boolean reaches(long iova, long physicalAddress) {
        long value = iova * 31 + physicalAddress;
        return endpoint.write(iova, value, false) && machine.memory(0).load(physicalAddress) == value;
    }

    @Test
    void aDeviceReachesAPageFromMapToSyncAndItsRefusalsAreReported() {
        Iommu iommu = open(context -> context);
        IommuDevice device = probe(iommu, BuiltInTopology.GPU);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        assertThat(reaches(IOVA, MEMORY)).as("blocked before it is attached").isFalse();
        domain.attach(device);
        domain.map(IOVA, MEMORY, PAGE, 2, Prot.READ_WRITE);
        domain.syncMap(IOVA, 2 * PAGE);
        assertThat(reaches(IOVA + 8, MEMORY + 8)).isTrue();

        IotlbGather gather = new IotlbGather();
        assertThat(domain.unmap(IOVA, PAGE, gather)).isEqualTo(PAGE);
        assertThat(domain.translate(IOVA)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(reaches(IOVA + 8, MEMORY + 8))
                .as("the unit has the old word")
                .isTrue();
        domain.sync(gather);

        assertThat(reaches(IOVA + 8, MEMORY + 8)).isFalse();
        assertThat(reaches(IOVA + PAGE, MEMORY + PAGE)).as("the other page").isTrue();
        assertThat(iommu.takeFaults()).extracting(DmaFault::address).containsExactly(IOVA, IOVA + 8);
        assertThat(iommu.takeFaults()).isEmpty();
    }

    @Test
    void refusalsThatWereLostAreCountedOnceForEachTimeThatTheLogWasFull() {
        Iommu iommu = open(context -> context);
        for (int i = 0; i < 100; i++) {
            endpoint.read(IOVA, false);
        }
        assertThat(iommu.faultOverflows()).as("not yet read").isZero();
        assertThat(iommu.takeFaults()).hasSize(32);
        assertThat(iommu.faultOverflows()).isOne();
        endpoint.read(IOVA, false);
        assertThat(iommu.takeFaults()).as("recording goes on").hasSize(1);
    }

    /** Functions behind a bridge can share an id; it stays in use until the last of them is blocked. */
    @Test
    void anAliasIsTranslatedWhileOneOfItsDevicesIsAttached() {
        Iommu iommu = open(context -> context);
        int alias = BuiltInTopology.GPU.requesterId();
        IommuDevice device = probe(iommu, BuiltInTopology.GPU);
        IommuDevice other = probe(iommu, BuiltInTopology.SECOND_GPU, alias);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.map(IOVA, MEMORY, PAGE, 1, Prot.READ_WRITE);

        domain.attach(other);
        assertThat(reaches(IOVA, MEMORY)).isTrue();
        domain.attach(device);
        domain.detach(device);
        assertThat(reaches(IOVA, MEMORY)).isTrue();
        domain.detach(other);
        assertThat(reaches(IOVA, MEMORY)).isFalse();
    }

    @Test
    void afterEachFailureOfAPortTheOldDomainWorksAndNothingHasLeaked() {
        int failures = 0;
        for (int n = 1; ; n++) {
            machine.reset();
            FailNth injector = new FailNth();
            Iommu iommu = open(context -> context.failing(injector));
            IommuDevice device = probe(iommu, BuiltInTopology.GPU);
            IommuDomain old = iommu.allocate(DomainType.UNMANAGED, device);
            old.map(IOVA, MEMORY, PAGE, 1, Prot.READ_WRITE);
            old.attach(device);
            List<IommuDomain> domains = new ArrayList<>(List.of(old));

            injector.arm(n);
            Errno errno = errnoOf(() -> {
                domains.add(iommu.allocate(DomainType.UNMANAGED, device));
                domains.get(1).map(IOVA, MEMORY + PAGE, PAGE, 600, Prot.READ_WRITE);
                domains.get(1).attach(device);
            });
            injector.disarm();

            if (!injector.fired()) {
                assertThat(errno).isNull();
                assertThat(failures).isGreaterThan(5);
                return;
            }
            failures += errno == null ? 0 : 1; // a register that was read again is no failure
            assertThat(reaches(IOVA, errno == null ? MEMORY + PAGE : MEMORY)).isTrue();
            errnoOf(() -> domains.get(errno == null ? 1 : 0).detach(device));
            iommu.close();
            assertThat(machine.frames().inUse()).as("failure %d", n).isEqualTo(iommu.quarantinedFrames());
        }
    }

    private static Errno errnoOf(Runnable action) {
        try {
            action.run();
            return null;
        } catch (IommuException e) {
            return e.errno();
        }
    }

    @Test
    void framesThatASilentUnitMayUseAreNeverFreed() {
        boolean[] silent = new boolean[1];
        Iommu iommu = open(context -> new VendorContext(
                context.memory(),
                context.frames(),
                context.registers(),
                (condition, ticks) -> !silent[0] && context.waiter().await(condition, ticks),
                context.firmware(),
                context.topology(),
                context.bootOptions(),
                context.release()));
        IommuDevice device = probe(iommu, BuiltInTopology.GPU);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        domain.map(IOVA, MEMORY, PAGE, 512, Prot.READ_WRITE);
        IotlbGather gather = new IotlbGather();
        domain.unmap(IOVA, 512 * PAGE, gather);

        silent[0] = true;
        assertThat(errnoOf(() -> domain.sync(gather))).isEqualTo(Errno.ETIMEDOUT);
        assertThat(iommu.quarantinedFrames()).as("a table of level 1").isOne();
        assertThat(errnoOf(() -> domain.detach(device))).isEqualTo(Errno.EIO);
        domain.close();
        iommu.close();

        assertThat(iommu.quarantinedFrames())
                .as("also two tables and the device table")
                .isEqualTo(1 + 2 + 128);
        assertThat(machine.frames().inUse()).isEqualTo(iommu.quarantinedFrames());
    }

    @Test
    void twoThreadsMapBesideEachOtherInTheSameTables() throws Exception {
        Iommu iommu = open(context -> context);
        IommuDevice device = probe(iommu, BuiltInTopology.GPU);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        long frames = machine.frames().inUse();
        ExecutorService threads = Executors.newFixedThreadPool(2);
        List<Future<?>> results = new ArrayList<>();
        for (int thread = 0; thread < 2; thread++) {
            long first = thread * 256L;
            results.add(threads.submit(() -> work(domain, endpoint.fork(), first)));
        }
        threads.shutdown();
        for (Future<?> result : results) {
            result.get();
        }
        domain.detach(device);
        domain.close();
        assertThat(machine.frames().inUse()).isEqualTo(frames - 1);
    }

    /** Half of a table each, in a table that is new in each round, and one that goes each time. */
    private static void work(IommuDomain domain, Endpoint device, long first) {
        IotlbGather gather = new IotlbGather();
        for (int round = 0; round < 500; round++) {
            long shared = IOVA + (round * 512L + first) * PAGE;
            long own = 2 * IOVA - (first + 1) * 512 * PAGE - PAGE;
            domain.map(shared, MEMORY + first * PAGE, PAGE, 256, Prot.READ_WRITE);
            domain.map(own & -512 * PAGE, MEMORY, PAGE, 512, Prot.READ);
            assertThat(device.write(shared + 255 * PAGE, round, false)).isTrue();
            assertThat(domain.unmap(own & -512 * PAGE, 512 * PAGE, gather)).isEqualTo(512 * PAGE);
            assertThat(domain.unmap(shared, 256 * PAGE, gather)).isEqualTo(256 * PAGE);
            domain.sync(gather);
            assertThat(device.write(shared + 255 * PAGE, round, false)).isFalse();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"minimal", "minimal-nosc"})
    void theDescriptionAgreesWithTheOpenedDriver(String name) {
        Machine described = factory.createFlat(factory.named(name));
        Map<String, Long> registers = described.units().get(0).spec().registers();
        HostFacts facts = HostFacts.of(
                described.firmware(),
                described.topology(),
                (unit, base, register) -> java.util.OptionalLong.of(registers.get(register)));
        Iommu iommu = new MinimalVendor().open(described.vendorContext(LinuxRelease.NEWEST));

        HostDescription description = new MinimalVendor().describe(facts, LinuxRelease.NEWEST);

        assertThat(description.warnings()).isEmpty();
        assertThat(description.units()).extracting(unit -> unit.id()).isEqualTo(iommu.units());
        assertThat(description.devices()).hasSameSizeAs(described.topology().functions());
        for (DeviceDescription device : description.devices()) {
            IommuDevice opened = iommu.probe(described
                            .topology()
                            .function((PciAddress) device.id())
                            .orElseThrow())
                    .orElseThrow();
            assertThat(device.reservedRegions()).isEqualTo(opened.reservedRegions());
            assertThat(device.isolatedInterrupts()).isEqualTo(Answer.of(opened.isolatedMsi()));
            assertThat(device.enforceCacheCoherency())
                    .isEqualTo(Answer.of(iommu.capable(opened, IommuCapability.ENFORCE_CACHE_COHERENCY)));
        }
    }

    @Test
    void aTableWithAWrongChecksumIsAWarningInADescriptionAndOpensNothing() {
        byte[] table = machine.firmware().table("MINI").orElseThrow();
        table[20]++;
        HostFacts facts = HostFacts.of(
                signature -> java.util.Optional.of(table), machine.topology(), org.iommu4j.spi.RegisterValues.UNKNOWN);

        HostDescription description = new MinimalVendor().describe(facts, LinuxRelease.NEWEST);

        assertThat(description.warnings()).containsExactly("MINI: the checksum is wrong");
        assertThat(description.devices())
                .extracting(DeviceDescription::enforceCacheCoherency)
                .containsOnly(Answer.UNKNOWN);
        assertThatThrownBy(() -> open(context -> new VendorContext(
                        context.memory(),
                        context.frames(),
                        context.registers(),
                        context.waiter(),
                        facts.firmware(),
                        context.topology(),
                        context.bootOptions(),
                        context.release())))
                .hasMessageContaining("checksum");
    }
}
