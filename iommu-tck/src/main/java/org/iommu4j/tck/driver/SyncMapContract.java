// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Mapped.attachSecond;

import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#syncMap}. */
public abstract class SyncMapContract {
    /** Made by JUnit. */
    protected SyncMapContract() {}

    @Test
    @Promise("sync-map-1")
    void whatIsMappedIsReachedThoughTheUnitWasAskedThereBefore(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        long page = bench.granule();
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            int count = spot.iova() == bench.iova() && size <= 1L << 30 ? 5 : 1;
            long first = spot.iova() + spot.offset();
            for (int i = 0; i < count; i++) {
                bench.assertBlocked(first + i * size);
                bench.assertBlocked(other, first + i * size);
            }
            bench.assertBlocked(first + Math.min(size - spot.offset(), spot.reachable(bench, size)) - 8);
            // Each page to the same place, so that all can be reached; one syncMap for all.
            for (int i = 0; i < count; i++) {
                bench.mapOnly(domain, spot.iova() + i * size, spot.physicalAddress(), size, 1, READ_WRITE);
            }
            bench.steps().note("syncMap(0x%x, 0x%x)", spot.iova(), count * size);
            domain.syncMap(spot.iova(), count * size);

            for (int i = count - 1; i >= 0; i--) {
                bench.assertReaches(first + i * size, bench.scratch());
                bench.assertReaches(other, first + i * size, bench.scratch());
            }
            long end = spot.offset() + spot.reachable(bench, size) - 8;
            bench.assertReaches(spot.iova() + end, spot.physicalAddress() + end);
            assertThat(bench.unmap(domain, spot.iova(), count * size)).isEqualTo(count * size);
        }
        // A run over the end of a table, looked at from its last page on.
        long boundary = bench.iova() + bench.tableSpan();
        for (int i = -3; i < 3; i++) {
            bench.assertBlocked(boundary + i * page);
        }
        bench.map(domain, boundary - 3 * page, bench.scratch(), page, 6, READ_WRITE);
        for (int i = 2; i >= -3; i--) {
            bench.assertReaches(boundary + i * page, bench.scratch() + (3 + i) * page);
        }
    }

    @Test
    @NeedsAbility(Ability.NEGATIVE_CACHE)
    @Promise("sync-map-1")
    void aNewPageIsRefusedUntilSyncMapWhereTheUnitRemembersThatItWasAbsent(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        long page = bench.granule();
        bench.map(domain, bench.iova() + 9 * page, bench.scratch());
        for (int count : new int[] {1, 2, 3, 8}) {
            for (int i = 0; i < count; i++) {
                bench.assertBlocked(bench.iova() + i * page);
                bench.assertBlocked(other, bench.iova() + i * page);
            }
            bench.mapOnly(domain, bench.iova(), bench.scratch(), page, count, READ_WRITE);
            // Otherwise syncMap would be tested on nothing.
            bench.assertBlocked(bench.iova() + (count - 1) * page);
            domain.syncMap(bench.iova(), count * page);
            for (int i = count - 1; i >= 0; i--) {
                bench.assertReaches(bench.iova() + i * page, bench.scratch() + i * page);
                bench.assertReaches(other, bench.iova() + i * page, bench.scratch() + i * page);
            }
            assertThat(bench.unmap(domain, bench.iova(), count * page)).isEqualTo(count * page);
        }
    }

    @Test
    @NeedsAbility({Ability.NEGATIVE_CACHE, Ability.COMPLETION})
    @Promise("sync-map-2")
    void aSyncMapThatDoesNotCompleteBreaksTheUnitAndKeepsTheEntries(Bench whole) {
        Silence silence = new Silence();
        Bench bench = whole.on(silence::in);
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        bench.map(domain, bench.iova() + 4 * page, bench.scratch());
        bench.mapOnly(domain, bench.iova(), bench.scratch(), page, 3, READ_WRITE);

        silence.during(() -> assertRefused(NOT_COMPLETED, () -> domain.syncMap(bench.iova(), 3 * page)));

        for (int i = 0; i < 3; i++) {
            assertThat(domain.translate(bench.iova() + i * page)).isEqualTo(bench.scratch() + i * page);
        }
        assertThat(domain.translate(bench.iova() + 4 * page)).isEqualTo(bench.scratch());
        assertRefused(NOT_COMPLETED, () -> domain.syncMap(bench.iova(), page));
        assertRefused(Errno.EADDRINUSE, () -> domain.map(bench.iova(), bench.scratch(), page, 1, READ_WRITE));
        assertRefused(NOT_COMPLETED, () -> domain.detach(bench.device()));
    }

    @Test
    @Promise({"map-13", "sync-map-3"})
    void aClosedDomainMapsNothing(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.detach(domain, bench.device());
        domain.close();
        long frames = bench.framesInUse();
        for (int round = 0; round < 2; round++) {
            assertRefused(
                    Errno.ENODEV, () -> domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, READ_WRITE));
            assertRefused(Errno.ENODEV, () -> domain.map(0, bench.scratch(), bench.granule(), 2, Prot.READ));
            assertRefused(Errno.ENODEV, () -> domain.syncMap(bench.iova(), bench.granule()));
            assertRefused(Errno.ENODEV, () -> domain.syncMap(0, 0));
        }
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        IommuDomain blocked = bench.iommu().allocate(DomainType.BLOCKED, bench.device());
        blocked.close();
        assertRefused(Errno.ENODEV, () -> blocked.map(0, 0, bench.granule(), 1, READ_WRITE));
        assertRefused(Errno.ENODEV, () -> blocked.syncMap(0, bench.granule()));
    }
}
