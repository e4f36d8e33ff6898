// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.DomainType;
import org.iommu4j.intel.IntelRules.AttachCheck;
import org.iommu4j.intel.fmt.PasidEntry;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;

/**
 * A domain with a first-stage table, VT-d 3.6: the processor's own format, in scalable mode only.
 *
 * <p>PGSNP of each PASID entry blocks no-snoop, for all mappings at once. Source: {@code
 * intel_iommu_domain_alloc_first_stage}, {@code intel_iommu_enforce_cache_coherency_fs}.
 */
final class FirstStageDomain extends PagingDomain {
    /**
     * Makes an empty domain.
     *
     * @throws org.iommu4j.IommuException ENOMEM
     */
    FirstStageDomain(DriverState driver, DomainType type, IntelUnit unit, VendorContext context) {
        super(
                driver,
                type,
                driver.rules().attachesPasids() && unit.translatesPasids(),
                CacheTags.Kind.FIRST_STAGE,
                unit,
                context,
                TableFormat.FIRST_STAGE,
                TableSize.ofFirstStage(driver.rules(), unit),
                false,
                each -> each.cap().firstStagePageSizes(),
                // Caching mode does not cache missing first-stage entries: VT-d 6.1.
                each -> each.cap().requiresWriteBufferFlush());
    }

    @Override
    TableSize sizeOn(IntelUnit unit) {
        return TableSize.ofFirstStage(rules(), unit);
    }

    @Override
    long moreLeafBits(int prot) {
        return rules().firstStageForbidsExecution() ? TableFormat.FIRST_STAGE.forbidsExecution() : 0;
    }

    @Override
    boolean mayEnforce() {
        return rules().mayEnforceFirstStage(isEnforced(), attachedUnitsSnoop(), driver().everyUnitSnoops());
    }

    @Override
    String enforcementFunction() {
        return rules().enforcementFunction(true);
    }

    @Override
    void blockNoSnoop() {
        // Entries of PASIDs are left unchanged in every release.
        changeEntries(false, PasidEntry.PGSNP.word(), PasidEntry.PGSNP.mask(), true);
    }

    @Override
    @Nullable
    String stageMisfit(IntelUnit unit) {
        if (!unit.isScalable() || !unit.ecap().firstStage()) {
            return unit.name() + " has no first stage (ECAP.FLTS), or is in legacy mode";
        }
        if (table().levels() < 4) {
            return "a first stage can't have " + table().levels() + " levels, the most of the domain's unit";
        }
        if (table().levels() == 5 && !unit.cap().firstStageOf5Levels()) {
            return unit.name() + " has no first stage of 5 levels (CAP.FL5LP is 0)";
        }
        return null;
    }

    @Override
    AttachCheck snoopCheck() {
        return rules().firstStageAttach();
    }

    @Override
    long[] entry(IntelDevice device, int domainId) {
        IntelUnit unit = device.unit();
        return new long[] {
            PasidEntry.word0(PasidEntry.PGTT_FIRST_STAGE, unit.cap().mostLevels(), 0, false),
            PasidEntry.word1(domainId, unit.walksCoherently(), rules().entrySnoops(isEnforced(), type(), true)),
            PasidEntry.word2(table().levels(), table().root(), rules().entryEnablesExecuteDisable())
        };
    }
}
