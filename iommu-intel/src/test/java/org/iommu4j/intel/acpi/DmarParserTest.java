// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.acpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.platform.MalformedTableException;
import org.junit.jupiter.api.Test;

class DmarParserTest {
    @Test
    void anUnknownStructureIsSkippedWithAWarning() {
        Dmar dmar = DmarParser.parse(new DmarBytes(48, 1)
                .raw(0x77, 0, 6, 0, 1, 2)
                .drhd(true, 0, 0xfed90000L)
                .bytes());

        assertThat(dmar.structures()).hasSize(2);
        assertThat(dmar.warnings()).singleElement().asString().contains("0x30", "type 119");
        assertThat(dmar.all(RemappingStructure.Drhd.class).get(0).registerBase())
                .isEqualTo(0xfed90000L);
    }

    @Test
    void aWrongChecksumIsToldAndNotRefused() {
        byte[] bytes = new DmarBytes(48, 1).drhd(true, 0, 0xfed90000L).bytes();
        bytes[9]++;

        Dmar dmar = DmarParser.parse(bytes);

        assertThat(dmar.checksumValid()).isFalse();
        assertThat(dmar.warnings()).singleElement().asString().contains("checksum");
    }

    @Test
    void aStructureOfLengthZeroIsRefusedWithItsOffset() {
        assertThatThrownBy(() ->
                        DmarParser.parse(new DmarBytes(48, 1).raw(0, 0, 0, 0).bytes()))
                .isInstanceOf(MalformedTableException.class)
                .hasMessageContaining("DMAR at offset 0x32")
                .hasMessageContaining("length 0, expected 4 to the 4 bytes left");
    }

    @Test
    void aStructureThatEndsBehindTheTableIsRefused() {
        assertThatThrownBy(() ->
                        DmarParser.parse(new DmarBytes(48, 1).raw(9, 0, 5, 0).bytes()))
                .isInstanceOf(MalformedTableException.class)
                .hasMessageContaining("length 5");
    }

    @Test
    void aUnitTooShortForItsFieldsIsRefused() {
        assertThatThrownBy(() -> DmarParser.parse(
                        new DmarBytes(48, 1).raw(0, 0, 8, 0, 0, 0, 0, 0).bytes()))
                .isInstanceOf(MalformedTableException.class)
                .hasMessageContaining("expected at least 16");
    }

    @Test
    void aScopeThatEndsBehindItsStructureIsRefused() {
        byte[] scope = DmarBytes.scope(DeviceScope.ENDPOINT, 0, 0, 2, 0);
        scope[1] = 10;

        assertThatThrownBy(() -> DmarParser.parse(
                        new DmarBytes(48, 1).drhd(false, 0, 0xfed90000L, scope).bytes()))
                .isInstanceOf(MalformedTableException.class)
                .hasMessageContaining("offset 0x41")
                .hasMessageContaining("length 10");
    }

    @Test
    void aScopeWithoutAPathIsRefused() {
        byte[] scope = DmarBytes.scope(DeviceScope.ENDPOINT, 0, 0);

        assertThatThrownBy(() -> DmarParser.parse(
                        new DmarBytes(48, 1).drhd(false, 0, 0xfed90000L, scope).bytes()))
                .isInstanceOf(MalformedTableException.class)
                .hasMessageContaining("length 6");
    }

    @Test
    void flagsTellInterruptRemappingAndPreBootProtection() {
        assertThat(DmarParser.parse(new DmarBytes(39, 1).bytes()).interruptRemapping())
                .isTrue();
        assertThat(DmarParser.parse(new DmarBytes(39, 4).bytes()).interruptRemapping())
                .isFalse();
        assertThat(DmarParser.parse(new DmarBytes(39, 4).bytes()).platformOptIn())
                .isTrue();
    }
}
