// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.iommu4j.pci.PciAddress;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Wherever text has been on its way, what it says of a device is read, or its reader says what it left out. */
class TextLinesTest {
    private static final PciAddress BRIDGE = PciAddress.parse("00:00.0");
    private static final PciAddress GRAPHICS = PciAddress.parse("00:02.0");
    private static final PciAddress CARD = PciAddress.parse("01:00.0");

    @TempDir
    private Path folder;

    private static List<String> lines(String text) {
        return TextLines.of(text.getBytes(StandardCharsets.UTF_8));
    }

    private HostEvidence read(byte[] text) throws IOException {
        return HostInputs.withInstalledVendors()
                .path(Files.write(folder.resolve("input.txt"), text))
                .read();
    }

    private HostEvidence read(String text) throws IOException {
        return read(text.getBytes(StandardCharsets.UTF_8));
    }

    private static final String LISTING = """
            00:00.0 Host bridge [0600]: Maker Bridge [8086:1604]
            00:02.0 VGA compatible controller [0300]: Maker Graphics [8086:1616]
            \tControl: I/O+ Mem+ BusMaster+
            \tKernel driver in use: i915
            01:00.0 Ethernet controller [0200]: Maker Card [8086:10d3]
            """;

    // --- where lines end ---

    @ParameterizedTest
    @ValueSource(
            strings = {"\n", "\r\n", "\r", "\u000b", "\f", "\u0085", "\u2028", "\u2029", "\r\r\n", "\n\f", "\u2028\n"})
    void aLineMayEndInAnyWayThatUnicodeKnows(String ending) throws IOException {
        HostEvidence host = read(LISTING.replace("\n", ending));
        assertThat(host.functions()).extracting(FunctionEvidence::address).containsExactly(BRIDGE, GRAPHICS, CARD);
        assertThat(host.function(GRAPHICS).orElseThrow().driver().map(Fact::value))
                .contains("i915");
        assertThat(host.function(GRAPHICS).orElseThrow().knowledge()).isEqualTo(ConfigKnowledge.ALL);
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void onlyALineFeedMakesAnEmptyLine() {
        assertThat(lines("a\n\nb\r\n\r\nc")).containsExactly("a", "", "b", "", "c");
        assertThat(lines("a\r\rb\f\u000bc\n\u2028d\u2029\u0085")).containsExactly("a", "b", "c", "d");
        assertThat(lines("\n")).containsExactly("");
        assertThat(lines("\f")).isEmpty();
        assertThat(lines("")).isEmpty();
        assertThat(lines("last")).containsExactly("last");
    }

    /** Bytes that begin or end as an ending does, and are none. */
    @Test
    void charactersThatShareBytesWithAnEndingAreText() {
        String near = "\u00a5\u0405\u2027\u202f\u20a8\u2128\u00c2";
        assertThat(lines(near)).containsExactly(near.replace('\u202f', ' '));
        assertThat(TextLines.of(new byte[] {'a', (byte) 0xc2})).containsExactly("a\ufffd");
        assertThat(TextLines.of(new byte[] {'a', (byte) 0xe2, (byte) 0x80})).hasSize(1);
    }

    @RepeatedTest(30)
    void linesAreThoseOfARegularExpression() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        StringBuilder text = new StringBuilder();
        String[] pieces = {"a", "\u00e9", "\u20ac", "\n", "\r", "\u000b", "\f", "\u0085", "\u2028", "\u2029", "\r\n"};
        for (int i = 0; i < 40; i++) {
            text.append(pieces[random.nextInt(pieces.length)]);
        }
        String soft = "(?:[\\r\\x0b\\f\\x85\\u2028\\u2029]\n?)+";
        String plain =
                text.toString().replace("\r\n", "\n").replaceAll("^" + soft, "").replaceAll("\n?" + soft, "\n");
        assertThat(lines(text.toString()))
                .as("seed %d", seed)
                .isEqualTo(plain.lines().toList());
    }

    // --- what is not seen ---

    @Test
    void aByteOrderMarkHidesNoDevice() throws IOException {
        HostEvidence host = read("\ufeff" + LISTING);
        assertThat(host.function(BRIDGE)).isPresent();
        HostEvidence twice =
                read("\ufeff" + LISTING + "\ufeff02:00.0 Ethernet controller [0200]: Maker Card [8086:10d3]\n");
        assertThat(twice.functions()).hasSize(4);
        assertThat(twice.warnings()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"UTF-16LE", "UTF-16BE"})
    void textOfWindowsIsReadByItsByteOrderMark(String charset) throws IOException {
        HostEvidence host = read(("\ufeff" + LISTING).getBytes(Charset.forName(charset)));
        assertThat(host.functions()).hasSize(3);
    }

    @ParameterizedTest
    @ValueSource(strings = {"\u200b", "\u200e", "\u00ad", "\u2060"})
    void whatIsInvisibleHidesNothing(String invisible) throws IOException {
        HostEvidence host = read(LISTING.replace("00:02.0 VGA", invisible + "00:0" + invisible + "2.0 VGA"));
        assertThat(host.functions()).hasSize(3);
    }

    @ParameterizedTest
    @ValueSource(strings = {"\u00a0", "\u2003", "\u3000", "  "})
    void anyBlankIsABlank(String blank) throws IOException {
        HostEvidence host = read(LISTING.replace("00:02.0 VGA", "00:02.0" + blank + "VGA"));
        assertThat(host.function(GRAPHICS).orElseThrow().classCode()).hasValue(0x0300);
    }

    @Test
    void digitsMayBeCapitals() throws IOException {
        HostEvidence host = read(LISTING + "00:1F.3 Audio device [0403]: Maker Audio [8086:9d71]\n");
        assertThat(host.function(PciAddress.parse("00:1f.3"))).isPresent();
    }

    // --- what can't be read is said ---

    @ParameterizedTest
    @ValueSource(strings = {"* 01:00.0 Ethernet controller: Maker", "- 01:00.0 VGA", "01:00.0\tEthernet: x", "01:00.0"})
    void aLineThatBeginsWithAnAddressAndIsNotReadIsSaid(String line) throws IOException {
        HostEvidence host = read("00:00.0 Host bridge [0600]: Maker Bridge [8086:1604]\n" + line + "\n" + line + "\n");
        assertThat(host.functions()).hasSize(1);
        assertThat(host.warnings())
                .singleElement()
                .asString()
                .startsWith("input.txt: line 2, '" + line + "' and 1 more, begins with an address and");
    }

    @Test
    void aTitleThatALineSeparatorPartsIsSaid() throws IOException {
        HostEvidence host = read(LISTING.replace("VGA compatible", "VGA\u2028compatible"));
        assertThat(host.function(GRAPHICS)).isEmpty();
        assertThat(host.warnings()).singleElement().asString().contains("line 2, '00:02.0 VGA', begins");
    }

    // --- every reader ---

    @ParameterizedTest
    @ValueSource(strings = {"\u0085", "\u2028", "\u2029", "\f", "\u000b", "\r"})
    void logsAndListingsOfGroupsAndTablesAreReadAlike(String ending) throws IOException {
        String log = "\ufeffLinux version 6.1.0 (x@y) #1\npci 0000:00:02.0: Adding to iommu group 7\n";
        HostEvidence byLog = read(log.replace("\n", ending));
        assertThat(byLog.linux()).isPresent();
        assertThat(byLog.function(GRAPHICS).orElseThrow().group().map(Fact::value))
                .contains(7);
        HostEvidence byGroups =
                read("\ufeffIOMMU Group 1:\n\t00:02.0 VGA [0300]: Maker [8086:1616]\n".replace("\n", ending));
        assertThat(byGroups.groups().get(1).members()).containsExactly(GRAPHICS);
        StringBuilder table = new StringBuilder("\ufeffDMAR @ 0x0\n");
        for (int at = 0; at < 48; at += 16) {
            table.append(String.format("    %04X:", at)).append(at == 0 ? " 44 4D 41 52 30" : " 00 00 00 00 00");
            table.append(" 00".repeat(11)).append('\n');
        }
        assertThat(read(table.toString().replace("\n", ending)).tables()).containsOnlyKeys("DMAR");
    }

    @Test
    void filesOfSysfsAreReadWithAByteOrderMark() {
        assertThat(TextLines.text("\ufeff0x8086\r\n".getBytes(StandardCharsets.UTF_8)))
                .isEqualTo("0x8086");
    }

    @Test
    void namesOfDevicesAreReadHoweverTheirListEndsItsLines() {
        PciIds ids = PciIds.read(
                "\ufeff8086  Maker\u2028\t1616  Graphics\u2028".getBytes(StandardCharsets.UTF_8), vendor -> true);
        assertThat(ids.name(0x8086, 0x1616)).contains("Maker Graphics");
    }
}
