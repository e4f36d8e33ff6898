// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.release;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.it.Checkout;
import org.iommu4j.it.JsonSchema;
import org.iommu4j.release.Evidence;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RulePeriod;
import org.iommu4j.release.RuleSheet;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.workbench.output.Json;
import org.iommu4j.workbench.scenario.RuleModules;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The declared rules as a whole: the page, the JSON, and that each names a test that exists. */
class ReleasesTest {
    private static final String PREFACE = """
            # What releases of Linux do differently

            One table for each rule, with the release from which on a value holds, how that is known, and the
            commits that brought it. `./iommu4j rules` prints the same as text or JSON, `--linux 6.12.95+deb13` what
            holds in one kernel, and `--diff 6.6..6.7` what changed. A release with a patch level is a back-port: it
            holds in the rest of its stable series alone. A rule's witness is a test that is red when the rule is
            wrong. This page is written from the rules by `ReleasesTest`, and is not to be edited.

            """;

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private final Path root = Checkout.root();

    /** In the order in which the command has them. */
    static Map<String, List<ReleaseRule<?>>> modules() {
        IommuVendors onPath = IommuVendors.load();
        return RuleModules.of(IommuVendors.of(
                Stream.of("amd", "intel", "riscv").map(onPath::named).toList()));
    }

    @Test
    void thePageOfReleasesIsWrittenFromTheRules() throws IOException {
        Path page = root.resolve("docs/releases.md");
        String expected = (PREFACE + RuleSheet.of(modules()).markdown()).strip() + "\n";
        if (Boolean.getBoolean("iommu4j.releases.write")) {
            Files.writeString(page, expected);
        }
        assertThat(page)
                .as("-Diommu4j.releases.write=true writes it anew")
                .exists()
                .hasContent(expected);
    }

    @Test
    void theJsonIsAsThePublishedSchemaSays() throws IOException {
        JsonNode schema = JSON.readTree(Files.readString(root.resolve("docs/rules.schema.json")));
        Map<String, List<ReleaseRule<?>>> modules = modules();
        for (RuleSheet sheet : List.of(
                RuleSheet.of(modules),
                RuleSheet.in(LinuxRelease.of("6.4.0-150600.23.7-default"), modules),
                RuleSheet.diff(LinuxRelease.of("6.6"), LinuxRelease.of("6.7"), modules))) {
            JsonNode json = JSON.readTree(Json.page(sheet));
            assertThat(JsonSchema.errors(schema, json)).as(sheet.about()).isEmpty();
            assertThat(json.get("rules").size()).isEqualTo(sheet.rules().size()).isPositive();
        }
        assertThat(JsonSchema.errors(schema, JSON.readTree("{\"about\": 1, \"more\": 2}")))
                .containsExactlyInAnyOrder(
                        "$ has no \"rules\"", "$.about is 1, expected \"string\"", "$.more is not in the schema");
    }

    /** That it goes red when the rule is wrong is seen by {@link WitnessesTest}. */
    @Test
    void everyRuleNamesAWitnessThatExists() throws IOException {
        List<Path> tests;
        try (Stream<Path> files = Files.walk(root, 12)) {
            tests = files.filter(file -> file.toString().endsWith("Test.java")
                            && file.toString().contains("/src/test/java/"))
                    .toList();
        }
        List<String> missing = new ArrayList<>();
        for (Map.Entry<String, List<ReleaseRule<?>>> module : modules().entrySet()) {
            for (ReleaseRule<?> rule : module.getValue()) {
                if (!exists(rule.witness(), tests)) {
                    missing.add(module.getKey() + ": " + rule.name() + " names '" + rule.witness() + "'");
                }
            }
        }
        assertThat(missing).as("rules without a witness").isEmpty();
        assertThat(exists("ReleasesTest#noSuchTest", tests)).isFalse();
        assertThat(exists("", tests)).isFalse();
    }

    private static boolean exists(String witness, List<Path> tests) throws IOException {
        String[] parts = witness.split("#", -1);
        if (parts.length != 2) {
            return false;
        }
        Pattern method = Pattern.compile("\\bvoid " + Pattern.quote(parts[1]) + "\\(");
        for (Path test : tests) {
            if (test.endsWith(parts[0] + ".java")
                    && method.matcher(Files.readString(test)).find()) {
                return true;
            }
        }
        return false;
    }

    /** There was no tree, image or transcript of them: what began there was inferred. */
    @Test
    void nothingWasSeenInReleasesThatNobodyHad() {
        Set<LinuxRelease> unseen = Set.of(new LinuxRelease(5, 18), new LinuxRelease(6, 15), new LinuxRelease(6, 16));
        List<String> wrong = new ArrayList<>();
        modules().forEach((module, rules) -> {
            for (ReleaseRule<?> rule : rules) {
                for (RulePeriod<?> period : rule.periods()) {
                    if (unseen.contains(period.from()) && period.evidence() != Evidence.INFERRED) {
                        wrong.add(module + ": " + rule.name() + " from " + period.from());
                    }
                }
            }
        });
        assertThat(wrong).isEmpty();
    }

    @Test
    void sentencesAreSentencesAndNamesAreUsedOnceInAModule() {
        modules().forEach((module, rules) -> {
            assertThat(rules).as(module).isNotEmpty();
            TreeSet<String> names = new TreeSet<>();
            for (ReleaseRule<?> rule : rules) {
                assertThat(names.add(rule.name())).as(rule.name()).isTrue();
                assertThat(rule.sentence()).as(rule.name()).matches("[A-Z\\w].*[^.]\\.");
                assertThat(rule.periods().size() + rule.proposed().size())
                        .as(rule.name())
                        .isGreaterThan(1);
            }
        });
    }
}
