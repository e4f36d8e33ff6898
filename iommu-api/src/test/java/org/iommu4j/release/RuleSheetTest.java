// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.release;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.iommu4j.release.Evidence.OBSERVED;
import static org.iommu4j.release.Evidence.READ;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.LinuxRelease;
import org.junit.jupiter.api.Test;

class RuleSheetTest {
    private enum Way implements RuleValue {
        SHORT,
        LONG;

        @Override
        public String words() {
            return "the " + name().toLowerCase(java.util.Locale.ROOT) + " way";
        }
    }

    private static final Map<String, List<ReleaseRule<?>>> MODULES = new LinkedHashMap<>();

    static {
        MODULES.put(
                "one",
                List.of(ReleaseRule.of("early", "Whether it comes early.", false, READ)
                        .since("6.2", true, READ, "0123456789ab", "ba9876543210")
                        .since("6.12.95", false, OBSERVED)
                        .witnessedBy("OneTest#early")));
        MODULES.put(
                "two",
                List.of(ReleaseRule.of("way", "Which way it goes.", Way.SHORT, READ)
                        .deciding()
                        .since("6.7", Way.LONG, READ)
                        .since("7.0", Way.SHORT, READ)
                        .witnessedBy("TwoTest#way")));
    }

    private static LinuxRelease linux(String name) {
        return LinuxRelease.of(name);
    }

    @Test
    void whatDecidesCoherenceComesFirst() {
        assertThat(RuleSheet.of(MODULES).text(100)).isEqualTo("""
                Linux 5.15 to 7.3: 2 rules, 1 of them decides coherence

                two: way (decides coherence)
                  Which way it goes.
                    5.15  SHORT: the short way [read]
                    6.7   LONG: the long way [read]
                    7.0   SHORT: the short way [read]

                one: early
                  Whether it comes early.
                    5.15     no [read]
                    6.2      yes [read, 0123456789ab, ba9876543210]
                    6.12.95  no [observed]
                """);
    }

    @Test
    void aReleaseHasOneValueOfEachRule() {
        RuleSheet sheet = RuleSheet.in(linux("6.12.100+deb13"), MODULES);
        assertThat(sheet.about()).isEqualTo("Linux 6.12.100+deb13");
        assertThat(sheet.rules().stream()
                        .map(row -> row.name() + " " + row.periods().get(0).value()))
                .containsExactly("way LONG", "early no");
        assertThat(RuleSheet.in(linux("6.6.0-1.el9"), MODULES).rules().get(0).periods())
                .as("an enterprise kernel")
                .hasSize(3);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> RuleSheet.in(linux("5.4"), MODULES))
                .withMessageContaining("no rules for Linux release '5.4'");
    }

    @Test
    void aDifferenceIsWhatWasAndAllThatCameSince() {
        assertThat(RuleSheet.diff(linux("6.6"), linux("6.7"), MODULES).text(100))
                .isEqualTo("""
                Linux 6.6 to 6.7: 1 rule, 1 of them decides coherence

                two: way (decides coherence)
                  Which way it goes.
                    5.15  SHORT: the short way [read]
                    6.7   LONG: the long way [read]
                """);
        assertThat(RuleSheet.diff(linux("6.6"), linux("7.1"), MODULES)
                        .rules()
                        .get(0)
                        .periods())
                .as("a value that comes back")
                .hasSize(3);
        assertThat(RuleSheet.diff(linux("6.12"), linux("6.12.95"), MODULES).rules())
                .as("a back-port")
                .hasSize(1);
        assertThat(RuleSheet.diff(linux("6.12.95"), linux("6.13"), MODULES).rules())
                .as("a back-port that the next release does not have")
                .hasSize(1);
        assertThat(RuleSheet.diff(linux("6.8"), linux("6.9"), MODULES).text(100))
                .isEqualTo("Linux 6.8 to 6.9: no rule differs\n");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> RuleSheet.diff(linux("6.8"), linux("9.9"), MODULES))
                .withMessageContaining("'9.9'");
    }

    @Test
    void aPageHasATableForEachRule() {
        Map<String, List<ReleaseRule<?>>> proposing = Map.of(
                "one",
                List.of(ReleaseRule.of("count", "How many.", 1, READ)
                        .proposing(7)
                        .witnessedBy("OneTest#count")));
        assertThat(RuleSheet.of(proposing).markdown()).isEqualTo("""
                ## Other rules, Linux 5.15 to 7.3

                ### one: count

                How many.
                Witness: `OneTest#count`.

                | from | value | evidence | commits |
                |---|---|---|---|
                | 5.15 | 1 | read |  |
                | PROPOSED | 7 | | |

                """);
        assertThat(RuleSheet.of(proposing).text(100)).endsWith("    PROPOSED, in no release: 7\n");
        assertThat(RuleSheet.of(MODULES).markdown())
                .startsWith("## Rules that decide coherence, Linux 5.15 to 7.3\n\n### two: way\n")
                .contains("| 6.2 | yes | read | 0123456789ab, ba9876543210 |");
    }

    @Test
    void linesAreWrapped() {
        String sentence = "word ".repeat(60).strip() + ".";
        Map<String, List<ReleaseRule<?>>> wide = Map.of("one", List.of(ReleaseRule.of("wide", sentence, 1, READ)));
        assertThat(RuleSheet.of(wide).text(100).lines()).hasSize(8).allMatch(line -> line.length() <= 100);
        assertThat(RuleSheet.of(wide).text(60).lines()).hasSizeGreaterThan(8).allMatch(line -> line.length() <= 60);
    }
}
