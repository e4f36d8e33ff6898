// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class PastedTextTest {
    private static final PciAddress PORT = PciAddress.parse("00:1c.0");
    private static final PciAddress CARD = PciAddress.parse("04:00.0");

    private static final String LISTING = """
            00:1c.0 PCI bridge [0604]: Maker Port [8086:a110] (rev f1) (prog-if 00 [Normal decode])
            \tControl: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx+
            \tBus: primary=00, secondary=04, subordinate=04, sec-latency=0
            \tIOMMU group: 6
            \tCapabilities: [40] Express (v2) Root Port (Slot+), MSI 00
            \t\tDevCtl:\tCorrErr- NonFatalErr- FatalErr- UnsupReq-
            \t\t\tRlxdOrd- ExtTag- PhantFunc- AuxPwr- NoSnoop-
            \tCapabilities: [140 v1] Access Control Services
            \t\tACSCap:\tSrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd- EgressCtrl- DirectTrans-
            \t\tACSCtl:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd- EgressCtrl- DirectTrans-
            \tKernel driver in use: pcieport

            04:00.0 Ethernet controller [0200]: Maker Card [8086:10d3]
            \tFlags: bus master, fast devsel, latency 0, IRQ 16
            \tIOMMU group: 7
            \tCapabilities: [e0] Express (v1) Endpoint, MSI 00
            \t\tDevCtl:\tCorrErr- NonFatalErr- FatalErr- UnsupReq-
            \t\t\tRlxdOrd+ ExtTag- PhantFunc- AuxPwr- NoSnoop+
            \tKernel driver in use: e1000e
            """;

    private static final String GROUPS = """
            IOMMU Group 6:
            \t00:1c.0 PCI bridge [0604]: Maker Port [8086:a110] (rev f1)
            IOMMU Group 7:
            \t04:00.0 Ethernet controller [0200]: Maker Card [8086:10d3]
            """;

    private static final String LOG = """
            [    0.000000] Linux version 6.1.0 (builder) #1
            [    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz-6.1.0 root=/dev/sda1 ro quiet intel_iommu=on iommu=pt
            [    0.136262] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 1c0000c40660462 ecap 7e3ff0505e
            [    0.136269] DMAR: dmar1: reg_base_addr fed91000 ver 1:0 cap d2008c40660462 ecap f050da
            [    0.394190] DMAR: Intel(R) Virtualization Technology for Directed I/O
            [    0.400000] pci 0000:04:00.0: Adding to iommu group 7
            """;

    @TempDir
    private Path folder;

    private static String mended(String text) {
        return new String(PastedText.mended(text.getBytes(StandardCharsets.UTF_8)), StandardCharsets.UTF_8);
    }

    private static UnaryOperator<String> eachLine(UnaryOperator<String> change) {
        return text -> {
            StringBuilder changed = new StringBuilder();
            text.lines().forEach(line -> changed.append(change.apply(line)).append('\n'));
            return changed.toString();
        };
    }

    private static UnaryOperator<String> numbered(String format) {
        return text -> {
            StringBuilder numbered = new StringBuilder();
            int number = 97;
            for (String line : text.lines().toList()) {
                numbered.append(String.format(format, number++)).append(line).append('\n');
            }
            return numbered.toString();
        };
    }

    /** Folds as mail does, between words, or as a terminal does, at its last column. */
    private static UnaryOperator<String> folded(int width, boolean withinWords) {
        return eachLine(line -> {
            List<String> parts = new ArrayList<>();
            String rest = line.replace("\t", "        ");
            while (rest.length() > width) {
                int at = withinWords ? width : rest.lastIndexOf(' ', width);
                parts.add(rest.substring(0, at).stripTrailing());
                rest = rest.substring(withinWords ? at : at + 1);
            }
            parts.add(rest);
            return String.join("\n", parts);
        });
    }

    /** Folds as mail in format=flowed does: the blank stays before the break. */
    private static UnaryOperator<String> flowed(int width) {
        return text -> folded(width, false).apply(text).replaceAll("(?m)(?<=[^\\s:+-])$(?!\\n\\n|\\n[\\t ]|\\z)", " ");
    }

    private static Arguments named(String name, UnaryOperator<String> damage) {
        return Arguments.of(name, damage);
    }

    static Stream<Arguments> damages() {
        return Stream.of(
                named("none", UnaryOperator.identity()),
                named("quoted", eachLine(line -> "> " + line)),
                named("quoted without a blank", eachLine(line -> ">" + line)),
                named("quoted twice", eachLine(line -> ("> > " + line).stripTrailing())),
                named("quoted in HTML", eachLine(line -> "&gt; " + line)),
                named("quoted by bars", eachLine(line -> ("| " + line).stripTrailing())),
                named("indented", eachLine(line -> line.isEmpty() ? line : "    " + line)),
                named("in a list", eachLine(line -> line.isEmpty() ? line : "  * " + line)),
                named("cat -n", numbered("%6d\t")),
                named("numbers of an editor", numbered("%4d  ")),
                named("grep -n", numbered("%d:")),
                named("numbers and bars", numbered("%3d | ")),
                named("numbers of a web page", numbered("L%d: ")),
                named(
                        "numbered and quoted",
                        text -> eachLine(line -> "> " + line)
                                .apply(numbered("%6d\t").apply(text))),
                named("double spaced", eachLine(line -> line.isEmpty() ? "" : line + "\n")),
                named("indents lost", eachLine(String::strip)),
                named("tabs as blanks", text -> text.replace("\t", "        ")),
                named("blanks of HTML", text -> text.replace("\t", "\u00a0\u00a0\u00a0\u00a0 ")),
                named("carriage returns", text -> text.replace("\n", "\r\n")),
                named("folded between words at 76", folded(76, false)),
                named("folded at 80 columns", folded(80, true)),
                named("coloured", text -> text.replaceAll("(?m)^(\\s*)(\\S+)", "$1\u001b[1;36m$2\u001b[0m")),
                named(
                        "coloured by grep",
                        text -> text.replaceAll("(\\d+:\\d+)", "\u001b[01;31m\u001b[K$1\u001b[m\u001b[K")),
                named("colours without escape", text -> text.replaceAll("(\\d+:\\d+)", "[01;31m[K$1[m[K")),
                named("colours as carets", text -> text.replaceAll("(?m)^(\\s*)(\\S+)", "$1^[[33m$2^[[0m")),
                named("breaks of HTML", eachLine(line -> line + "<br />")),
                named("breaks of HTML as text", eachLine(line -> line + "&lt;br&gt;")),
                named("breaks of Markdown", eachLine(line -> line.isEmpty() ? line : line + "\\")),
                named("code by line", eachLine(line -> line.isEmpty() ? line : "`" + line + "`")),
                named("bold by line", eachLine(line -> line.isEmpty() ? line : "**" + line + "**")),
                named("in a table", eachLine(line -> "| " + line + " |")),
                named("tags of HTML", text -> "<pre class=\"x\"><code>" + text.stripTrailing() + "</code></pre>\n"),
                named("tags of a forum", text -> "[CODE=bash]" + text.stripTrailing() + "[/CODE]\n"),
                named("format=flowed", flowed(74)),
                named("typescript", text -> "\u001b]0;user@host\u0007" + text.replace("group", "g\bgroup")),
                named("shell and fences", text -> "Hello,\n\n```\n# lspci -vvv\n" + text + "```\n\nthanks\n"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("damages")
    void aListingOfLspciIsReadWhateverHappenedToIt(String name, UnaryOperator<String> damage) throws IOException {
        HostEvidence host = HostInputs.withInstalledVendors()
                .path(Files.writeString(folder.resolve("lspci.txt"), damage.apply(LISTING)))
                .read();
        assertThat(host.functions()).extracting(FunctionEvidence::address).containsExactly(PORT, CARD);
        FunctionEvidence port = host.function(PORT).orElseThrow();
        FunctionEvidence card = host.function(CARD).orElseThrow();
        assertThat(port.group().map(Fact::value)).contains(6);
        assertThat(card.group().map(Fact::value)).contains(7);
        assertThat(port.driver().map(Fact::value)).contains("pcieport");
        assertThat(card.driver().map(Fact::value)).contains("e1000e");
        assertThat(List.of(port.noSnoopEnabled(), card.noSnoopEnabled())).containsExactly(Answer.NO, Answer.YES);
        assertThat(port.knowledge()).isEqualTo(ConfigKnowledge.ALL);
        assertThat(port.config().read(0x146, 2)).isEqualTo(0x0d);
        assertThat(card.upstreamBridge()).contains(PORT);
        assertThat(port.name()).contains("Maker Port");
        assertThat(card.deviceId()).hasValue(0x10d3);
        assertThat(host.warnings()).isEmpty();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("damages")
    void aListingOfGroupsIsReadWhateverHappenedToIt(String name, UnaryOperator<String> damage) throws IOException {
        HostEvidence host = HostInputs.withInstalledVendors()
                .path(Files.writeString(folder.resolve("groups.txt"), damage.apply(GROUPS)))
                .read();
        assertThat(host.groups().keySet()).containsExactly(6, 7);
        assertThat(host.groups().get(6).members()).containsExactly(PORT);
        assertThat(host.groups().get(7).members()).containsExactly(CARD);
        assertThat(host.function(CARD).orElseThrow().name()).contains("Maker Card");
        assertThat(host.function(PORT).orElseThrow().classCode()).hasValue(0x0604);
        assertThat(host.warnings()).isEmpty();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("damages")
    void aKernelLogIsReadWhateverHappenedToIt(String name, UnaryOperator<String> damage) throws IOException {
        HostEvidence host = HostInputs.withInstalledVendors()
                .path(Files.writeString(folder.resolve("dmesg.txt"), damage.apply(LOG)))
                .read();
        assertThat(host.kernelRelease().map(Fact::value)).contains("6.1.0");
        assertThat(host.commandLine().map(Fact::value).orElseThrow()).endsWith("quiet intel_iommu=on iommu=pt");
        assertThat(host.units().get("dmar0").registers().get("ECAP").value()).isEqualTo(0x7e3ff0505eL);
        assertThat(host.units().get("dmar1").registers().get("CAP").value()).isEqualTo(0xd2008c40660462L);
        assertThat(host.units().get("dmar1").registers().get("ECAP").value()).isEqualTo(0xf050daL);
        assertThat(host.groups().get(7).members()).containsExactly(CARD);
    }

    // --- what is no damage stays ---

    @ParameterizedTest
    @ValueSource(
            strings = {
                LISTING,
                GROUPS,
                LOG,
                "00: 86 80 10 a1 07 04 10 00 f1 00 04 06 00 00 81 00\n10: 00 00 00 00 00 00 00 00 00 04 04 00 e0 e0 "
                        + "00 20\n",
                "02:00.0 Ethernet controller: Maker\n03:00.0 Ethernet controller: Maker\n04:00.0 VGA: Maker\n",
                "DMAR @ 0x0\n    0000: 44 4D 41 52\n    0010: 44 4D 41 52\n",
                "DMAR: one line of a log without stamps\nDMAR: and one more, which is longer than sixty columns are\n",
                "\tCapabilities: [40] Subsystem: Maker Board\n",
                "\tFlags: bus master, fast devsel, latency 0, IRQ 16, IOMMU group 2\n",
                "one line\n\nand another\n",
                """
                [    0.136269] DMAR: dmar1: reg_base_addr fed91000 ver 1:0 cap d2008c40660462 ecap f050da
                Kernel command line: quiet intel_iommu=on
                """,
                "1 apple\n3 pears\n",
                "[16K] [m] [K] [size=512K]\n",
                "a sentence of a letter that goes on for more than sixty columns and\nis folded, but no tool's\n"
            })
    void whatIsNotDamagedStaysAsItIs(String text) {
        assertThat(mended(text)).isEqualTo(text);
    }

    @Test
    void mendingTwiceIsMendingOnce() {
        damages().forEach(damage -> {
            @SuppressWarnings("unchecked")
            UnaryOperator<String> change = (UnaryOperator<String>) damage.get()[1];
            for (String text : List.of(LISTING, GROUPS, LOG)) {
                String once = mended(change.apply(text));
                assertThat(mended(once)).as("%s", damage.get()[0]).isEqualTo(once);
            }
        });
    }

    /** Details of a function without its title are not those of the function before. */
    @Test
    void anEmptyLineEndsAFunctionUnlessEachLineHasOne() throws IOException {
        HostEvidence host = HostInputs.withInstalledVendors()
                .lspci(Files.writeString(
                        folder.resolve("lspci.txt"), LISTING + "\n\tIOMMU group: 9\n\tKernel driver in use: other\n"))
                .read();
        assertThat(host.function(CARD).orElseThrow().driver().map(Fact::value)).contains("e1000e");
        assertThat(host.function(CARD).orElseThrow().group().map(Fact::value)).contains(7);
    }

    // --- entries that share a line ---

    @Test
    void twoEntriesOnALineAreTwo() {
        String titles = "00:1c.0 PCI bridge [0604]: Maker Port [8086:a110] 04:00.0 Ethernet controller: Maker Card";
        assertThat(mended(titles + " Kernel driver in use: e1000e Kernel modules: e1000e\n"))
                .isEqualTo("""
                        00:1c.0 PCI bridge [0604]: Maker Port [8086:a110]
                        04:00.0 Ethernet controller: Maker Card
                        \tKernel driver in use: e1000e
                        \tKernel modules: e1000e
                        """);
        assertThat(mended("[    0.136262] DMAR: one [    0.136269] DMAR: two\n"))
                .isEqualTo("[    0.136262] DMAR: one\n[    0.136269] DMAR: two\n");
        assertThat(mended("IOMMU Group 1 00:1c.0 PCI bridge: Maker IOMMU Group 2 04:00.0 Ethernet controller: Maker\n"))
                .isEqualTo("""
                        IOMMU Group 1 00:1c.0 PCI bridge: Maker
                        IOMMU Group 2 04:00.0 Ethernet controller: Maker
                        """);
        String members = "00:1c.0 PCI bridge: Maker 04:00.0 Ethernet controller [0200]: Maker\n";
        assertThat(mended("IOMMU Group 1: " + members))
                .isEqualTo("IOMMU Group 1: 00:1c.0 PCI bridge: Maker\n\t04:00.0 Ethernet controller [0200]: Maker\n");
        assertThat(mended("IOMMU Group 1:\n  " + members))
                .isEqualTo(
                        "IOMMU Group 1:\n  00:1c.0 PCI bridge: Maker\n  04:00.0 Ethernet controller [0200]: Maker\n");
        assertThat(mended("DMAR: dmar0: one DMAR: dmar1: two\npci 0000:00:00.2: AMD-Vi: Found IOMMU cap 0x40\n"))
                .isEqualTo("DMAR: dmar0: one\nDMAR: dmar1: two\npci 0000:00:00.2: AMD-Vi: Found IOMMU cap 0x40\n");
        assertThat(mended("04:00.0 VGA controller: Maker [8086:1616] Subsystem: Other [1043:8694]\n"))
                .isEqualTo("04:00.0 VGA controller: Maker [8086:1616]\n\tSubsystem: Other [1043:8694]\n");
    }

    // --- folded lines ---

    @Test
    void aLineThatEndsWhereItsKindDoesIsNotJoinedWithTheTextBehindIt() {
        String text =
                "Nov 30 13:00:00 some-quite-long-name kernel: pci 0000:04:00.0: Adding to iommu group 7\nThanks!\n";
        assertThat(mended(text)).isEqualTo(text);
    }

    @Test
    void flagsThatAreFoldedBeforeTheGroupGoOn() {
        for (String cut : new String[] {" IOMMU group 2", " IOMMU\ngroup 2", " IOMMU group\n2", "\nIOMMU group 2"}) {
            assertThat(mended("\tFlags: bus master, fast devsel, latency 0, IRQ 16," + cut + "\n"))
                    .isEqualTo("\tFlags: bus master, fast devsel, latency 0, IRQ 16, IOMMU group 2\n");
        }
    }

    @Test
    void theRestOfAFoldedMessageMayBeIndented() {
        String cut = "[    0.136262] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap";
        String rest = "1c0000c40660462 ecap 7e3ff0505e\n";
        assertThat(mended(cut + "\n    " + rest)).isEqualTo(cut + " " + rest);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[    0.136262] ",
                "<6>[    0.136262] ",
                "[  +0.000007] ",
                "[Nov30 12:00] ",
                "[Mon Nov 30 12:00:00 2026] ",
                "Nov 30 12:00:00 host kernel: ",
                "2026-11-30T12:00:00.136262+00:00 host kernel: "
            })
    void messagesAreFoldedAndStandAloneWhateverTheirStamps(String stamp) {
        String cut = stamp + "DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap";
        String next = stamp + "a message of more than sixty columns that tells nothing of interest\n";
        String rest = "1c0000c40660462 ecap 7e3ff0505e\n";
        assertThat(mended(next + cut + "\n" + rest + next)).isEqualTo(next + cut + " " + rest + next);
        assertThat(mended(GROUPS + next)).isEqualTo(GROUPS + next);
    }

    /** What a title is cut before are its ids, whatever the width of the window was. */
    @Test
    void aTitleGoesOnUpToItsIds() {
        String member = "IOMMU Group 2 04:00.0 Ethernet controller [0200]: Maker Card [8086:10d3] (rev 01)";
        for (String title : List.of(member, member.substring(14))) {
            for (String cut : List.of(" Card", " [8086", "8086:", ":10d3", "d3]")) {
                int at = title.indexOf(cut);
                assertThat(mended(title.substring(0, at) + "\n" + title.substring(at) + "\n"))
                        .as("cut before '%s'", cut)
                        .isEqualTo(title + "\n");
            }
        }
    }

    @Test
    void aNumberThatWasCutIsNotReadAsTwo() {
        String start = "[    0.136262] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c40660462 ec";
        assertThat(start).hasSize(80);
        assertThat(mended(start + "ap f050da\n")).isEqualTo(start + "ap f050da\n");
        assertThat(mended(start + "\nap f050da\n")).isEqualTo(start + "ap f050da\n");
    }
}
