// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;

import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#map}. */
public abstract class MappingContract {
    /** Made by JUnit. */
    protected MappingContract() {}

    @Test
    @Promise("map-5")
    void aReadOnlyPageCantBeWritten(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch(), bench.granule(), 1, Prot.READ);
        bench.store(bench.scratch(), 0x1234);

        assertThat(bench.requester().read(bench.iova(), false))
                .as("the device reads")
                .isEqualTo(0x1234);
        assertThat(bench.requester().write(bench.iova(), 5, false))
                .as("a write is accepted")
                .isFalse();
        assertThat(bench.load(bench.scratch())).as("memory").isEqualTo(0x1234);
    }

    @Test
    @NeedsAbility(Ability.WRITE_ONLY)
    @Promise({"map-5", "map-6"})
    void aWriteOnlyPageCantBeRead(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch(), bench.granule(), 1, Prot.WRITE);
        bench.store(bench.scratch(), 0x1234);

        assertThat(bench.requester().read(bench.iova(), false))
                .as("the device reads")
                .isNotEqualTo(0x1234);
        assertThat(bench.requester().write(bench.iova(), 5, false))
                .as("a write is accepted")
                .isTrue();
        assertThat(bench.load(bench.scratch())).as("memory").isEqualTo(5);
    }

    @Test
    @Promise("map-7")
    void aRunWithoutRightsIsRefusedWithEinval(Bench bench) {
        IommuDomain domain = bench.attached();
        assertRefused(Errno.EINVAL, () -> domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, 0));
        assertThat(domain.translate(bench.iova())).isEqualTo(IommuDomain.UNMAPPED);
    }
}
