// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.bits;

/** Numbers as messages, reports and JSON write them: {@code 0x} and lower-case digits, no leading zeros, unsigned. */
public final class Hex {
    private Hex() {}

    /** Writes 64 bits. */
    public static String of(long value) {
        return "0x" + Long.toHexString(value);
    }

    /** Writes 32 bits. */
    public static String of(int value) {
        return "0x" + Integer.toHexString(value);
    }
}
