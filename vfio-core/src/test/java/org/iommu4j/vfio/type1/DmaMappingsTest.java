// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import org.iommu4j.Prot;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.junit.jupiter.api.Test;

class DmaMappingsTest {
    private static final long PAGE = 4096;
    private static final ProcessMemory PROCESS = new TestProcess();

    private static DmaMapping page(long number) {
        return new DmaMapping(PROCESS, number * PAGE, 0, PAGE, Prot.READ);
    }

    private static List<Long> starts(Iterator<DmaMapping> mappings) {
        List<Long> starts = new ArrayList<>();
        mappings.forEachRemaining(mapping -> starts.add(mapping.iova));
        return starts;
    }

    /** Counts what a tree is asked to compare, and each look at all of it as so many steps. */
    private static final class Counted extends TreeMap<Long, DmaMapping> {
        private static final long serialVersionUID = 1;
        private final AtomicLong steps;

        Counted(AtomicLong steps) {
            super((a, b) -> {
                steps.incrementAndGet();
                return Long.compareUnsigned(a, b);
            });
            this.steps = steps;
        }

        @Override
        public Collection<DmaMapping> values() {
            steps.addAndGet(size());
            return super.values();
        }

        @Override
        public Set<Map.Entry<Long, DmaMapping>> entrySet() {
            steps.addAndGet(size());
            return super.entrySet();
        }

        @Override
        public NavigableSet<Long> navigableKeySet() {
            steps.addAndGet(size());
            return super.navigableKeySet();
        }
    }

    /** Adds mappings from the top, removes half of them from the bottom one by one and then the rest. */
    private static long steps(int count) {
        AtomicLong steps = new AtomicLong();
        DmaMappings mappings = new DmaMappings(new Counted(steps));
        for (int i = count; i > 0; i--) {
            assertThat(mappings.overlapping(i * PAGE, i * PAGE)).isNull();
            mappings.add(page(i));
        }
        for (int i = 1; i <= count / 2; i++) {
            Iterator<DmaMapping> each = mappings.from(i * PAGE);
            assertThat(each.next().iova).isEqualTo(i * PAGE);
            each.remove();
        }
        removeAll(mappings);
        return steps.get();
    }

    private static void removeAll(DmaMappings mappings) {
        for (Iterator<DmaMapping> each = mappings.from(0); each.hasNext(); ) {
            each.next();
            each.remove();
        }
        assertThat(mappings.size()).isZero();
    }

    @Test
    void eachMappingIsFoundInAsManyStepsAsTheirNumberHasDigits() {
        for (int bits = 8; bits <= 14; bits++) {
            int count = 1 << bits;
            // Five searches for each mapping, in a red-black tree: at most twice as deep as a full one.
            assertThat(steps(count)).as("%d mappings", count).isLessThan(5L * count * 2 * (bits + 1));
        }
    }

    @Test
    void removingAllTakesNoSearchForEach() {
        AtomicLong steps = new AtomicLong();
        DmaMappings mappings = new DmaMappings(new Counted(steps));
        for (int i = 0; i < 1 << 14; i++) {
            mappings.add(page(i));
        }
        steps.set(0);
        removeAll(mappings);
        assertThat(steps.get()).isLessThan(2 * 2 * 15);
    }

    @Test
    void addressesAreUnsignedAndTheLastByteCounts() {
        DmaMappings mappings = new DmaMappings();
        mappings.add(new DmaMapping(PROCESS, -2 * PAGE, 0, 2 * PAGE, Prot.READ));
        mappings.add(new DmaMapping(PROCESS, 4 * PAGE, 0, 4 * PAGE, Prot.READ));
        mappings.add(page(0));

        assertThat(starts(mappings.from(0))).containsExactly(0L, 4 * PAGE, -2 * PAGE);
        assertThat(starts(mappings.from(1))).containsExactly(0L, 4 * PAGE, -2 * PAGE);
        assertThat(starts(mappings.from(PAGE))).containsExactly(4 * PAGE, -2 * PAGE);
        assertThat(starts(mappings.from(8 * PAGE - 1))).containsExactly(4 * PAGE, -2 * PAGE);
        assertThat(starts(mappings.from(8 * PAGE))).containsExactly(-2 * PAGE);
        assertThat(starts(mappings.from(-1))).containsExactly(-2 * PAGE);
        assertThat(mappings.overlapping(PAGE, 4 * PAGE - 1)).isNull();
        assertThat(mappings.overlapping(PAGE, 4 * PAGE).iova).isEqualTo(4 * PAGE);
        assertThat(mappings.overlapping(8 * PAGE, -1).iova).isEqualTo(-2 * PAGE);
        assertThat(mappings.overlapping(-1, -1).iova).isEqualTo(-2 * PAGE);
    }

    @Test
    void whatOverlapsIsFoundAsByLookingAtAll() {
        long seed = Long.getLong("iommu4j.seed", 20261129);
        Random random = new Random(seed);
        DmaMappings mappings = new DmaMappings();
        List<DmaMapping> model = new ArrayList<>();
        for (int step = 0; step < 5000; step++) {
            long first = random.nextInt(200) * PAGE;
            long last = first + (1 + random.nextInt(5)) * PAGE - 1;
            DmaMapping expected = null;
            for (DmaMapping each : model) {
                if (each.iova <= last && first <= each.last() && (expected == null || each.iova < expected.iova)) {
                    expected = each;
                }
            }
            assertThat(mappings.overlapping(first, last))
                    .as("seed %d step %d", seed, step)
                    .isSameAs(expected);
            if (expected == null) {
                DmaMapping added = new DmaMapping(PROCESS, first, 0, last - first + 1, Prot.READ);
                mappings.add(added);
                model.add(added);
            } else if (random.nextBoolean()) {
                Iterator<DmaMapping> each = mappings.from(first);
                assertThat(each.next()).as("seed %d step %d", seed, step).isSameAs(expected);
                each.remove();
                model.remove(expected);
            }
            assertThat(mappings.size()).isEqualTo(model.size());
        }
    }
}
