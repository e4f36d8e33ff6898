// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Small ACPI tables made by hand. */
final class HandMadeTables {
    private static final int CHECKSUM = 9;

    private HandMadeTables() {}

    /** A DMAR with a unit at 0xfed90000 and memory from 0x7a000000 to 0x7affffff reserved for 00:19.0. */
    static byte[] dmar(boolean includeAll) {
        ByteBuffer table = header("DMAR", 48 + 24 + 32);
        table.position(36);
        table.put((byte) 38).put((byte) 1).position(48);
        table.putShort((short) 0).putShort((short) 24);
        table.put((byte) (includeAll ? 1 : 0)).put((byte) 0).putShort((short) 0).putLong(0xfed9_0000L);
        scope(table, 0x19);
        table.putShort((short) 1).putShort((short) 32).putShort((short) 0).putShort((short) 0);
        table.putLong(0x7a00_0000L).putLong(0x7aff_ffffL);
        scope(table, 0x19);
        return summed(table);
    }

    private static void scope(ByteBuffer table, int device) {
        table.put((byte) 1).put((byte) 8).putShort((short) 0).put((byte) 0).put((byte) 0);
        table.put((byte) device).put((byte) 0);
    }

    /**
     * An IVRS with a unit 00:00.2 at 0xfeb80000 that has every function, and an image of EFR that is said to be valid.
     */
    static byte[] ivrs(long efrImage) {
        return summed(ivrs(efrImage, 0));
    }

    /** The same with an exclusion range from 0x7a000000 to 0x7affffff for 00:19.0. */
    static byte[] ivrsWithExclusionRange(long efrImage) {
        ByteBuffer table = ivrs(efrImage, 32);
        table.put((byte) 0x21)
                .put((byte) 8)
                .putShort((short) 32)
                .putShort((short) 0xc8)
                .putShort((short) 0);
        table.putLong(0).putLong(0x7a00_0000L).putLong(0x100_0000L);
        return summed(table);
    }

    private static ByteBuffer ivrs(long efrImage, int more) {
        ByteBuffer table = header("IVRS", 48 + 40 + 4 + more);
        table.position(36);
        table.putInt(1).position(48);
        table.put((byte) 0x11)
                .put((byte) 0x30)
                .putShort((short) 44)
                .putShort((short) 2)
                .putShort((short) 0x40);
        table.putLong(0xfeb8_0000L).putShort((short) 0).putShort((short) 0).putInt(0);
        table.putLong(efrImage).putLong(0);
        return table.put((byte) 1).put(new byte[3]);
    }

    private static ByteBuffer header(String signature, int length) {
        ByteBuffer table = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        table.put(signature.getBytes(StandardCharsets.US_ASCII)).putInt(length).put((byte) 1);
        return table;
    }

    private static byte[] summed(ByteBuffer table) {
        byte[] bytes = new byte[table.capacity()];
        table.rewind().get(bytes);
        int sum = 0;
        for (byte b : bytes) {
            sum += b;
        }
        bytes[CHECKSUM] = (byte) -sum;
        return bytes;
    }
}
