// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.SCRATCH;

import org.iommu4j.IommuDomain;
import org.iommu4j.core.IommuMapper;
import org.junit.jupiter.api.Test;

/** A machine that was told {@code amd_iommu=pgtbl_v2}. */
class AmdGuestTablesTest {
    @Test
    void everyDomainHasGuestTablesAndWorksForTwoDevicesThroughCore() {
        Bench bench = new Bench(AmdGuestConfigurations.of("guest tables", 4));
        IommuDomain domain = bench.attached();
        assertThat(domain.format()).isEqualTo("amd-guest-v2");
        bench.attach(domain, bench.second());
        long size = (2L << 20) + 3 * 4096;
        IommuMapper.map(domain, IOVA, SCRATCH, size, Bench.READ_WRITE);
        bench.assertReaches(IOVA, SCRATCH);
        bench.assertReaches(bench.secondEndpoint(), IOVA + size - 8, SCRATCH + size - 8);
        assertThat(IommuMapper.unmap(domain, IOVA, size)).isEqualTo(size);
        bench.assertRefused(IOVA);
        bench.assertRefused(bench.secondEndpoint(), IOVA + size - 8);
        domain.detach(bench.device());
        domain.detach(bench.second());
        domain.close();
        bench.iommu().close();
        assertThat(bench.framesInUse()).isZero();
    }
}
