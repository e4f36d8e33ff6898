// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.tck.Bench;

/** A run is unmapped and synced, which takes effect whatever fails. */
final class Unmapping implements NthFailure.Operation {
    private static final int PAGES = 700;

    private final Bench bench;
    private final IommuDomain domain;
    private final IotlbGather gather = new IotlbGather();

    Unmapping(Bench bench) {
        this.bench = bench;
        domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch(), bench.granule(), PAGES, Bench.READ_WRITE);
        bench.assertReaches(bench.iova(), bench.scratch());
    }

    @Override
    public void run() {
        assertThat(domain.unmap(bench.iova(), PAGES * bench.granule(), gather)).isEqualTo(PAGES * bench.granule());
        domain.sync(gather);
    }

    @Override
    public void assertDone() {
        assertThat(domain.translate(bench.iova())).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(domain.translate(bench.iova() + (PAGES - 1) * bench.granule()))
                .isEqualTo(IommuDomain.UNMAPPED);
        assertThat(gather.isEmpty()).as("the gather is empty").isTrue();
        bench.assertBlocked(bench.iova() + PAGES * bench.granule());
    }

    @Override
    public void assertNotDone(boolean broken) {
        throw new AssertionError("an unmapping needs nothing that can be refused without breaking the unit");
    }

    @Override
    public boolean isDoneAllTheSame() {
        return true;
    }

    @Override
    public void close() {
        Detaching.quietly(domain, bench);
        domain.close();
    }
}
