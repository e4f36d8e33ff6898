// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import org.iommu4j.Prot;
import org.iommu4j.bits.Hex;
import org.iommu4j.sim.spi.TableVisitor;

/** How numbers are written here; no format strings, because a dump has millions of them. */
final class Notation {
    private static final String UNITS = "KMGTPE";

    private Notation() {}

    /** Returns bus, device and function, or a source id of more than 16 bits; registers do not hold the segment. */
    static String device(int sourceId) {
        return sourceId >>> 16 != 0
                ? Hex.of(sourceId & 0xffffffffL)
                : hex2(sourceId >> 8 & 0xff) + ":" + hex2(sourceId >> 3 & 0x1f) + "." + (sourceId & 7);
    }

    /** Returns a device and its PASID, if it has one. */
    static String requester(int sourceId, int pasid) {
        return pasid == TableVisitor.NO_PASID ? device(sourceId) : device(sourceId) + " PASID " + Hex.of(pasid);
    }

    /** Returns {@code r}, {@code w}, {@code rw}, or {@code -} for a mapping that grants nothing. */
    static String permission(int prot) {
        return switch (prot & (Prot.READ | Prot.WRITE)) {
            case Prot.READ -> "r";
            case Prot.WRITE -> "w";
            case Prot.READ | Prot.WRITE -> "rw";
            default -> "-";
        };
    }

    /** Returns a size in the largest unit that divides it, for example {@code 4K} and {@code 2M}. */
    static String size(long bytes) {
        long left = bytes;
        int unit = -1;
        while (left != 0 && (left & 1023) == 0 && unit < UNITS.length() - 1) {
            left >>>= 10;
            unit++;
        }
        return unit < 0 ? Long.toUnsignedString(left) : Long.toUnsignedString(left) + UNITS.charAt(unit);
    }

    /** Appends a text and spaces up to a width. */
    static void left(StringBuilder line, String text, int width) {
        line.append(text).append(" ".repeat(Math.max(0, width - text.length())));
    }

    /** Appends spaces up to a width and a text. */
    static void right(StringBuilder line, String text, int width) {
        line.append(" ".repeat(Math.max(0, width - text.length()))).append(text);
    }

    private static String hex2(int value) {
        return value < 16 ? "0" + Integer.toHexString(value) : Integer.toHexString(value);
    }
}
