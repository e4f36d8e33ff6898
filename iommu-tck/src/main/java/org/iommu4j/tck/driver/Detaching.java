// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;

/** A device leaves a domain, which takes effect whatever fails. */
final class Detaching implements NthFailure.Operation {
    private final Bench bench;
    private final IommuDomain domain;

    Detaching(Bench bench) {
        this.bench = bench;
        domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.assertReaches(bench.iova(), bench.scratch());
    }

    /** Detaches the first device if it is there; a broken unit does not confirm that. */
    static void quietly(IommuDomain domain, Bench bench) {
        Optional<Errno> errno = Errnos.of(() -> domain.detach(bench.device()));
        assertThat(errno.isEmpty()
                        || errno.get() == Errno.EINVAL
                        || errno.get() == Errno.ETIMEDOUT
                        || errno.get() == Errno.EIO)
                .as("detaching: %s", errno)
                .isTrue();
    }

    @Override
    public void run() {
        domain.detach(bench.device());
    }

    @Override
    public void assertDone() {
        Errnos.assertRefused(Errno.EINVAL, () -> domain.detach(bench.device()));
        bench.assertBlocked(bench.iova() + bench.granule());
    }

    @Override
    public void assertNotDone(boolean broken) {
        throw new AssertionError("a detachment needs nothing that can be refused without breaking the unit");
    }

    @Override
    public boolean isDoneAllTheSame() {
        return true;
    }

    @Override
    public void close() {
        domain.close();
    }
}
