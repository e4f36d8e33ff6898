// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Virtual addresses that change under mappings, as where a VMM starts anew and keeps its devices. */
class VirtualAddressesTest {
    private static final int READ_WRITE = VfioContainer.MAP_READ | VfioContainer.MAP_WRITE;
    private static final long PAGE = 0x1000;
    private static final long MEMORY = 0x10000;

    private final TestHost host = new TestHost();
    private final TestDevice device = host.add("00:05.0");
    private final TestDevice other = host.add("00:06.0");
    private final TestProcess process = new TestProcess().place(MEMORY, 0x70_0000, 16, true);
    private VfioContainer container;

    @BeforeEach
    void threeMappings() {
        container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        container.map(0, MEMORY, 2 * PAGE, READ_WRITE);
        container.map(2 * PAGE, MEMORY + 2 * PAGE, PAGE, READ_WRITE);
        container.map(8 * PAGE, MEMORY + 8 * PAGE, PAGE, READ_WRITE);
    }

    private static void refused(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    private long takeBack(long iova, long size) {
        return container.unmap(iova, size, VfioContainer.UNMAP_VADDR);
    }

    private void give(long iova, long virtualAddress, long size) {
        container.map(iova, virtualAddress, size, VfioContainer.MAP_VADDR);
    }

    @Test
    void addressesAreTakenBackAndGivenMappingByMapping() {
        assertThat(takeBack(0, 4 * PAGE)).isEqualTo(3 * PAGE);
        assertThat(process.pinned()).as("nothing is unmapped").isEqualTo(4);
        refused(Errno.EINVAL, () -> give(0, MEMORY, 3 * PAGE));
        refused(Errno.EINVAL, () -> give(0, MEMORY, PAGE));
        refused(Errno.ENOENT, () -> give(16 * PAGE, MEMORY, PAGE));
        refused(Errno.EINVAL, () -> give(8 * PAGE, MEMORY, PAGE));
        refused(Errno.EINVAL, () -> container.map(0, MEMORY, 2 * PAGE, READ_WRITE | VfioContainer.MAP_VADDR));
        give(0, 0x7f00_0000_0000L, 2 * PAGE);
        refused(Errno.EINVAL, () -> give(0, MEMORY, 2 * PAGE));
        give(2 * PAGE, MEMORY, PAGE);
    }

    @Test
    void aMappingWithoutAnAddressUndoesTheWholeCall() {
        takeBack(2 * PAGE, PAGE);
        refused(Errno.EINVAL, () -> takeBack(0, 16 * PAGE));
        give(2 * PAGE, MEMORY, PAGE);
        assertThat(container.unmap(0, 0, VfioContainer.UNMAP_VADDR | VfioContainer.UNMAP_ALL))
                .isEqualTo(4 * PAGE);
        refused(Errno.EINVAL, () -> takeBack(0, 2 * PAGE));
    }

    @Test
    void noGroupJoinsMeanwhile() {
        takeBack(0, 2 * PAGE);
        VfioGroup group = host.openGroupOf(other);
        refused(Errno.EBUSY, () -> group.setContainer(container));
        assertThat(container.unmap(0, 2 * PAGE, 0)).isEqualTo(2 * PAGE);
        group.setContainer(container);
        assertThat(process.charged()).isEqualTo(2);
    }

    @Test
    void theNewProcessIsChargedOrTheOldOneStays() {
        takeBack(0, 2 * PAGE);
        TestProcess poor = new TestProcess(1);
        refused(Errno.ENOMEM, () -> container.map(poor, 0, MEMORY, 2 * PAGE, VfioContainer.MAP_VADDR));
        assertThat(process.charged()).isEqualTo(4);
        assertThat(poor.charged()).isZero();
        give(0, MEMORY, 2 * PAGE);
        assertThat(process.charged()).isEqualTo(4);
    }

    /** Pages stay pinned where they were, and the new process has their charge. */
    @Test
    void whatANewProcessTookOverIsUnpinnedWhereItWasPinned() {
        takeBack(0, 2 * PAGE);
        TestProcess child = new TestProcess().place(MEMORY, 0x90_0000, 2, true);
        container.map(child, 0, MEMORY, 2 * PAGE, VfioContainer.MAP_VADDR);
        assertThat(process.pinned()).isEqualTo(4);
        assertThat(process.charged()).isEqualTo(2);
        assertThat(child.pinned()).isZero();
        assertThat(child.charged()).isEqualTo(2);
        assertThat(container.unmap(0, 2 * PAGE, 0)).isEqualTo(2 * PAGE);
        assertThat(process.pinned()).isEqualTo(2);
        assertThat(process.charged()).isEqualTo(2);
        assertThat(child.charged()).isZero();
    }
}
