// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.acpi;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Writes a RIMT byte by byte, apart from the parser. */
public final class RimtBytes {
    /** Bytes before the first node. */
    public static final int HEADER = 48;

    private final ByteArrayOutputStream nodes = new ByteArrayOutputStream();
    private int count;

    /** A mapping: first id, how many, what it becomes, offset of the node from the table's start. */
    public record Mapping(int source, int count, int destination, int node) {}

    /** Returns the offset that the next node gets. */
    public int next() {
        return HEADER + nodes.size();
    }

    /** Adds a unit that is a platform device. */
    public RimtBytes unit(String hardwareId, long base, int wires) {
        return unit(hardwareId, base, 0, 0, 0, wires);
    }

    /** Adds a unit that is a PCI function. */
    public RimtBytes pciUnit(int segment, int requesterId) {
        return unit("", 0, 1, segment, requesterId, 0);
    }

    private RimtBytes unit(String hardwareId, long base, int flags, int segment, int requesterId, int wires) {
        ByteBuffer node = node(0, 40 + 8 * wires);
        byte[] id = hardwareId.getBytes(StandardCharsets.US_ASCII);
        node.put(8, id, 0, id.length);
        node.putLong(16, base).putInt(24, flags).putShort(32, (short) segment).putShort(34, (short) requesterId);
        node.putShort(36, (short) wires).putShort(38, (short) 40);
        for (int i = 0; i < wires; i++) {
            node.putInt(40 + 8 * i, 32 + i).putInt(44 + 8 * i, 3);
        }
        return add(node);
    }

    /** Adds a root complex. */
    public RimtBytes rootComplex(int segment, Mapping... mappings) {
        ByteBuffer node = node(1, 20 + 20 * mappings.length);
        node.putShort(14, (short) segment).putShort(16, (short) 20).putShort(18, (short) mappings.length);
        return add(put(node, 20, mappings));
    }

    /** Adds a platform device. */
    public RimtBytes platformDevice(String path, Mapping... mappings) {
        int start = (12 + path.length() + 1 + 3) & -4;
        ByteBuffer node = node(2, start + 20 * mappings.length);
        node.putShort(8, (short) start).putShort(10, (short) mappings.length);
        node.put(12, path.getBytes(StandardCharsets.US_ASCII));
        return add(put(node, start, mappings));
    }

    /** Adds a node of another type. */
    public RimtBytes other(int type, int length) {
        return add(node(type, length));
    }

    private static ByteBuffer put(ByteBuffer node, int start, Mapping... mappings) {
        int at = start;
        for (Mapping mapping : mappings) {
            node.putInt(at, mapping.source()).putInt(at + 4, mapping.count());
            node.putInt(at + 8, mapping.destination()).putInt(at + 12, mapping.node());
            at += 20;
        }
        return node;
    }

    private ByteBuffer node(int type, int length) {
        ByteBuffer node = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        return node.put(0, (byte) type)
                .put(1, (byte) 1)
                .putShort(2, (short) length)
                .putShort(6, (short) count);
    }

    private RimtBytes add(ByteBuffer node) {
        byte[] bytes = new byte[node.capacity()];
        node.get(0, bytes);
        nodes.writeBytes(bytes);
        count++;
        return this;
    }

    /** Returns the table with its checksum. */
    public byte[] table() {
        ByteBuffer table = ByteBuffer.allocate(HEADER + nodes.size()).order(ByteOrder.LITTLE_ENDIAN);
        table.put("RIMT".getBytes(StandardCharsets.US_ASCII))
                .putInt(table.capacity())
                .put((byte) 1);
        table.putInt(36, count).putInt(40, HEADER);
        table.position(HEADER);
        table.put(nodes.toByteArray());
        return summed(table.array());
    }

    /** Returns the bytes with a checksum that makes their sum 0. */
    public static byte[] summed(byte[] table) {
        table[9] = 0;
        byte sum = 0;
        for (byte each : table) {
            sum += each;
        }
        table[9] = (byte) -sum;
        return table;
    }
}
