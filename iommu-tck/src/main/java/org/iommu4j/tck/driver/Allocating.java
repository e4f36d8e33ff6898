// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Set;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Bench;
import org.jspecify.annotations.Nullable;

/** A domain is allocated while the device is in another. */
final class Allocating implements NthFailure.Operation {
    private final Bench bench;
    private final DomainType type;
    private final Set<DomainFlag> flags;
    private final IommuDomain old;
    private @Nullable IommuDomain made;

    Allocating(Bench bench, DomainType type, Set<DomainFlag> flags) {
        this.bench = bench;
        this.type = type;
        this.flags = flags;
        old = bench.attached();
        bench.map(old, bench.iova(), bench.scratch());
    }

    @Override
    public void run() {
        made = flags.isEmpty()
                ? bench.iommu().allocate(type, bench.device())
                : bench.iommu().allocate(type, bench.device(), flags);
    }

    @Override
    public void assertDone() {
        IommuDomain domain = made;
        assertThat(domain).as("the domain").isNotNull();
        assertNotDone(false);
        if (domain == null || !type.isPaging()) {
            return;
        }
        assertThat(domain.translate(bench.iova())).isEqualTo(IommuDomain.UNMAPPED);
        bench.attach(domain, bench.device());
        bench.assertBlocked(bench.iova());
        bench.map(domain, bench.iova(), bench.scratch() + bench.granule());
        bench.assertReaches(bench.iova(), bench.scratch() + bench.granule());
        bench.attach(old, bench.device());
    }

    @Override
    public void assertNotDone(boolean broken) {
        if (!broken) {
            bench.assertReaches(bench.iova(), bench.scratch());
        }
    }

    @Override
    public void close() {
        bench.detach(old, bench.device());
        old.close();
        IommuDomain domain = made;
        if (domain != null) {
            domain.close();
        }
    }
}
