// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.Brief;
import org.iommu4j.audit.Guest;
import org.iommu4j.audit.Step;
import org.iommu4j.host.HostInputs;
import org.iommu4j.host.InputException;
import org.iommu4j.it.JsonSchema;
import org.iommu4j.spi.Answer;
import org.iommu4j.witness.SharedData;
import org.iommu4j.workbench.audit.AuditHtml;
import org.iommu4j.workbench.audit.AuditJson;
import org.iommu4j.workbench.audit.AuditText;
import org.iommu4j.workbench.audit.FleetReport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Reports of captured hosts, as people and programs read them. */
class ReportsTest {
    private static final JsonMapper JSON = JsonMapper.builder().build();

    @TempDir
    private Path directory;

    private static JsonNode schema() throws IOException {
        try (InputStream in = AuditJson.class.getResourceAsStream("audit.schema.json")) {
            return JSON.readTree(in.readAllBytes());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc0", "intel-sc1", "intel-iommu-off", "amd-qemu11"})
    void theJsonOfACaptureIsAsThePublishedSchemaSays(String name) throws IOException {
        JsonNode schema = schema();
        assertThat(JsonSchema.errors(schema, JSON.readTree(AuditJson.of(Audits.of(Audits.capture(name))))))
                .isEmpty();
        Audit asked = Audits.assigning(Audits.capture(name), "7.1", "02:00.0");
        assertThat(JsonSchema.errors(schema, JSON.readTree(AuditJson.of(asked))))
                .isEmpty();
        assertThat(JSON.readTree(AuditJson.of(asked)).get("assignment").isObject())
                .isTrue();
    }

    @Test
    void whatTheJsonLeavesOpenHasTheCommandThatSettlesIt() throws IOException {
        Audit audit = Audits.assigning(Path.of("../docs/audit/dmesg.txt"), "6.12", "01:00.0");
        JsonNode json = JSON.readTree(AuditJson.of(audit));
        assertThat(JsonSchema.errors(schema(), json)).isEmpty();
        Map<String, String> commands = new TreeMap<>();
        json.get("questions")
                .forEach(each -> commands.put(
                        each.get("text").asString(), each.get("command").asString()));
        assertThat(commands)
                .containsEntry(
                        "the reserved regions of 0000:01:00.0 are unknown",
                        "cat /sys/bus/pci/devices/0000:01:00.0/iommu_group/reserved_regions")
                .containsEntry(
                        "Enable No Snoop is unknown for 4 functions: 0000:00:00.0, 0000:00:02.0, 0000:01:00.0"
                                + " and others",
                        "sudo lspci -vv -s 0000:00:00.0 | grep NoSnoop");
        List<String> said = new ArrayList<>();
        json.get("warnings").forEach(each -> said.add(each.asString()));
        json.get("assignment").get("obstacles").forEach(each -> said.add(each.asString()));
        assertThat(commands.keySet()).allMatch(open -> said.stream().anyMatch(text -> text.startsWith(open)));
    }

    @Test
    void thePublishedSchemaIsTheOneInTheCommand() throws IOException {
        Path published = Path.of("../docs/audit.schema.json");
        assertThat(JSON.readTree(Files.readString(published))).isEqualTo(schema());
    }

    private static Stream<Audit> auditsOfEveryKind() {
        Stream<Audit> captures = Stream.of("intel-sc0", "intel-sc1", "intel-iommu-off", "amd-qemu11")
                .flatMap(name -> Stream.of(
                        Audits.of(Audits.capture(name)),
                        Audits.assigning(Audits.capture(name), "6.1", "00:05.0", "02:00.0")));
        Stream<Audit> texts = Stream.of(
                Audits.of(Path.of("../docs/audit/dmesg.txt")),
                Audits.assigning(Path.of("../docs/audit/dmesg.txt"), "6.12", "01:00.0"),
                Audits.of(Path.of("../docs/audit/post.txt")),
                Audits.assigning(Path.of("../docs/audit/post.txt"), "6.12", "02:00.0"));
        return Stream.concat(captures, texts);
    }

    /** Commands are whole, so that they can be pasted. */
    private static boolean fits(String line, int width) {
        return line.length() <= width
                || line.matches(
                        " +\\[?(?:(?:settle it +)?(?:sudo |readlink |lspci |cat |ls |find )|vfio-pci\\.ids=).*");
    }

    @ParameterizedTest
    @MethodSource("auditsOfEveryKind")
    void textFitsIntoTheColumnsWithoutColour(Audit audit) {
        for (int width : new int[] {80, 100}) {
            for (boolean verbose : new boolean[] {false, true}) {
                String text = new AuditText(Help.defaultColorScheme(Ansi.OFF), verbose, width).of(audit);
                assertThat(text.lines())
                        .allMatch(line -> fits(line, width))
                        .allMatch(line -> line.equals(line.stripTrailing()));
                assertThat(text).doesNotContain("\u001b");
            }
        }
        assertThat(new AuditText(Help.defaultColorScheme(Ansi.ON), false, 80).of(audit))
                .contains("\u001b[");
    }

    @ParameterizedTest
    @MethodSource("auditsOfEveryKind")
    void aReportInBriefFitsIntoAPost(Audit audit) {
        assertThat(Brief.of(audit)).hasSizeLessThanOrEqualTo(Brief.LINES).allMatch(line -> fits(line, Brief.WIDTH));
    }

    @Test
    void aTableFoldsWhatItWouldElseCut() {
        Audit audit = Audits.of(Path.of("../docs/audit/dmesg.txt"));
        assertThat(new AuditText(Help.defaultColorScheme(Ansi.OFF), false, 80).of(audit))
                .contains(
                        "  dmar0  0xfed90000  CAN'T     not       yes  2nd        39 bit  4K 2M   1\n",
                        "                     BLOCK     coherent       (4-level)          1G\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel-sc0", "amd-qemu11"})
    void theHtmlNeedsNothingElse(String name) {
        String html = AuditHtml.of(Audits.assigning(Audits.capture(name), "7.1", "02:00.0"));
        assertThat(html)
                .startsWith("<!doctype html>")
                .endsWith("</html>\n")
                .doesNotContain("<script", "http://", "https://", "<link", "<img", "@import", "url(");
        for (String tag : List.of("table", "tr", "ul", "div", "details", "h2", "dl")) {
            assertThat(html.split("<" + tag + "[ >]", -1).length)
                    .as(tag)
                    .isEqualTo(html.split("</" + tag + ">", -1).length);
        }
    }

    @Test
    void markupInACaptureStaysText() throws IOException {
        Path lspci = Files.writeString(
                directory.resolve("lspci.txt"),
                "00:02.0 VGA compatible controller: <script>alert(1)</script> & \"x\"\n");
        assertThat(AuditHtml.of(Audits.of(lspci)))
                .doesNotContain("<script")
                .contains("&#60;script&#62;alert(1)&#60;/script&#62; &#38; &#34;x&#34;");
    }

    @Test
    void aVirtualMachineIsAnsweredAsAWholeAndShowsTheWay() {
        Audit audit = Audits.assigning(Audits.capture("intel-sc0"), "7.1", "02:00.0", "00:05.0");
        assertThat(audit.assignment().guest()).isEqualTo(Guest.NONCOHERENT);
        assertThat(audit.assignment().dmaCcIommu()).isEqualTo(Answer.NO);
        assertThat(audit.assignment().paths().values())
                .hasSize(2)
                .allSatisfy(path -> assertThat(path)
                        .extracting(Step::what)
                        .containsExactly(
                                "device may send no-snoop",
                                "translated by",
                                "unit can block no-snoop",
                                "domain enforces coherency",
                                "VFIO_DMA_CC_IOMMU",
                                "KVM non-coherent DMA",
                                "guest"));
        assertThat(Audits.text(audit).get(0)).contains("a guest with 0000:02:00.0, 0000:00:05.0 is NONCOHERENT");
        assertThat(Audits.assigning(Audits.capture("intel-sc1"), "7.1", "02:00.0")
                        .overall())
                .isEqualTo(Guest.COHERENT);
    }

    @Test
    void aSisterThatTheHostUsesStandsAgainstAssignmentUnlessItComesAlong() {
        Path capture = SharedData.path("linux/captures/intel-sc1.tar");
        Audit alone = Audits.assigning(capture, "6.1", "00:0c.0");
        assertThat(alone.assignment().assignable()).isEqualTo(Answer.NO);
        assertThat(alone.assignment().obstacles())
                .anySatisfy(reason -> assertThat(reason.text()).contains("0000:00:0c.1", "nvme"));
        assertThat(alone.assignment().hints())
                .anySatisfy(hint -> assertThat(hint.text()).contains("group 8", "0000:00:0c.1 of group 8 to the same"));
        Audit both = Audits.assigning(capture, "6.1", "00:0c.0", "00:0c.1");
        assertThat(both.assignment().assignable()).isEqualTo(Answer.YES);
        assertThat(both.assignment().hints()).noneMatch(hint -> hint.text().contains("group"));
        assertThat(Audits.assigning(capture, "6.1", "00:06.0").assignment().obstacles())
                .anySatisfy(reason -> assertThat(reason.text()).contains("bridge"));
    }

    @Test
    void nothingIsAssignableWhereTheIommuIsOff() {
        Audit audit = Audits.of(Audits.capture("intel-iommu-off"));
        assertThat(audit.devices()).isNotEmpty().allMatch(device -> device.assignable() == Answer.NO);
        assertThat(audit.hints()).anyMatch(hint -> hint.text().contains("intel_iommu"));
        assertThat(audit.overall()).isEqualTo(Guest.UNKNOWN);
    }

    @Test
    void anUnknownDeviceIsRefusedWithThoseThatThereAre() {
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> Audits.assigning(Audits.capture("intel-sc1"), "6.1", "77:00.0"))
                .withMessageContaining("0000:77:00.0")
                .withMessageContaining("0000:00:00.0");
    }

    @Test
    void aFleetHasARowForEachHostAndOneForWhatIsNone() throws IOException {
        for (String name : List.of("intel-sc0", "intel-sc1", "amd-qemu11")) {
            Files.copy(Audits.capture(name), directory.resolve(name + ".tar"));
        }
        Files.writeString(directory.resolve("broken.tar"), "no tar at all");
        int[] steps = {0};
        FleetReport report =
                FleetReport.of(directory, Audits.AUDITOR, HostInputs::withInstalledVendors, Optional.empty(), false);
        assertThat(report.size()).isEqualTo(4);
        assertThat(report.anyUnusable()).isTrue();
        assertThat(report.anyNotCoherent()).isTrue();
        assertThat(report.csv().lines())
                .hasSize(5)
                .anyMatch(line -> line.startsWith("amd-qemu11,6.1.192,COHERENT,1,0,"));
        assertThat(report.text().lines()).hasSize(5).allMatch(line -> line.length() <= 100);
        TreeSet<String> hosts = new TreeSet<>();
        report.jsonLines().lines().map(JSON::readTree).forEach(row -> {
            hosts.add(row.get("host").asString());
            steps[0] += row.get("error").isNull() ? 0 : 1;
        });
        assertThat(hosts).containsExactly("amd-qemu11", "broken.tar", "intel-sc0", "intel-sc1");
        assertThat(steps[0]).isEqualTo(1);
    }
}
