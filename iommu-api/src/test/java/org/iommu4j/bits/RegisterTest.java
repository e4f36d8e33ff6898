// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.bits;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;

class RegisterTest {
    private static final BitField RO = BitField.bits(7, 0, "RO");
    private static final BitField RW = BitField.bits(15, 8, "RW");
    private static final BitField W1C = BitField.bits(23, 16, "W1C");
    private static final BitField WO = BitField.bits(27, 24, "WO");
    private static final BitField TAG = BitField.bits(29, 28, "TAG");
    private static final Register REGISTER = Register.of("TEST", 0x34, 32, "none")
            .field(RO, Access.READ_ONLY)
            .field(RW, Access.READ_WRITE)
            .field(W1C, Access.WRITE_1_TO_CLEAR)
            .field(WO, Access.WRITE_ONLY)
            .field(TAG, Access.NOT_MODELLED);

    @Test
    void readOnlyBitsIgnoreWrites() {
        assertThat(RO.get(REGISTER.afterWrite(0x5a, 0xff))).isEqualTo(0x5a);
        assertThat(RO.get(REGISTER.afterWrite(0x5a, 0))).isEqualTo(0x5a);
    }

    @Test
    void readWriteBitsTakeWhatIsWritten() {
        assertThat(RW.get(REGISTER.afterWrite(RW.of(0xf0), RW.of(0x3c)))).isEqualTo(0x3c);
    }

    @Test
    void writingOneClearsAndWritingZeroKeeps() {
        assertThat(W1C.get(REGISTER.afterWrite(W1C.of(0b1100), W1C.of(0b0101)))).isEqualTo(0b1000);
    }

    @Test
    void commandsReadAsZero() {
        assertThat(WO.get(REGISTER.afterWrite(0, WO.of(0xf)))).isZero();
    }

    @Test
    void bitsThatAreNotModelledKeepTheirValue() {
        assertThat(TAG.get(REGISTER.afterWrite(0, TAG.of(2)))).isEqualTo(2);
    }

    @Test
    void reservedBitsStay() {
        assertThat(REGISTER.afterWrite(0, 0xc000_0000L)).isZero();
        assertThat(REGISTER.layout().reserved(0) & 0xffff_ffffL).isEqualTo(0xc000_0000L);
    }

    @Test
    void declaringAMisalignedOrOverlappingRegisterIsRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Register.of("X", 0x34, 64, "none"))
                .withMessageContaining("aligned");
        assertThatIllegalArgumentException().isThrownBy(() -> Register.of("X", 0, 16, "none"));
        assertThatIllegalArgumentException().isThrownBy(() -> REGISTER.field(BitField.bit(7, "Y"), Access.READ_ONLY));
        assertThatIllegalArgumentException().isThrownBy(() -> REGISTER.field(BitField.bit(32, "Y"), Access.READ_ONLY));
    }
}
