// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A table of events is a map from words or lines to events. */
class EventTableTest {
    private static final long SEED = 20260102;

    @ParameterizedTest
    @ValueSource(ints = {8, 64})
    void itBehavesAsAMapOfAllAddressesInAWordOrLine(int bytes) {
        SplittableRandom random = new SplittableRandom(SEED);
        EventTable table = bytes == 8 ? EventTable.ofWords() : EventTable.ofLines();
        Map<Long, Integer> model = new TreeMap<>();
        for (int step = 0; step < 20_000; step++) {
            long address = address(random);
            int choice = random.nextInt(1000);
            if (choice == 0) {
                table.removeIf(event -> event % 3 == 0);
                model.values().removeIf(event -> event % 3 == 0);
            } else if (choice < 300) {
                table.put(address, EventTable.NONE);
                model.remove(address / bytes);
            } else {
                table.put(address, step);
                model.put(address / bytes, step);
            }
            long probe = address(random);
            assertThat(table.get(probe))
                    .as("seed %d, step %d, 0x%x", SEED, step, probe)
                    .isEqualTo(model.getOrDefault(probe / bytes, EventTable.NONE));
        }
        List<Long> addresses = new ArrayList<>();
        table.forEachAddress(addresses::add);
        assertThat(addresses)
                .containsExactlyInAnyOrderElementsOf(
                        model.keySet().stream().map(unit -> unit * bytes).toList());
    }

    /** An address in one of 40 frames, of which some are above 4 GiB and one is frame 0. */
    private static long address(SplittableRandom random) {
        return random.nextInt(40) * 0x1_1000_3000L + random.nextInt(4096);
    }
}
