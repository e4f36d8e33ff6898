// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.List;
import java.util.SortedMap;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestDomain;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.junit.jupiter.api.Test;

/** The n-th fallible call fails, for every n: nothing leaks, old translations stand, and the retry succeeds. */
class ContainerFailureTest {
    private static final int READ_WRITE = VfioContainer.MAP_READ | VfioContainer.MAP_WRITE;

    private final TestHost host = new TestHost();
    private final TestDevice capable = host.add("00:05.0");
    private final TestDevice incapable = host.add("00:06.0");
    private final TestDevice another = host.add("00:07.0");
    private final TestProcess process = new TestProcess();

    /** What must be the same after a failed call as before. */
    private record State(
            long pinned, long charged, long frames, long domains, int available, SortedMap<Long, String> pages) {}

    private ContainerFailureTest() {
        incapable.snoopControl = false;
        // Two frames of three are contiguous, so that there are runs, and more pages than one batch.
        for (int i = 0; i < 1200; i++) {
            process.place(0x10_0000 + i * 4096L, 0x2000_0000L + (i + i / 3) * 4096L, 1, true);
        }
    }

    private State state(VfioContainer container) {
        return new State(
                process.pinned(),
                process.charged(),
                host.pool.inUse(),
                host.iommu.pagingDomains(),
                container.info().dmaAvailable(),
                domain(container, 0).pages());
    }

    private static TestDomain domain(VfioContainer container, int index) {
        return (TestDomain) container.domains().get(index).domain();
    }

    private VfioContainer failingContainer(VfioGroup... groups) {
        VfioContainer container = host.vfio().openContainer(host.failures.processMemory(process));
        for (VfioGroup group : groups) {
            group.setContainer(container);
        }
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        return container;
    }

    private int failEveryCall(VfioContainer container, Runnable call) {
        State before = state(container);
        for (int n = 1; ; n++) {
            host.failures.arm(n);
            IommuException failure = catchThrowableOfType(IommuException.class, call::run);
            host.failures.disarm();
            if (failure == null) {
                assertThat(host.failures.fired()).as("all calls failed once").isFalse();
                return n - 1;
            }
            assertThat(failure.errno()).isIn(Errno.ENOMEM, Errno.EFAULT);
            assertThat(failure.getSuppressed()).isEmpty();
            assertThat(state(container)).as("after call %d failed", n).isEqualTo(before);
            assertThat(container.quarantinedPages()).isZero();
        }
    }

    @Test
    void aFailedMapIntoTwoDomainsLeavesNothingBehind() {
        VfioContainer container = failingContainer(host.openGroupOf(capable), host.openGroupOf(incapable));
        container.map(0x8000_0000L, 0x10_0000, 0x10_0000, READ_WRITE);

        int failed = failEveryCall(container, () -> container.map(0, 0x10_0000, 1200 * 4096L, READ_WRITE));

        // Three batches to pin and charge, and the tables of three regions in each of two domains.
        assertThat(failed).isEqualTo(3 + 3 + 3 * 2);
        assertThat(container.unmap(0, 0, VfioContainer.UNMAP_ALL)).isEqualTo(1200 * 4096L + 0x10_0000);
        assertThat(process.pinned()).isZero();
        assertThat(process.charged()).isZero();
    }

    @Test
    void aFailedAttachWithReplayLeavesNothingBehind() {
        VfioContainer container = failingContainer(host.openGroupOf(capable));
        container.map(0x8000_0000L, 0x10_0000, 1200 * 4096L, READ_WRITE);
        VfioGroup group = host.openGroupOf(incapable);
        // Core keeps the domain that blocks a group from its first owner on.
        group.setContainer(container);
        group.unsetContainer();

        int failed = failEveryCall(container, () -> group.setContainer(container));

        assertThat(failed).isGreaterThanOrEqualTo(5);
        assertThat(container.domains()).hasSize(2);
        assertThat(domain(container, 1).pages()).isEqualTo(domain(container, 0).pages());
    }

    @Test
    void aGroupThatCannotJoinForLackOfMemoryGetsItsOwnDomainOrNone() {
        VfioContainer container = failingContainer(host.openGroupOf(capable));
        container.map(0x8000_0000L, 0x10_0000, 0x10_0000, READ_WRITE);
        VfioGroup group = host.openGroupOf(another);
        group.setContainer(container);
        group.unsetContainer();
        State before = state(container);
        int ownDomains = 0;
        int n = 1;
        for (; ; n++) {
            host.failures.arm(n);
            IommuException failure = catchThrowableOfType(IommuException.class, () -> group.setContainer(container));
            host.failures.disarm();
            if (failure == null) {
                ownDomains += container.domains().size() - 1;
                assertThat(container
                                .domains()
                                .get(container.domains().size() - 1)
                                .devices())
                        .contains(another.id());
                assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isEqualTo(1);
                if (!host.failures.fired()) {
                    break;
                }
                group.unsetContainer();
            }
            assertThat(state(container)).isEqualTo(before);
        }
        assertThat(n).isGreaterThan(3);
        assertThat(ownDomains)
                .as("joins that failed and ended in an own domain")
                .isEqualTo(1);
        assertThat(container.domains()).hasSize(1);
    }

    @Test
    void aGroupThatTheOthersDomainRefusesLeavesItsOwnWhenTheReplayFails() {
        VfioContainer container = failingContainer(host.openGroupOf(capable));
        container.map(0x8000_0000L, 0x10_0000, 1200 * 4096L, READ_WRITE);
        another.refusesForeignDomains = true;
        VfioGroup group = host.openGroupOf(another);
        group.setContainer(container);
        group.unsetContainer();

        int failed = failEveryCall(container, () -> group.setContainer(container));

        // The domain, moving in, moving in again, and the tables of three regions.
        assertThat(failed).isGreaterThanOrEqualTo(1 + 2 + 3);
        assertThat(container.domains())
                .extracting(state -> state.devices())
                .containsExactly(List.of(capable.id()), List.of(another.id()));
        assertThat(domain(container, 1).pages()).isEqualTo(domain(container, 0).pages());
    }

    @Test
    void aGroupLeavesTheDomainThatItJoinedWhenItsOwnIsNotFreed() {
        VfioContainer container = host.vfio().openContainer(process);
        for (TestDevice device : new TestDevice[] {capable, another}) {
            host.openGroupOf(device).setContainer(container);
        }
        host.iommu.failingCloses = 1;

        IommuException failure =
                catchThrowableOfType(IommuException.class, () -> container.setIommu(VfioExtension.TYPE1V2_IOMMU));

        assertThat(failure.errno()).isEqualTo(Errno.EIO);
        assertThat(failure.getSuppressed())
                .as("the first group's domain is free of the second")
                .isEmpty();
        assertThat(host.iommu.pagingDomains()).isZero();
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        assertThat(container.domains())
                .extracting(state -> state.devices())
                .containsExactly(List.of(capable.id(), another.id()));
    }

    @Test
    void aFailedSetIommuLeavesTheGroupsInTheContainer() {
        VfioContainer container = host.vfio().openContainer(process);
        for (TestDevice device : new TestDevice[] {capable, incapable}) {
            host.openGroupOf(device).setContainer(container);
        }
        long frames = host.pool.inUse();
        int failed = 0;
        for (int n = 1; ; n++) {
            host.failures.arm(n);
            IommuException failure =
                    catchThrowableOfType(IommuException.class, () -> container.setIommu(VfioExtension.TYPE1V2_IOMMU));
            host.failures.disarm();
            if (failure == null) {
                break;
            }
            failed++;
            assertThat(failure.errno()).isEqualTo(Errno.ENOMEM);
            assertThat(container.domains()).isEmpty();
            assertThat(host.pool.inUse()).isEqualTo(frames);
        }
        assertThat(failed).isGreaterThanOrEqualTo(4);
        assertThat(container.domains()).hasSize(2);
    }
}
