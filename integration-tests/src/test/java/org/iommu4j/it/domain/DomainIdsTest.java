// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.SCRATCH;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.junit.jupiter.api.Test;

/** Hardware numbers domains, and numbers run out. */
class DomainIdsTest {
    @Test
    void intelTakesAnIdForADomainWithDevicesOnAUnitAndGivesItBack() {
        // CAP.ND 0: 16 ids, of which 0 is reserved and 1 is Linux's own.
        Bench bench = new Bench(IntelConfigurations.configurations().stream()
                .filter(configuration -> configuration.name().equals("16 domain ids"))
                .findFirst()
                .orElseThrow());
        for (int i = 0; i < 100; i++) {
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH);
            bench.assertReaches(IOVA, SCRATCH);
            domain.detach(bench.device());
            domain.close();
        }
    }

    @Test
    void amdTakesAnIdForEveryDomainAndRefusesWithEnospcWhenNoneIsLeft() {
        Bench bench = new Bench(AmdConfigurations.configurations().get(0).flat());
        List<IommuDomain> domains = new ArrayList<>();
        // Id 0 stands for no domain.
        for (int i = 1; i < 1 << 16; i++) {
            domains.add(bench.iommu().allocate(DomainType.IDENTITY, bench.device()));
        }
        long frames = bench.framesInUse();

        assertThatThrownBy(() -> bench.iommu().allocate(DomainType.UNMANAGED, bench.device()))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOSPC));

        assertThat(bench.framesInUse()).isEqualTo(frames);
        domains.get(7).close();
        bench.map(bench.attached(), IOVA, SCRATCH);
        bench.assertReaches(IOVA, SCRATCH);
        assertThat(bench.machine().endpoint(BuiltInTopology.GPU).lastFault()).isZero();
    }
}
