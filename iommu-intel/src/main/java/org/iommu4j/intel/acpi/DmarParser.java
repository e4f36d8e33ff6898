// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.acpi;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.MalformedTableException;

/**
 * Reads a DMAR table.
 *
 * <p>A length is accepted only where it fits into the table and covers the structure's mandatory fields. An unknown
 * type is skipped by its length, as the specification demands.
 */
public final class DmarParser {
    /** The table's signature. */
    public static final String SIGNATURE = "DMAR";

    /** Header, host address width, flags and ten reserved bytes. */
    private static final int FIRST_STRUCTURE = 48;

    private static final int SCOPE_FIXED = 6;

    private final AcpiTable table;
    private final List<RemappingStructure> structures = new ArrayList<>();
    private final List<String> warnings = new ArrayList<>();

    private DmarParser(AcpiTable table) {
        this.table = table;
    }

    /**
     * Reads a table; a wrong checksum is recorded in the result and not refused here.
     *
     * @throws MalformedTableException when a length is impossible
     */
    public static Dmar parse(byte[] bytes) {
        return new DmarParser(AcpiTable.parse(SIGNATURE, bytes)).parse();
    }

    private Dmar parse() {
        if (table.length() < FIRST_STRUCTURE) {
            throw malformed(4, "declared length is " + table.length() + ", expected at least " + FIRST_STRUCTURE);
        }
        int offset = FIRST_STRUCTURE;
        while (offset < table.length()) {
            if (table.length() - offset < 4) {
                throw malformed(offset, (table.length() - offset) + " bytes left, expected a structure of at least 4");
            }
            int type = table.u16(offset);
            int length = table.u16(offset + 2);
            if (length < 4 || length > table.length() - offset) {
                throw malformed(
                        offset + 2,
                        "structure of type " + type + " has length " + length + ", expected 4 to the "
                                + (table.length() - offset) + " bytes left");
            }
            structures.add(structure(offset, type, length));
            offset += length;
        }
        if (!table.checksumValid()) {
            warnings.add("DMAR: the table's bytes do not add up to 0: wrong checksum");
        }
        return new Dmar(table.u8(36), table.u8(37), table.checksumValid(), structures, warnings);
    }

    private RemappingStructure structure(int offset, int type, int length) {
        int end = offset + length;
        switch (type) {
            case 0 -> {
                atLeast(offset, type, length, 16);
                return new RemappingStructure.Drhd(
                        offset,
                        length,
                        table.u8(offset + 4),
                        table.u8(offset + 5),
                        table.u16(offset + 6),
                        table.u64(offset + 8),
                        scopes(offset + 16, end));
            }
            case 1 -> {
                atLeast(offset, type, length, 24);
                return new RemappingStructure.Rmrr(
                        offset,
                        length,
                        table.u16(offset + 6),
                        table.u64(offset + 8),
                        table.u64(offset + 16),
                        scopes(offset + 24, end));
            }
            case 2 -> {
                atLeast(offset, type, length, 8);
                return new RemappingStructure.Atsr(
                        offset, length, table.u8(offset + 4), table.u16(offset + 6), scopes(offset + 8, end));
            }
            case 3 -> {
                atLeast(offset, type, length, 20);
                return new RemappingStructure.Rhsa(offset, length, table.u64(offset + 8), table.u32(offset + 16));
            }
            case 4 -> {
                atLeast(offset, type, length, 9);
                return new RemappingStructure.Andd(
                        offset, length, table.u8(offset + 7), table.text(offset + 8, length - 8));
            }
            case 5 -> {
                atLeast(offset, type, length, 8);
                return new RemappingStructure.Satc(
                        offset, length, table.u8(offset + 4), table.u16(offset + 6), scopes(offset + 8, end));
            }
            case 6 -> {
                atLeast(offset, type, length, 8);
                return new RemappingStructure.Sidp(offset, length, table.u16(offset + 6), scopes(offset + 8, end));
            }
            default -> {
                warnings.add("DMAR at offset 0x" + Integer.toHexString(offset) + ": unknown structure type " + type
                        + " of " + length + " bytes skipped");
                return new RemappingStructure.Unknown(offset, length, type);
            }
        }
    }

    private List<DeviceScope> scopes(int from, int end) {
        List<DeviceScope> scopes = new ArrayList<>();
        int offset = from;
        while (offset < end) {
            int left = end - offset;
            if (left < SCOPE_FIXED) {
                throw malformed(offset, left + " bytes left for a device scope, expected at least " + SCOPE_FIXED);
            }
            int type = table.u8(offset);
            int length = table.u8(offset + 1);
            if (length < SCOPE_FIXED + 2 || length > left || length % 2 != 0) {
                throw malformed(
                        offset + 1,
                        "device scope has length " + length + ", expected an even number from " + (SCOPE_FIXED + 2)
                                + " to the " + left + " bytes left");
            }
            List<DeviceScope.Hop> path = new ArrayList<>();
            for (int hop = offset + SCOPE_FIXED; hop < offset + length; hop += 2) {
                path.add(new DeviceScope.Hop(table.u8(hop), table.u8(hop + 1)));
            }
            if (type < DeviceScope.ENDPOINT || type > DeviceScope.NAMESPACE) {
                warnings.add("DMAR at offset 0x" + Integer.toHexString(offset) + ": unknown device scope type " + type
                        + " skipped");
            }
            scopes.add(new DeviceScope(
                    offset, length, type, table.u8(offset + 2), table.u8(offset + 4), table.u8(offset + 5), path));
            offset += length;
        }
        return scopes;
    }

    private static void atLeast(int offset, int type, int length, int expected) {
        if (length < expected) {
            throw malformed(
                    offset + 2,
                    "structure of type " + type + " has length " + length + ", expected at least " + expected);
        }
    }

    private static MalformedTableException malformed(int offset, String message) {
        return new MalformedTableException(SIGNATURE, offset, message);
    }
}
