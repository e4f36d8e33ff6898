// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** VT-d's units of functions where neither Linux's link nor a bridge names one. */
class UnitsOfDevicesTest {
    private static final String RELEASE = "Linux version 6.9.8 (x@y) #1\n";
    private static final String GRAPHICS_UNIT = flags("fed90000", 0) + Hosts.UNIT0;
    private static final String REST_UNIT = flags("fed91000", 1) + Hosts.UNIT1;
    private static final String IN_USE = "DMAR: Intel(R) Virtualization Technology for Directed I/O\n";
    private static final String INFERRED = "its unit is inferred from the order";

    @TempDir
    private Path folder;

    private static String flags(String base, int flags) {
        return "DMAR: DRHD base: 0x00000000" + base + " flags: 0x" + flags + "\n";
    }

    private static String joins(String... functions) {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < functions.length; i++) {
            lines.append("pci 0000:")
                    .append(functions[i])
                    .append(": Adding to iommu group ")
                    .append(i)
                    .append('\n');
        }
        return lines.toString();
    }

    private static String finds(String... functions) {
        StringBuilder lines = new StringBuilder();
        for (String function : functions) {
            lines.append("pci 0000:").append(function).append(": [8086:1234] type 00 class 0x020000\n");
        }
        return lines.toString();
    }

    private Audit log(String text, String... assigned) throws IOException {
        return new Hosts(folder).text("dmesg.txt", text).audit("6.9", assigned);
    }

    private static List<String> why(AuditedDevice device) {
        return device.why().stream().map(Reason::text).toList();
    }

    @Test
    void theOnlyUnitHasEveryFunctionThatIsInAGroup() throws IOException {
        Audit audit = log(RELEASE + flags("fed90000", 1) + Hosts.UNIT0.replace("5a", "da") + joins("01:00.0") + IN_USE);
        AuditedDevice device = Hosts.device(audit, "01:00.0");
        assertThat(device.unit()).isEqualTo("dmar0");
        assertThat(device.translated()).isEqualTo(Answer.YES);
        assertThat(device.guest()).isEqualTo(Guest.COHERENT);
        assertThat(why(device)).contains("the machine has no other unit, and Linux has the function in a group");
        assertThat(audit.units().get(0).description().includeAll()).isEqualTo(Answer.YES);
    }

    @ParameterizedTest
    @CsvSource({
        "da, COHERENT, all of them can block no-snoop (ECAP.SC = 1)",
        "5a, NONCOHERENT, none of them can block no-snoop (ECAP.SC = 0)"
    })
    void whichOfUnitsThatAreAlikeItIsMakesNoDifference(String ecap, Guest guest, String words) throws IOException {
        Audit audit = log(
                RELEASE
                        + GRAPHICS_UNIT.replace("505a", "50" + ecap)
                        + REST_UNIT.replace("50da", "50" + ecap)
                        + joins("00:02.0", "02:00.0")
                        + IN_USE,
                "02:00.0");
        AuditedDevice device = Hosts.device(audit, "02:00.0");
        assertThat(device.unit()).isNull();
        assertThat(device.unitInWords()).isEqualTo("one of dmar0, dmar1");
        assertThat(device.translated()).isEqualTo(Answer.YES);
        assertThat(device.guest()).isEqualTo(guest);
        assertThat(why(device)).first().isEqualTo("it is translated by one of dmar0, dmar1, " + words);
        assertThat(Objects.requireNonNull(audit.assignment()).paths().get(PciAddress.parse("02:00.0")))
                .extracting(Step::answer)
                .contains("one of dmar0, dmar1", guest.name());
    }

    @Test
    void ofAFunctionInNoKnownGroupTheUnitThatHasAllIsTheUnit() throws IOException {
        String unit = REST_UNIT.replace("dmar1", "dmar0");
        AuditedDevice device = Hosts.device(log(RELEASE + unit + finds("01:00.0")), "01:00.0");
        assertThat(device.unit()).isEqualTo("dmar0");
        assertThat(device.guest()).isEqualTo(Guest.COHERENT);
        AuditedDevice open =
                Hosts.device(log(RELEASE + unit.substring(unit.indexOf('\n') + 1) + finds("01:00.0")), "01:00.0");
        assertThat(open.translated()).as("no flags, no group").isEqualTo(Answer.UNKNOWN);
        assertThat(open.guest()).isEqualTo(Guest.UNKNOWN);
    }

    @ParameterizedTest
    @ValueSource(strings = {"dmar1: reg", "flags: 0x0"})
    void aLogWithoutSomeUnitsDecidesNothing(String cut) throws IOException {
        String units = cut.startsWith("dmar1") ? REST_UNIT : GRAPHICS_UNIT.replace("505a", "50da");
        Audit audit = log(RELEASE + units + joins("01:00.0") + IN_USE);
        assertThat(Hosts.device(audit, "01:00.0").guest()).isEqualTo(Guest.UNKNOWN);
    }

    @Test
    void whereUnitsDifferEachHasItsAnswer() throws IOException {
        Audit audit = log(
                RELEASE.replace("6.9.8", "5.19.0") + GRAPHICS_UNIT + REST_UNIT + joins("00:00.0", "02:00.0") + IN_USE,
                "02:00.0");
        assertThat(Headline.verdict(audit))
                .startsWith("whether a guest with 0000:02:00.0 is coherent is UNKNOWN: NONCOHERENT behind dmar0, "
                        + "COHERENT behind dmar1");
        assertThat(Headline.lines(audit))
                .contains(
                        new Line("VFIO_DMA_CC_IOMMU", "0 behind dmar0, 1 behind dmar1"),
                        new Line("cost", "behind dmar0 only: " + audit.cost()));
        Audit all = log(RELEASE.replace("6.9.8", "5.19.0") + GRAPHICS_UNIT + REST_UNIT + joins("02:00.0") + IN_USE);
        assertThat(Headline.verdict(all))
                .isEqualTo(
                        "whether a guest is coherent depends on its device's unit: NONCOHERENT behind dmar0, COHERENT"
                                + " behind dmar1; which unit a device has is UNKNOWN");
        assertThat(all.overall()).isEqualTo(Guest.UNKNOWN);
    }

    // --- the order of groups ---

    private AuditedDevice after(String log, String function) throws IOException {
        return Hosts.device(log(log), function);
    }

    @Test
    void asManyPassesOverTheBusAsUnitsTellTheUnits() throws IOException {
        String log = RELEASE + GRAPHICS_UNIT + REST_UNIT + joins("00:02.0", "00:00.0", "00:01.0", "02:00.0") + IN_USE;
        assertThat(after(log, "00:02.0").unit()).isEqualTo("dmar0");
        assertThat(after(log, "00:02.0").guest()).isEqualTo(Guest.NONCOHERENT);
        assertThat(after(log, "02:00.0").unit()).isEqualTo("dmar1");
        assertThat(after(log, "02:00.0").guest()).isEqualTo(Guest.COHERENT);
        assertThat(why(after(log, "02:00.0"))).anyMatch(reason -> reason.startsWith(INFERRED));
        assertThat(log(log).warnings())
                .anyMatch(warning -> warning.startsWith("the units of 4 functions are inferred from the order"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.1.0", "6.2.16", "6.8.0-45-generic", "6.11.0", "6.12.30", "7.1.0"})
    void everyReleaseFromSixOneOnTellsTheUnitsByTheOrder(String release) throws IOException {
        String log =
                RELEASE.replace("6.9.8", release) + GRAPHICS_UNIT + REST_UNIT + joins("00:02.0", "00:00.0") + IN_USE;
        assertThat(after(log, "00:02.0").unit()).isEqualTo("dmar0");
        assertThat(after(log, "00:00.0").unit()).isEqualTo("dmar1");
    }

    @Test
    void ofUnitsWithoutTheRestTheNewestIsFirst() throws IOException {
        String third =
                flags("fed92000", 1) + Hosts.UNIT1.replace("dmar1", "dmar2").replace("fed91000", "fed92000");
        String log = RELEASE
                + GRAPHICS_UNIT
                + REST_UNIT.replace("0x1", "0x0")
                + third
                + joins("00:14.0", "00:02.0", "00:00.0")
                + IN_USE;
        assertThat(after(log, "00:14.0").unit()).isEqualTo("dmar1");
        assertThat(after(log, "00:02.0").unit()).isEqualTo("dmar0");
        assertThat(after(log, "00:00.0").unit()).isEqualTo("dmar2");
    }

    @Test
    void aFunctionThatJoinsLaterHasNoPass() throws IOException {
        String log = RELEASE + GRAPHICS_UNIT + REST_UNIT + joins("00:02.0", "00:00.0") + IN_USE
                + "pci 0000:03:00.0: Adding to iommu group 7\n";
        assertThat(after(log, "03:00.0").unit()).isNull();
        assertThat(after(log, "00:00.0").unit()).isEqualTo("dmar1");
    }

    @ParameterizedTest
    @CsvSource({
        "6.0.19, 'first passes are of 6.1'",
        "'5.14.0-427.13.1.el9_4.x86_64', 'what a vendor took back is not known'"
    })
    void otherKernelsTellNothingByTheOrder(String release, String why) throws IOException {
        String log =
                RELEASE.replace("6.9.8", release) + GRAPHICS_UNIT + REST_UNIT + joins("00:02.0", "00:00.0") + IN_USE;
        assertThat(after(log, "00:02.0").unit()).as(why).isNull();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "00:00.0 00:02.0", // one pass
                "00:02.0 00:00.0 02:00.0 00:01.0", // three
                "03:00.0 02:00.0", // a later bus may have been found first
            })
    void whereThePassesAreNotThoseOfTheUnitsNothingIsInferred(String order) throws IOException {
        String[] functions = order.split(" ", -1);
        String log = RELEASE + GRAPHICS_UNIT + REST_UNIT + joins(functions) + IN_USE;
        assertThat(log(log).devices())
                .allSatisfy(device -> assertThat(device.unit()).isNull());
    }

    @Test
    void theOrderInWhichLinuxFoundFunctionsSaysWhatIsAStepBack() throws IOException {
        String passes = joins("03:00.0", "02:00.0") + IN_USE;
        assertThat(after(RELEASE + GRAPHICS_UNIT + REST_UNIT + finds("02:00.0", "03:00.0") + passes, "03:00.0")
                        .unit())
                .isEqualTo("dmar0");
        assertThat(after(RELEASE + GRAPHICS_UNIT + REST_UNIT + finds("03:00.0", "02:00.0") + passes, "03:00.0")
                        .unit())
                .isNull();
    }

    @Test
    void aLogWithoutTheEndOfTheRegistrationsTellsNothingByItsOrder() throws IOException {
        String log = RELEASE + GRAPHICS_UNIT + REST_UNIT + joins("00:02.0", "00:00.0");
        assertThat(after(log, "00:02.0").unit()).isNull();
    }

    // --- the table without the buses of bridges ---

    private static final String PORT = "00:1c.0 PCI bridge [0604]: Maker Port [1234:0002]\n";
    private static final String CARD = "01:00.0 Network controller [0280]: Maker Card [1234:0003]\n";

    private Audit table(byte[]... units) throws IOException {
        return new Hosts(folder)
                .dmar(units)
                .lspci(PORT, CARD)
                .text("dmesg.txt", Hosts.LOG + Hosts.UNIT0 + Hosts.UNIT1)
                .audit("6.1");
    }

    @Test
    void whateverIsAboveAFunctionTheRestsUnitHasItWhereNoScopeNamesABridge() throws IOException {
        AuditedDevice card =
                Hosts.device(table(Hosts.unit(0xfed9_0000L, false, 2), Hosts.unit(0xfed9_1000L, true)), "01:00.0");
        assertThat(card.unit()).isEqualTo("dmar1");
        assertThat(card.guest()).isEqualTo(Guest.COHERENT);
    }

    @Test
    void whereAScopeNamesABridgeAFunctionBelowAnUnknownBridgeStaysOpen() throws IOException {
        byte[] below = Hosts.unit(0xfed9_0000L, false, 0x1c);
        below[16] = 2;
        AuditedDevice card = Hosts.device(table(below, Hosts.unit(0xfed9_1000L, true)), "01:00.0");
        assertThat(card.unit()).isNull();
        assertThat(card.candidates()).containsExactly("dmar0", "dmar1");
        assertThat(card.translated()).isEqualTo(Answer.YES);
        assertThat(card.guest()).isEqualTo(Guest.UNKNOWN);
        assertThat(Hosts.device(table(below, Hosts.unit(0xfed9_1000L, true)), "00:1c.0")
                        .unit())
                .isEqualTo("dmar0");
    }
}
