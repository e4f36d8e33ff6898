// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** ECAP.C decides whether walks are snooped; the queue and its status always are. */
class VtdSnoopTest {
    @ParameterizedTest
    @CsvSource({"f020df, snooped", "f020de, not snooped"})
    void walksFollowEcapCAndTheQueueIsAlwaysSnooped(String ecap, String walk) {
        Bench bench = new Bench(Bench.CAP, Long.parseLong(ecap, 16)).tables().on();
        bench.fabric.recording = true;

        bench.read(Bench.IOVA);
        assertThat(bench.fabric.accesses)
                .containsExactly(
                        "read 0x1020 " + walk,
                        "read 0x1028 " + walk,
                        "read 0x2000 " + walk,
                        "read 0x2008 " + walk,
                        "read 0x3008 " + walk,
                        "read 0x4008 " + walk,
                        "read 0x5008 " + walk,
                        "read 0x6008 " + walk);

        bench.fabric.accesses.clear();
        bench.read(Bench.IOVA);
        assertThat(bench.fabric.accesses).as("cached").isEmpty();

        bench.read(Bench.IOVA + 0x1000);
        assertThat(bench.fabric.accesses)
                .as("a fault is walked once, from the table known")
                .hasSize(1);

        bench.fabric.accesses.clear();
        bench.invalidate(0x25, Bench.STATUS);
        assertThat(bench.fabric.accesses)
                .containsExactly("read 0x20000 snooped", "read 0x20008 snooped", "write32 0x30000 snooped");
    }
}
