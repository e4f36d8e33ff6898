// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.driver.EveryType.assertConstant;
import static org.iommu4j.tck.driver.EveryType.flagged;
import static org.iommu4j.tck.driver.EveryType.ofEveryType;

import java.util.List;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Traits;
import org.junit.jupiter.api.Test;

/** Which capabilities a domain has. */
public abstract class DomainCapabilityContract {
    /** Made by JUnit. */
    protected DomainCapabilityContract() {}

    @Test
    @Promise("enforcement-1")
    void whetherNoSnoopCanBeControlledIsConstant(Bench bench) {
        for (IommuDomain domain : List.of(bench.domain(), bench.iommu().allocate(DomainType.DMA, bench.second()))) {
            assertThat(domain.cacheCoherencyEnforcement().isPresent())
                    .isEqualTo(bench.traits().enforcement() != Traits.Enforcement.ABSENT);
        }
        ofEveryType(bench).forEach(domain -> assertConstant(bench, domain));
    }

    @Test
    @Promise("enforcement-source-1")
    void theSourceOfTheControlsAnswerNamesDeclaredRules(Bench bench) {
        ofEveryType(bench).forEach(domain -> Described.assertDeclared(bench, domain.enforcementSource()));
    }

    @Test
    @Promise("dirty-tracking-1")
    void whetherWrittenPagesAreRecordedIsConstant(Bench bench) {
        if (bench.traits().has(Ability.DIRTY_TRACKING)) {
            IommuDomain domain = flagged(bench, DomainFlag.DIRTY_TRACKING);
            assertThat(domain.dirtyTracking()).isPresent();
            assertConstant(bench, domain);
        }
        for (IommuDomain domain : ofEveryType(bench)) {
            if (!domain.type().isPaging() || !bench.traits().has(Ability.DIRTY_TRACKING)) {
                assertThat(domain.dirtyTracking()).isEmpty();
            }
            assertConstant(bench, domain);
        }
    }

    @Test
    @Promise("pasid-attachment-1")
    void whetherPasidsCanBeAttachedIsConstant(Bench bench) {
        if (bench.traits().has(Ability.PASID)) {
            IommuDomain domain = flagged(bench, DomainFlag.PASID);
            assertThat(domain.pasidAttachment()).isPresent();
            assertConstant(bench, domain);
        }
        for (IommuDomain domain : ofEveryType(bench)) {
            assertConstant(bench, domain);
        }
    }

    @Test
    @Promise("nesting-1")
    void whetherADomainCanBeAParentIsConstant(Bench bench) {
        if (bench.traits().has(Ability.NESTING)) {
            IommuDomain domain = flagged(bench, DomainFlag.NEST_PARENT);
            assertThat(domain.nesting()).isPresent();
            assertConstant(bench, domain);
        }
        for (IommuDomain domain : ofEveryType(bench)) {
            if (!domain.type().isPaging() || !bench.traits().has(Ability.NESTING)) {
                assertThat(domain.nesting()).isEmpty();
            }
            assertConstant(bench, domain);
        }
    }

    @Test
    @Promise("guest-invalidation-1")
    void aDomainThatIsNotNestedPassesOnNoGuestsInvalidations(Bench bench) {
        List<IommuDomain> all = ofEveryType(bench);
        if (bench.traits().has(Ability.NESTING)) {
            all.add(flagged(bench, DomainFlag.NEST_PARENT));
        }
        for (IommuDomain domain : all) {
            assertThat(domain.guestInvalidation()).isEmpty();
            assertConstant(bench, domain);
            assertThat(domain.guestInvalidation()).isEmpty();
        }
    }
}
