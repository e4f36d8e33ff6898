// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.release;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.iommu4j.release.Evidence.INFERRED;
import static org.iommu4j.release.Evidence.PROPOSED;
import static org.iommu4j.release.Evidence.READ;

import java.lang.invoke.MethodHandles;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.LinuxRelease;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A kernel with some rules as another release has them, or as none has. */
class RuleFixesTest {
    private static final ReleaseRule<Integer> LEVELS = ReleaseRule.of("levels", "How many.", 3, READ)
            .since("6.2", 4, INFERRED)
            .since("6.12.95", 6, READ)
            .since("6.16", 5, READ);
    private static final ReleaseRule<Boolean> KEEPS =
            ReleaseRule.of("keeps", "It keeps.", false, READ).proposing(true);

    /** The same name in another module. */
    private static final ReleaseRule<Integer> OTHER_LEVELS =
            ReleaseRule.of("levels", "How many there.", 30, READ).since("6.13", 40, READ);

    private static final Map<String, List<ReleaseRule<?>>> MODULES = new LinkedHashMap<>();

    static {
        MODULES.put("one", List.of(LEVELS, KEEPS));
        MODULES.put("two", List.of(OTHER_LEVELS));
    }

    private record One(int levels, boolean keeps) {}

    private static One one(LinuxRelease release) {
        return RuleRecords.of(MethodHandles.lookup(), One.class, List.of(LEVELS, KEEPS), release);
    }

    private static LinuxRelease fixed(String release, String... fixes) {
        return RuleFixes.of(LinuxRelease.of(release), List.of(fixes), MODULES);
    }

    @Test
    void aRuleHasTheValueThatItProposes() {
        LinuxRelease release = fixed("6.12.100", "keeps");
        assertThat(one(release)).isEqualTo(new One(6, true));
        assertThat(KEEPS.in(release).evidence()).isEqualTo(PROPOSED);
        assertThat(RuleSheet.in(release, MODULES).rules())
                .filteredOn(row -> row.name().equals("keeps"))
                .flatExtracting(RuleSheet.Row::periods)
                .extracting(RuleSheet.Value::value)
                .containsExactly("yes");
    }

    @ParameterizedTest
    @CsvSource({"7.3, levels=6.15, 4, 40", "5.15, levels=6.12.95, 6, 30", "6.2, levels=7.3, 5, 40"})
    void rulesHaveTheValueOfAnotherReleaseInEveryModuleThatHasTheName(
            String release, String fix, int value, int other) {
        assertThat(one(fixed(release, fix))).isEqualTo(new One(value, false));
        assertThat(OTHER_LEVELS.in(fixed(release, fix)).value()).isEqualTo(other);
    }

    @Test
    void aRuleThatProposesNothingKeepsItsOwnValueWhereAnotherOfItsNameIsCorrected() {
        LinuxRelease release = LinuxRelease.of("6.12.100").with(List.of(new LinuxRelease.Fix("levels", null)));
        assertThat(LEVELS.in(release).value()).isEqualTo(6);
    }

    /** A record of a release is made once; it is none of the kernel with fixes. */
    @Test
    void aFixChangesNoOtherKernel() {
        assertThat(one(LinuxRelease.of("7.3"))).isEqualTo(new One(5, false));
        assertThat(one(fixed("7.3", "keeps", "levels=5.15"))).isEqualTo(new One(3, true));
        assertThat(one(LinuxRelease.of("7.3"))).isEqualTo(new One(5, false));
    }

    @Test
    void aKernelWithFixesIsOfItsReleaseAndNamesThem() {
        LinuxRelease plain = LinuxRelease.of("6.12");
        LinuxRelease release = fixed("6.12", "levels=6.1", "keeps");
        assertThat(release).hasToString("6.12 with keeps, levels=6.1").isNotEqualTo(plain);
        assertThat(release.base()).isEqualTo(plain);
        assertThat(release.isKnown()).isTrue();
        assertThat(release.mayHold()).containsExactly(release);
        assertThat(release).isGreaterThan(plain).isLessThan(LinuxRelease.of("6.13"));
        assertThat(release.isAtLeast(6, 12)).isTrue();
        assertThat(release.isAtLeast(6, 13)).isFalse();
        assertThat(fixed("6.12", "keeps", "levels=6.1")).isEqualTo(release);
    }

    @Test
    void aFixOfNothingIsRefusedWithWhatThereIs() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> fixed("7.3", "level=6.1"))
                .withMessage("no rule 'level' to fix; with a correction: keeps; with the value of a release, as"
                        + " RULE=RELEASE: levels");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> fixed("7.3", "levels"))
                .withMessage("rule 'levels' proposes no correction, expected a release whose value it is to have, one"
                        + " of: levels=5.15, levels=6.2, levels=6.12.95, levels=6.16, levels=6.13");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> fixed("7.3", "levels=9.9"))
                .withMessageStartingWith("fix 'levels=9.9': no rules for Linux release '9.9'; known: ");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> fixed("7.3", "levels=6.1", "levels=6.2"))
                .withMessageContaining("is fixed twice: by levels=6.1 and by levels=6.2");
    }
}
