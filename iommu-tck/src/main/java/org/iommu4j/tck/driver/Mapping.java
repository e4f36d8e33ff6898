// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Bench;

/** A run that needs tables is mapped beside a page that is. */
final class Mapping implements NthFailure.Operation {
    private static final int PAGES = 700;

    private final Bench bench;
    private final IommuDomain domain;
    private final long iova;

    Mapping(Bench bench) {
        this.bench = bench;
        domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.assertReaches(bench.iova(), bench.scratch());
        iova = bench.iova() + 400 * bench.granule();
    }

    @Override
    public void run() {
        domain.map(iova, bench.scratch(), bench.granule(), PAGES, Bench.READ_WRITE);
    }

    @Override
    public void assertDone() {
        domain.syncMap(iova, PAGES * bench.granule());
        for (int page : new int[] {0, 111, 112, PAGES - 1}) {
            bench.assertReaches(iova + page * bench.granule(), bench.scratch() + page * bench.granule());
        }
        bench.assertReaches(bench.iova(), bench.scratch());
    }

    @Override
    public void assertNotDone(boolean broken) {
        for (int page : new int[] {0, 111, 112, PAGES - 1}) {
            assertThat(domain.translate(iova + page * bench.granule())).isEqualTo(IommuDomain.UNMAPPED);
            bench.assertBlocked(iova + page * bench.granule());
        }
        bench.assertReaches(bench.iova(), bench.scratch());
    }

    /** Tables that were allocated for a refused run may stay, empty. */
    @Override
    public long spareFrames() {
        return 4;
    }

    @Override
    public void close() {
        Detaching.quietly(domain, bench);
        domain.close();
    }
}
