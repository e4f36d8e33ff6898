// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Promises;
import org.iommu4j.tck.Subject;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Every promise that the kit checks has a saboteur, and the kit catches each by its promise. */
class SaboteursTest {
    private static final KitIndex KIT =
            new KitIndex(Sabotaged.Driver.class, Sabotaged.Vendor.class, Sabotaged.Silicon.class);

    private static List<Saboteur> saboteurs() {
        return Saboteur.all(
                MappingSaboteurs.all(),
                DomainSaboteurs.all(),
                SubtleSaboteurs.all(),
                DriverSaboteurs.all(),
                AttachingSaboteurs.all(),
                CapabilitySaboteurs.all(),
                VendorSaboteurs.all(),
                DirectRegionSaboteurs.all(),
                FewIdSaboteurs.all(),
                WalkSaboteurs.all(),
                PortSaboteurs.all(),
                SiliconSaboteurs.all());
    }

    @TestFactory
    Stream<DynamicTest> theKitCatches() {
        return saboteurs().stream()
                .filter(saboteur -> selected().test(saboteur.promise()))
                .flatMap(saboteur -> subjects(saboteur).stream()
                        .map(subject -> DynamicTest.dynamicTest(
                                subject + ": " + saboteur,
                                () -> run(saboteur.sabotage().apply(subject))
                                        .assertCaught(saboteur.promise(), saboteur + " on " + subject))));
    }

    /** Returns the subjects of a saboteur: ordinary ones, else the first rare one, else capable ones, else scarce. */
    private static List<Subject> subjects(Saboteur saboteur) {
        List<Subject> ordinary = Subjects.all()
                .filter(subject -> saboteur.applies().test(subject))
                .toList();
        if (!ordinary.isEmpty()) {
            return ordinary;
        }
        List<Subject> rare = Subjects.rare()
                .filter(subject -> saboteur.applies().test(subject))
                .limit(1)
                .toList();
        if (!rare.isEmpty()) {
            return rare;
        }
        List<Subject> capable = Subjects.capable()
                .filter(subject -> saboteur.applies().test(subject))
                .toList();
        return !capable.isEmpty()
                ? capable
                : Subjects.scarce()
                        .filter(subject -> saboteur.applies().test(subject))
                        .toList();
    }

    @Test
    void everySaboteurHasASubject() {
        assertThat(saboteurs())
                .allSatisfy(saboteur -> assertThat(subjects(saboteur))
                        .as("subjects of %s", saboteur)
                        .isNotEmpty());
    }

    /** Otherwise the proxies themselves might be what is caught. The same ones stand before the example. */
    @TestFactory
    Stream<DynamicTest> theKitFindsNothingWhereOnlyProxiesStandBetween() {
        return nothingIsFound(
                Subjects.all().filter(subject -> !subject.vendor().equals("minimal")),
                KIT.promises().stream()
                        // A proxy allocates at each call.
                        .filter(id -> !List.of("domain-3", "unit-translate-2", "fabric-3")
                                .contains(id))
                        .toList());
    }

    /** The same of the promises that saboteurs break on capable subjects. */
    @TestFactory
    Stream<DynamicTest> theKitFindsNothingOnCapableSubjects() {
        Set<String> ids = CapabilitySaboteurs.all().stream()
                .map(Saboteur::promise)
                .collect(Collectors.toCollection(TreeSet::new));
        return nothingIsFound(Subjects.capable(), ids);
    }

    private static Stream<DynamicTest> nothingIsFound(Stream<Subject> subjects, Collection<String> promises) {
        return subjects.flatMap(subject -> promises.stream()
                .filter(selected())
                .map(id -> DynamicTest.dynamicTest(
                        subject + ": " + id,
                        () -> run(Interposer.transparent().between(subject)).assertNothingFound(id))));
    }

    @Test
    void aFailureTellsItsSubjectItsStepsAndItsSeed() {
        Subject subject = Subjects.all().findFirst().orElseThrow();
        Saboteur saboteur = Saboteur.of("unmap-2", "unmaps less than nothing", IommuDomain.class, "unmap", call -> -1L);
        long seed = Long.getLong("iommu4j.seed", 20261130L);
        assertThat(run(saboteur.sabotage().apply(subject)).failures("unmap-2"))
                .anySatisfy(message -> assertThat(message)
                        .startsWith("promise broken\n  [unmap-2] ")
                        .contains("\nby " + subject + "\n", "\nafter these steps:\n", " map(0x")
                        .endsWith("\nseed " + seed + ", -Diommu4j.seed=" + seed + " replays it"));
    }

    @Test
    void everyPromiseThatTheKitChecksHasASaboteur() {
        Set<String> without = new TreeSet<>(KIT.promises());
        without.removeAll(saboteurs().stream().map(Saboteur::promise).collect(Collectors.toSet()));
        assertThat(without).as("promises without a saboteur").isEmpty();
    }

    @Test
    void everyPromiseIsCheckedOrListedWithTheReasonWhyNot() {
        Set<String> unchecked = new TreeSet<>(Promises.all().keySet());
        unchecked.removeAll(KIT.promises());
        unchecked.removeAll(PortKits.index().promises());
        unchecked.removeIf(id -> Promises.whyUnchecked(id).isPresent());
        assertThat(unchecked).isEmpty();
    }

    private static KitRun run(Subject subject) {
        return new KitRun(KIT, work -> Sabotaged.over(subject, work));
    }

    private static Predicate<String> selected() {
        String only = System.getProperty("iommu4j.tck.promise", "");
        return id -> only.isEmpty() || id.matches(only);
    }
}
