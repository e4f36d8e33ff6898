// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** GCR3 tables over memory alone, without a unit: entries by numbers of the test's own. */
class Gcr3TableTest {
    private static final long FRAME = 0x000f_ffff_ffff_f000L;
    private static final int DOMAIN = 9;
    private static final long ROOT = 0x7777_7000L;

    private final FlatMemory memory = new FlatMemory(1L << 24);

    private Gcr3Table table(FramePool frames, int levels) {
        return new Gcr3Table(memory, frames, levels, DOMAIN);
    }

    private FramePool pool(int frames) {
        return new FramePool(0x10_0000, frames * 0x1000L);
    }

    /** Returns where the table is, from the words of a device table entry. */
    private static long address(Gcr3Table table) {
        long word1 = table.entryWord1();
        return (table.entryWord0() >>> 58 & 7) << 12 | (word1 >>> 16 & 0xffff) << 15 | (word1 >>> 43) << 31;
    }

    @ParameterizedTest
    @CsvSource({
        "1, 3, 1",
        "512, 3, 1",
        "513, 3, 2",
        "262144, 3, 2",
        "262145, 3, 3",
        "1048576, 3, 3",
        "1048576, 2, 2",
        "1048576, 1, 1"
    })
    void itHasTheLevelsThatThePasidsNeedAndTheUnitsWalk(int pasids, int mostLevels, int levels) {
        assertThat(Gcr3Table.levelsFor(pasids, mostLevels)).isEqualTo(levels);
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "2, 2", "3, 3"})
    void aNewTableHasThePathOfOrdinaryRequestsAndNoRoot(int levels, int frames) {
        FramePool pool = pool(16);
        Gcr3Table table = table(pool, levels);

        assertThat(pool.inUse()).isEqualTo(frames);
        assertThat(table.root(0)).isZero();
        assertThat(table.domainId()).isEqualTo(DOMAIN);
        assertThat(table.entryWord1() & 0xffff).as("domain id").isEqualTo(DOMAIN);
        assertThat(table.entryWord0() >>> 56 & 3).as("GLX").isEqualTo(levels - 1);
        assertThat(table.entryWord0() & 1L << 55).as("GV").isNotZero();
        assertThat(address(table)).isBetween(0x10_0000L, 0x10_ffffL);
        assertThat(table.free(true)).isEqualTo(frames);
        assertThat(pool.inUse()).isZero();
    }

    @Test
    void aPasidsRootIsWhereTheUnitWalksTo() {
        Gcr3Table table = table(pool(16), 3);
        int pasid = 1 << 18 | 2 << 9 | 3;
        table.reserve(pasid);
        assertThat(table.root(pasid)).as("reserved, and not present").isZero();
        table.setRoot(pasid, ROOT);

        long second = memory.load(address(table) + 8);
        long third = memory.load((second & FRAME) + 2 * 8);
        assertThat(new long[] {second & 0xfff, third & 0xfff}).containsExactly(1, 1);
        assertThat(memory.load((third & FRAME) + 3 * 8)).isEqualTo(ROOT | 1);
        assertThat(table.root(pasid)).isEqualTo(ROOT);
        assertThat(table.root(0)).isZero();
        table.setRoot(pasid, 0);
        assertThat(memory.load((third & FRAME) + 3 * 8)).as("not present").isZero();
    }

    @Test
    void neighboursShareTablesAndTablesStay() {
        FramePool pool = pool(16);
        Gcr3Table table = table(pool, 2);
        table.reserve(0);
        table.reserve(511);
        assertThat(pool.inUse()).isEqualTo(2);
        table.reserve(512);
        assertThat(pool.inUse()).isEqualTo(3);
        table.setRoot(511, ROOT);
        table.setRoot(512, ROOT + 0x1000);
        table.setRoot(512, 0);
        table.reserve(512);
        assertThat(pool.inUse()).isEqualTo(3);
        assertThat(table.root(511)).isEqualTo(ROOT);
        assertThat(table.free(true)).isEqualTo(3);
        assertThat(pool.inUse()).isZero();
    }

    @Test
    void aTableThatAUnitMayStillWalkIsCountedAndKept() {
        FramePool pool = pool(16);
        Gcr3Table table = table(pool, 3);
        table.reserve(1 << 18);
        table.setRoot(1 << 18, ROOT);
        assertThat(table.free(false)).isEqualTo(5);
        assertThat(pool.inUse()).isEqualTo(5);
        assertThat(table.root(1 << 18)).isEqualTo(ROOT);
    }

    @Test
    void withoutMemoryForItsFirstPathNothingIsTaken() {
        FramePool pool = pool(2);
        assertThatThrownBy(() -> table(pool, 3))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOMEM));
        assertThat(pool.inUse()).isZero();
    }

    @Test
    void aPathThatIsHalfMadeStaysAndIsTakenUpLater() {
        FramePool pool = pool(4);
        Gcr3Table table = table(pool, 3);
        assertThatThrownBy(() -> table.reserve(1 << 18)).isInstanceOf(IommuException.class);
        assertThat(pool.inUse()).isEqualTo(4);
        assertThat(table.free(true)).isEqualTo(4);
        assertThat(pool.inUse()).isZero();
    }
}
