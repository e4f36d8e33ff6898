// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.workbench.report.WordStory.Row;
import org.iommu4j.workbench.report.WordStory.Stay;
import org.iommu4j.workbench.report.WordStory.WrongRead;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;

/** The replay of a word against the runs of the library. */
class WordStoryTest {
    @Test
    void everyReadFindsItsValueWhereTheReplayHasIt() {
        for (Outcome outcome : Library.RUNS) {
            assertThat(WordStory.of(outcome))
                    .as(Library.name(outcome))
                    .allSatisfy(story -> assertThat(story.unexplained()).isEmpty());
        }
    }

    @Test
    void everyWrongReadOfTheVerdictIsInThePicturesOnceAndNoOther() {
        for (Outcome outcome : Library.RUNS) {
            List<StaleRead> shown = new ArrayList<>();
            WordStory.of(outcome).forEach(story -> story.wrongReads().forEach(wrong -> shown.add(wrong.read())));

            assertThat(shown).as(Library.name(outcome)).containsExactlyInAnyOrderElementsOf(outcome.staleReads());
        }
    }

    /** The verdict's checker is another implementation of the same question. */
    @Test
    void aReadIsWrongExactlyWhereItsSourceIsOld() {
        for (Outcome outcome : Library.RUNS) {
            for (WordStory story : WordStory.of(outcome)) {
                assertThat(story.wrongReads())
                        .as(Library.name(outcome))
                        .allSatisfy(wrong -> assertThat(story.rows()
                                        .get(wrong.row())
                                        .copies()
                                        .get(wrong.source())
                                        .freshness())
                                .isEqualTo(Freshness.OLD));
            }
        }
    }

    @Test
    void valuesOfOnePlaceFollowEachOtherWithoutOverlap() {
        for (Outcome outcome : Library.RUNS) {
            for (WordStory story : WordStory.of(outcome)) {
                for (Place place : story.places()) {
                    int end = -1;
                    for (Stay stay : story.stays()) {
                        if (stay.place().equals(place)) {
                            assertThat(stay.from()).as(Library.name(outcome)).isGreaterThanOrEqualTo(end);
                            assertThat(stay.to()).isGreaterThan(stay.from());
                            end = stay.to();
                        }
                    }
                }
            }
        }
    }

    @Test
    void theValueThatAFlushMissedIsStillInTheCacheOfTheCpuThatTheGuestLeft() {
        WordStory story =
                WordStory.of(Library.run("wbinvd-mask-hole", "intel-nosc")).get(0);

        assertThat(story.wrongReads()).hasSize(1);
        WrongRead wrong = story.wrongReads().get(0);
        assertThat(wrong.holders()).containsExactly(Place.cache(1));
        assertThat(wrong.source()).isEqualTo(Place.MEMORY);
        assertThat(wrong.flushes()).hasSize(1);
        assertThat(wrong.flushes().get(0).caches()).containsExactly(Place.cache(2));
        assertThat(story.rows().get(wrong.write()).words()).isEqualTo("stores 2222");
        assertThat(story.stays())
                .filteredOn(stay -> stay.place().equals(Place.cache(1)))
                .extracting(Stay::freshness)
                .containsExactly(Freshness.ONLY_CACHED, Freshness.ONLY_CACHED);
        assertThat(story.stays())
                .filteredOn(stay -> stay.place().equals(Place.MEMORY))
                .extracting(Stay::freshness)
                .containsExactly(Freshness.NEWEST, Freshness.OLD, Freshness.NEWEST, Freshness.OLD);
    }

    @Test
    void whatWaitsInAWriteCombiningBufferGoesToMemoryAtTheFence() {
        WordStory waiting =
                WordStory.of(Library.run("wc-ring-without-fence", "amd")).get(0);
        assertThat(waiting.wrongReads()).hasSize(1);
        assertThat(waiting.wrongReads().get(0).holders()).containsExactly(Place.buffer(1));
        assertThat(waiting.wrongReads().get(0).source()).isEqualTo(Place.MEMORY);

        WordStory fenced =
                WordStory.of(Library.run("wc-ring-with-fence", "amd")).get(1);
        assertThat(fenced.wrongReads()).isEmpty();
        assertThat(fenced.rows())
                .extracting(Row::words)
                .containsSubsequence("stores 1111", "drains", "reads 1111, snooped");
        assertThat(fenced.stays())
                .filteredOn(stay -> stay.place().equals(Place.buffer(1)))
                .extracting(Stay::freshness)
                .containsExactly(Freshness.ONLY_CACHED);
    }

    @Test
    void aLineThatIsWrittenBackOverADevicesDataIsNamedAsWhatLostIt() {
        WordStory story =
                WordStory.of(Library.run("stale-writeback", "intel-nosc")).get(0);

        WrongRead wrong = story.wrongReads().get(0);
        assertThat(wrong.holders()).isEmpty();
        assertThat(wrong.loser()).isEqualTo(Place.cache(0));
        assertThat(story.rows().get(wrong.lostAt()).words()).isEqualTo("writes back");
        assertThat(story.rows()).extracting(Row::words).last().isEqualTo("all caches are written back at the end");
    }
}
