// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads ACPI tables: one as the bytes that firmware left, or several as the text that {@code acpidump} prints.
 *
 * <p>Text has, for each table, a line {@code DMAR @ 0x0000000000000000} and lines
 * {@code 0000: 44 4D 41 52 ...  DMAR...}. What {@code iasl -d} prints ends with the same lines, below
 * {@code Raw Table Data}; its words are not read, for the bytes say the same. Source: ACPICA, {@code acpidump},
 * {@code acpixtract} and {@code iasl}.
 */
final class AcpiReader {
    /** Bytes of one table; real remapping tables have a few thousand, a DSDT a few hundred thousand. */
    static final int MAX_TABLE_BYTES = 4 << 20;

    private static final int HEADER_BYTES = 36;

    /** The tables by which firmware describes IOMMUs, of any kind. */
    private static final List<String> IOMMU_TABLES = List.of("DMAR", "IVRS", "IORT", "VIOT", "RIMT");

    private static final Pattern HEADING =
            Pattern.compile("\\s*([A-Z][A-Z0-9_]{3}|[A-Z]{3}!) @ (?:0x)?[0-9A-Fa-f]{1,16}\\s*");
    private static final Pattern RAW_DATA = Pattern.compile("\\s*Raw Table Data: Length \\d{1,10}\\b.*");
    private static final Pattern BYTES =
            Pattern.compile("\\s*([0-9A-Fa-f]{4,8}): ((?:[0-9A-Fa-f]{2} ){0,15}[0-9A-Fa-f]{2})(?: {1,}.*)?");

    private AcpiReader() {}

    /** Returns whether bytes begin like a table: a signature of four capitals, and a length that the bytes can hold. */
    static boolean recognises(byte[] bytes) {
        if (bytes.length < HEADER_BYTES) {
            return false;
        }
        for (int i = 0; i < 4; i++) {
            boolean capital = (bytes[i] >= 'A' && bytes[i] <= 'Z') || (i > 0 && bytes[i] >= '0' && bytes[i] <= '9');
            if (!capital) {
                return false;
            }
        }
        // Text that begins with capitals has letters where a table has its length.
        long length = u32(bytes, 4);
        return length <= MAX_TABLE_BYTES && (!TextLines.isText(bytes) || length == bytes.length);
    }

    /** Returns whether a line starts a table in text. */
    static boolean recognises(String line) {
        return HEADING.matcher(line).matches() || RAW_DATA.matcher(line).matches();
    }

    /**
     * Reads one table.
     *
     * @throws InputException when it is not a table or is too big
     */
    static void read(byte[] bytes, Source source, EvidenceBuilder host) {
        if (bytes.length < HEADER_BYTES) {
            throw new InputException(source + ": has " + bytes.length
                    + " bytes, expected an ACPI table with a header of " + HEADER_BYTES);
        }
        if (bytes.length > MAX_TABLE_BYTES) {
            throw new InputException(
                    source + ": is too big for an ACPI table, expected at most " + (MAX_TABLE_BYTES >> 20) + " MiB");
        }
        if (!recognises(bytes)) {
            throw new InputException(
                    source + ": is not an ACPI table, expected four capitals such as DMAR or IVRS and a length");
        }
        host.table(new String(bytes, 0, 4, StandardCharsets.ISO_8859_1), bytes, source);
    }

    /**
     * Reads text.
     *
     * @return how many tables it has; a table of which a part is missing is left out with a warning
     */
    static int read(List<String> lines, Source source, EvidenceBuilder host) {
        int tables = 0;
        Table table = null;
        for (String line : lines) {
            Matcher heading = HEADING.matcher(line);
            if (heading.matches()) {
                tables += record(table, source, host);
                table = new Table(heading.group(1));
                continue;
            }
            if (RAW_DATA.matcher(line).matches()) {
                if (table == null || table.length > 0) {
                    tables += record(table, source, host);
                    table = new Table("");
                }
                continue;
            }
            Matcher bytes = BYTES.matcher(line);
            if (table != null && bytes.matches()) {
                table.add(Long.parseLong(bytes.group(1), 16), bytes.group(2));
            }
        }
        tables += record(table, source, host);
        if (host.hasTable("FACP")
                && host.hasTable("DSDT")
                && IOMMU_TABLES.stream().noneMatch(host::hasTable)) {
            // Only a whole dump has these two.
            host.firmwareWithoutIommu(source);
        }
        return tables;
    }

    private static int record(@Nullable Table table, Source source, EvidenceBuilder host) {
        if (table == null) {
            return 0;
        }
        byte[] bytes = table.bytes();
        String signature = table.signature.isEmpty() ? signature(bytes) : table.signature;
        if (table.broken || bytes.length < HEADER_BYTES || u32(bytes, 4) != bytes.length) {
            host.warn(source + ": table " + signature + " is incomplete and is ignored");
            return 0;
        }
        if (host.hasTable(signature) && !signature.equals("DMAR") && !signature.equals("IVRS")) {
            return 1; // several SSDTs are as it should be
        }
        host.table(signature, bytes, source);
        return 1;
    }

    /** Returns the signature that bytes begin with, printable. */
    private static String signature(byte[] bytes) {
        return Printable.line(new String(bytes, 0, Math.min(4, bytes.length), StandardCharsets.ISO_8859_1));
    }

    private static long u32(byte[] bytes, int at) {
        return (bytes[at] & 0xff)
                | (bytes[at + 1] & 0xff) << 8
                | (bytes[at + 2] & 0xff) << 16
                | (bytes[at + 3] & 0xffL) << 24;
    }

    /** A table being read from text. */
    private static final class Table {
        private final String signature;
        private final List<byte[]> parts = new ArrayList<>();
        private int length;
        private boolean broken;

        private Table(String signature) {
            this.signature = signature;
        }

        private void add(long offset, String digits) {
            byte[] part = new byte[(digits.length() + 1) / 3];
            if (offset != length || length + part.length > MAX_TABLE_BYTES) {
                broken = true;
                return;
            }
            for (int i = 0; i < part.length; i++) {
                part[i] = (byte) Integer.parseInt(digits.substring(3 * i, 3 * i + 2), 16);
            }
            parts.add(part);
            length += part.length;
        }

        private byte[] bytes() {
            byte[] whole = new byte[length];
            int at = 0;
            for (byte[] part : parts) {
                System.arraycopy(part, 0, whole, at, part.length);
                at += part.length;
            }
            return whole;
        }
    }
}
