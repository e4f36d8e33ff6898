// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Objects;

/**
 * Writes the DMAR table that firmware provides for a built-in machine.
 *
 * <p>Source: VT-d chapter 8: 8.1 DMAR, 8.3 DRHD, 8.3.1 device scope, 8.4 RMRR. It has only the parts that such machines
 * need: remapping hardware units and reserved memory with PCI scopes in segment 0.
 */
public final class DmarWriter {
    private static final int HEADER_BYTES = 48;
    private static final int LENGTH_AT = 4;
    private static final int CHECKSUM_AT = 9;
    private static final int DRHD_BYTES = 16;
    private static final int MAX_BYTES = 512;

    private static final int FLAG_INTR_REMAP = 1;
    private static final int RMRR_BYTES = 24;
    private static final int DRHD = 0;
    private static final int RMRR = 1;
    private static final int FLAG_INCLUDE_PCI_ALL = 1;
    private static final int SCOPE_ENDPOINT = 1;
    private static final int SCOPE_BRIDGE = 2;

    private final ByteBuffer bytes = ByteBuffer.allocate(MAX_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private int structureAt = HEADER_BYTES;

    /**
     * Starts a table with interrupt remapping.
     *
     * @param hostAddressWidth width of physical addresses, in bits
     */
    public DmarWriter(int hostAddressWidth) {
        put("DMAR").putInt(0).put((byte) 1).put((byte) 0);
        put("IOMMU4");
        put("MACHINE ").putInt(1);
        put("I4J ").putInt(1);
        bytes.put((byte) (hostAddressWidth - 1)).put((byte) FLAG_INTR_REMAP).position(HEADER_BYTES);
    }

    private ByteBuffer put(String text) {
        return bytes.put(text.getBytes(StandardCharsets.US_ASCII));
    }

    /** Adds a unit; the one for all functions that no other unit names must be the last. */
    public DmarWriter unit(long registerBase, boolean includeAll) {
        structureAt = bytes.position();
        bytes.putShort((short) DRHD).putShort((short) DRHD_BYTES);
        bytes.put((byte) (includeAll ? FLAG_INCLUDE_PCI_ALL : 0)).put((byte) 0).putShort((short) 0);
        bytes.putLong(registerBase);
        return this;
    }

    /**
     * Adds memory that stays mapped one to one for the endpoints added next; such memory comes after all units.
     *
     * @param base physical address of its first byte
     * @param limit physical address of its last byte
     */
    public DmarWriter reservedMemory(long base, long limit) {
        structureAt = bytes.position();
        bytes.putShort((short) RMRR).putShort((short) RMRR_BYTES);
        bytes.putShort((short) 0).putShort((short) 0);
        bytes.putLong(base).putLong(limit);
        return this;
    }

    /** Adds an endpoint to the structure added last: device and function at each step from the start bus down. */
    public DmarWriter endpoint(int startBus, int... path) {
        return scope(SCOPE_ENDPOINT, startBus, path);
    }

    /** Adds a bridge, and so everything below it, to the structure added last. */
    public DmarWriter bridge(int startBus, int... path) {
        return scope(SCOPE_BRIDGE, startBus, path);
    }

    private DmarWriter scope(int type, int startBus, int... path) {
        Objects.requireNonNull(path, "path");
        bytes.put((byte) type).put((byte) (6 + path.length)).putShort((short) 0);
        bytes.put((byte) 0).put((byte) startBus);
        for (int step : path) {
            bytes.put((byte) step);
        }
        bytes.putShort(structureAt + 2, (short) (bytes.position() - structureAt));
        return this;
    }

    /** Returns the table with its length and checksum. */
    public byte[] build() {
        bytes.putInt(LENGTH_AT, bytes.position());
        byte[] table = new byte[bytes.position()];
        bytes.get(0, table);
        int sum = 0;
        for (byte b : table) {
            sum += b;
        }
        table[CHECKSUM_AT] = (byte) (table[CHECKSUM_AT] - sum);
        return table;
    }
}
