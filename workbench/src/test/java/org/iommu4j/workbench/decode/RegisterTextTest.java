// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.spi.RegisterDump;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RegisterTextTest {
    private static RegisterDump parse(String... lines) {
        return RegisterText.parse("regs.txt", String.join("\n", lines));
    }

    @Test
    void linesOfTheMonitorGiveTheBaseAndTheWords() {
        RegisterDump dump = parse(
                "00000000fed90000: 0x0000000000000010 0x00d2008c22260206",
                "00000000fed90010: 0x8000000000f00fca 0xc700000000000000",
                "00000000fed90020: Cannot access memory");

        assertThat(dump.registerBase()).isEqualTo(0xfed90000L);
        assertThat(dump.words())
                .isEqualTo(
                        Map.of(0, 0x10L, 8, 0x00d2008c22260206L, 0x10, 0x8000000000f00fcaL, 0x18, 0xc700000000000000L));
    }

    @Test
    void theMonitorsPromptsAndWhatWasTypedThereAreSkipped() {
        RegisterDump dump = parse(
                "(qemu) xp /2gx 0xfed90000",
                "00000000fed90000: 0x0000000000000010 0x00d2008c22260206",
                "xp /2gx 0xfed90010",
                "00000000fed90010: 0x8000000000f00fca 0xc700000000000000",
                "(qemu) ");

        assertThat(dump.registerBase()).isEqualTo(0xfed90000L);
        assertThat(dump.words()).hasSize(4);
    }

    @Test
    void wordsOf32BitsAreJoined() {
        RegisterDump dump = parse("fed90008: 0x22260206 0x80d2008c 0x00f00fca");

        assertThat(dump.registerBase()).isEqualTo(0xfed90000L);
        assertThat(dump.words()).isEqualTo(Map.of(8, 0x80d2008c22260206L));
    }

    @Test
    void offsetsWithValuesCountFromZero() {
        RegisterDump dump = parse("# a comment", "", "0x8 0xd2008c22260206", "10 f00fca\r");

        assertThat(dump.registerBase()).isZero();
        assertThat(dump.words()).isEqualTo(Map.of(8, 0xd2008c22260206L, 0x10, 0xf00fcaL));
    }

    @Test
    void addressesInPlaceOfOffsetsGiveTheBase() {
        RegisterDump dump = parse("0xfed90008 0xd2008c22260206");

        assertThat(dump.registerBase()).isEqualTo(0xfed90000L);
        assertThat(dump.words()).isEqualTo(Map.of(8, 0xd2008c22260206L));
    }

    @Test
    void theSameRegisterTwiceIsFineWhileItAgreesWithItself() {
        assertThat(parse("0x8 0x1", "0x8 0x1").words()).isEqualTo(Map.of(8, 1L));
        assertThatThrownBy(() -> parse("0x8 0x1", "0x8 0x2"))
                .isInstanceOf(InputException.class)
                .hasMessageStartingWith("regs.txt:2: another value at 0x8");
    }

    @ParameterizedTest
    @CsvSource({
        "hello world, 'regs.txt:2: ''hello world'', expected'",
        "0x9 0x1, 'regs.txt:2: offset 0x9, expected a multiple of 8'",
        "00000000fed90001: 0x0000000000000010, 'regs.txt:2: address 0xfed90001, expected a multiple of 4'",
        "00000000fed90000: 0x000000000000001, 'regs.txt:2: ''00000000fed90000: 0x000000000000001'', expected'"
    })
    void aLineThatMakesNoSenseIsNamed(String line, String message) {
        assertThatThrownBy(() -> parse("# registers", line))
                .isInstanceOf(InputException.class)
                .hasMessageStartingWith(message);
    }

    @Test
    void whatIsNoTextIsShownWithItsControlCharactersEscaped() {
        assertThatThrownBy(() -> parse("\u001b[2J" + "x".repeat(1000)))
                .isInstanceOf(InputException.class)
                .hasMessageStartingWith("regs.txt:1: '\\u001b[2Jxxx")
                .satisfies(thrown -> assertThat(thrown.getMessage()).hasSizeLessThan(200));
    }

    @Test
    void registersOfTwoUnitsAreRefused() {
        assertThatThrownBy(() -> parse(
                        "00000000fed90000: 0x0000000000000010",
                        "00000000feda0000: 0x0000000000000010",
                        "00000000fee90000: 0x0000000000000010"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("0xfed90000")
                .hasMessageContaining("one unit");
    }

    @Test
    void aTextWithoutRegistersIsRefused() {
        assertThatThrownBy(() -> parse("00000000fed90000: Cannot access memory"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("no register");
    }
}
