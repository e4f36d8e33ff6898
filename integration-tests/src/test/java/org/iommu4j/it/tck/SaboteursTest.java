// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.tck.Promises;
import org.iommu4j.tck.Subject;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.testkit.engine.EngineExecutionResults;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.junit.platform.testkit.engine.Event;

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
        String only = System.getProperty("iommu4j.tck.promise", "");
        return saboteurs().stream()
                .filter(saboteur -> only.isEmpty() || saboteur.promise().matches(only))
                .flatMap(saboteur -> subjects(saboteur).stream()
                        .map(subject -> DynamicTest.dynamicTest(
                                subject + ": " + saboteur, () -> assertCaught(saboteur, subject))));
    }

    /** Returns the subjects of a saboteur: ordinary ones, else the first rare one, else capable ones, else scarce. */
    private static List<Subject> subjects(Saboteur saboteur) {
        List<Subject> ordinary = Subjects.all()
                .filter(subject -> saboteur.applies().test(subject.traits()))
                .toList();
        if (!ordinary.isEmpty()) {
            return ordinary;
        }
        List<Subject> rare = Subjects.rare()
                .filter(subject -> saboteur.applies().test(subject.traits()))
                .limit(1)
                .toList();
        if (!rare.isEmpty()) {
            return rare;
        }
        List<Subject> capable = Subjects.capable()
                .filter(subject -> saboteur.applies().test(subject.traits()))
                .toList();
        return !capable.isEmpty()
                ? capable
                : Subjects.scarce()
                        .filter(subject -> saboteur.applies().test(subject.traits()))
                        .toList();
    }

    @Test
    void everySaboteurHasASubject() {
        assertThat(saboteurs())
                .allSatisfy(saboteur -> assertThat(subjects(saboteur))
                        .as("subjects of %s", saboteur)
                        .isNotEmpty());
    }

    private static void assertCaught(Saboteur saboteur, Subject subject) {
        List<String> failures =
                failures(KIT.tests(saboteur.promise()), saboteur.sabotage().apply(subject));
        assertThat(failures).as("failures with %s on %s", saboteur, subject).isNotEmpty();
        assertThat(failures)
                .anySatisfy(message -> assertThat(message)
                        .contains("[" + saboteur.promise() + "] " + Promises.sentence(saboteur.promise())));
    }

    /** Otherwise the proxies themselves might be what is caught. */
    @TestFactory
    Stream<DynamicTest> theKitFindsNothingWhereOnlyProxiesStandBetween() {
        String only = System.getProperty("iommu4j.tck.promise", "");
        return Subjects.all()
                .flatMap(subject -> KIT.promises().stream()
                        .filter(id -> only.isEmpty() || id.matches(only))
                        // A proxy allocates at each call.
                        .filter(id -> !List.of("domain-3", "unit-translate-2", "fabric-3")
                                .contains(id))
                        .map(id -> DynamicTest.dynamicTest(
                                subject + ": " + id,
                                () -> assertThat(failures(
                                                KIT.tests(id),
                                                Interposer.transparent().between(subject)))
                                        .isEmpty())));
    }

    /** The same of the promises that saboteurs break on capable subjects. */
    @TestFactory
    Stream<DynamicTest> theKitFindsNothingOnCapableSubjects() {
        String only = System.getProperty("iommu4j.tck.promise", "");
        Set<String> ids = CapabilitySaboteurs.all().stream()
                .map(Saboteur::promise)
                .filter(id -> only.isEmpty() || id.matches(only))
                .collect(Collectors.toCollection(TreeSet::new));
        return Subjects.capable()
                .flatMap(subject -> ids.stream()
                        .map(id -> DynamicTest.dynamicTest(
                                subject + ": " + id,
                                () -> assertThat(failures(
                                                KIT.tests(id),
                                                Interposer.transparent().between(subject)))
                                        .isEmpty())));
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

    private static List<String> failures(List<DiscoverySelector> tests, Subject subject) {
        assertThat(tests).as("tests of the promise").isNotEmpty();
        EngineExecutionResults[] results = new EngineExecutionResults[1];
        Sabotaged.over(
                subject,
                () -> results[0] = EngineTestKit.engine("junit-jupiter")
                        .configurationParameter("iommu4j.tck.report.off", "true")
                        .selectors(tests.toArray(DiscoverySelector[]::new))
                        .execute());
        return results[0].allEvents().failed().stream()
                .map(SaboteursTest::message)
                .toList();
    }

    private static String message(Event event) {
        return event.getRequiredPayload(TestExecutionResult.class)
                .getThrowable()
                .map(Throwable::getMessage)
                .orElse("");
    }
}
