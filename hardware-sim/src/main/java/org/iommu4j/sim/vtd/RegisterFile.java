// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import java.util.Arrays;
import org.iommu4j.bits.Register;
import org.iommu4j.sim.spi.StateDigest;

/** The registers at fixed offsets, as software wrote them or hardware shows them, in words of 64 bits. */
final class RegisterFile {
    private final long[] words = new long[VtdRegisters.FIXED_END / 8];

    /** Returns the 64 bits at an offset. */
    long word(int offset) {
        return words[offset >>> 3];
    }

    long get(Register register) {
        long word = words[register.offset() >>> 3];
        return register.width() == 64 ? word : half(register, word);
    }

    void set(Register register, long value) {
        int index = register.offset() >>> 3;
        boolean wide = register.width() == 64;
        boolean upper = isUpper(register);
        words[index] = merge(words[index], upper ? value << 32 : value, wide || !upper, wide || upper);
    }

    /** Returns a register's value after a write of one or both halves of a word. */
    static long written(Register register, long current, long word, boolean low, boolean high) {
        return register.width() == 64 ? merge(current, word, low, high) : half(register, word);
    }

    /** Returns a word with one or both halves replaced. */
    static long merge(long current, long word, boolean low, boolean high) {
        long replaced = (low ? 0xffffffffL : 0) | (high ? 0xffffffff00000000L : 0);
        return (current & ~replaced) | (word & replaced);
    }

    private static long half(Register register, long word) {
        return isUpper(register) ? word >>> 32 : word & 0xffffffffL;
    }

    private static boolean isUpper(Register register) {
        return (register.offset() & 4) != 0;
    }

    void reset() {
        Arrays.fill(words, 0);
    }

    void addTo(StateDigest digest) {
        for (long word : words) {
            digest.add(word);
        }
    }
}
