// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.capability.DirtyTracking;
import org.junit.jupiter.api.Test;

/** The record of written pages: the device table entry, the leaves' D bits, and what units are told to forget. */
class DirtyTrackingTest {
    private static final long K4 = 4096;
    private static final long D = 1 << 6;

    private final TestPlatform platform = new TestPlatform();
    private final AmdIommu iommu;
    private final IommuDevice device;
    private final HostDomain domain;
    private final DirtyTracking tracking;

    DirtyTrackingTest() {
        platform.efr |= 1L << 49 | 1L << 52;
        iommu = platform.open();
        device = iommu.probe(platform.function(0, 1, 0, 0)).orElseThrow();
        domain = (HostDomain) iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.DIRTY_TRACKING));
        tracking = domain.dirtyTracking().orElseThrow();
    }

    private static void refuses(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    private long word0() {
        return platform.unit.deviceTableWord(0x100, 0);
    }

    /** Where the level-1 entry of an address is, in a table of three levels. */
    private long slot(long iova) {
        long table = word0() & 0x000f_ffff_ffff_f000L;
        for (int level = 3; level > 1; level--) {
            table = platform.memory.load(table + (iova >>> (12 + 9 * (level - 1)) & 511) * 8) & 0x000f_ffff_ffff_f000L;
        }
        return table + (iova >>> 12 & 511) * 8;
    }

    private void setDirty(long iova) {
        platform.memory.store(slot(iova), platform.memory.load(slot(iova)) | D);
    }

    @Test
    void recordingIsSwitchedInEveryEntryAndTheUnitForgetsWhatItHeldAsClean() {
        domain.attach(device);
        platform.commands.clear();
        tracking.setDirtyTracking(true);
        assertThat(word0() >>> 7 & 3).isEqualTo(3);
        assertThat(platform.commands).containsExactly("devtab 0100", "pages 1 7ffffffffffff003");
        platform.commands.clear();
        tracking.setDirtyTracking(true);
        assertThat(platform.commands).as("asked for again").isEmpty();
        IommuDevice later = iommu.probe(platform.function(0, 1, 0, 1)).orElseThrow();
        domain.attach(later);
        assertThat(platform.unit.deviceTableWord(0x101, 0) >>> 7 & 3).isEqualTo(3);
        // A taller root keeps it.
        domain.map(1L << 40, 0, K4, 1, Prot.READ);
        assertThat(word0() >>> 7 & 0x1f).isEqualTo(4 << 2 | 3);
        tracking.setDirtyTracking(false);
        assertThat(word0() >>> 7 & 3).isZero();
        assertThat(platform.unit.deviceTableWord(0x101, 0) >>> 7 & 3).isZero();
    }

    @Test
    void writtenPagesAreReadAndClearedOnce() {
        domain.attach(device);
        domain.map(0x10_0000, 0x50_0000, K4, 16, Prot.READ_WRITE);
        DirtyBitmap bitmap = new DirtyBitmap(0x10_0000, K4, 16);
        refuses(Errno.EINVAL, () -> tracking.readAndClearDirty(bitmap, false));
        tracking.setDirtyTracking(true);
        platform.commands.clear();
        tracking.readAndClearDirty(bitmap, true);
        assertThat(bitmap.count()).isZero();
        assertThat(platform.commands).as("nothing was cleared").isEmpty();
        setDirty(0x10_3000);
        setDirty(0x10_f000);
        tracking.readAndClearDirty(bitmap, false);
        assertThat(platform.memory.load(slot(0x10_3000)) & D).isNotZero();
        assertThat(platform.commands).isEmpty();
        tracking.readAndClearDirty(bitmap, true);
        assertThat(bitmap.count()).isEqualTo(2);
        assertThat(bitmap.isMarked(0x10_3000)).isTrue();
        assertThat(bitmap.isMarked(0x10_f000)).isTrue();
        assertThat(platform.memory.load(slot(0x10_3000)) & D).isZero();
        assertThat(platform.commands).containsExactly("pages 1 107001");
        bitmap.clear();
        tracking.readAndClearDirty(bitmap, true);
        assertThat(bitmap.count()).isZero();
    }

    @Test
    void aPageOfSeveralSlotsWasWrittenWhenAnySlotSaysSoAndIsClearedInAll() {
        domain.attach(device);
        domain.map(0x10_0000, 0x50_0000, 1L << 15, 1, Prot.READ_WRITE);
        tracking.setDirtyTracking(true);
        setDirty(0x10_3000);
        setDirty(0x10_6000);
        // The bitmap sees only the end of the page.
        DirtyBitmap bitmap = new DirtyBitmap(0x10_7000, K4, 4);
        tracking.readAndClearDirty(bitmap, true);
        assertThat(bitmap.isMarked(0x10_7000)).isTrue();
        assertThat(bitmap.count()).isOne();
        for (long iova = 0x10_0000; iova < 0x10_8000; iova += K4) {
            assertThat(platform.memory.load(slot(iova)) & D).isZero();
        }
    }

    @Test
    void aRangeWithHolesAndBeyondTheTableIsNoObstacle() {
        domain.attach(device);
        tracking.setDirtyTracking(true);
        domain.map(0x7f_ffff_f000L, 0x5000, K4, 1, Prot.READ_WRITE);
        setDirty(0x7f_ffff_f000L);
        DirtyBitmap bitmap = new DirtyBitmap(0, 1L << 21, 1 << 20);
        tracking.readAndClearDirty(bitmap, true);
        assertThat(bitmap.count()).isOne();
        assertThat(bitmap.isMarked(0x7f_ffe0_0000L)).isTrue();
        tracking.readAndClearDirty(new DirtyBitmap(1L << 50, K4, 8), true);
    }

    @Test
    void switchingThatFailsLeavesTheOldEntry() {
        domain.attach(device);
        long before = word0();
        platform.stuck = true;
        refuses(Errno.ETIMEDOUT, () -> tracking.setDirtyTracking(true));
        assertThat(word0()).isEqualTo(before);
        refuses(Errno.EIO, () -> tracking.setDirtyTracking(true));
        assertThat(word0()).isEqualTo(before);
    }
}
