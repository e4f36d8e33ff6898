// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import org.iommu4j.platform.MemoryType;

/**
 * A guest's MTRRs: types of ranges of guest physical memory, the same on all its vCPUs as firmware sets them.
 *
 * <p>Where ranges overlap, KVM goes through them from the highest base to the lowest, those of one base from the last
 * to the first. The first gives the type. Of each further one with another type: UC ends the search with UC; WT and WB
 * are WT; anything else ends the search with WB. So a UC range that begins above the base of a WB range is lost, where
 * the manual has UC. Not modelled: fixed ranges below 1 MiB, MTRRs that are off.
 *
 * <p>Source: {@code kvm_mtrr_get_guest_memory_type}, {@code set_var_mtrr_msr}; Intel SDM volume 3, section on MTRR
 * precedences.
 *
 * @param defaultType the type of memory in no range
 * @param ranges the variable ranges
 */
public record GuestMtrrs(MemoryType defaultType, List<Range> ranges) {
    /** The most variable ranges that KVM has for a guest. Source: {@code KVM_NR_VAR_MTRR}. */
    public static final int MAX_RANGES = 8;

    /** All memory is write-back. */
    public static final GuestMtrrs WRITE_BACK = new GuestMtrrs(MemoryType.WB, List.of());

    private static final long PAGE_SIZE = 4096;

    /**
     * A variable range.
     *
     * @param base guest physical address, bytes, a multiple of {@code size}
     * @param size bytes, a power of two from 4096 on
     * @param type its type
     */
    public record Range(long base, long size, MemoryType type) {
        /**
         * Checks the values.
         *
         * @throws IllegalArgumentException when the size is no power of two from 4096 on, when the base is no multiple
         *     of it or negative, or when no MTRR has the type
         */
        public Range {
            checkType(type);
            if (size < PAGE_SIZE || Long.bitCount(size) != 1 || base < 0 || (base & (size - 1)) != 0) {
                throw new IllegalArgumentException("MTRR of 0x" + Long.toHexString(size) + " bytes at 0x"
                        + Long.toHexString(base) + ", expected a power of two from 4096 on, aligned to its size");
            }
        }

        private boolean has(long address) {
            return address >= base && address - base < size;
        }

        /** As the base register has it: the type is in its low bits. */
        private long baseRegister() {
            return base | MtrrTypes.encoding(type);
        }
    }

    /**
     * Checks the values, and puts the ranges in the order in which KVM goes through them.
     *
     * @throws IllegalArgumentException when there are more than {@link #MAX_RANGES}, or no MTRR has the default type
     */
    public GuestMtrrs {
        checkType(defaultType);
        if (ranges.size() > MAX_RANGES) {
            throw new IllegalArgumentException(ranges.size() + " variable MTRRs, expected at most " + MAX_RANGES);
        }
        List<Range> lastFirst = new ArrayList<>(ranges);
        Collections.reverse(lastFirst);
        lastFirst.sort(Comparator.comparingLong(Range::baseRegister).reversed());
        ranges = List.copyOf(lastFirst);
    }

    private static void checkType(MemoryType type) {
        Objects.requireNonNull(type, "type");
        if (!MtrrTypes.has(type)) {
            throw new IllegalArgumentException("no MTRR has the type UC-");
        }
    }

    /** Returns the type of a page, by an address in it. */
    public MemoryType typeOf(long guestAddress) {
        MemoryType found = null;
        for (Range range : ranges) {
            if (!range.has(guestAddress) || range.type() == found) {
                continue;
            }
            if (found == null) {
                found = range.type();
            } else if (range.type() == MemoryType.UC) {
                return MemoryType.UC;
            } else if (cached(found) && cached(range.type())) {
                found = MemoryType.WT;
            } else {
                return MemoryType.WB;
            }
        }
        return found == null ? defaultType : found;
    }

    private static boolean cached(MemoryType type) {
        return type == MemoryType.WT || type == MemoryType.WB;
    }
}
