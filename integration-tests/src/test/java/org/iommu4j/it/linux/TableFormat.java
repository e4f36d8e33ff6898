// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.linux;

import java.util.Optional;
import java.util.function.LongUnaryOperator;

/**
 * Where each vendor's tables begin and what their entries look like, in plain numbers, without a line of driver or
 * silicon.
 */
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
    },

    /**
     * VT-d scalable mode: scalable root and context entries, PASID directory and table (VT-d 9.2, 9.4 to 9.6), and of
     * requests without PASID, entry 0, the second stage (9.8).
     */
    VTD_SCALABLE {
        @Override
        Optional<Root> root(LongUnaryOperator memory, long rootTableRegister, int requesterId) {
            long half = memory.applyAsLong((rootTableRegister & ADDRESS) + (requesterId >>> 7) * 8L);
            if ((half & 1) == 0) {
                return Optional.empty();
            }
            long context = memory.applyAsLong((half & ADDRESS) + (requesterId & 0x7f) * 32L);
            if ((context & 1) == 0) {
                return Optional.empty();
            }
            long directory = memory.applyAsLong(context & ADDRESS);
            if ((directory & 1) == 0) {
                return Optional.empty();
            }
            long entry = directory & ADDRESS;
            long word0 = memory.applyAsLong(entry);
            long word1 = memory.applyAsLong(entry + 8);
            if ((word0 & 1) == 0 || (word0 >>> 6 & 7) != 2) {
                return Optional.empty();
            }
            return Optional.of(new Root(word0, word1, word0 & ADDRESS, (int) (word0 >>> 2 & 7) + 2));
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
     * @param word0 the low word of its context entry, or word 0 of its PASID entry or device table entry
     * @param word1 the next one
     */
    record Root(long word0, long word1, long table, int levels) {}

    /** Finds the tables of a requester, if it has any, from the unit's register that says where they begin. */
    abstract Optional<Root> root(LongUnaryOperator memory, long register, int requesterId);

    // Of entries, unless a format says else: VT-d's second stage.

    boolean isPresent(long entry) {
        return (entry & 3) != 0;
    }

    boolean isLeaf(long entry, int level) {
        return level == 1 || (entry & 0x80) != 0;
    }

    int levelBelow(long entry, int level) {
        return level - 1;
    }

    /** Returns log2 of the size of the page that a leaf maps. */
    int leafShift(long leaf, int level) {
        return shift(level);
    }

    boolean permits(long entry, boolean write) {
        return (entry & (write ? 2 : 1)) != 0;
    }

    boolean forcesSnoop(long leaf) {
        return (leaf >>> 11 & 1) != 0;
    }

    /** Returns log2 of the bytes that an entry of a level covers. */
    static int shift(int level) {
        return 3 + 9 * level;
    }
}
