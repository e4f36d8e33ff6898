// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.ScalableMachines.CAP;
import static org.iommu4j.it.domain.ScalableMachines.ECAP;
import static org.iommu4j.it.domain.ScalableMachines.FIRST_STAGE;

import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A container over real drivers and silicon, while the n-th thing that can fail does, for every n: nothing leaks, what
 * worked before works on, and the next try succeeds.
 *
 * <p>A wait or a register read that fails can end an invalidation, after which a unit is broken for good and says so:
 * then pages may stay pinned, but are counted.
 */
class ContainerFailureTest {
    private static final long PAGE = 4096;
    private static final long VIRTUAL = 0x7f00_0000_0000L;
    private static final int PAGES = 600;

    /** One for each way in which mappings come to a unit. */
    static List<Configuration> configurations() {
        long cap = VtdUnitProvider.CAP_4_LEVEL;
        long ecap = VtdUnitProvider.ECAP_SNOOP_CONTROL;
        return List.of(
                IntelConfigurations.of("second stage, non-coherent walk", cap, ecap & ~1),
                IntelConfigurations.of("caching mode", cap | VtdUnitProvider.CAP_CM, ecap),
                ScalableMachines.of("first stage", CAP, ECAP | FIRST_STAGE),
                AmdConfigurations.configurations().get(0),
                AmdGuestConfigurations.withPasids(true),
                DomainConfigurations.smallest());
    }

    /** A machine whose driver runs on ports that fail when they are told to. */
    private record Injected(FailNth failures, Bench bench) {
        static Injected of(Configuration configuration) {
            FailNth failures = new FailNth();
            return new Injected(failures, new Bench(configuration, context -> context.failing(failures)));
        }
    }

    /** Returns the errno that an action fails with, or null. */
    static Errno errnoOf(Runnable action) {
        try {
            action.run();
            return null;
        } catch (IommuException e) {
            return e.errno();
        }
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
            long iova = IOVA + (1L << 30) - 3 * PAGE;
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
}
