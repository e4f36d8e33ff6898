// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** Runs of pinned pages beside a map of each page. */
class PinnedRunsTest {
    private static final int PAGES = 60;
    private static final int STEPS = 20_000;

    private record Page(long frame, int uses) {}

    private final PinnedRuns runs = new PinnedRuns();
    private final TreeMap<Integer, Page> model = new TreeMap<>();

    @Test
    void contiguousPagesAreOneRunAndOthersAreNot() {
        runs.add(4, new long[] {0x4000, 0x5000, 0x6000, 0x9000});
        runs.add(2, new long[] {0x2000, 0x3000});

        assertThat(runs.size()).isEqualTo(2);
        assertThat(runs.end(0)).isEqualTo(7);
        assertThat(runs.frame(runs.find(7), 7)).isEqualTo(0x9000);
        assertThat(runs.find(8)).isEqualTo(-3);
    }

    @Test
    void usesThatEndMakeOneRunAgain() {
        runs.add(0, new long[] {0x1000, 0x2000, 0x3000, 0x4000});
        runs.use(1, 3);
        assertThat(runs.size()).isEqualTo(3);

        runs.release(1, 3, frame -> assertThat(frame).isNegative());

        assertThat(runs.size()).isEqualTo(1);
    }

    @Test
    void everyPageIsAsInAMapOfPages() {
        long seed = Long.getLong("iommu4j.seed", 20261130L);
        Random random = new Random(seed);
        for (int step = 0; step < STEPS; step++) {
            int from = random.nextInt(PAGES);
            int to = from + 1 + random.nextInt(Math.min(12, PAGES - from));
            if (random.nextInt(5) < 3) {
                pin(random, from, to);
            } else if (model.subMap(from, to).size() == to - from) {
                assertThat(runs.has(from, to)).isTrue();
                release(from, to);
            } else {
                assertThat(runs.has(from, to)).isFalse();
            }
            check("-Diommu4j.seed=" + seed + " step " + step);
        }
    }

    private void pin(Random random, int from, int to) {
        int page = from;
        while (page < to) {
            boolean pinned = model.containsKey(page);
            int end = page + 1;
            while (end < to && model.containsKey(end) == pinned) {
                end++;
            }
            if (pinned) {
                runs.use(page, end);
                model.subMap(page, end).replaceAll((at, old) -> new Page(old.frame, old.uses + 1));
            } else {
                long[] frames = new long[end - page];
                for (int i = 0; i < frames.length; i++) {
                    // Mostly where its number says, so that runs meet; sometimes elsewhere.
                    frames[i] = (page + i + (random.nextInt(6) == 0 ? 1000 : 0)) * 4096L;
                    model.put(page + i, new Page(frames[i], 1));
                }
                runs.add(page, frames);
            }
            page = end;
        }
    }

    private void release(int from, int to) {
        List<Long> expected = new ArrayList<>();
        List<Long> ended = new ArrayList<>();
        for (int page = from; page < to; page++) {
            Page old = model.get(page);
            if (old.uses == 1) {
                expected.add(old.frame);
                model.remove(page);
            } else {
                model.put(page, new Page(old.frame, old.uses - 1));
            }
        }
        assertThat(runs.release(from, to, ended::add)).isEqualTo(expected.size());
        assertThat(ended).isEqualTo(expected);
    }

    private void check(String when) {
        int expectedRuns = 0;
        for (int page = 0; page <= PAGES; page++) {
            Page here = model.get(page);
            Page before = model.get(page - 1);
            if (here == null) {
                assertThat(runs.find(page)).as(when).isEqualTo(-1 - expectedRuns);
                continue;
            }
            if (before == null || before.uses != here.uses || before.frame + 4096 != here.frame) {
                expectedRuns++;
            }
            assertThat(runs.find(page)).as(when).isEqualTo(expectedRuns - 1);
            assertThat(runs.frame(expectedRuns - 1, page)).as(when).isEqualTo(here.frame);
        }
        assertThat(runs.size()).as(when).isEqualTo(expectedRuns);
    }
}
