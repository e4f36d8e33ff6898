// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import org.iommu4j.bits.Hex;

/**
 * A unit's answer to a request, packed in a {@code long} so that translating allocates nothing.
 *
 * <pre>
 *   63     62      51                          0
 *   fault  snoop   physical address of the byte     (no fault)
 *   1      0       15:0 the manual's fault code     (fault)
 * </pre>
 */
public final class Translation {
    private static final long FAULT = 1L << 63;
    private static final long SNOOP_FORCED = 1L << 62;
    private static final long ADDRESS = (1L << 52) - 1;

    private Translation() {}

    /**
     * Packs a success.
     *
     * @param physicalAddress of the byte asked for, below 2^52
     * @param snoopForced whether the unit turns a no-snoop request into a snooped one
     */
    public static long to(long physicalAddress, boolean snoopForced) {
        return (physicalAddress & ADDRESS) | (snoopForced ? SNOOP_FORCED : 0);
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

    /** Returns the translation in words, for messages. */
    public static String toString(long translation) {
        return isFault(translation)
                ? "fault 0x" + Integer.toHexString(faultCode(translation))
                : Hex.of(address(translation)) + (snoopForced(translation) ? " snoop forced" : "");
    }
}
