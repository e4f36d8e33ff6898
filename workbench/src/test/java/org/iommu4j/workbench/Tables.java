// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** ACPI tables made by hand. */
final class Tables {
    private Tables() {}

    /** A DMAR with one unit at fed90000 that has every function of segment 0. */
    static byte[] dmarOfOneUnit() {
        ByteBuffer table = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
        table.put("DMAR".getBytes(StandardCharsets.US_ASCII)).putInt(64).put((byte) 1);
        table.position(36).put((byte) 38).put((byte) 1);
        table.position(48).putShort((short) 0).putShort((short) 16).put((byte) 1);
        table.position(56).putLong(0xfed9_0000L);
        byte[] bytes = table.array();
        int sum = 0;
        for (byte each : bytes) {
            sum += each;
        }
        bytes[9] = (byte) -sum;
        return bytes;
    }
}
