// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import java.nio.charset.StandardCharsets;
import java.util.Objects;

/**
 * An ACPI table's bytes with checked little-endian reads.
 *
 * <p>Source: ACPI 6.5, section 5.2.6. The header is 36 bytes: signature, length, revision, checksum, OEM ids. Bytes
 * after the declared length are ignored. Checking the checksum is the caller's: {@link #checksumValid()}.
 */
public final class AcpiTable {
    /** Bytes of the common header. */
    public static final int HEADER_LENGTH = 36;

    private final byte[] bytes;
    private final String signature;
    private final int length;

    private AcpiTable(byte[] bytes, String signature, int length) {
        this.bytes = bytes;
        this.signature = signature;
        this.length = length;
    }

    /**
     * Reads the header.
     *
     * @param expectedSignature four characters
     * @throws MalformedTableException when the bytes are shorter than a header or than the declared length, when that
     *     length is shorter than a header, or when the signature differs
     */
    public static AcpiTable parse(String expectedSignature, byte[] bytes) {
        Objects.requireNonNull(expectedSignature, "expectedSignature");
        Objects.requireNonNull(bytes, "bytes");
        if (bytes.length < HEADER_LENGTH) {
            throw new MalformedTableException(
                    expectedSignature,
                    0,
                    "table has " + bytes.length + " bytes, expected a header of " + HEADER_LENGTH);
        }
        String signature = new String(bytes, 0, 4, StandardCharsets.ISO_8859_1);
        if (!signature.equals(expectedSignature)) {
            StringBuilder shown = new StringBuilder();
            signature.chars().forEach(c -> shown.append(c > 0x20 && c < 0x7f ? (char) c : '?'));
            throw new MalformedTableException(
                    expectedSignature, 0, "signature is '" + shown + "', expected '" + expectedSignature + "'");
        }
        AcpiTable whole = new AcpiTable(bytes, signature, bytes.length);
        long length = whole.u32(4);
        if (length < HEADER_LENGTH || length > bytes.length) {
            throw new MalformedTableException(
                    expectedSignature,
                    4,
                    "declared length is " + length + ", expected " + HEADER_LENGTH + " to the " + bytes.length
                            + " bytes present");
        }
        return new AcpiTable(bytes, signature, (int) length);
    }

    /** Returns the four characters. */
    public String signature() {
        return signature;
    }

    /** Returns the declared length in bytes. */
    public int length() {
        return length;
    }

    /** Returns whether all bytes of the table add up to 0. */
    public boolean checksumValid() {
        int sum = 0;
        for (int i = 0; i < length; i++) {
            sum += bytes[i];
        }
        return (sum & 0xff) == 0;
    }

    /** Reads an unsigned byte. */
    public int u8(int offset) {
        check(offset, 1);
        return bytes[offset] & 0xff;
    }

    /** Reads an unsigned 16-bit number. */
    public int u16(int offset) {
        check(offset, 2);
        return (bytes[offset] & 0xff) | (bytes[offset + 1] & 0xff) << 8;
    }

    /** Reads an unsigned 32-bit number. */
    public long u32(int offset) {
        check(offset, 4);
        return (u16(offset) | (long) u16(offset + 2) << 16) & 0xffffffffL;
    }

    /** Reads 64 bits. */
    public long u64(int offset) {
        check(offset, 8);
        return u32(offset) | u32(offset + 4) << 32;
    }

    /** Reads characters up to a NUL, those outside ASCII as '?'. */
    public String text(int offset, int maxLength) {
        check(offset, maxLength);
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < maxLength && bytes[offset + i] != 0; i++) {
            text.append(bytes[offset + i] >= 0x20 && bytes[offset + i] < 0x7f ? (char) bytes[offset + i] : '?');
        }
        return text.toString();
    }

    private void check(int offset, int size) {
        if (offset < 0 || offset > length - size) {
            throw new MalformedTableException(
                    signature, offset, "a field of " + size + " bytes ends behind the table of " + length + " bytes");
        }
    }
}
