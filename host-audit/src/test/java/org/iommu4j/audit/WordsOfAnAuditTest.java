// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The small logic that every answer is made of: three values, what a device is, what drivers do with no-snoop. */
class WordsOfAnAuditTest {
    @ParameterizedTest
    @CsvSource({
        "YES, YES, YES",
        "YES, UNKNOWN, UNKNOWN",
        "UNKNOWN, YES, UNKNOWN",
        "UNKNOWN, UNKNOWN, UNKNOWN",
        "YES, NO, NO",
        "NO, YES, NO",
        "NO, NO, NO",
        "NO, UNKNOWN, NO",
        "UNKNOWN, NO, NO"
    })
    void noDecidesThenUnknown(Answer a, Answer b, Answer both) {
        assertThat(Answers.and(a, b)).isEqualTo(both);
        assertThat(Guest.of(a).and(Guest.of(b))).isEqualTo(Guest.of(both));
    }

    @Test
    void aGuestIsCoherentWhereNoSnoopIsBlocked() {
        assertThat(Guest.of(Answer.YES)).isEqualTo(Guest.COHERENT);
        assertThat(Guest.of(Answer.NO)).isEqualTo(Guest.NONCOHERENT);
        assertThat(Guest.of(Answer.UNKNOWN)).isEqualTo(Guest.UNKNOWN);
    }

    @Test
    void answersHaveTheirWords() {
        assertThat(Answers.word(Answer.YES)).isEqualTo("yes");
        assertThat(Answers.word(Answer.NO)).isEqualTo("no");
        assertThat(Answers.word(Answer.UNKNOWN)).isEqualTo("unknown");
        assertThat(Answers.toBoolean(Answer.YES)).isTrue();
        assertThat(Answers.toBoolean(Answer.NO)).isFalse();
        assertThat(Answers.toBoolean(Answer.UNKNOWN)).isNull();
    }

    private static AuditedDevice device(Answer bridge, Answer translated, int classCode, Guest guest) {
        return device(bridge, translated, classCode, guest, null, null);
    }

    private static AuditedDevice device(
            Answer bridge,
            Answer translated,
            int classCode,
            Guest guest,
            @Nullable String className,
            @Nullable String name) {
        return new AuditedDevice(
                PciAddress.parse("00:03.0"),
                Optional.empty(),
                Optional.empty(),
                bridge,
                translated,
                null,
                List.of(),
                OptionalInt.empty(),
                classCode < 0 ? OptionalInt.empty() : OptionalInt.of(classCode),
                Optional.ofNullable(className),
                Optional.ofNullable(name),
                Optional.empty(),
                Reset.UNKNOWN,
                null,
                Answer.UNKNOWN,
                Optional.empty(),
                Answer.UNKNOWN,
                null,
                Answer.UNKNOWN,
                Answer.UNKNOWN,
                List.of(),
                guest,
                List.of(),
                List.of());
    }

    @ParameterizedTest
    @CsvSource({
        "NO, YES, 0200, false, true",
        "NO, UNKNOWN, 0200, false, true",
        "UNKNOWN, YES, 0200, false, true",
        "NO, NO, 0200, false, false",
        "YES, YES, 0604, true, false",
        "NO, YES, 0806, true, false",
        "NO, YES, '', false, true"
    })
    void bridgesAndIommusArePartOfTheHostAndWhatNoUnitTranslatesForDoesNotMatter(
            Answer bridge, Answer translated, String classCode, boolean part, boolean matters) {
        int code = classCode.isEmpty() ? -1 : Integer.parseInt(classCode, 16);
        AuditedDevice device = device(bridge, translated, code, Guest.COHERENT);
        assertThat(device.isPartOfHost()).isEqualTo(part);
        assertThat(device.matters()).isEqualTo(matters);
        assertThat(device.guestInWords())
                .isEqualTo(code == 0x0806 || translated == Answer.NO ? "-" : Guest.COHERENT.name());
    }

    @ParameterizedTest
    @CsvSource({
        "0300, , , VGA controller",
        "0300, Display, , Display",
        "0300, Display, Card, Display: Card",
        ", , Card, Card",
        ", , , device of unknown class",
        "1234, , , class 1234",
        "0806, , , IOMMU"
    })
    void aDeviceIsCalledByItsClassAndName(String classCode, String className, String name, String title) {
        int code = classCode == null ? -1 : Integer.parseInt(classCode, 16);
        assertThat(device(Answer.NO, Answer.YES, code, Guest.UNKNOWN, className, name)
                        .title())
                .isEqualTo(title);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "Intel Corporation I210 | Intel I210",
                "Advanced Micro Devices, Inc. [AMD/ATI] Navi 10 | AMD/ATI Navi 10",
                "Realtek Semiconductor Co., Ltd. RTL8111 | Realtek Semiconductor RTL8111",
                "Corporationist Thing | Corporationist Thing"
            })
    void aNarrowColumnHasTheMakerWithoutItsLegalForm(String name, String shown) {
        assertThat(device(Answer.NO, Answer.YES, 0x0200, Guest.UNKNOWN, null, name)
                        .shortTitle())
                .isEqualTo("Ethernet controller: " + shown);
    }

    /** As the drivers' sources have it; a dash in a name is an underscore. */
    @ParameterizedTest
    @CsvSource({
        "i915, USES",
        "xe, USES",
        "atomisp, USES",
        "amdgpu, MAY_USE",
        "snd_hda_intel, MAY_USE",
        "snd-hda-intel, MAY_USE",
        "cxgb4, MAY_USE",
        "sfc, MAY_USE",
        "ath10k_pci, MAY_USE",
        "tg3, DISABLES",
        "niu, DISABLES",
        "netup_unidvb, DISABLES",
        "tsi721, DISABLES",
        "mtip32xx, DISABLES",
        "ixgbe, DISABLES",
        "e1000e, DISABLES",
        "hinic, DISABLES",
        "hinic3, DISABLES",
        "nvme, NONE"
    })
    void driversAreKnownByWhatTheyDoWithNoSnoop(String driver, NoSnoopUse.Kind kind) {
        NoSnoopUse use = NoSnoopUse.of(driver).orElseThrow();
        assertThat(use.kind()).isEqualTo(kind);
        assertThat(use.why().text()).startsWith("driver " + driver.replace('-', '_') + ": ");
        assertThat(use.why().source()).isNotBlank();
    }

    @Test
    void ofOtherDriversNothingIsSaid() {
        assertThat(NoSnoopUse.of("e1000")).isEmpty();
        assertThat(NoSnoopUse.of("")).isEmpty();
    }
}
