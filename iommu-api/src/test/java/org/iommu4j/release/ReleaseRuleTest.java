// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.release;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.iommu4j.release.Evidence.INFERRED;
import static org.iommu4j.release.Evidence.OBSERVED;
import static org.iommu4j.release.Evidence.READ;

import java.lang.invoke.MethodHandles;
import java.util.List;
import org.iommu4j.LinuxRelease;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ReleaseRuleTest {
    private static final ReleaseRule<Integer> LEVELS = ReleaseRule.of("levels", "How many.", 3, READ)
            .since("6.2", 4, INFERRED, "0123456789ab")
            .since("6.12.95", 6, OBSERVED)
            .since("6.16", 5, READ)
            .since("7.0", 3, READ);

    @ParameterizedTest
    @CsvSource({
        "5.15, 3",
        "5.19-posted, 3",
        "6.1, 3",
        "6.2, 4",
        "6.12, 4",
        "6.12.94, 4",
        "6.12.95, 6",
        "6.12.117+deb13-amd64, 6",
        "6.12.0-5-amd64, 4",
        "6.13, 4",
        "6.13.99, 4",
        "6.16, 5",
        "7.0, 3",
        "7.1.5, 3"
    })
    void aValueLastsUntilTheNextAndABackPortInItsSeriesAlone(String release, int value) {
        assertThat(LEVELS.in(LinuxRelease.of(release)).value()).isEqualTo(value);
    }

    @Test
    void anEnterpriseKernelMayHaveAnyValueSinceItsNumber() {
        assertThat(LEVELS.mayHoldIn(LinuxRelease.of("6.12.0-211.el10")).stream().map(RulePeriod::value))
                .containsExactly(4, 5, 3);
        assertThat(LEVELS.mayHoldIn(LinuxRelease.of("6.12.100")).stream().map(RulePeriod::value))
                .containsExactly(6);
        assertThat(LEVELS.mayHoldIn(LinuxRelease.of("9.9"))).isEmpty();
    }

    @Test
    void aReleaseOlderThanTheRuleHasNoValue() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LEVELS.in(new LinuxRelease(5, 14)))
                .withMessage("rule levels begins with Linux 5.15 and has no value in 5.14");
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.1", "7.0", "5.19-posted"})
    void periodsAreDeclaredInTheOrderOfReleases(String release) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LEVELS.since(release, 1, READ))
                .withMessageContaining("expected the oldest first");
    }

    @Test
    void aProposedValueIsNoReleases() {
        assertThat(LEVELS.proposing(9).proposed()).containsExactly(9);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LEVELS.proposing(6))
                .withMessage("rule levels proposes 6, which releases have from 6.12.95 on");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new ReleaseRule<>("none", "Nothing.", false, "", List.of(), List.of()))
                .withMessageContaining("no period");
    }

    private record Pair(int levels, boolean large) {}

    private static final ReleaseRule<Boolean> LARGE =
            ReleaseRule.of("large", "Whether it is.", false, READ).since("6.2", true, READ);

    private static Pair pair(ReleaseRule<?>... rules) {
        return RuleRecords.of(MethodHandles.lookup(), Pair.class, List.of(rules), new LinuxRelease(6, 2));
    }

    @Test
    void aRecordGetsItsValuesByNameWhateverTheOrder() {
        assertThat(pair(LARGE, LEVELS)).isEqualTo(new Pair(4, true));
    }

    @Test
    void aRecordAndItsRulesHaveTheSameNames() {
        assertThatIllegalStateException()
                .isThrownBy(() -> pair(LEVELS))
                .withMessage("no rule is named like Pair.large");
        assertThatIllegalStateException()
                .isThrownBy(() -> pair(LEVELS, LARGE, LARGE))
                .withMessage("two rules of Pair are named large");
        assertThatIllegalStateException()
                .isThrownBy(() -> pair(LEVELS, LARGE, ReleaseRule.of("more", "More.", 1, READ)))
                .withMessage("rules without a component of Pair: {more=1}");
        assertThatIllegalStateException()
                .isThrownBy(() -> pair(LEVELS, ReleaseRule.of("large", "Text.", "no boolean", READ)))
                .withMessage("can't make Pair of its rules");
    }

    /** Opening a driver again costs no reflection. */
    @Test
    void aRecordIsMadeOnceForItsRulesAndRelease() {
        record Levels(int levels) {}
        List<ReleaseRule<Integer>> rules = List.of(LEVELS);
        LinuxRelease release = LinuxRelease.named("6.2");
        Levels first = RuleRecords.of(MethodHandles.lookup(), Levels.class, rules, release);
        assertThat(RuleRecords.of(MethodHandles.lookup(), Levels.class, rules, release))
                .isSameAs(first);
        assertThat(RuleRecords.of(MethodHandles.lookup(), Levels.class, rules, LinuxRelease.named("7.0")))
                .isEqualTo(new Levels(3));
        assertThat(RuleRecords.of(MethodHandles.lookup(), Levels.class, rules, LinuxRelease.of("6.12.95")))
                .isEqualTo(new Levels(6));
        List<ReleaseRule<Integer>> others = List.of(ReleaseRule.of("levels", "How many.", 9, READ));
        assertThat(RuleRecords.of(MethodHandles.lookup(), Levels.class, others, release))
                .isEqualTo(new Levels(9));
    }
}
