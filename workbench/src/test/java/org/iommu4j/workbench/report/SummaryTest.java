// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SummaryTest {
    private static String summary(Outcome outcome) {
        return Summary.of(outcome, WordStory.of(outcome));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "wbinvd-mask-hole|intel-nosc|At 15 the device 01:00.0 read 1111 and should have read 2222: that value"
                        + " was still in the cache of cpu1. The guest had asked for a flush at 13; KVM flushed cpu2"
                        + " only.",
                "guest-forgets-flush|intel-nosc|At 7 the device 01:00.0 read 0 and should have read 1111: that value"
                        + " was still in the cache of cpu1. The guest's driver asked for no flush between 6 and 7.",
                "guest-no-snoop-unreported|intel-sc|At 7 the device 01:00.0 read 0 and should have read 1111: that"
                        + " value was still in the cache of cpu1. The guest had asked for a flush at 6; KVM flushed"
                        + " nothing, for it took all DMA for coherent.",
                "guest-uncached-unreported|intel-nosc|At 6 the device 01:00.0 read 0 and should have read 1111: that"
                        + " value was still in the cache of cpu1. The guest had mapped it uncached; the host let it be"
                        + " cached at 5.",
                "wc-ring-without-fence|amd|At 10 the device 01:00.0 read 0 and should have read 1111: that value was"
                        + " still in the write-combining buffer of cpu1. It was stored write-combining at 6, and no"
                        + " fence drained it since.",
                "stale-host-data|intel-nosc|At 11 the device 01:00.0 read 5ec7e7 and should have read 0: that value was"
                        + " still in the cache of cpu0. It was stored at 8 by kernel, which asked for no flush since."
                        + " What was read is another owner's: tenant wrote it at 4.",
                "stale-writeback|intel-nosc|At 11 vcpu0 read 0 and should have read 1111: at 8 the cache of cpu0 wrote"
                        + " its older line over that value. That line was dirty since 4 by a store of kernel, and"
                        + " nothing flushed it before the device wrote at 7.",
                "guest-no-snoop|intel-sc|Each of the 3 reads saw the value last written. At 8 the device 01:00.0 read"
                        + " 1111 with no-snoop, which the IOMMU blocked: it was found in the cache of cpu1.",
                "guest-no-snoop|intel-nosc|Each of the 3 reads saw the value last written. At 11 the device 01:00.0"
                        + " read 1111 past the caches, and the cache of cpu1 had put it into memory at 10.",
                "mixed-group|intel-sc|The case can't be shown here: no other endpoint is in the group of 0000:01:00.0."
            })
    void theSentencesSayWhatTheEventsShow(String story, String machine, String expected) {
        assertThat(summary(Library.run(story, machine))).isEqualTo(expected);
    }

    @Test
    void theFirstWrongReadIsNamedWithBothValuesInEveryRunThatHasOne() {
        for (Outcome outcome : Library.RUNS) {
            if (outcome.bad()) {
                StaleRead first = outcome.staleReads().get(0);
                assertThat(summary(outcome))
                        .as(Library.name(outcome))
                        .contains(Values.of(first.observed()), Values.of(first.expected()))
                        .contains(first.ofMemory() ? "At the end" : "At " + first.at() + " ")
                        .endsWith(".");
            } else {
                assertThat(summary(outcome)).as(Library.name(outcome)).doesNotContain("should have");
            }
        }
    }
}
