// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.READ_WRITE;
import static org.iommu4j.it.domain.Bench.SCRATCH;
import static org.iommu4j.it.domain.NthFailure.errnoOf;
import static org.iommu4j.it.domain.ScalableMachines.CAP;
import static org.iommu4j.it.domain.ScalableMachines.CAP_5_LEVELS;
import static org.iommu4j.it.domain.ScalableMachines.COHERENT;
import static org.iommu4j.it.domain.ScalableMachines.ECAP;
import static org.iommu4j.it.domain.ScalableMachines.EVERYTHING;
import static org.iommu4j.it.domain.ScalableMachines.FIRST_STAGE;
import static org.iommu4j.it.domain.ScalableMachines.SECOND_STAGE;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.core.IommuMapper;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.it.domain.NthFailure.Injected;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.Waiter;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The n-th thing that can fail does, for every n: nothing leaks, what worked before works on, and the next try
 * succeeds.
 *
 * <p>A wait or a register read that fails can end an invalidation, after which a unit is broken for good and says so:
 * then frames may be kept, but are counted. What domains can do besides mapping is in {@link CapabilityFailureTest}.
 */
class FailureInjectionTest {
    private static final long PAGE = 4096;
    private static final long VIRTUAL = 0x7f00_0000_0000L;
    private static final int PAGES = 600;

    static List<Configuration> configurations() {
        List<Configuration> all = new ArrayList<>();
        for (String name : List.of(
                "SC, coherent walk", "no SC, non-coherent walk", "caching mode", "register-based invalidation")) {
            all.add(IntelConfigurations.configurations().stream()
                    .filter(configuration -> configuration.name().equals(name))
                    .findFirst()
                    .orElseThrow());
        }
        all.add(DomainConfigurations.smallest());
        all.add(AmdConfigurations.configurations().get(0));
        all.add(AmdConfigurations.configurations().get(4));
        all.add(AmdGuestConfigurations.of("guest tables", 4));
        all.add(AmdGuestConfigurations.withPasids(true));
        all.addAll(scalable());
        return all;
    }

    private static List<Configuration> scalable() {
        long first = ECAP | FIRST_STAGE;
        long second = ECAP | SECOND_STAGE;
        return List.of(
                ScalableMachines.of("second stage", CAP, second),
                ScalableMachines.of("second stage, non-coherent walk", CAP, second & ~COHERENT),
                ScalableMachines.of("second stage, caching mode", CAP | VtdUnitProvider.CAP_CM, second),
                ScalableMachines.of("first stage", CAP, first),
                ScalableMachines.of("first stage, non-coherent walk", CAP, first & ~COHERENT),
                ScalableMachines.of("first stage of 5 levels", CAP_5_LEVELS, first),
                ScalableMachines.withDevices(ScalableMachines.of("PASIDs", CAP, EVERYTHING), true));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void mappingThroughCore(Configuration configuration) {
        int fired = 0;
        for (int n = 1; ; n++) {
            Injected machine = Injected.of(configuration);
            Bench bench = machine.bench();
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH);
            bench.assertReaches(IOVA, SCRATCH);
            long frames = bench.framesInUse();
            // New tables at every level, two page sizes if there are, and a rollback across runs.
            long iova = (1L << 37) - 3 * PAGE;
            long size = (2L << 20) + 600 * PAGE;

            machine.failures().arm(n);
            Errno errno = errnoOf(() -> IommuMapper.map(domain, iova, SCRATCH + PAGE, size, READ_WRITE));
            machine.failures().disarm();

            if (!machine.failures().fired()) {
                assertThat(errno).isNull();
                break;
            }
            fired++;
            String at = configuration + ", failure " + n;
            bench.assertReaches(IOVA, SCRATCH);
            if (errno == null) {
                // A failed look at a register that was looked at again.
                continue;
            }
            assertThat(domain.translate(iova)).as(at).isEqualTo(IommuDomain.UNMAPPED);
            assertThat(domain.translate(iova + size - 1)).as(at).isEqualTo(IommuDomain.UNMAPPED);
            if (errno == Errno.ENOMEM) {
                bench.assertRefused(iova);
                // Levels that a table gained stay with it: they are the domain's, and go with it.
                assertThat(bench.framesInUse()).as(at).isBetween(frames, frames + 3);
                IommuMapper.map(domain, iova, SCRATCH + PAGE, size, READ_WRITE);
                bench.assertReaches(iova, SCRATCH + PAGE);
                bench.assertReaches(iova + size - 8, SCRATCH + PAGE + size - 8);
                assertThat(IommuMapper.unmap(domain, iova, size)).isEqualTo(size);
                assertThat(bench.iommu().quarantinedFrames()).as(at).isZero();
            } else {
                assertThat(errno).as(at).isIn(Errno.ETIMEDOUT, Errno.EIO);
            }
            assertAllFramesComeBack(bench, domain, at);
        }
        assertThat(fired).as("failures that happened").isGreaterThan(2);
    }

    /** Everything of the domain is free after it is closed, but what was counted as kept. */
    private static void assertAllFramesComeBack(Bench bench, IommuDomain domain, String at) {
        errnoOf(() -> domain.detach(bench.device()));
        domain.close();
        long kept = bench.iommu().quarantinedFrames();
        bench.iommu().close();
        assertThat(bench.framesInUse())
                .as(at + ": frames in use when all is closed")
                .isLessThanOrEqualTo(kept);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void attaching(Configuration configuration) {
        int fired = 0;
        Set<Errno> seen = EnumSet.noneOf(Errno.class);
        for (int n = 1; ; n++) {
            Injected machine = Injected.of(configuration);
            Bench bench = machine.bench();
            IommuDomain old = bench.attached();
            bench.map(old, IOVA, SCRATCH);
            bench.assertReaches(IOVA, SCRATCH);
            long frames = bench.framesInUse();

            machine.failures().arm(n);
            IommuDomain[] next = new IommuDomain[1];
            Errno errno = errnoOf(() -> {
                next[0] = bench.iommu().allocate(DomainType.UNMANAGED, bench.device());
                next[0].map(IOVA, SCRATCH + PAGE, PAGE, 1, READ_WRITE);
                next[0].attach(bench.device());
            });
            machine.failures().disarm();

            if (!machine.failures().fired()) {
                assertThat(errno).isNull();
                bench.assertReaches(IOVA, SCRATCH + PAGE);
                break;
            }
            fired++;
            String at = configuration + ", failure " + n;
            if (errno == null) {
                continue;
            }
            seen.add(errno);
            // The device is where it was, and there it works.
            bench.assertReaches(IOVA, SCRATCH);
            if (errno == Errno.ENOMEM) {
                if (next[0] != null) {
                    next[0].close();
                }
                assertThat(bench.framesInUse()).as(at).isEqualTo(frames);
                IommuDomain again = bench.iommu().allocate(DomainType.UNMANAGED, bench.device());
                again.map(IOVA, SCRATCH + PAGE, PAGE, 1, READ_WRITE);
                bench.attach(again, bench.device());
                bench.assertReaches(IOVA, SCRATCH + PAGE);
            } else {
                assertThat(errno).as(at).isIn(Errno.ETIMEDOUT, Errno.EIO);
                next[0].close();
                assertThat(bench.framesInUse())
                        .as(at)
                        .isLessThanOrEqualTo(frames + bench.iommu().quarantinedFrames());
            }
        }
        assertThat(fired).as("failures that happened").isGreaterThan(2);
        assertThat(seen).contains(Errno.ENOMEM, Errno.ETIMEDOUT);
    }

    /** A host up to VFIO, over ports and a process that fail when they are told to. */
    private static final class Host {
        final Injected machine;
        final Bench bench;
        final UserProcess process;
        final IommuCore core;
        final Vfio vfio;
        final VfioContainer container;

        Host(Configuration configuration) {
            machine = Injected.of(configuration);
            bench = machine.bench();
            core = IommuCore.open(bench.iommu(), bench.machine().topology());
            // A unit without interrupt remapping is among them.
            vfio = new Vfio(core, new VfioOptions(LinuxRelease.NEWEST, true, 65535));
            process = bench.machine().newProcess(4096, false);
            process.allocate(VIRTUAL, PAGES, true);
            container = vfio.openContainer(machine.failures().processMemory(process));
        }

        VfioGroup register(PciAddress address) {
            IommuGroup group = core.group(address).orElseThrow();
            vfio.register(address);
            return vfio.openGroup(group.id());
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void mappingThroughAContainer(Configuration configuration) {
        int fired = 0;
        Set<Errno> seen = EnumSet.noneOf(Errno.class);
        for (int n = 1; ; n++) {
            Host host = new Host(configuration);
            VfioGroup group = host.register(Bench.DEVICE);
            group.setContainer(host.container);
            host.container.setIommu(VfioExtension.TYPE1V2_IOMMU);
            int readWrite = VfioContainer.MAP_READ | VfioContainer.MAP_WRITE;
            host.container.map(IOVA, VIRTUAL, PAGE, readWrite);
            host.bench.assertReaches(IOVA, host.process.translate(VIRTUAL));
            long frames = host.bench.framesInUse();
            long pinned = host.process.pinned();
            long charged = host.process.charged();

            host.machine.failures().arm(n);
            Errno errno = errnoOf(() -> host.container.map(IOVA + PAGE, VIRTUAL + PAGE, (PAGES - 1) * PAGE, readWrite));
            host.machine.failures().disarm();

            if (!host.machine.failures().fired()) {
                assertThat(errno).isNull();
                break;
            }
            fired++;
            if (errno == null) {
                continue;
            }
            seen.add(errno);
            String at = configuration + ", failure " + n;
            host.bench.assertReaches(IOVA, host.process.translate(VIRTUAL));
            if (errno == Errno.ETIMEDOUT || errno == Errno.EIO) {
                // Pages that a device may still reach stay pinned, and are counted.
                assertThat(host.process.pinned()).as(at).isEqualTo(pinned + host.container.quarantinedPages());
                continue;
            }
            assertThat(errno).as(at).isIn(Errno.ENOMEM, Errno.EFAULT);
            assertThat(host.process.pinned()).as(at).isEqualTo(pinned);
            assertThat(host.process.charged()).as(at).isEqualTo(charged);
            assertThat(host.bench.framesInUse()).as(at).isBetween(frames, frames + 2);
            host.bench.assertRefused(IOVA + PAGE);
            host.container.map(IOVA + PAGE, VIRTUAL + PAGE, (PAGES - 1) * PAGE, readWrite);
            for (int page = 0; page < PAGES; page += 37) {
                host.bench.assertReaches(IOVA + page * PAGE, host.process.translate(VIRTUAL + page * PAGE));
            }
            assertThat(host.container.unmap(0, 0, VfioContainer.UNMAP_ALL)).isEqualTo(PAGES * PAGE);
            assertThat(host.process.pinned()).as(at).isZero();
            assertThat(host.process.charged()).as(at).isZero();
        }
        assertThat(fired).as("failures that happened").isGreaterThan(3);
        assertThat(seen).contains(Errno.ENOMEM, Errno.EFAULT);
    }

    /** Unmapping takes effect even when it fails; pages that a device may still reach stay pinned, and are counted. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void unmappingFromAContainer(Configuration configuration) {
        int fired = 0;
        for (int n = 1; ; n++) {
            Host host = new Host(configuration);
            VfioGroup group = host.register(Bench.DEVICE);
            group.setContainer(host.container);
            host.container.setIommu(VfioExtension.TYPE1V2_IOMMU);
            int readWrite = VfioContainer.MAP_READ | VfioContainer.MAP_WRITE;
            long iova = (1L << 37) - 3 * PAGE;
            host.container.map(iova, VIRTUAL, PAGES * PAGE, readWrite);
            host.container.map(IOVA, VIRTUAL, PAGE, readWrite);

            host.machine.failures().arm(n);
            Errno errno = errnoOf(() -> host.container.unmap(iova, PAGES * PAGE, 0));
            host.machine.failures().disarm();

            String at = configuration + ", failure " + n;
            assertThat(host.container.info().dmaAvailable()).as(at).isEqualTo(65534);
            if (errno == null) {
                host.bench.assertRefused(iova);
                host.bench.assertReaches(IOVA, host.process.translate(VIRTUAL));
                assertThat(host.process.pinned()).as(at).isEqualTo(1);
                assertThat(host.process.charged()).as(at).isEqualTo(1);
            } else {
                assertThat(errno).as(at).isIn(Errno.ETIMEDOUT, Errno.EIO);
                assertThat(host.process.pinned()).as(at).isEqualTo(1 + host.container.quarantinedPages());
                assertThat(host.process.charged()).as(at).isEqualTo(host.process.pinned());
            }
            if (!host.machine.failures().fired()) {
                break;
            }
            fired++;
        }
        assertThat(fired).as("failures that happened").isPositive();
    }

    /** The mappings of a container of emulated devices are pinned when the first real one joins. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void joiningAContainerOfEmulatedDevices(Configuration configuration) {
        int fired = 0;
        Set<Errno> seen = EnumSet.noneOf(Errno.class);
        for (int n = 1; ; n++) {
            Host host = new Host(configuration);
            VfioDevice registered = host.vfio.registerEmulated(new NamedDevice("mdev0"), (iova, size) -> {});
            VfioGroup emulated = host.vfio.openGroup(registered.groupId());
            emulated.setContainer(host.container);
            host.container.setIommu(VfioExtension.TYPE1V2_IOMMU);
            VfioDevice open = emulated.openDevice(registered.id());
            int readWrite = VfioContainer.MAP_READ | VfioContainer.MAP_WRITE;
            host.container.map(IOVA, VIRTUAL, 2 * PAGE, readWrite);
            host.container.map(IOVA + 4 * PAGE, VIRTUAL, (PAGES - 4) * PAGE, readWrite);
            open.pinPages(IOVA + PAGE, 3, new long[1]);
            VfioGroup group = host.register(Bench.DEVICE);
            long frames = host.bench.framesInUse();

            host.machine.failures().arm(n);
            Errno errno = errnoOf(() -> group.setContainer(host.container));
            host.machine.failures().disarm();

            String at = configuration + ", failure " + n;
            if (errno == null) {
                host.bench.assertReaches(IOVA, host.process.translate(VIRTUAL));
                host.bench.assertReaches(
                        IOVA + PAGES * PAGE - 8, host.process.translate(VIRTUAL + (PAGES - 4) * PAGE - 8));
                assertThat(host.process.pinned()).as(at).isEqualTo(PAGES - 1);
                assertThat(host.process.charged()).as(at).isEqualTo(PAGES - 2);
            } else if (errno == Errno.ENOMEM || errno == Errno.EFAULT) {
                host.bench.assertRefused(IOVA);
                assertThat(host.bench.framesInUse()).as(at).isEqualTo(frames);
                assertThat(host.process.pinned()).as(at).isEqualTo(1);
                assertThat(host.process.charged()).as(at).isEqualTo(1);
                group.setContainer(host.container);
                host.bench.assertReaches(IOVA, host.process.translate(VIRTUAL));
            } else {
                assertThat(errno).as(at).isIn(Errno.ETIMEDOUT, Errno.EIO);
                assertThat(host.process.pinned()).as(at).isEqualTo(1 + host.container.quarantinedPages());
            }
            if (errno != null) {
                seen.add(errno);
            }
            if (!host.machine.failures().fired()) {
                assertThat(errno).isNull();
                break;
            }
            fired++;
        }
        assertThat(fired).as("failures that happened").isGreaterThan(3);
        assertThat(seen).contains(Errno.ENOMEM, Errno.EFAULT);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void joiningAContainer(Configuration configuration) {
        int fired = 0;
        for (int n = 1; ; n++) {
            Host host = new Host(configuration);
            VfioGroup first = host.register(Bench.DEVICE);
            VfioGroup second = host.register(Bench.SECOND);
            first.setContainer(host.container);
            host.container.setIommu(VfioExtension.TYPE1V2_IOMMU);
            host.container.map(IOVA, VIRTUAL, PAGE, VfioContainer.MAP_READ | VfioContainer.MAP_WRITE);
            long frames = host.bench.framesInUse();

            host.machine.failures().arm(n);
            Errno errno = errnoOf(() -> second.setContainer(host.container));
            host.machine.failures().disarm();

            if (!host.machine.failures().fired()) {
                assertThat(errno).isNull();
                host.bench.assertReaches(host.bench.secondEndpoint(), IOVA, host.process.translate(VIRTUAL));
                break;
            }
            fired++;
            String at = configuration + ", failure " + n;
            host.bench.assertReaches(IOVA, host.process.translate(VIRTUAL));
            if (errno == Errno.ENOMEM) {
                assertThat(host.bench.framesInUse()).as(at).isEqualTo(frames);
                host.bench.assertRefused(host.bench.secondEndpoint(), IOVA);
                second.setContainer(host.container);
                host.bench.assertReaches(host.bench.secondEndpoint(), IOVA, host.process.translate(VIRTUAL));
            } else if (errno != null) {
                assertThat(errno).as(at).isIn(Errno.ETIMEDOUT, Errno.EIO);
            }
        }
        assertThat(fired).as("failures that happened").isGreaterThan(2);
    }

    /** A unit that stops answering. */
    private static final class Silence implements Waiter {
        private final Waiter waiter;
        private boolean silent;

        private Silence(Waiter waiter) {
            this.waiter = waiter;
        }

        @Override
        public boolean await(BooleanSupplier condition, long ticks) {
            return !silent && waiter.await(condition, ticks);
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void anInvalidationThatNeverCompletesKeepsTheFramesAndBreaksTheUnit(Configuration configuration) {
        Silence[] silence = new Silence[1];
        Bench bench = new Bench(configuration, context -> {
            silence[0] = new Silence(context.waiter());
            return new VendorContext(
                    context.memory(),
                    context.frames(),
                    context.registers(),
                    silence[0],
                    context.firmware(),
                    context.topology(),
                    context.bootOptions(),
                    context.release());
        });
        IommuDomain domain = bench.attached();
        bench.map(domain, IOVA, SCRATCH, PAGE, 512, READ_WRITE);
        bench.assertReaches(IOVA, SCRATCH);
        long frames = bench.framesInUse();
        IotlbGather gather = new IotlbGather();
        assertThat(domain.unmap(IOVA, 512 * PAGE, gather)).isEqualTo(512 * PAGE);
        int waiting = gather.frameCount();
        assertThat(waiting).isPositive();

        silence[0].silent = true;
        assertThat(errnoOf(() -> domain.sync(gather))).isEqualTo(Errno.ETIMEDOUT);
        silence[0].silent = false;

        assertThat(bench.iommu().quarantinedFrames()).isEqualTo(waiting);
        assertThat(bench.framesInUse()).as("the frames are not used again").isEqualTo(frames);
        assertThat(gather.isEmpty()).isTrue();
        // Broken for good: what needs the unit is refused, what does not goes on.
        assertThat(errnoOf(() -> domain.attach(bench.second()))).isEqualTo(Errno.EIO);
        domain.map(IOVA + (1L << 30), SCRATCH, PAGE, 1, READ_WRITE);
        assertThat(domain.unmap(IOVA + (1L << 30), PAGE, gather)).isEqualTo(PAGE);
        assertThat(errnoOf(() -> domain.sync(gather))).isEqualTo(Errno.EIO);
        assertThat(errnoOf(() -> domain.detach(bench.device()))).isEqualTo(Errno.EIO);
        domain.close();
        bench.iommu().close();
        assertThat(bench.framesInUse())
                .as("only what was counted is kept")
                .isEqualTo(bench.iommu().quarantinedFrames());
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void opening(Configuration configuration) {
        int refused = 0;
        for (int n = 1; ; n++) {
            FailNth failures = new FailNth();
            Machine machine = MachineFactory.load().create(configuration.machine());
            IommuVendor vendor =
                    IommuVendors.load().claiming(machine.firmware()).get(0);
            VendorContext context = machine.vendorContext(LinuxRelease.NEWEST);
            failures.arm(n);
            Errno errno = errnoOf(() -> vendor.open(context.failing(failures)));
            if (!failures.fired()) {
                assertThat(errno).isNull();
                break;
            }
            if (errno != null) {
                refused++;
                assertThat(errno).isIn(Errno.ENOMEM, Errno.ETIMEDOUT, Errno.ENODEV);
                assertThat(machine.frames().inUse())
                        .as("%s, failure %d: frames in use", configuration, n)
                        .isZero();
                Iommu again = vendor.open(context);
                again.close();
                assertThat(machine.frames().inUse()).isZero();
            }
        }
        assertThat(refused)
                .as("refusals: a frame, a wait and a register at least")
                .isGreaterThanOrEqualTo(3);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("scalable")
    void probing(Configuration configuration) {
        Set<Errno> seen = EnumSet.noneOf(Errno.class);
        for (int n = 1; ; n++) {
            FailNth failures = new FailNth();
            Machine machine = MachineFactory.load().create(configuration.machine());
            IommuVendor vendor =
                    IommuVendors.load().claiming(machine.firmware()).get(0);
            Iommu iommu = vendor.open(machine.vendorContext(LinuxRelease.NEWEST).failing(failures));
            PciFunction function = machine.topology().function(Bench.DEVICE).orElseThrow();

            failures.arm(n);
            Errno errno = errnoOf(() -> iommu.probe(function, Bench.DEVICE.requesterId()));
            failures.disarm();

            if (errno == Errno.ENOMEM) {
                seen.add(errno);
                IommuDevice device =
                        iommu.probe(function, Bench.DEVICE.requesterId()).orElseThrow();
                IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
                assertThat(domain.attach(device).attached()).isTrue();
                domain.map(IOVA, SCRATCH, PAGE, 1, READ_WRITE);
                domain.syncMap(IOVA, PAGE);
                assertThat(machine.endpoint(Bench.DEVICE).write(IOVA, 1, false)).isTrue();
                domain.detach(device);
            } else if (errno != null) {
                assertThat(errno).isEqualTo(Errno.ETIMEDOUT);
            }
            iommu.close();
            assertThat(machine.frames().inUse())
                    .as("%s, failure %d: frames in use", configuration, n)
                    .isZero();
            if (!failures.fired()) {
                assertThat(errno).isNull();
                break;
            }
        }
        assertThat(seen).as("tables are made for a device").containsExactly(Errno.ENOMEM);
    }
}
