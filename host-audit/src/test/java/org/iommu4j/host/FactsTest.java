// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;

class FactsTest {
    private static final Key<Integer> GROUP = Key.of("group", Integer.class, Object::toString);
    private static final Key<String> NAME = Key.loose("name", String.class);
    private static final List<Rank> RANKS = List.of(Rank.values());
    private static final Source SYSFS = new Source("sysfs", Rank.SYSFS);
    private static final Source LOG = new Source("dmesg.txt", Rank.LOG);
    private static final Source ONE = new Source("one.txt", Rank.LSPCI);
    private static final Source OTHER = new Source("other.txt", Rank.LSPCI);

    private final List<String> warnings = new ArrayList<>();
    private final Facts facts = new Facts(words -> words + " of it", line -> warnings.add(line.get()));

    private List<String> contradictions() {
        List<String> lines = new ArrayList<>();
        facts.contradictions(found -> lines.add(found.line()));
        return lines;
    }

    @Test
    void inputsThatAgreeAreBelievedAndTheMostBelievedIsNamed() {
        facts.record(GROUP, 1, ONE);
        facts.record(GROUP, 1, OTHER);
        assertThat(facts.find(GROUP)).contains(new Fact<>(1, "one.txt"));
        facts.record(GROUP, 1, SYSFS);
        assertThat(facts.find(GROUP)).contains(new Fact<>(1, "sysfs"));
        assertThat(warnings).isEmpty();
        assertThat(contradictions()).isEmpty();
    }

    @Test
    void aHigherRankTakesPrecedenceWithAWarningInBothOrders() {
        facts.record(GROUP, 1, LOG);
        facts.record(GROUP, 2, ONE);
        assertThat(facts.find(GROUP)).contains(new Fact<>(1, "dmesg.txt"));
        facts.record(GROUP, 3, SYSFS);
        assertThat(facts.find(GROUP)).contains(new Fact<>(3, "sysfs"));
        assertThat(warnings)
                .containsExactly(
                        "group of it is 1 in dmesg.txt, which takes precedence over 2 in one.txt",
                        "group of it is 3 in sysfs, which takes precedence over 1 in dmesg.txt");
        assertThat(contradictions()).isEmpty();
    }

    @Test
    void ofOneRankTheFactIsUnknownAndNamed() {
        facts.record(GROUP, 1, ONE);
        facts.record(GROUP, 2, OTHER);
        facts.record(GROUP, 1, ONE);
        assertThat(facts.find(GROUP)).isEmpty();
        assertThat(facts.value(GROUP)).isEmpty();
        assertThat(facts.all(Integer.class)).isEmpty();
        assertThat(facts.source(GROUP)).contains(ONE);
        assertThat(facts.contradicted(GROUP)).containsExactly(1, 2);
        assertThat(warnings).isEmpty();
        assertThat(contradictions())
                .containsExactly("group of it is 1 in one.txt and 2 in other.txt: treated as unknown");
    }

    @Test
    void aHigherRankSettlesAContradictionAndALowerOneDoesNot() {
        facts.record(GROUP, 1, LOG);
        facts.record(GROUP, 2, LOG);
        facts.record(GROUP, 1, ONE);
        assertThat(facts.find(GROUP)).isEmpty();
        facts.record(GROUP, 2, SYSFS);
        assertThat(facts.find(GROUP)).contains(new Fact<>(2, "sysfs"));
        assertThat(contradictions()).isEmpty();
    }

    @Test
    void namesMayDifferAndTheMostBelievedIsTaken() {
        facts.record(NAME, "Old Name", ONE);
        facts.record(NAME, "Name", OTHER);
        assertThat(facts.value(NAME)).contains("Old Name");
        facts.record(NAME, "Linux's", SYSFS);
        facts.record(NAME, "Log's", LOG);
        assertThat(facts.value(NAME)).contains("Linux's");
        assertThat(warnings).isEmpty();
        assertThat(contradictions()).isEmpty();
    }

    private record Statement(int value, Source source) {}

    @RepeatedTest(50)
    void whatIsKnownDoesNotDependOnTheOrder() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        List<Statement> statements = new ArrayList<>();
        for (int i = 0; i < 1 + random.nextInt(6); i++) {
            Rank rank = RANKS.get(random.nextInt(RANKS.size()));
            statements.add(new Statement(random.nextInt(2), new Source("input" + i, rank)));
        }
        Rank best = statements.stream()
                .map(each -> each.source().rank())
                .min(Rank::compareTo)
                .orElseThrow();
        Set<Integer> values = statements.stream()
                .filter(each -> each.source().rank() == best)
                .map(Statement::value)
                .collect(Collectors.toSet());
        Optional<Integer> known = values.size() == 1 ? values.stream().findFirst() : Optional.empty();
        for (int i = 0; i < 10; i++) {
            Collections.shuffle(statements, random);
            Facts shuffled = new Facts(words -> words, line -> {});
            statements.forEach(each -> shuffled.record(GROUP, each.value(), each.source()));
            assertThat(shuffled.value(GROUP))
                    .as("seed %d, %s", seed, statements)
                    .isEqualTo(known);
            assertThat(shuffled.contradicted(GROUP)).hasSize(known.isPresent() ? 0 : 2);
        }
    }
}
