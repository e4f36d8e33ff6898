// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.support;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** A table of numbers is a map. */
class LongTableTest {
    @Test
    void itBehavesAsAMap() {
        long seed = 20260101;
        SplittableRandom random = new SplittableRandom(seed);
        LongTable table = new LongTable();
        Map<Long, Long> model = new HashMap<>();
        for (int step = 0; step < 50_000; step++) {
            long key = random.nextInt(500) * 512L;
            if (random.nextInt(3) == 0) {
                table.remove(key);
                model.remove(key);
            } else {
                long value = random.nextLong();
                table.put(key, value);
                model.put(key, value);
            }
            long probe = random.nextInt(500) * 512L;
            assertThat(table.get(probe, -7))
                    .as("seed %d step %d", seed, step)
                    .isEqualTo(model.getOrDefault(probe, -7L));
            assertThat(table.size()).isEqualTo(model.size());
        }
    }
}
