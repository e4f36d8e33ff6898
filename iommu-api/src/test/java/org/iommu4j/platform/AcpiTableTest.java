// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class AcpiTableTest {
    private static byte[] table(int declaredLength, int bytes) {
        ByteBuffer buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
        buffer.put("DMAR".getBytes(StandardCharsets.ISO_8859_1)).putInt(declaredLength);
        return buffer.array();
    }

    @Test
    void numbersAreLittleEndianAndUnsigned() {
        byte[] bytes = table(48, 48);
        for (int i = 36; i < 48; i++) {
            bytes[i] = (byte) (0xf0 + i - 36);
        }
        AcpiTable table = AcpiTable.parse("DMAR", bytes);
        assertThat(table.u8(36)).isEqualTo(0xf0);
        assertThat(table.u16(36)).isEqualTo(0xf1f0);
        assertThat(table.u32(36)).isEqualTo(0xf3f2f1f0L);
        assertThat(table.u64(40)).isEqualTo(0xfbfaf9f8f7f6f5f4L);
    }

    @Test
    void theChecksumIsTheSumOfTheDeclaredBytesOnly() {
        byte[] bytes = table(40, 48);
        bytes[45] = 7;
        int sum = 0;
        for (int i = 0; i < 40; i++) {
            sum += bytes[i];
        }
        bytes[9] = (byte) -sum;
        assertThat(AcpiTable.parse("DMAR", bytes).checksumValid()).isTrue();
        bytes[39] = 1;
        assertThat(AcpiTable.parse("DMAR", bytes).checksumValid()).isFalse();
    }

    @Test
    void whatCannotBeReadIsRefusedWithItsPlaceAndTheExpectation() {
        assertThatExceptionOfType(MalformedTableException.class)
                .isThrownBy(() -> AcpiTable.parse("DMAR", new byte[20]))
                .withMessage("DMAR at offset 0x0: table has 20 bytes, expected a header of 36");
        assertThatExceptionOfType(MalformedTableException.class)
                .isThrownBy(() -> AcpiTable.parse("IVRS", table(48, 48)))
                .withMessageContaining("'DMAR', expected 'IVRS'");
        assertThatExceptionOfType(MalformedTableException.class)
                .isThrownBy(() -> AcpiTable.parse("DMAR", table(49, 48)))
                .withMessageContaining("declared length is 49");
        assertThatExceptionOfType(MalformedTableException.class)
                .isThrownBy(() -> AcpiTable.parse("DMAR", table(48, 48)).u32(45))
                .withMessage("DMAR at offset 0x2d: a field of 4 bytes ends behind the table of 48 bytes");
    }
}
