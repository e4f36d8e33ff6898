// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import java.util.Random;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.tck.SiliconBench;

/** What tests do with units. */
final class Units {
    private Units() {}

    /** Writes a random word to a random register. */
    static void write(SiliconBench silicon, TranslationUnit unit, Random random) {
        int window = Math.min(silicon.spec().registerSize(), random.nextBoolean() ? 256 : 1 << 16);
        int offset = random.nextInt(window / 8) * 8;
        long value = random.nextInt(3) == 0 ? random.nextLong() : random.nextLong() & 0xff0ffL;
        silicon.steps().note("writeRegister64(0x%x, 0x%x)", offset, value);
        unit.writeRegister64(offset, value);
    }

    /** Returns whether an answer leads to an address. */
    static boolean reaches(long answer, long address) {
        return !Translation.isFault(answer) && Translation.address(answer) == address;
    }

    /** Reads all registers. */
    static long[] words(SiliconBench silicon, TranslationUnit unit) {
        long[] words = new long[silicon.spec().registerSize() / 8];
        for (int i = 0; i < words.length; i++) {
            words[i] = unit.readRegister64(i * 8);
        }
        return words;
    }
}
