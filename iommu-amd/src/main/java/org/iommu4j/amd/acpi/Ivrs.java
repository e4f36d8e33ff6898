// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.acpi;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.MalformedTableException;

/**
 * An I/O Virtualization Reporting Structure, 48882 section 5.2.
 *
 * @param table the bytes, with the ACPI header
 * @param ivInfo EFRSup 0, DMA remapped before boot 1, GVASize 7:5, PASize 14:8, VASize 21:15, HtAtsResv 22
 * @param ivhds hardware definition blocks in order
 * @param ivmds memory definition blocks in order
 * @param warnings one line for each skipped part
 */
public record Ivrs(AcpiTable table, long ivInfo, List<Ivhd> ivhds, List<Ivmd> ivmds, List<String> warnings) {
    /** The table's signature. */
    public static final String SIGNATURE = "IVRS";

    private static final int BLOCKS_OFFSET = 48;
    private static final int BLOCK_HEADER = 4;
    private static final int IVHD_10_HEADER = 24;
    private static final int IVHD_HEADER = 40;
    private static final int IVMD_LENGTH = 32;
    private static final int NAMED_ENTRY_HEADER = 22;

    /** Copies the lists. */
    public Ivrs {
        ivhds = List.copyOf(ivhds);
        ivmds = List.copyOf(ivmds);
        warnings = List.copyOf(warnings);
    }

    /** Returns whether firmware asks that DMA stay remapped until the operating system takes over (IVinfo bit 1). */
    public boolean dmaRemappedBeforeBoot() {
        return (ivInfo & 2) != 0;
    }

    /**
     * Reads a table. A wrong checksum is accepted here.
     *
     * @throws MalformedTableException when the header or a length is invalid
     */
    public static Ivrs parse(byte[] bytes) {
        AcpiTable table = AcpiTable.parse(SIGNATURE, bytes);
        if (table.length() < BLOCKS_OFFSET) {
            throw new MalformedTableException(
                    SIGNATURE, 4, "declared length is " + table.length() + ", expected at least " + BLOCKS_OFFSET);
        }
        List<Ivhd> ivhds = new ArrayList<>();
        List<Ivmd> ivmds = new ArrayList<>();
        List<String> warnings = new ArrayList<>();
        int offset = BLOCKS_OFFSET;
        while (offset < table.length()) {
            int left = table.length() - offset;
            if (left < BLOCK_HEADER) {
                throw new MalformedTableException(
                        SIGNATURE, offset, left + " bytes left, expected a block of at least " + BLOCK_HEADER);
            }
            int type = table.u8(offset);
            int length = table.u16(offset + 2);
            checkLength(offset, "a block of type " + hex(type), length, minimum(type), left);
            switch (type) {
                case Ivhd.TYPE_10, Ivhd.TYPE_11, Ivhd.TYPE_40 -> ivhds.add(ivhd(table, offset, type, length, warnings));
                case Ivmd.TYPE_ALL, Ivmd.TYPE_SELECT, Ivmd.TYPE_RANGE -> ivmds.add(ivmd(table, offset, type, length));
                default -> warnings.add(at(offset) + "a block of unknown type " + hex(type) + " is skipped");
            }
            offset += length;
        }
        return new Ivrs(table, table.u32(36), ivhds, ivmds, warnings);
    }

    private static int minimum(int type) {
        return switch (type) {
            case Ivhd.TYPE_10 -> IVHD_10_HEADER;
            case Ivhd.TYPE_11, Ivhd.TYPE_40 -> IVHD_HEADER;
            case Ivmd.TYPE_ALL, Ivmd.TYPE_SELECT, Ivmd.TYPE_RANGE -> IVMD_LENGTH;
            default -> BLOCK_HEADER;
        };
    }

    private static Ivmd ivmd(AcpiTable table, int offset, int type, int length) {
        return new Ivmd(
                offset,
                type,
                table.u8(offset + 1),
                length,
                table.u16(offset + 4),
                table.u16(offset + 6),
                table.u64(offset + 8),
                table.u64(offset + 16),
                table.u64(offset + 24));
    }

    private static Ivhd ivhd(AcpiTable table, int offset, int type, int length, List<String> warnings) {
        boolean image = type != Ivhd.TYPE_10;
        int header = image ? IVHD_HEADER : IVHD_10_HEADER;
        return new Ivhd(
                offset,
                type,
                table.u8(offset + 1),
                length,
                table.u16(offset + 4),
                table.u16(offset + 6),
                table.u64(offset + 8),
                table.u16(offset + 16),
                table.u16(offset + 18),
                table.u32(offset + 20),
                image ? table.u64(offset + 24) : 0,
                image ? table.u64(offset + 32) : 0,
                entries(table, offset + header, offset + length, warnings));
    }

    private static List<DeviceEntry> entries(AcpiTable table, int from, int end, List<String> warnings) {
        List<DeviceEntry> entries = new ArrayList<>();
        int offset = from;
        while (offset < end) {
            int left = end - offset;
            int type = table.u8(offset);
            int length = entryLength(table, offset, type, left);
            if (length == 0) {
                warnings.add(at(offset) + "a device entry of unknown type " + hex(type)
                        + " and unknown length: the rest of its block is skipped");
                break;
            }
            checkLength(offset, "a device entry of type " + hex(type), length, BLOCK_HEADER, left);
            if (!known(type)) {
                warnings.add(at(offset) + "a device entry of unknown type " + hex(type) + " is skipped");
            }
            entries.add(new DeviceEntry(
                    offset,
                    type,
                    length,
                    table.u16(offset + 1),
                    table.u8(offset + 3),
                    length == 8 ? table.u32(offset + 4) : 0,
                    type == DeviceEntry.ACPI_HID ? name(table, offset, warnings) : null));
            offset += length;
        }
        return entries;
    }

    /** For entries up to BFh the type's upper bits hold the length; only the named one has its own length. */
    private static int entryLength(AcpiTable table, int offset, int type, int left) {
        if (type == DeviceEntry.ACPI_HID) {
            checkLength(offset, "the fixed part of a device entry of type " + hex(type), NAMED_ENTRY_HEADER, 0, left);
            return NAMED_ENTRY_HEADER + table.u8(offset + 21);
        }
        return type >= 0xf0 ? 0 : 4 << (type >> 6);
    }

    private static boolean known(int type) {
        return switch (type) {
            case DeviceEntry.PAD,
                    DeviceEntry.ALL,
                    DeviceEntry.SELECT,
                    DeviceEntry.RANGE_START,
                    DeviceEntry.RANGE_END,
                    DeviceEntry.PAD_8,
                    DeviceEntry.ALIAS_SELECT,
                    DeviceEntry.ALIAS_RANGE_START,
                    DeviceEntry.EXTENDED_SELECT,
                    DeviceEntry.EXTENDED_RANGE_START,
                    DeviceEntry.SPECIAL,
                    DeviceEntry.ACPI_HID -> true;
            default -> false;
        };
    }

    private static AcpiName name(AcpiTable table, int offset, List<String> warnings) {
        int format = table.u8(offset + 20);
        int length = table.u8(offset + 21);
        String what = at(offset) + "a device named by ACPI has a unique id ";
        String uid = "";
        switch (format) {
            case AcpiName.UID_NONE -> {
                if (length != 0) {
                    warnings.add(what + "of format 0 (none) and of " + length + " bytes, expected 0");
                }
            }
            case AcpiName.UID_INTEGER -> {
                if (length != Long.BYTES) {
                    warnings.add(what + "that is a number of " + length + " bytes, expected " + Long.BYTES);
                }
                uid = length == 0 ? "" : number(table, offset + NAMED_ENTRY_HEADER, Math.min(length, Long.BYTES));
            }
            case AcpiName.UID_STRING -> uid = table.text(offset + NAMED_ENTRY_HEADER, length);
            default -> warnings.add(what + "of unknown format " + format);
        }
        return new AcpiName(table.text(offset + 4, 8), table.u64(offset + 12), format, length, uid);
    }

    /** Reads a little-endian number of 1 to 8 bytes. */
    private static String number(AcpiTable table, int offset, int bytes) {
        long value = 0;
        for (int i = bytes - 1; i >= 0; i--) {
            value = value << 8 | table.u8(offset + i);
        }
        return Long.toUnsignedString(value);
    }

    private static void checkLength(int offset, String what, int length, int minimum, int left) {
        if (length < minimum || length > left) {
            throw new MalformedTableException(
                    SIGNATURE,
                    offset,
                    what + " has " + length + " bytes, expected " + minimum + " to the " + left + " left");
        }
    }

    private static String hex(int type) {
        return String.format("%02Xh", type);
    }

    private static String at(int offset) {
        return String.format("IVRS at offset 0x%x: ", offset);
    }
}
