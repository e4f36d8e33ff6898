// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Mapped.attachSecond;
import static org.iommu4j.tck.driver.PageSizes.sizes;

import java.util.concurrent.CompletableFuture;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#sync}. */
public abstract class SyncContract {
    /** Made by JUnit. */
    protected SyncContract() {}

    @Test
    @Promise("sync-2")
    void theFirstAndTheLastPageThatCanBeMappedAreForgotten(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        for (long iova : new long[] {domain.apertureStart(), domain.apertureEnd() - (page - 1)}) {
            bench.map(domain, iova, bench.scratch());
            bench.assertReaches(iova, bench.scratch());
            assertThat(bench.unmap(domain, iova, page)).isEqualTo(page);
            bench.assertBlocked(iova);
        }
    }

    @Test
    @Promise("sync-2")
    void aDeviceThatCameBackForgetsAsWellAndForEveryThread(Bench given) {
        // A machine with caches belongs to one thread.
        Bench bench = new Bench(given.subject().flat());
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        for (int round = 0; round < 3; round++) {
            bench.map(domain, bench.iova(), bench.scratch());
            bench.assertReaches(bench.iova(), bench.scratch());
            bench.assertReaches(other, bench.iova(), bench.scratch());
            IotlbGather gather = bench.unmapOnly(domain, bench.iova(), bench.granule());
            CompletableFuture.runAsync(() -> domain.sync(gather)).join();
            bench.assertBlocked(bench.iova());
            bench.assertBlocked(other, bench.iova());
            bench.detach(domain, bench.device());
            bench.attach(domain, bench.device());
        }
    }

    @Test
    @Promise({"sync-2", "sync-1"})
    void allPagesOfOneUnmapAreForgottenBySyncTheLastOneAboveAll(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        for (long size : sizes(bench, domain)) {
            Spot spot = Spot.of(bench, domain, size);
            for (int count : new int[] {1, 2, 3, 5, 9, 17}) {
                if (count * size > bench.room() / 2) {
                    continue;
                }
                long first = spot.iova() + spot.offset();
                for (int i = 0; i < count; i++) {
                    bench.map(domain, spot.iova() + i * size, spot.physicalAddress(), size, 1, READ_WRITE);
                    bench.assertReaches(first + i * size, bench.scratch());
                    bench.assertReaches(other, first + i * size, bench.scratch());
                }
                assertThat(bench.unmap(domain, spot.iova(), count * size)).isEqualTo(count * size);
                for (int i = count - 1; i >= 0; i--) {
                    bench.assertBlocked(first + i * size);
                    bench.assertBlocked(other, first + i * size);
                }
            }
        }
    }

    @Test
    @NeedsAbility(Ability.TRANSLATION_CACHE)
    @Promise({"sync-2", "sync-1"})
    void aTranslationThatHardwareHoldsStandsUntilSyncAndNotAfter(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        long page = bench.granule();
        for (int count : new int[] {1, 2, 3, 6}) {
            bench.map(domain, bench.iova(), bench.scratch(), page, count + 1, READ_WRITE);
            for (int i = 0; i <= count; i++) {
                bench.assertReaches(bench.iova() + i * page, bench.scratch() + i * page);
                bench.assertReaches(other, bench.iova() + i * page, bench.scratch() + i * page);
            }
            IotlbGather gather = new IotlbGather();
            assertThat(bench.unmap(domain, bench.iova(), count * page, gather)).isEqualTo(count * page);
            assertThat(domain.translate(bench.iova())).isEqualTo(IommuDomain.UNMAPPED);
            // Otherwise the rest would be tested on nothing.
            long last = (count - 1) * page;
            bench.assertReaches(bench.iova() + last, bench.scratch() + last);
            bench.assertReaches(other, bench.iova() + last, bench.scratch() + last);

            bench.sync(domain, gather);
            assertThat(gather.isEmpty()).isTrue();
            assertThat(gather.hasRange()).isFalse();
            for (int i = count - 1; i >= 0; i--) {
                bench.assertBlocked(bench.iova() + i * page);
                bench.assertBlocked(other, bench.iova() + i * page);
            }
            bench.assertReaches(bench.iova() + count * page, bench.scratch() + count * page);
            assertThat(bench.unmap(domain, bench.iova() + count * page, page)).isEqualTo(page);
        }
    }

    @Test
    @Promise({"sync-1", "sync-2"})
    void severalUnmapsOfOneGatherAreAllForgotten(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        IotlbGather gather = new IotlbGather();
        long[] places = {0, 3, 7, 1, 40};
        for (int round = 0; round < 2; round++) {
            for (long place : places) {
                bench.map(domain, bench.iova() + place * page, bench.scratch() + place * page);
                bench.assertReaches(bench.iova() + place * page, bench.scratch() + place * page);
            }
            for (long place : places) {
                assertThat(bench.unmap(domain, bench.iova() + place * page, page, gather))
                        .isEqualTo(page);
            }
            bench.sync(domain, gather);
            assertThat(gather.isEmpty()).isTrue();
            for (long place : places) {
                bench.assertBlocked(bench.iova() + place * page);
            }
            // The same gather serves again.
        }
    }

    @Test
    @Promise("sync-3")
    void anEmptyGatherTouchesNoHardware(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        Trace trace = bench.machine().trace();
        IotlbGather gather = new IotlbGather();
        trace.start();
        bench.sync(domain, gather);
        assertThat(trace.size()).as("events of an empty gather").isZero();
        bench.unmap(domain, bench.iova() + bench.granule(), bench.granule(), gather);
        int looked = trace.size();
        bench.sync(domain, gather);
        assertThat(trace.size()).as("events of a gather of nothing").isEqualTo(looked);
        assertThat(bench.unmap(domain, bench.iova(), bench.granule(), gather)).isEqualTo(bench.granule());
        bench.sync(domain, gather);
        int synced = trace.size();
        bench.sync(domain, gather);
        assertThat(trace.size()).as("events of a gather that sync has emptied").isEqualTo(synced);
        trace.stop();
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise({"sync-4", "sync-3"})
    void aSyncThatDoesNotCompleteQuarantinesTheFramesAndBreaksTheUnit(Bench whole) {
        Silence silence = new Silence();
        Bench bench = whole.on(silence::in);
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        long span = bench.tableSpan();
        bench.map(domain, bench.iova() - page, bench.scratch());
        bench.map(domain, bench.iova(), bench.scratch() & -span, page, 3 * (span / page), READ_WRITE);
        long frames = bench.framesInUse();
        IotlbGather gather = new IotlbGather();
        assertThat(bench.unmap(domain, bench.iova(), 3 * span, gather)).isEqualTo(3 * span);
        long waiting = gather.totalFrames();
        silence.during(() -> assertRefused(NOT_COMPLETED, () -> domain.sync(gather)));

        assertThat(bench.iommu().quarantinedFrames()).as("quarantined frames").isEqualTo(waiting);
        assertThat(bench.framesInUse()).as("frames that are not used again").isEqualTo(frames);
        assertThat(gather.isEmpty()).isTrue();
        // A broken unit is not noticed by what needs none, and by nothing is forgotten that it is.
        domain.sync(gather);
        domain.sync(new IotlbGather());
        domain.map(bench.iova(), bench.scratch(), page, 2, READ_WRITE);
        for (int i = 0; i < 2; i++) {
            assertThat(bench.unmap(domain, bench.iova() + i * page, page, gather))
                    .isEqualTo(page);
            assertRefused(NOT_COMPLETED, () -> domain.sync(gather));
            assertThat(gather.isEmpty()).isTrue();
        }
        assertThat(domain.translate(bench.iova() - page)).isEqualTo(bench.scratch());
        assertThat(bench.iommu().quarantinedFrames()).isGreaterThanOrEqualTo(waiting);
        assertRefused(NOT_COMPLETED, () -> domain.detach(bench.device()));
        domain.close();
        assertThat(bench.framesInUse())
                .as("frames in use after the domain is closed")
                .isGreaterThanOrEqualTo(waiting);
        bench.iommu().close();
        assertThat(bench.framesInUse())
                .as("only what was counted is kept")
                .isEqualTo(bench.iommu().quarantinedFrames());
    }
}
