// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.acpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.iommu4j.platform.MalformedTableException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Unique ids in entries F0h, of the lengths that firmware may give them. */
class AcpiNameTest {
    private static final int BLOCK = 48;
    private static final int ENTRY = BLOCK + 40;

    /** Returns a table with one block of type 40h and in it one entry F0h. */
    private static byte[] table(int format, int uidLength, byte[] uid) {
        int length = ENTRY + 22 + uid.length;
        ByteBuffer table = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        table.put(0, "IVRS".getBytes(StandardCharsets.US_ASCII));
        table.putInt(4, length);
        table.put(BLOCK, (byte) 0x40);
        table.putShort(BLOCK + 2, (short) (length - BLOCK));
        table.put(ENTRY, (byte) 0xf0);
        table.putShort(ENTRY + 1, (short) 0x98);
        table.put(ENTRY + 4, "AMDI0020".getBytes(StandardCharsets.US_ASCII));
        table.put(ENTRY + 20, (byte) format);
        table.put(ENTRY + 21, (byte) uidLength);
        table.put(ENTRY + 22, uid);
        return table.array();
    }

    private static Ivrs parse(int format, String uid) {
        byte[] bytes = HexFormat.of().parseHex(uid);
        return Ivrs.parse(table(format, bytes.length, bytes));
    }

    private static AcpiName name(Ivrs ivrs) {
        return ivrs.ivhds().get(0).entries().get(0).name();
    }

    @ParameterizedTest
    @CsvSource({
        "1, 0500000000000000, 5",
        "1, ffffffffffffffff, 18446744073709551615",
        "2, 5c5f53422e46555230, \\_SB.FUR0",
        "2, '', ''",
        "0, '', ''"
    })
    void theManualsFormsAreReadWithoutAWarning(int format, String bytes, String uid) {
        Ivrs ivrs = parse(format, bytes);
        assertThat(name(ivrs).uid()).isEqualTo(uid);
        assertThat(ivrs.warnings()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"0102, 513, 2", "07, 7, 1", "0a0b0c0d, 218893066, 4", "'', '', 0", "0100000000000000ff, 1, 9"})
    void aNumberOfAnotherLengthIsReadAsANumberAndSaidToBeWrong(String bytes, String uid, int length) {
        Ivrs ivrs = parse(AcpiName.UID_INTEGER, bytes);
        assertThat(name(ivrs).uid()).isEqualTo(uid);
        assertThat(ivrs.warnings())
                .singleElement()
                .satisfies(warning -> assertThat(warning)
                        .startsWith("IVRS at offset 0x58: ")
                        .contains("a number of " + length + " bytes, expected 8"));
    }

    @Test
    void anIdWhereThereIsNoneAndOneOfUnknownFormatAreSaidToBeWrongAndNotRead() {
        Ivrs none = parse(AcpiName.UID_NONE, "41");
        assertThat(name(none).uid()).isEmpty();
        assertThat(none.warnings()).singleElement().asString().contains("of 1 bytes, expected 0");
        Ivrs unknown = parse(3, "4142");
        assertThat(name(unknown).uid()).isEmpty();
        assertThat(unknown.warnings()).singleElement().asString().contains("unknown format 3");
    }

    @Test
    void anIdThatEndsBehindItsBlockIsRefused() {
        assertThatThrownBy(() -> Ivrs.parse(table(AcpiName.UID_INTEGER, 8, new byte[2])))
                .isInstanceOf(MalformedTableException.class)
                .hasMessageContaining("0x58");
    }
}
