// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.acpi;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.MalformedTableException;

/**
 * The I/O APICs of a machine, out of its Multiple APIC Description Table: ACPI 6.5, sections 5.2.12 and 5.2.12.3.
 *
 * @param ioApics in the table's order
 */
public record Madt(List<IoApic> ioApics) {
    /** The table's signature. */
    public static final String SIGNATURE = "APIC";

    private static final int ENTRIES_OFFSET = 44;
    private static final int ENTRY_HEADER = 2;
    private static final int IO_APIC = 1;
    private static final int IO_APIC_BYTES = 12;

    /**
     * An I/O APIC.
     *
     * @param id its number, that of IVRS's special devices
     * @param firstInterrupt the number of its first interrupt in the machine (GSI base)
     */
    public record IoApic(int id, long firstInterrupt) {}

    /** Copies the list. */
    public Madt {
        ioApics = List.copyOf(ioApics);
    }

    /**
     * Reads a table. A wrong checksum is accepted, and entries of other kinds are skipped.
     *
     * @throws MalformedTableException when the header or a length is invalid
     */
    public static Madt parse(byte[] bytes) {
        AcpiTable table = AcpiTable.parse(SIGNATURE, bytes);
        List<IoApic> ioApics = new ArrayList<>();
        int offset = ENTRIES_OFFSET;
        while (offset < table.length()) {
            int left = table.length() - offset;
            int length = left < ENTRY_HEADER ? 0 : table.u8(offset + 1);
            int minimum = length != 0 && table.u8(offset) == IO_APIC ? IO_APIC_BYTES : ENTRY_HEADER;
            if (length < minimum || length > left) {
                throw new MalformedTableException(
                        SIGNATURE,
                        offset,
                        "an entry has " + length + " bytes, expected " + minimum + " to the " + left + " left");
            }
            if (table.u8(offset) == IO_APIC) {
                ioApics.add(new IoApic(table.u8(offset + 2), table.u32(offset + 8)));
            }
            offset += length;
        }
        return new Madt(ioApics);
    }
}
