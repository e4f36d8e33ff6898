// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.iommu4j.pci.PciAddress;

/**
 * Firmware's part of a machine: the table that describes its units to the operating system.
 *
 * <p>Source: 48882, chapter 5, "I/O Virtualization ACPI Table". One unit serves all requester ids up to the last one,
 * except its own and the host bridge's. A block of type 10h describes it for old software, and one of type 11h for
 * newer.
 */
public final class IvrsWriter {
    private static final int CAPACITY = 512;
    /** IVinfo: 48-bit physical and 64-bit virtual addresses, EFR images present. */
    private static final int IV_INFO = 1 | 48 << 8 | 64 << 15;

    private static final int IVHD_10 = 0x10;
    private static final int IVHD_11 = 0x11;
    /** Flags of a block: coherent walks, devices' IOTLBs. */
    private static final int IVHD_FLAGS = 1 << 5 | 1 << 4;

    private static final int ENTRY_START_OF_RANGE = 3;
    private static final int ENTRY_END_OF_RANGE = 4;
    private static final int ENTRY_SPECIAL = 72;
    private static final int SPECIAL_IOAPIC = 1;
    private static final int SPECIAL_HPET = 2;

    private static final int IVMD_BYTES = 32;
    private static final int IVMD_SELECT = 0x21;
    private static final int LENGTH_AT = 4;
    private static final int CHECKSUM_AT = 9;

    private final ByteBuffer table = ByteBuffer.allocate(CAPACITY).order(ByteOrder.LITTLE_ENDIAN);

    private IvrsWriter() {}

    /**
     * Writes the table for a machine with one unit.
     *
     * @param iommu the IOMMU's PCI function
     * @param capabilityOffset the offset of its capability block
     * @param registerBase physical address of the unit's registers
     * @param efr the value of EFR
     * @param efr2 the value of EFR2
     * @param lastRequesterId the highest requester id that can occur; software sizes its device table by it
     * @param southbridge the requester id of the IOAPIC's and the HPET's messages
     */
    public static byte[] write(
            PciAddress iommu,
            int capabilityOffset,
            long registerBase,
            long efr,
            long efr2,
            int lastRequesterId,
            PciAddress southbridge) {
        IvrsWriter writer = new IvrsWriter();
        writer.header();
        int old = writer.beginBlock(IVHD_10, iommu, capabilityOffset, registerBase);
        writer.devices(iommu, lastRequesterId, southbridge);
        writer.endBlock(old);
        int extended = writer.beginBlock(IVHD_11, iommu, capabilityOffset, registerBase);
        writer.features(efr, efr2);
        writer.devices(iommu, lastRequesterId, southbridge);
        writer.endBlock(extended);
        return writer.finish();
    }

    /**
     * Adds memory that one function uses to a table: a block of type 21h, section 5.2.3.
     *
     * @param ivrs the table
     * @param function whose requests use the memory, of segment 0
     * @param flags unity 0, readable 1, writable 2, exclusion range 3
     * @param start physical address of its first byte
     * @param size bytes
     */
    public static byte[] withMemory(byte[] ivrs, PciAddress function, int flags, long start, long size) {
        byte[] longer = Arrays.copyOf(ivrs, ivrs.length + IVMD_BYTES);
        ByteBuffer bytes = ByteBuffer.wrap(longer).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(LENGTH_AT, longer.length).position(ivrs.length);
        bytes.put((byte) IVMD_SELECT).put((byte) flags).putShort((short) IVMD_BYTES);
        bytes.putShort((short) function.requesterId()).putShort((short) 0).putLong(0);
        bytes.putLong(start).putLong(size);
        return withChecksum(longer);
    }

    private void header() {
        text("IVRS", 4);
        table.putInt(0); // the length, at the end
        table.put((byte) 2);
        table.put((byte) 0); // the checksum, at the end
        text("IOMU4J", 6);
        text("AMDVI", 8);
        table.putInt(1);
        text("IOMU", 4);
        table.putInt(1);
        table.putInt(IV_INFO);
        table.putLong(0);
    }

    /** Begins a block with the fields common to both types, and returns its offset. */
    private int beginBlock(int type, PciAddress iommu, int capabilityOffset, long registerBase) {
        int start = table.position();
        table.put((byte) type);
        table.put((byte) IVHD_FLAGS);
        table.putShort((short) 0); // the length, at the end
        table.putShort((short) iommu.requesterId());
        table.putShort((short) capabilityOffset);
        table.putLong(registerBase);
        table.putShort((short) iommu.segment());
        table.putShort((short) 0);
        table.putInt(0);
        return start;
    }

    private void features(long efr, long efr2) {
        table.putLong(efr);
        table.putLong(efr2);
    }

    private void devices(PciAddress iommu, int lastRequesterId, PciAddress southbridge) {
        entry(ENTRY_START_OF_RANGE, iommu.requesterId() + 1);
        entry(ENTRY_END_OF_RANGE, lastRequesterId);
        special(SPECIAL_IOAPIC, 0, southbridge);
        special(SPECIAL_HPET, 0, southbridge);
    }

    private void endBlock(int start) {
        table.putShort(start + 2, (short) (table.position() - start));
    }

    private void entry(int type, int requesterId) {
        table.put((byte) type);
        table.putShort((short) requesterId);
        table.put((byte) 0);
    }

    private void special(int variety, int handle, PciAddress source) {
        entry(ENTRY_SPECIAL, 0);
        table.put((byte) handle);
        table.putShort((short) source.requesterId());
        table.put((byte) variety);
    }

    private void text(String text, int width) {
        byte[] padded = new byte[width];
        byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(bytes, 0, padded, 0, bytes.length);
        table.put(padded);
    }

    private byte[] finish() {
        byte[] bytes = new byte[table.position()];
        table.putInt(LENGTH_AT, bytes.length);
        table.flip();
        table.get(bytes);
        return withChecksum(bytes);
    }

    private static byte[] withChecksum(byte[] bytes) {
        bytes[CHECKSUM_AT] = 0;
        int sum = 0;
        for (byte b : bytes) {
            sum += b;
        }
        bytes[CHECKSUM_AT] = (byte) -sum;
        return bytes;
    }
}
