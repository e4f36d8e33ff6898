// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.stream.Stream;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.iommu4j.vfio.type1.DirtyPages;
import org.iommu4j.vfio.type1.DmaUnmap;
import org.iommu4j.vfio.type1.VfioBitmap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which pages of a container were written, as far as type 1 knows. */
class WrittenPagesTest {
    private static final int READ_WRITE = VfioContainer.MAP_READ | VfioContainer.MAP_WRITE;
    private static final long PAGE = 0x1000;
    private static final long MEMORY = 0x10000;

    private final TestHost host = new TestHost();
    private final TestDevice device = host.add("00:05.0");
    private final TestProcess process = new TestProcess().place(MEMORY, 0x70_0000, 256, true);

    private static void refused(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    private VfioContainer container(int type) {
        return host.container(process, type, device);
    }

    private static void start(VfioContainer container) {
        container.dirtyPages(DirtyPages.of(DirtyPages.START));
    }

    private static void stop(VfioContainer container) {
        container.dirtyPages(DirtyPages.of(DirtyPages.STOP));
    }

    private static long[] written(VfioContainer container, long iova, long pages) {
        long[] bitmap = new long[(int) (pages + 63) / 64];
        container.dirtyPages(DirtyPages.of(iova, pages * PAGE, new VfioBitmap(PAGE, bitmap)));
        return bitmap;
    }

    @Test
    void everyMappedPageCountsAsWrittenAgainAndAgain() {
        VfioContainer container = container(VfioExtension.TYPE1V2_IOMMU);
        container.map(0x100000, MEMORY, 4 * PAGE, VfioContainer.MAP_READ);
        start(container);
        start(container);
        assertThat(written(container, 0x100000, 4)).containsExactly(0xf);
        assertThat(written(container, 0x100000, 4)).containsExactly(0xf);
        container.map(0x106000, MEMORY, PAGE, READ_WRITE);
        assertThat(written(container, 0x100000, 8)).containsExactly(0x4f);
        stop(container);
        stop(container);
        refused(Errno.EINVAL, () -> written(container, 0x100000, 4));
    }

    /** A mapping that begins within a word keeps the bits before it, and clears those behind it in its last word. */
    @Test
    void mappingsShareTheWordsOfABitmap() {
        VfioContainer container = container(VfioExtension.TYPE1V2_IOMMU);
        container.map(0, MEMORY, 60 * PAGE, READ_WRITE);
        container.map(62 * PAGE, MEMORY, 70 * PAGE, READ_WRITE);
        start(container);
        long[] bitmap = {-1, -1, -1, -1};
        container.dirtyPages(DirtyPages.of(0, 192 * PAGE, new VfioBitmap(PAGE, bitmap)));
        assertThat(bitmap).containsExactly((1L << 60) - 1 | 3L << 62, -1L, 0xfL, -1L);
    }

    /** As Linux 6.1.192 answered: what one answer shifted behind the mapping's end, the next one shows. */
    @Test
    void whatAnAnswerShiftedBehindTheMappingIsShownByTheNext() {
        VfioContainer container = container(VfioExtension.TYPE1V2_IOMMU);
        start(container);
        container.map(0x108000, MEMORY, 2 * PAGE, READ_WRITE);
        assertThat(written(container, 0x106000, 5)).containsExactly(0xc);
        assertThat(written(container, 0x107000, 6)).containsExactly(0x1e);
        assertThat(written(container, 0x108000, 2)).containsExactly(0x1f);
        stop(container);
        start(container);
        assertThat(written(container, 0x108000, 2)).containsExactly(0x3);
    }

    @Test
    void aMappingAtABitWithinAWordAddsToTheUsersWord() {
        VfioContainer container = container(VfioExtension.TYPE1V2_IOMMU);
        container.map(0x108000, MEMORY, 2 * PAGE, READ_WRITE);
        start(container);
        long[] bitmap = {0x8000_0000_0000_0001L};
        container.dirtyPages(DirtyPages.of(0x106000, 5 * PAGE, new VfioBitmap(PAGE, bitmap)));
        assertThat(bitmap).containsExactly(0x8000_0000_0000_000dL);
    }

    @Test
    void unmappingTellsThePagesThatGo() {
        VfioContainer container = container(VfioExtension.TYPE1V2_IOMMU);
        container.map(0x100000, MEMORY, 2 * PAGE, READ_WRITE);
        container.map(0x104000, MEMORY, PAGE, READ_WRITE);
        start(container);
        long[] bitmap = new long[1];
        DmaUnmap unmap = new DmaUnmap(
                DmaUnmap.SIZE_WITH_BITMAP,
                VfioContainer.UNMAP_GET_DIRTY_BITMAP,
                0x100000,
                8 * PAGE,
                new VfioBitmap(PAGE, bitmap));
        assertThat(container.unmap(unmap)).isEqualTo(3 * PAGE);
        assertThat(bitmap).containsExactly(0x13);
        assertThat(process.pinned()).isZero();
        assertThat(container.unmap(unmap)).isZero();
    }

    @Test
    void whereTheUsersMemoryEndsWhatCameBeforeIsUnmapped() {
        VfioContainer container = container(VfioExtension.TYPE1V2_IOMMU);
        container.map(0, MEMORY, PAGE, READ_WRITE);
        container.map(64 * PAGE, MEMORY, PAGE, READ_WRITE);
        start(container);
        long[] bitmap = new long[1];
        refused(
                Errno.EFAULT,
                () -> container.unmap(new DmaUnmap(
                        DmaUnmap.SIZE_WITH_BITMAP,
                        VfioContainer.UNMAP_GET_DIRTY_BITMAP,
                        0,
                        128 * PAGE,
                        new VfioBitmap(PAGE, 16, bitmap))));
        assertThat(bitmap).containsExactly(1);
        assertThat(process.pinned()).isEqualTo(1);
        assertThat(container.unmap(0, 0, VfioContainer.UNMAP_ALL)).isEqualTo(PAGE);
    }

    @Test
    void aContainerOfTypeOneTracksNothing() {
        VfioContainer container = container(VfioExtension.TYPE1_IOMMU);
        for (int flags = 0; flags < 9; flags++) {
            DirtyPages argument = DirtyPages.of(flags);
            refused(Errno.EACCES, () -> container.dirtyPages(argument));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 3, 5, 6, 7, 8, 9})
    void oneFlagIsSet(int flags) {
        VfioContainer container = container(VfioExtension.TYPE1V2_IOMMU);
        refused(Errno.EINVAL, () -> container.dirtyPages(DirtyPages.of(flags)));
    }

    static Stream<Arguments> refusals() {
        long[] one = new long[1];
        VfioBitmap fits = new VfioBitmap(PAGE, one);
        return Stream.of(
                Arguments.of(7, 0x1000L, PAGE, fits, Errno.EINVAL),
                Arguments.of(DirtyPages.SIZE, 0x1000L, PAGE, fits, Errno.EINVAL),
                Arguments.of(DirtyPages.SIZE_WITH_RANGE, 0x1000L, 0L, fits, Errno.EINVAL),
                Arguments.of(DirtyPages.SIZE_WITH_RANGE, -PAGE, 2 * PAGE, fits, Errno.EOVERFLOW),
                Arguments.of(DirtyPages.SIZE_WITH_RANGE, 0x1000L, 65 * PAGE, fits, Errno.EINVAL),
                Arguments.of(DirtyPages.SIZE_WITH_RANGE, 0x1000L, PAGE, new VfioBitmap(PAGE, 0, one), Errno.EINVAL),
                Arguments.of(
                        DirtyPages.SIZE_WITH_RANGE,
                        0x1000L,
                        PAGE,
                        new VfioBitmap(PAGE, (1L << 28) + 8, one),
                        Errno.EINVAL),
                Arguments.of(DirtyPages.SIZE_WITH_RANGE, 0x1000L, 2 * PAGE, new VfioBitmap(8192, one), Errno.EINVAL),
                Arguments.of(DirtyPages.SIZE_WITH_RANGE, 0x1000L, PAGE, new VfioBitmap(0, one), Errno.EINVAL),
                Arguments.of(DirtyPages.SIZE_WITH_RANGE, 0x1800L, PAGE, fits, Errno.EINVAL),
                Arguments.of(DirtyPages.SIZE_WITH_RANGE, 0x1000L, 0x1800L, fits, Errno.EINVAL),
                Arguments.of(DirtyPages.SIZE_WITH_RANGE, 0x1000L, 2 * PAGE, fits, Errno.EINVAL),
                Arguments.of(DirtyPages.SIZE_WITH_RANGE, 0x3000L, PAGE, fits, Errno.EINVAL),
                Arguments.of(DirtyPages.SIZE_WITH_RANGE, 0x2000L, 2 * PAGE, null, Errno.EINVAL));
    }

    @ParameterizedTest
    @MethodSource("refusals")
    void aRangeIsOfWholeMappingsAndItsBitmapFits(int argsz, long iova, long size, VfioBitmap bitmap, Errno errno) {
        VfioContainer container = container(VfioExtension.TYPE1V2_IOMMU);
        container.map(0x2000, MEMORY, 2 * PAGE, READ_WRITE);
        start(container);
        refused(errno, () -> container.dirtyPages(new DirtyPages(argsz, DirtyPages.GET_BITMAP, iova, size, bitmap)));
        assertThat(written(container, 0x1000, 3)).containsExactly(6);
    }

    @Test
    void aRangeThatWrapsWasInvalidUntil617() {
        host.with(VfioOptions.DEFAULT.withRelease(new LinuxRelease(6, 17)));
        VfioContainer container = container(VfioExtension.TYPE1V2_IOMMU);
        start(container);
        refused(Errno.EINVAL, () -> written(container, -PAGE, 2));
    }

    @Test
    void withoutADomainThePagesThatADriverPinnedAreWritten() {
        VfioDevice[] emulated = new VfioDevice[1];
        emulated[0] = host.vfio()
                .registerEmulated(
                        new NamedDevice("mdev0"), (iova, size) -> emulated[0].unpinPages(iova, (int) (size / PAGE)));
        VfioGroup group = host.vfio().openGroup(emulated[0].groupId());
        VfioContainer container = host.vfio().openContainer(process);
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        VfioDevice open = group.openDevice(emulated[0].id());
        container.map(0, MEMORY, 8 * PAGE, READ_WRITE);
        open.pinPages(PAGE, READ_WRITE, new long[1]);
        start(container);
        open.pinPages(3 * PAGE, READ_WRITE, new long[2]);
        assertThat(written(container, 0, 8)).containsExactly(0x1a);
        open.unpinPages(3 * PAGE, 1);
        assertThat(written(container, 0, 8)).as("what was pinned since").containsExactly(0x1a);
        assertThat(written(container, 0, 8)).as("what is pinned").containsExactly(0x12);

        host.openGroupOf(device).setContainer(container);
        assertThat(written(container, 0, 8)).as("with a device").containsExactly(0xff);
    }
}
