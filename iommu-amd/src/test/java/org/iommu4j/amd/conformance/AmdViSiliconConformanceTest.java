// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.conformance;

import static org.iommu4j.tck.Ability.COMPLETION;
import static org.iommu4j.tck.Ability.FAULT_REPORTS;
import static org.iommu4j.tck.Ability.IDENTITY;
import static org.iommu4j.tck.Ability.TABLE_READER;
import static org.iommu4j.tck.Ability.TRANSLATION_CACHE;
import static org.iommu4j.tck.Ability.TRANSLATION_REQUESTS;
import static org.iommu4j.tck.Ability.WRITE_ONLY;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.tck.Machines;
import org.iommu4j.tck.SiliconConformance;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;

/** AMD-Vi silicon: host tables, guest tables, devices with IOTLBs, page requests. */
class AmdViSiliconConformanceTest extends SiliconConformance {
    private static final long EFR = AmdViUnitProvider.EFR_6_LEVEL;

    /** PPRSup, GTSup, GLXSup 2, PASmax 15, GIoSup. */
    private static final long GUEST_EFR = EFR | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48;

    private static Traits.Builder traits() {
        return Traits.builder().can(IDENTITY, TRANSLATION_CACHE, FAULT_REPORTS, COMPLETION, TABLE_READER);
    }

    static List<Subject> subjects() {
        Traits host = traits().addressBits(64).can(WRITE_ONLY).build();
        Traits guest = traits().addressBits(47).build();
        List<Subject> all = new ArrayList<>();
        all.addAll(Subject.both(AmdViUnitProvider.machine("amdvi-host", EFR, 0), host)
                .toList());
        MachineDescription guestTables = AmdViUnitProvider.machine("amdvi-guest", GUEST_EFR, 0);
        all.add(Subject.of(guestTables.withBootOptions(guestTables.bootOptions().and("amd_iommu=pgtbl_v2")), guest));
        Traits withIotlbs = host.with().can(TRANSLATION_REQUESTS).build();
        all.add(Subject.of(
                Machines.withTranslationCache(AmdViUnitProvider.machine("amdvi-iotlbs", EFR, 0)), withIotlbs));
        all.add(Subject.of(
                        Machines.withTranslationCache(AmdViUnitProvider.machine("amdvi-page-requests", GUEST_EFR, 0)),
                        withIotlbs)
                .flat());
        return all;
    }
}
