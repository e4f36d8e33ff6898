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
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.capability.DirtyTracking;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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

    /** A leaf of 2 MiB and pages behind it, then a leaf of 32 KiB and pages behind it; the range begins in the leaf. */
    @ParameterizedTest
    @CsvSource({
        "6.7, 512, false, 8, false",
        "6.18, 512, false, 8, false",
        "6.19, 512, true, 6, true",
        "7.2, 512, true, 6, true",
        "7.3, 257, true, 6, true"
    })
    void whatALargeLeafMarksThatIsEnteredBehindItsStart(
            String release, int marked, boolean cleared, int markedOfSlots, boolean clearedBehindSlots) {
        TestPlatform old = new TestPlatform();
        old.efr |= 1L << 49 | 1L << 52;
        old.release = LinuxRelease.named(release);
        AmdIommu driver = old.open();
        IommuDevice gpu = driver.probe(old.function(0, 1, 0, 0)).orElseThrow();
        HostDomain own = (HostDomain) driver.allocateForUser(gpu, Set.of(DomainFlag.DIRTY_TRACKING));
        own.attach(gpu);
        own.map(0x20_0000, 0x80_0000, 1 << 21, 1, Prot.READ_WRITE);
        own.map(0x40_0000, 0x100_0000, K4, 16, Prot.READ_WRITE);
        own.map(0x10_0000, 0x50_0000, 1 << 15, 1, Prot.READ_WRITE);
        own.map(0x10_8000, 0x60_0000, K4, 2, Prot.READ_WRITE);
        DirtyTracking record = own.dirtyTracking().orElseThrow();
        record.setDirtyTracking(true);
        long root = old.unit.deviceTableWord(0x100, 0) & 0x000f_ffff_ffff_f000L;
        long level2 = old.memory.load(root) & 0x000f_ffff_ffff_f000L;
        long leaves = old.memory.load(level2) & 0x000f_ffff_ffff_f000L;
        long pages = old.memory.load(level2 + 2 * 8) & 0x000f_ffff_ffff_f000L;
        for (long slot : new long[] {level2 + 8, pages + 3 * 8, leaves + 0x100 * 8, leaves + 0x108 * 8}) {
            old.memory.store(slot, old.memory.load(slot) | D);
        }
        DirtyBitmap half = new DirtyBitmap(0x30_0000, K4, 512);
        record.readAndClearDirty(half, true);
        assertThat(half.count()).isEqualTo(marked);
        assertThat(old.memory.load(level2 + 8) & D).as("the leaf").isZero();
        assertThat((old.memory.load(pages + 3 * 8) & D) == 0)
                .as("a page behind it")
                .isEqualTo(cleared);
        DirtyBitmap slots = new DirtyBitmap(0x10_2000, K4, 10);
        record.readAndClearDirty(slots, true);
        assertThat((old.memory.load(leaves + 0x108 * 8) & D) == 0)
                .as("a page behind the slots")
                .isEqualTo(clearedBehindSlots);
        assertThat(slots.count()).isEqualTo(markedOfSlots + (clearedBehindSlots ? 1 : 0));
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
