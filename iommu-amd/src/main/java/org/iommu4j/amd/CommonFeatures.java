// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.List;
import java.util.function.LongToIntFunction;
import org.iommu4j.amd.reg.Features;

/**
 * The features common to all units: any unit may walk any domain's table, so the weakest decides, as in Linux's global
 * masks.
 *
 * @param hostLevels levels that host tables may have, not simply the weakest unit's: {@link AmdRules#hostLevels}
 * @param guestLevels levels of guest tables for ordinary requests, or 0
 * @param gcr3Levels levels of GCR3 tables, or 0
 * @param pasids the number of PASIDs that can be attached, or 0
 * @param nests whether guests' tables can be above host tables
 * @param htRangeTranslated whether the HyperTransport range is translated like any other
 * @param deviceIotlbs whether devices may have their own IOTLBs ({@code amd_iommu_iotlb_sup})
 * @param announcesMappings whether any unit may cache that an entry was not present; one is enough
 * @param snp whether all units support SNP ({@code EFR.SNPSup})
 * @param mode0WithSnp whether no unit needs host tables while SNP is on ({@code EFR2.SNPPageMode0Sup})
 * @param needsHostTables whether SNP is on and every entry of the device table must have host tables: there is neither
 *     an identity domain nor a PASID
 */
record CommonFeatures(
        int hostLevels,
        int guestLevels,
        int gcr3Levels,
        int pasids,
        boolean nests,
        boolean htRangeTranslated,
        boolean deviceIotlbs,
        boolean announcesMappings,
        boolean snp,
        boolean mode0WithSnp,
        boolean needsHostTables) {

    /** Combines the features of at least one unit, limited to those that the release uses. */
    static CommonFeatures of(List<UnitFeatures> units, int hostLevels, AmdRules rules) {
        int guestLevels = weakest(units, efr -> Features.GIO_SUP.isSet(efr) ? Features.guestLevels(efr) : 0);
        return new CommonFeatures(
                hostLevels,
                guestLevels,
                weakest(units, Features::gcr3Levels),
                rules.pasidDomains() && guestLevels != 0
                        ? weakest(units, efr -> Features.PPR_SUP.isSet(efr) ? Features.pasids(efr) : 0)
                        : 0,
                rules.nestParents() && units.stream().allMatch(UnitFeatures::nests),
                rules.htRangeIgnore() && units.stream().allMatch(UnitFeatures::ignoresHtRange),
                units.stream().allMatch(UnitFeatures::allowsDeviceIotlbs),
                units.stream().anyMatch(UnitFeatures::cachesNotPresent),
                units.stream().allMatch(UnitFeatures::supportsSnp),
                units.stream().allMatch(UnitFeatures::allowsMode0WithSnp),
                false);
    }

    /** Returns what is left while SNP is on and needs host tables. */
    CommonFeatures withHostTablesOnly() {
        return new CommonFeatures(
                hostLevels,
                guestLevels,
                gcr3Levels,
                0,
                nests,
                htRangeTranslated,
                deviceIotlbs,
                announcesMappings,
                snp,
                mode0WithSnp,
                true);
    }

    /** Returns whether PASIDs can be attached for a device that has some. */
    boolean knowsPasids() {
        return pasids != 0;
    }

    private static int weakest(List<UnitFeatures> units, LongToIntFunction ability) {
        return units.stream()
                .mapToInt(unit -> ability.applyAsInt(unit.efr()))
                .min()
                .orElseThrow();
    }
}
