// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.util.Objects;
import org.iommu4j.bits.Hex;

/**
 * A unit's answer to a request, packed in a {@code long} so that translating allocates nothing.
 *
 * <pre>
 *   63     62      58        57:56   55                          0
 *   fault  snoop   consumed  type    physical address of the byte     (no fault)
 *   1      0       0         0       15:0 the manual's fault code     (fault)
 * </pre>
 *
 * <p>Snoop: the unit blocks no-snoop for the request. Consumed: the unit itself takes the write, see {@link
 * TranslationUnit#consume}. Type: the number of a {@link MemoryType}. Bits 61:59 are 0.
 */
public final class Translation {
    private static final long FAULT = 1L << 63;
    private static final long SNOOP_FORCED = 1L << 62;
    private static final long CONSUMED = 1L << 58;
    private static final int TYPE_SHIFT = 56;
    private static final long ADDRESS = (1L << TYPE_SHIFT) - 1;
    /** The types by their numbers. */
    private static final MemoryType[] TYPES = {
        MemoryType.AS_REQUESTED, MemoryType.WRITE_BACK, MemoryType.NON_CACHEABLE, MemoryType.DEVICE
    };

    /** The memory type that the tables give an access. */
    public enum MemoryType {
        /** The one that the request has. */
        AS_REQUESTED(0),
        /** Write-back: snooped, also where the requester is not coherent, unless the request carries no-snoop. */
        WRITE_BACK(1),
        /** Memory past the caches: not snooped, unless snooping is forced. */
        NON_CACHEABLE(2),
        /** A device's registers: not snooped, unless snooping is forced. */
        DEVICE(3);

        private final long code;

        MemoryType(long code) {
            this.code = code;
        }
    }

    private Translation() {}

    /**
     * Packs a success.
     *
     * @param physicalAddress of the byte asked for, below 2^56
     * @param snoopForced whether the unit turns a no-snoop request into a snooped one
     */
    public static long to(long physicalAddress, boolean snoopForced) {
        return (physicalAddress & ADDRESS) | (snoopForced ? SNOOP_FORCED : 0);
    }

    /**
     * Packs a success with a memory type.
     *
     * @param physicalAddress of the byte asked for, below 2^56
     * @param snoopForced whether the unit turns a no-snoop request into a snooped one
     */
    public static long to(long physicalAddress, boolean snoopForced, MemoryType type) {
        Objects.requireNonNull(type, "type");
        return to(physicalAddress, snoopForced) | type.code << TYPE_SHIFT;
    }

    /**
     * Packs the answer to a write that the unit itself takes, for example into a memory-resident interrupt file.
     *
     * @param address that the unit finds its structure by, below 2^56
     */
    public static long consumed(long address) {
        return CONSUMED | (address & ADDRESS);
    }

    /**
     * Packs a fault.
     *
     * @param code the manual's code, 0 to 0xffff
     */
    public static long fault(int code) {
        return FAULT | (code & 0xffff);
    }

    /** Returns whether the request was refused. */
    public static boolean isFault(long translation) {
        return translation < 0;
    }

    /** Returns the manual's code of a fault. */
    public static int faultCode(long translation) {
        return (int) translation & 0xffff;
    }

    /** Returns the physical address of a success. */
    public static long address(long translation) {
        return translation & ADDRESS;
    }

    /** Returns whether no-snoop is blocked for this request. */
    public static boolean snoopForced(long translation) {
        return (translation & (FAULT | SNOOP_FORCED)) == SNOOP_FORCED;
    }

    /** Returns whether the unit takes the write itself. */
    public static boolean isConsumed(long translation) {
        return (translation & (FAULT | CONSUMED)) == CONSUMED;
    }

    /** Returns the memory type of a success. */
    public static MemoryType memoryType(long translation) {
        return TYPES[(int) (translation >>> TYPE_SHIFT) & 3];
    }

    /** Returns the translation in words, for messages. */
    public static String toString(long translation) {
        if (isFault(translation)) {
            return "fault 0x" + Integer.toHexString(faultCode(translation));
        }
        MemoryType type = memoryType(translation);
        return Hex.of(address(translation))
                + (snoopForced(translation) ? " snoop forced" : "")
                + (type == MemoryType.AS_REQUESTED ? "" : " " + type)
                + (isConsumed(translation) ? " consumed by the unit" : "");
    }
}
