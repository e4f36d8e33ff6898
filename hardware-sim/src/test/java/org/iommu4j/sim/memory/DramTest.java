// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.sim.spi.StateDigest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DramTest {
    private static final long SIZE = 3L << 21;

    private final Dram dram = new Dram(SIZE);

    @ParameterizedTest
    @ValueSource(longs = {0, 8, 0xff8, 0x1000, 0x1ffff8, 0x200000, SIZE - 8})
    void aWordIsZeroUntilItIsWrittenAndThenKept(long address) {
        assertThat(dram.read(address)).isZero();
        dram.write(address, address + 1);
        assertThat(dram.read(address)).isEqualTo(address + 1);
    }

    @Test
    void aLineIsItsEightWords() {
        long[] line = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
        dram.writeLine(0x1040, line, 2);
        assertThat(dram.read(0x1038)).isZero();
        assertThat(dram.read(0x1040)).isEqualTo(2);
        assertThat(dram.read(0x1078)).isEqualTo(9);
        long[] read = {7, 7, 7, 7, 7, 7, 7, 7, 7};
        dram.readLine(0x1040, read, 1);
        assertThat(read).containsExactly(7, 2, 3, 4, 5, 6, 7, 8, 9);
        dram.readLine(0x5000, read, 0);
        assertThat(read).containsExactly(0, 0, 0, 0, 0, 0, 0, 0, 9);
    }

    @ParameterizedTest
    @ValueSource(longs = {-8, SIZE, 4, Long.MIN_VALUE, Long.MAX_VALUE - 7})
    void addressesOutsideOrMisalignedAreBugs(long address) {
        assertThatThrownBy(() -> dram.read(address)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> dram.write(address, 1)).isInstanceOf(IllegalStateException.class);
    }

    @ParameterizedTest
    @ValueSource(longs = {0, -4096, 4095, (1L << 43) + 4096})
    void sizesThatAreNoMemoryAreRefused(long size) {
        assertThatThrownBy(() -> new Dram(size)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void aResetReturnsZerosEverywhereAndMayBeRepeated() {
        for (int round = 0; round < 3; round++) {
            for (long frame = 0; frame < SIZE; frame += 4096) {
                dram.write(frame + 8L * round, -1);
                for (int word = 0; word < 3; word++) {
                    assertThat(dram.read(frame + 8L * word)).isEqualTo(word == round ? -1 : 0);
                }
            }
            dram.reset();
            assertThat(digest(dram)).isEqualTo(digest(new Dram(SIZE)));
        }
    }

    @Test
    void theDigestIsOfTheContentsAndNotOfTheirHistory() {
        Dram other = new Dram(SIZE);
        dram.write(0x1000, 1);
        dram.write(0x2000, 2);
        other.write(0x5000, 9);
        other.write(0x2000, 2);
        other.write(0x1000, 1);
        assertThat(digest(other)).isNotEqualTo(digest(dram));
        other.write(0x5000, 0);
        assertThat(digest(other)).isEqualTo(digest(dram));
        other.write(0x1000, 2);
        other.write(0x2000, 1);
        assertThat(digest(other)).as("swapped values").isNotEqualTo(digest(dram));
    }

    private static long digest(Dram of) {
        StateDigest digest = new StateDigest();
        of.addTo(digest);
        return digest.value();
    }
}
