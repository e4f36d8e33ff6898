// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.linux;

import java.util.Optional;
import java.util.function.LongUnaryOperator;

/** The two formats in plain numbers, without a line of driver or silicon. */
enum TableFormat {
    /** VT-d legacy mode: root table, context table (VT-d 9.1, 9.3), second stage (9.8). */
    VTD {
        @Override
        Optional<Root> root(LongUnaryOperator memory, long rootTableRegister, int requesterId) {
            long rootEntry = memory.applyAsLong((rootTableRegister & ADDRESS) + (requesterId >>> 8) * 16L);
            if ((rootEntry & 1) == 0) {
                return Optional.empty();
            }
            long context = (rootEntry & ADDRESS) + (requesterId & 0xff) * 16L;
            long low = memory.applyAsLong(context);
            long high = memory.applyAsLong(context + 8);
            if ((low & 1) == 0 || (low >>> 2 & 3) == 2) {
                return Optional.empty();
            }
            return Optional.of(new Root(low, high, low & ADDRESS, (int) (high & 7) + 2));
        }

        @Override
        boolean isPresent(long entry) {
            return (entry & 3) != 0;
        }

        @Override
        boolean isLeaf(long entry, int level) {
            return level == 1 || (entry & 0x80) != 0;
        }

        @Override
        int levelBelow(long entry, int level) {
            return level - 1;
        }

        @Override
        int leafShift(long entry, int level) {
            return shift(level);
        }

        @Override
        boolean permits(long entry, boolean write) {
            return (entry & (write ? 2 : 1)) != 0;
        }

        @Override
        boolean forcesSnoop(long leaf) {
            return (leaf >>> 11 & 1) != 0;
        }
    },

    /** AMD's device table and host (v1) tables (48882, 2.2.2 and 2.2.3). */
    AMD {
        @Override
        Optional<Root> root(LongUnaryOperator memory, long deviceTableRegister, int requesterId) {
            if (requesterId * 32L >= ((deviceTableRegister & 0x1ff) + 1) * 4096) {
                return Optional.empty();
            }
            long entry = (deviceTableRegister & ADDRESS) + requesterId * 32L;
            long word0 = memory.applyAsLong(entry);
            long word1 = memory.applyAsLong(entry + 8);
            int levels = (int) (word0 >>> 9 & 7);
            if ((word0 & 3) != 3 || levels == 0) {
                return Optional.empty();
            }
            return Optional.of(new Root(word0, word1, word0 & ADDRESS, levels));
        }

        @Override
        boolean isPresent(long entry) {
            return (entry & 1) != 0;
        }

        @Override
        boolean isLeaf(long entry, int level) {
            return nextLevel(entry) == 0 || nextLevel(entry) == 7;
        }

        @Override
        int levelBelow(long entry, int level) {
            return nextLevel(entry);
        }

        @Override
        int leafShift(long entry, int level) {
            // With an encoded size, the lowest zero of the address is half the size.
            return nextLevel(entry) == 0 ? shift(level) : 13 + Long.numberOfTrailingZeros(~((entry & ADDRESS) >>> 12));
        }

        @Override
        boolean permits(long entry, boolean write) {
            return (entry >>> (write ? 62 : 61) & 1) != 0;
        }

        @Override
        boolean forcesSnoop(long leaf) {
            return (leaf >>> 60 & 1) != 0;
        }

        private static int nextLevel(long entry) {
            return (int) (entry >>> 9 & 7);
        }
    };

    /** Where every entry of both formats has an address. */
    static final long ADDRESS = 0x000f_ffff_ffff_f000L;

    /**
     * What a requester's tables hang from.
     *
     * @param word0 the low word of its context entry, or word 0 of its device table entry
     * @param word1 the next one
     */
    record Root(long word0, long word1, long table, int levels) {}

    /** Finds the tables of a requester, if it has any, from the unit's register that says where they begin. */
    abstract Optional<Root> root(LongUnaryOperator memory, long register, int requesterId);

    abstract boolean isPresent(long entry);

    abstract boolean isLeaf(long entry, int level);

    abstract int levelBelow(long entry, int level);

    /** Returns log2 of the size of the page that a leaf maps. */
    abstract int leafShift(long leaf, int level);

    abstract boolean permits(long entry, boolean write);

    abstract boolean forcesSnoop(long leaf);

    /** Returns log2 of the bytes that an entry of a level covers. */
    static int shift(int level) {
        return 3 + 9 * level;
    }
}
