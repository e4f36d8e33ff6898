// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.AuditPicture;
import org.iommu4j.workbench.audit.AuditHtml;
import org.iommu4j.workbench.audit.AuditJson;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;
import org.xml.sax.SAXException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The picture of a host has each function once, in the group that the JSON has it in, and is well-formed XML. */
class AuditPictureTest {
    /** A function in a row's name, and its group. */
    private static final Pattern NAMED =
            Pattern.compile("^([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7])(?:, group (\\d+))?: .+$");

    @TempDir
    private Path folder;

    private static Element parsed(String svg) {
        try {
            DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
            factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
            return factory.newDocumentBuilder()
                    .parse(new InputSource(new StringReader(svg)))
                    .getDocumentElement();
        } catch (ParserConfigurationException | SAXException | IOException e) {
            throw new AssertionError(svg, e);
        }
    }

    private static List<Element> rows(Element svg) {
        NodeList all = svg.getElementsByTagName("g");
        return IntStream.range(0, all.getLength())
                .mapToObj(i -> (Element) all.item(i))
                .toList();
    }

    private static String name(Element row) {
        return row.getElementsByTagName("title").item(0).getTextContent();
    }

    /** Returns what is printed in a row, without what a browser shows over it. */
    private static String words(Element row) {
        StringBuilder words = new StringBuilder();
        NodeList texts = row.getElementsByTagName("text");
        for (int i = 0; i < texts.getLength(); i++) {
            Node text = texts.item(i);
            for (Node part = text.getFirstChild(); part != null; part = part.getNextSibling()) {
                words.append(part.getTextContent()).append(' ');
            }
        }
        return words.toString().strip();
    }

    private static List<String> words(Audit audit) {
        return rows(parsed(AuditPicture.svg(audit))).stream()
                .map(AuditPictureTest::words)
                .toList();
    }

    /** Returns the functions of the picture with their groups, empty text where there is none; each is there once. */
    private static Map<String, String> drawn(Element svg) {
        Map<String, String> drawn = new TreeMap<>();
        for (Element row : rows(svg)) {
            for (String line : name(row).split("\n", -1)) {
                Matcher named = NAMED.matcher(line);
                assertThat(named.matches()).as(line).isTrue();
                String group = named.group(2) == null ? "" : named.group(2);
                assertThat(drawn.put(named.group(1), group)).as(line).isNull();
            }
        }
        return drawn;
    }

    private static void assertDrawn(Audit audit) {
        Map<String, String> expected = new TreeMap<>();
        JsonNode json = JsonMapper.shared().readTree(AuditJson.of(audit));
        json.get("devices").forEach(device -> expected.put(device.get("address").asString(), ""));
        for (JsonNode group : json.get("groups")) {
            group.get("devices")
                    .forEach(device ->
                            expected.put(device.asString(), group.get("id").asString()));
        }
        assertThat(drawn(parsed(AuditPicture.svg(audit)))).isEqualTo(expected).isNotEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc0", "intel-sc1", "intel-iommu-off", "amd-qemu11"})
    void eachFunctionOfACaptureIsThereOnceInItsGroup(String capture) {
        assertDrawn(Audits.of(Audits.capture(capture)));
    }

    @Test
    void theHtmlHasThePictureBeforeTheTables() {
        Audit audit = Audits.of(Audits.capture("intel-sc0"));
        String html = AuditHtml.of(audit);
        assertThat(html).contains(AuditPicture.svg(audit));
        assertThat(html.indexOf("<svg")).isLessThan(html.indexOf("<h2>Devices</h2>"));
    }

    @Test
    void bridgesAreAboveWhatIsBelowThemAndAnAssignedFunctionIsMarkedInWords() {
        Audit audit = Audits.assigning(Audits.capture("intel-sc0"), "7.1", "00:0c.0");
        List<String> words = words(audit);

        int port = words.indexOf("00:06.0 PCI bridge");
        assertThat(port).isNotNegative();
        assertThat(words.get(port + 1)).startsWith("01:00.0 NVMe controller");
        assertThat(words)
                .filteredOn(row -> row.endsWith(" assigned"))
                .singleElement()
                .satisfies(row -> assertThat(row).startsWith("00:0c.0 "));
        assertThat(words)
                .filteredOn(row -> row.endsWith(" goes along"))
                .singleElement()
                .satisfies(row -> assertThat(row).startsWith("00:0c.1 "));
    }

    @Test
    void itsDescriptionHasTheNumbersForThoseWhoDontSeeIt() {
        Element svg = parsed(AuditPicture.svg(Audits.assigning(Audits.capture("intel-sc0"), "7.1", "02:00.0")));

        assertThat(svg.getAttribute("role")).isEqualTo("img");
        assertThat(svg.getAttribute("aria-labelledby")).isEqualTo("tree-title tree-desc");
        assertThat(svg.getElementsByTagName("desc").item(0).getTextContent())
                .isEqualTo("1 unit, 19 functions and 13 groups. The tables below have the same in words."
                        + " Assigned: 0000:02:00.0.");
    }

    @Test
    void manyVirtualFunctionsAreOneRowButForTheAssignedOne() throws IOException {
        StringBuilder lspci = new StringBuilder("""
                01:00.0 Ethernet controller [0200]: Maker Card [8086:1592]
                \tIOMMU group: 10
                \tCapabilities: [40] Express (v2) Endpoint, MSI 00
                \tCapabilities: [100 v1] Single Root I/O Virtualization (SR-IOV)
                \t\tIOVCtl:\tEnable+ Migration- Interrupt- MSE+ ARIHierarchy+
                \t\tInitial VFs: 64, Total VFs: 64, Number of VFs: 63, Function Dependency Link: 00
                \t\tVF offset: 128, stride: 1, Device ID: 1889
                \tKernel driver in use: ice

                """);
        for (int i = 0; i < 63; i++) {
            lspci.append(String.format("""
                    01:%02x.%d Ethernet controller [0200]: Maker Virtual [8086:1889]
                    \tIOMMU group: %d
                    \tKernel driver in use: iavf

                    """, 0x10 + i / 8, i % 8, 20 + i));
        }
        Path file = Files.writeString(folder.resolve("lspci.txt"), lspci.toString());
        Audit audit = Audits.assigning(file, "7.1", "01:10.3");

        assertDrawn(audit);
        assertThat(words(audit)).hasSize(3);
        assertThat(words(audit).get(1)).startsWith("62 virtual functions of 01:00.0, from 01:10.0: ");
        assertThat(words(audit).get(2)).startsWith("01:10.3 ").endsWith(" assigned");
    }

    @Test
    void theChipsetIsOneRowButWhereItSharesAGroupWithADevice() throws IOException {
        Path file = Files.writeString(folder.resolve("groups.txt"), """
                IOMMU Group 0:
                \t00:00.0 Host bridge [0600]: Maker A [8086:0001]
                IOMMU Group 1:
                \t00:14.0 USB controller [0c03]: Maker B [8086:0002]
                \t00:14.2 RAM memory [0500]: Maker C [8086:0003]
                IOMMU Group 2:
                \t00:16.0 Communication controller [0780]: Maker D [8086:0004]
                """);
        Audit audit = Audits.of(file);

        assertDrawn(audit);
        assertThat(words(audit)).hasSize(3).last().isEqualTo("2 of the chipset: Host bridge, Communication controller");
    }

    @Test
    void bridgesInACircleAreThereOnceToo() throws IOException {
        Path file = Files.writeString(folder.resolve("lspci.txt"), """
                01:00.0 PCI bridge [0604]: Maker A [8086:0001]
                \tBus: primary=01, secondary=02, subordinate=02, sec-latency=0

                02:00.0 PCI bridge [0604]: Maker B [8086:0002]
                \tBus: primary=02, secondary=01, subordinate=01, sec-latency=0

                02:01.0 Ethernet controller [0200]: Maker C [8086:0003]
                \tKernel driver in use: ice

                """);
        assertDrawn(Audits.of(file));
    }

    @Test
    void textOfACaptureIsNoMarkup() throws IOException {
        Path file = Files.writeString(folder.resolve("l]]><script>.txt"), """
                00:02.0 VGA compatible controller: </title></svg><script>alert(1)</script> & "x" \u0001\u2028
                \tKernel driver in use: <b>'&amp;
                """);
        Audit audit = Audits.of(file);

        Element svg = parsed(AuditPicture.svg(audit));
        assertThat(svg.getElementsByTagName("script").getLength()).isZero();
        assertThat(rows(svg))
                .singleElement()
                .satisfies(row -> assertThat(name(row)).contains("</title></svg><script>alert(1)</script> & \"x\""));
        assertDrawn(audit);
    }

    @Test
    void aBigHostStaysNarrowAndItsRowsFew() throws IOException {
        StringBuilder groups = new StringBuilder();
        for (int i = 0; i < 2_000; i++) {
            groups.append(String.format(
                    "IOMMU Group %d %02x:%02x.%d System peripheral [0880]: Part of a very long name %d [8086:09a2]\n",
                    i, i / 256, i / 8 % 32, i % 8, i));
        }
        Audit audit = Audits.of(Files.writeString(folder.resolve("groups.txt"), groups.toString()));

        assertDrawn(audit);
        Element svg = parsed(AuditPicture.svg(audit));
        assertThat(rows(svg)).hasSize(1);
        assertThat(svg.getAttribute("width")).isEqualTo("960");
        assertThat(new TreeSet<>(attributes(svg, "x")).last()).isLessThanOrEqualTo(960);
    }

    private static List<Integer> attributes(Element svg, String name) {
        List<Integer> values = new ArrayList<>();
        NodeList all = svg.getElementsByTagName("*");
        for (int i = 0; i < all.getLength(); i++) {
            String value = ((Element) all.item(i)).getAttribute(name);
            if (!value.isEmpty()) {
                values.add(Integer.valueOf(value));
            }
        }
        return values;
    }
}
