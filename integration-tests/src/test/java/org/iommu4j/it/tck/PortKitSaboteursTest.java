// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.tck.Promises;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.testkit.engine.EngineExecutionResults;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.junit.platform.testkit.engine.Event;

/** Every promise that the kits of ports check has a saboteur, and they catch each by its promise. */
class PortKitSaboteursTest {
    private static final KitIndex KITS = PortKits.index();

    @TestFactory
    Stream<DynamicTest> theKitsCatch() {
        return PortKitSaboteurs.all().stream()
                .map(sabotage -> DynamicTest.dynamicTest(
                        sabotage.toString(),
                        () -> assertThat(failures(KITS.tests(sabotage.promise()), sabotage))
                                .as("failures with %s", sabotage)
                                .isNotEmpty()
                                .anySatisfy(message -> assertThat(message)
                                        .contains("[" + sabotage.promise() + "] "
                                                + Promises.sentence(sabotage.promise())))));
    }

    @TestFactory
    Stream<DynamicTest> theKitsFindNothingInGoodPorts() {
        return KITS.promises().stream()
                .map(id -> DynamicTest.dynamicTest(
                        id,
                        () -> assertThat(failures(KITS.tests(id), PortSabotage.NONE))
                                .isEmpty()));
    }

    @Test
    void everyPromiseThatTheKitsCheckHasASaboteur() {
        Set<String> without = new TreeSet<>(KITS.promises());
        without.removeAll(
                PortKitSaboteurs.all().stream().map(PortSabotage::promise).collect(Collectors.toSet()));
        assertThat(without).as("promises without a saboteur").isEmpty();
    }

    private static List<String> failures(List<DiscoverySelector> tests, PortSabotage sabotage) {
        assertThat(tests).as("tests of the promise").isNotEmpty();
        EngineExecutionResults[] results = new EngineExecutionResults[1];
        PortKits.with(
                sabotage,
                () -> results[0] = EngineTestKit.engine("junit-jupiter")
                        .selectors(tests.toArray(DiscoverySelector[]::new))
                        .execute());
        return results[0].allEvents().failed().stream()
                .map(PortKitSaboteursTest::message)
                .toList();
    }

    private static String message(Event event) {
        return event.getRequiredPayload(TestExecutionResult.class)
                .getThrowable()
                .map(Throwable::getMessage)
                .orElse("");
    }
}
