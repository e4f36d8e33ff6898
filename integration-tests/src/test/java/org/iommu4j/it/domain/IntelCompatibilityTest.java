// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.READ_WRITE;
import static org.iommu4j.it.domain.Bench.SCRATCH;
import static org.iommu4j.it.domain.ScalableMachines.CAP;
import static org.iommu4j.it.domain.ScalableMachines.CAP_5_LEVELS;
import static org.iommu4j.it.domain.ScalableMachines.COHERENT;
import static org.iommu4j.it.domain.ScalableMachines.ECAP;
import static org.iommu4j.it.domain.ScalableMachines.FIRST_STAGE;
import static org.iommu4j.it.domain.ScalableMachines.NESTING_PASID_DIRTY;
import static org.iommu4j.it.domain.ScalableMachines.SECOND_STAGE;

import java.util.List;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDomain;
import org.iommu4j.LinuxRelease;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.junit.jupiter.api.Test;

/** Two VT-d units that differ, driver and silicon together: what may share a domain, and what it then finds. */
class IntelCompatibilityTest {
    private static final long PAGE = 4096;
    private static final int PASID = 5;

    private static boolean enforce(IommuDomain domain) {
        return domain.cacheCoherencyEnforcement().orElseThrow().enforce();
    }

    private static PasidAttachment pasids(IommuDomain domain) {
        return domain.pasidAttachment().orElseThrow();
    }

    /** Linux asks the units of the domain's devices; a PASID's is not in that list. */
    @Test
    void theUnitBehindAPasidIsNotAskedBeforeTheDomainPromises() {
        for (long stage : new long[] {FIRST_STAGE, SECOND_STAGE}) {
            long has = ECAP | stage | NESTING_PASID_DIRTY;
            Bench bench = new Bench(
                    ScalableMachines.withDevices(ScalableMachines.twoUnits(CAP, has, CAP, has & ~0x80L), false));
            IommuDomain domain = bench.attached();
            pasids(domain).attach(bench.second(), PASID);
            assertThat(enforce(domain)).as("ECAP.SC of the PASID's unit is 0").isTrue();

            Bench other = new Bench(
                    ScalableMachines.withDevices(ScalableMachines.twoUnits(CAP, has & ~0x80L, CAP, has), false));
            IommuDomain weak = other.attached();
            pasids(weak).attach(other.second(), PASID);
            assertThat(enforce(weak)).as("ECAP.SC of the device's unit is 0").isFalse();
        }
    }

    @Test
    void aLegacyAndAScalableUnitShareASecondStage() {
        long legacy = ECAP & ~(1L << 43);
        Bench bench = new Bench(ScalableMachines.twoUnits(CAP, ECAP | SECOND_STAGE, CAP, legacy));
        IommuDomain domain = bench.attached();
        bench.attach(domain, bench.second());
        assertThat(enforce(domain)).isTrue();
        bench.map(domain, IOVA, SCRATCH, PAGE, 4, READ_WRITE);
        for (Endpoint endpoint : List.of(bench.endpoint(), bench.secondEndpoint())) {
            bench.assertReaches(endpoint, IOVA + PAGE, SCRATCH + PAGE);
            assertThat(bench.isSnooped(endpoint, IOVA, SCRATCH)).isTrue();
        }
        bench.unmap(domain, IOVA, 4 * PAGE);
        bench.assertRefused(bench.endpoint(), IOVA + PAGE);
        bench.assertRefused(bench.secondEndpoint(), IOVA + PAGE);
    }

    @Test
    void aUnitThatLacksWhatADomainHasStaysOut() {
        long first = ECAP | FIRST_STAGE;
        assertStaysOut(CAP, first, CAP, ECAP | SECOND_STAGE, "first stage");
        assertStaysOut(CAP, ECAP | SECOND_STAGE, CAP, first, "second stage");
        assertStaysOut(CAP_5_LEVELS, first, CAP, first, "5 levels");
        assertStaysOut(CAP_5_LEVELS, first, CAP_5_LEVELS & ~(1L << 60), first, "FL5LP");
        assertStaysOut(CAP, first, CAP & ~(1L << 56), first, "page sizes");
        assertStaysOut(CAP, first, CAP, first & ~COHERENT, "SMPWC");
    }

    private static void assertStaysOut(long cap1, long ecap1, long cap0, long ecap0, String reason) {
        Bench bench = new Bench(ScalableMachines.twoUnits(cap1, ecap1, cap0, ecap0));
        IommuDomain domain = bench.attached();
        bench.map(domain, IOVA, SCRATCH);
        IommuDomain own = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        bench.map(own, IOVA, SCRATCH + PAGE);
        bench.attach(own, bench.second());

        AttachResult result = domain.attach(bench.second());

        assertThat(result.attached()).isFalse();
        assertThat(result.reason()).contains(reason);
        // As in Linux, whose driver blocks first. The other stays where it was.
        bench.assertRefused(bench.secondEndpoint(), IOVA);
        bench.assertReaches(IOVA, SCRATCH);
        bench.attach(own, bench.second());
        bench.assertReaches(bench.secondEndpoint(), IOVA, SCRATCH + PAGE);
    }

    @Test
    void aUnitWithoutSnoopControlComesIntoAFirstStageThatPromisedAndIsThenOfNoUse() {
        long first = ECAP | FIRST_STAGE;
        Bench bench = new Bench(ScalableMachines.twoUnits(CAP, first, CAP, first & ~0x80L));
        IommuDomain domain = bench.attached();
        assertThat(enforce(domain)).isTrue();
        bench.map(domain, IOVA, SCRATCH);

        // Nobody asks in Linux 7.1; the entry then has a bit (PGSNP) that this unit reserves.
        bench.attach(domain, bench.second());

        bench.assertRefused(bench.secondEndpoint(), IOVA);
        assertThat(bench.isSnooped(bench.endpoint(), IOVA, SCRATCH)).isTrue();
        domain.detach(bench.second());
        bench.assertReaches(IOVA, SCRATCH);
    }

    /** Until 6.12 the units were not compared. */
    @Test
    void onceAUnitThatDoesNotSnoopItsWalksCameInAndMissedWhatWasMappedBefore() {
        Bench bench = new Bench(
                ScalableMachines.twoUnits(
                        VtdUnitProvider.CAP_4_LEVEL,
                        VtdUnitProvider.ECAP_SNOOP_CONTROL,
                        VtdUnitProvider.CAP_4_LEVEL,
                        VtdUnitProvider.ECAP_SNOOP_CONTROL & ~1L),
                LinuxRelease.named("6.12"));
        IommuDomain domain = bench.attached();
        bench.map(domain, IOVA, SCRATCH);

        bench.attach(domain, bench.second());

        // The tables down to that page are in CPU caches still, where this unit does not look.
        bench.assertRefused(bench.secondEndpoint(), IOVA);
        bench.assertReaches(IOVA, SCRATCH);
        // Under tables of its own, what is mapped from now on is written back for it, but for the way there.
        domain.detach(bench.device());
        IommuDomain fresh = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        bench.attach(fresh, bench.second());
        bench.attach(fresh, bench.device());
        bench.map(fresh, IOVA, SCRATCH + PAGE);
        bench.assertReaches(bench.secondEndpoint(), IOVA, SCRATCH + PAGE);
        bench.assertReaches(IOVA, SCRATCH + PAGE);
    }
}
