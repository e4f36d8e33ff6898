// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.acpi;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.MalformedTableException;
import org.jspecify.annotations.Nullable;

/**
 * A parsed RIMT.
 *
 * @param checksumValid whether the table's bytes add up to 0
 * @param nodes its nodes of known types by their offset, in the table's order
 * @param warnings what was skipped, one line each
 */
public record Rimt(boolean checksumValid, Map<Integer, RimtNode> nodes, List<String> warnings) {
    /** The table's signature. */
    public static final String SIGNATURE = "RIMT";

    private static final int NODE_COUNT = AcpiTable.HEADER_LENGTH;
    private static final int NODE_OFFSET = AcpiTable.HEADER_LENGTH + 4;
    private static final int FIRST_NODE = AcpiTable.HEADER_LENGTH + 12;
    private static final int NODE_HEADER = 8;
    private static final int UNIT_BYTES = 40;
    private static final int ROOT_COMPLEX_BYTES = 20;
    private static final int PLATFORM_BYTES = 12;
    private static final int HARDWARE_ID_BYTES = 8;
    private static final int WIRE_BYTES = 8;

    private static final int TYPE_UNIT = 0;
    private static final int TYPE_ROOT_COMPLEX = 1;
    private static final int TYPE_PLATFORM_DEVICE = 2;

    /** Copies the collections. */
    public Rimt {
        nodes = Collections.unmodifiableMap(new LinkedHashMap<>(nodes));
        warnings = List.copyOf(warnings);
    }

    /**
     * Where an id leads to.
     *
     * @param unit the unit's node
     * @param deviceId the id that the unit knows, 32 bits
     */
    public record Destination(RimtNode.Unit unit, long deviceId) {}

    // --- reading ---

    /**
     * Reads a table.
     *
     * @throws MalformedTableException when a count, length or offset is impossible; the message has its offset
     */
    public static Rimt parse(byte[] bytes) {
        AcpiTable table = AcpiTable.parse(SIGNATURE, bytes);
        long count = table.u32(NODE_COUNT);
        long first = table.u32(NODE_OFFSET);
        if (count > (table.length() - FIRST_NODE) / NODE_HEADER) {
            throw malformed(NODE_COUNT, count + " nodes, more than the table has room for");
        }
        if (count > 0 && (first < FIRST_NODE || first > table.length() - NODE_HEADER)) {
            throw malformed(
                    NODE_OFFSET,
                    "the first node is at " + first + ", expected " + FIRST_NODE + " to the last node's header");
        }
        Map<Integer, RimtNode> nodes = new LinkedHashMap<>();
        Set<Integer> offsets = new HashSet<>();
        List<String> warnings = new ArrayList<>();
        int at = (int) first;
        for (long i = 0; i < count; i++) {
            int length = table.u16(at + 2);
            if (length < NODE_HEADER || length > table.length() - at) {
                throw malformed(
                        at + 2,
                        "a node of " + length + " bytes, expected " + NODE_HEADER + " to the " + (table.length() - at)
                                + " left");
            }
            offsets.add(at);
            RimtNode node = node(table, at, length);
            if (node == null) {
                warnings.add(String.format("RIMT at offset 0x%x: a node of type %d is skipped", at, table.u8(at)));
            } else {
                nodes.put(at, node);
            }
            at += length;
        }
        for (RimtNode node : nodes.values()) {
            for (IdMapping mapping : node.mappings()) {
                long to = mapping.destination();
                if (to == 0) {
                    warnings.add(String.format(
                            "RIMT at offset 0x%x: a mapping leads nowhere (Linux: firmware bug)", node.offset()));
                } else if (to > table.length() || !offsets.contains((int) to)) {
                    throw malformed(node.offset(), "a mapping leads to offset " + to + ", expected that of a node");
                }
            }
        }
        return new Rimt(table.checksumValid(), nodes, warnings);
    }

    private static @Nullable RimtNode node(AcpiTable table, int at, int length) {
        return switch (table.u8(at)) {
            case TYPE_UNIT -> unit(table, at, length);
            case TYPE_ROOT_COMPLEX -> {
                atLeast(ROOT_COMPLEX_BYTES, at, length);
                yield new RimtNode.RootComplex(
                        at, table.u16(at + 14), mappings(table, at, length, table.u16(at + 16), table.u16(at + 18)));
            }
            case TYPE_PLATFORM_DEVICE -> {
                atLeast(PLATFORM_BYTES + 1, at, length);
                yield new RimtNode.PlatformDevice(
                        at,
                        path(table, at + PLATFORM_BYTES, length - PLATFORM_BYTES),
                        mappings(table, at, length, table.u16(at + 8), table.u16(at + 10)));
            }
            default -> null;
        };
    }

    private static RimtNode.Unit unit(AcpiTable table, int at, int length) {
        atLeast(UNIT_BYTES, at, length);
        int wires = table.u16(at + 36);
        int offset = table.u16(at + 38);
        if (wires > 0 && (offset < UNIT_BYTES || offset + wires * WIRE_BYTES > length)) {
            throw malformed(at + 38, wires + " wires at offset " + offset + " of a node of " + length + " bytes");
        }
        return new RimtNode.Unit(
                at,
                table.text(at + 8, HARDWARE_ID_BYTES).stripTrailing(),
                table.u64(at + 16),
                table.u32(at + 24),
                table.u16(at + 32),
                table.u16(at + 34),
                wires);
    }

    private static String path(AcpiTable table, int at, int most) {
        for (int i = 0; i < most; i++) {
            if (table.u8(at + i) == 0) {
                return table.text(at, most);
            }
        }
        throw malformed(at, "an ACPI path without an end");
    }

    private static List<IdMapping> mappings(AcpiTable table, int node, int length, int offset, int count) {
        if (offset == 0 || count == 0) {
            return List.of(); // as in Linux: no mapping
        }
        if (offset < NODE_HEADER || offset + count * IdMapping.BYTES > length) {
            throw malformed(node, count + " mappings at offset " + offset + " of a node of " + length + " bytes");
        }
        List<IdMapping> mappings = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            int at = node + offset + i * IdMapping.BYTES;
            mappings.add(new IdMapping(table.u32(at), table.u32(at + 4), table.u32(at + 8), table.u32(at + 12)));
        }
        return mappings;
    }

    private static void atLeast(int bytes, int at, int length) {
        if (length < bytes) {
            throw malformed(at + 2, "a node of " + length + " bytes, expected at least " + bytes);
        }
    }

    private static MalformedTableException malformed(int offset, String what) {
        return new MalformedTableException(SIGNATURE, offset, what);
    }

    // --- meaning ---

    /** Returns the units' nodes, in the table's order. */
    public List<RimtNode.Unit> units() {
        return nodes.values().stream()
                .filter(RimtNode.Unit.class::isInstance)
                .map(RimtNode.Unit.class::cast)
                .toList();
    }

    /** Returns the root complexes, in the table's order; of those of one segment Linux uses the first. */
    public List<RimtNode.RootComplex> rootComplexes() {
        return nodes.values().stream()
                .filter(RimtNode.RootComplex.class::isInstance)
                .map(RimtNode.RootComplex.class::cast)
                .toList();
    }

    /** Returns the root complex of a segment. */
    public Optional<RimtNode.RootComplex> rootComplex(int segment) {
        return rootComplexes().stream()
                .filter(complex -> complex.segment() == segment)
                .findFirst();
    }

    /** Returns whether there are platform devices. */
    public boolean hasPlatformDevices() {
        return nodes.values().stream().anyMatch(RimtNode.PlatformDevice.class::isInstance);
    }

    /** Returns the platform device with an ACPI path. */
    public Optional<RimtNode.PlatformDevice> platformDevice(String path) {
        return nodes.values().stream()
                .filter(RimtNode.PlatformDevice.class::isInstance)
                .map(RimtNode.PlatformDevice.class::cast)
                .filter(device -> device.path().equals(path))
                .findFirst();
    }

    /**
     * Maps an id of a node until it is a unit's, or returns empty.
     *
     * <p>The first mapping that takes the id counts. Nothing is mapped by a node whose first mapping leads nowhere.
     * Source: Linux {@code rimt_node_map_id}, which never ends where mappings lead in a circle; here such an id is not
     * mapped.
     *
     * @param id 32 bits
     */
    public Optional<Destination> map(RimtNode from, long id) {
        RimtNode node = from;
        long mapped = id;
        for (int hops = 0; hops <= nodes.size(); hops++) {
            if (node instanceof RimtNode.Unit unit) {
                return Optional.of(new Destination(unit, mapped));
            }
            IdMapping taken = takes(node, mapped);
            RimtNode next = taken == null ? null : nodes.get((int) taken.destination());
            if (taken == null || next == null) {
                return Optional.empty();
            }
            mapped = taken.map(mapped);
            node = next;
        }
        return Optional.empty();
    }

    private static @Nullable IdMapping takes(RimtNode node, long id) {
        List<IdMapping> mappings = node.mappings();
        if (mappings.isEmpty() || mappings.get(0).destination() == 0) {
            return null;
        }
        for (IdMapping mapping : mappings) {
            if (mapping.map(id) != IdMapping.NONE) {
                return mapping;
            }
        }
        return null;
    }

    /**
     * Returns what the mappings of a platform device lead to: one id for each, up to the first that leads nowhere.
     *
     * <p>Source: Linux {@code rimt_plat_iommu_map}.
     */
    public List<Destination> destinations(RimtNode.PlatformDevice device) {
        List<Destination> all = new ArrayList<>();
        for (IdMapping mapping : device.mappings()) {
            RimtNode next = nodes.get((int) mapping.destination());
            Optional<Destination> to = next == null ? Optional.empty() : map(next, mapping.destinationBase());
            if (to.isEmpty()) {
                break;
            }
            all.add(to.get());
        }
        return all;
    }

    /** Returns the function whose requester id the mapping of a root complex maps to a unit's id. */
    public Optional<PciAddress> requester(RimtNode.Unit unit, long deviceId) {
        for (RimtNode.RootComplex complex : rootComplexes()) {
            for (IdMapping mapping : complex.mappings()) {
                long source = mapping.source(deviceId);
                if (mapping.destination() == unit.offset() && source >= 0 && source <= 0xffff) {
                    return Optional.of(PciAddress.of(complex.segment(), (int) source));
                }
            }
        }
        return Optional.empty();
    }
}
