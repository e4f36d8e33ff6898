// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;

/** A device moves from one domain to another. */
final class Moving implements NthFailure.Operation {
    private final Bench bench;
    private final IommuDomain old;
    private final IommuDomain next;

    Moving(Bench bench, DomainType type) {
        this.bench = bench;
        old = bench.attached();
        bench.map(old, bench.iova(), bench.scratch());
        next = bench.iommu().allocate(type, bench.device());
        bench.map(next, bench.iova(), bench.scratch() + bench.granule());
        bench.map(next, bench.iova() + bench.granule(), bench.scratch());
        bench.assertReaches(bench.iova(), bench.scratch());
    }

    @Override
    public void run() {
        next.attach(bench.device());
    }

    @Override
    public void assertDone() {
        bench.assertReaches(bench.iova(), bench.scratch() + bench.granule());
        bench.assertReaches(bench.iova() + bench.granule(), bench.scratch());
        Errnos.assertRefused(Errno.EINVAL, () -> old.detach(bench.device()));
    }

    @Override
    public void assertNotDone(boolean broken) {
        bench.assertReaches(bench.iova(), bench.scratch());
        bench.assertBlocked(bench.iova() + bench.granule());
        Errnos.assertRefused(Errno.EINVAL, () -> next.detach(bench.device()));
        Errnos.assertRefused(Errno.EBUSY, old::close);
    }

    @Override
    public void close() {
        Detaching.quietly(old, bench);
        Detaching.quietly(next, bench);
        old.close();
        next.close();
    }
}
