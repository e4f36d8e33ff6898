// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.bits;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;

class LayoutTest {
    private static final BitField P = BitField.bit(0, "P");
    private static final BitField ASR = BitField.bits(63, 12, "ASR");
    private static final BitField DID = BitField.absolute(87, 72, "DID");

    @Test
    void fieldsThatOverlapAreRefusedWhenDeclared() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Layout.of("entry", ASR, BitField.bits(12, 11, "X")))
                .withMessageContaining("entry")
                .withMessageContaining("X")
                .withMessageContaining("overlaps");
    }

    @Test
    void fieldsOfOneNameOrOutsideTheStructureAreRefused() {
        assertThatIllegalArgumentException().isThrownBy(() -> Layout.of("entry", P, BitField.bit(1, "P")));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Layout.of("entry", P, DID))
                .withMessageContaining("outside");
    }

    @Test
    void bitsWithoutANameAreReserved() {
        Layout layout = Layout.of("context", 2, P, ASR, DID);
        assertThat(layout.reserved(0)).isEqualTo(0xffeL);
        assertThat(layout.reserved(1)).isEqualTo(~0xffff00L);
    }

    @Test
    void decodingNamesWhatIsSetAndWhatShouldNotBe() {
        Layout layout = Layout.of("context", 2, P, ASR, DID);
        assertThat(layout.decode(0x1003L, 0x500L))
                .isEqualTo("context 0x0000000000000500_0000000000001003 P=1 ASR=1 DID=5 reserved[0]=0x2");
    }
}
