// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Every promise that the kits of ports check has a saboteur, and they catch each by its promise. */
class PortKitSaboteursTest {
    private static final KitIndex KITS = PortKits.index();

    @TestFactory
    Stream<DynamicTest> theKitsCatch() {
        return PortKitSaboteurs.all().stream()
                .map(sabotage -> DynamicTest.dynamicTest(
                        sabotage.toString(),
                        () -> run(sabotage).assertCaught(sabotage.promise(), sabotage.toString())));
    }

    @TestFactory
    Stream<DynamicTest> theKitsFindNothingInGoodPorts() {
        return KITS.promises().stream()
                .map(id ->
                        DynamicTest.dynamicTest(id, () -> run(PortSabotage.NONE).assertNothingFound(id)));
    }

    @Test
    void everyPromiseThatTheKitsCheckHasASaboteur() {
        Set<String> without = new TreeSet<>(KITS.promises());
        without.removeAll(
                PortKitSaboteurs.all().stream().map(PortSabotage::promise).collect(Collectors.toSet()));
        assertThat(without).as("promises without a saboteur").isEmpty();
    }

    private static KitRun run(PortSabotage sabotage) {
        return new KitRun(KITS, work -> PortKits.with(sabotage, work));
    }
}
