// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.iommu4j.it.domain.ScalableMachines.CAP;
import static org.iommu4j.it.domain.ScalableMachines.CAP_5_LEVELS;
import static org.iommu4j.it.domain.ScalableMachines.COHERENT;
import static org.iommu4j.it.domain.ScalableMachines.ECAP;
import static org.iommu4j.it.domain.ScalableMachines.FIRST_STAGE;
import static org.iommu4j.it.domain.ScalableMachines.NESTING_PASID_DIRTY;
import static org.iommu4j.it.domain.ScalableMachines.SECOND_STAGE;

import java.util.List;
import org.iommu4j.sim.vtd.VtdUnitProvider;

/**
 * VT-d's scalable mode, with either stage.
 *
 * <p>A first stage without snoop control is not among them: there Linux 7.1 lets a device into a domain that promised,
 * see {@link IntelCompatibilityTest}.
 */
final class IntelScalableConfigurations {
    /** ECAP.SC. */
    private static final long SNOOP_CONTROL = 1L << 7;

    private IntelScalableConfigurations() {}

    static List<Configuration> configurations() {
        long first = ECAP | FIRST_STAGE;
        long second = ECAP | SECOND_STAGE;
        long cachingMode = CAP | VtdUnitProvider.CAP_CM;
        Configuration pasids = ScalableMachines.of("first stage, PASIDs", CAP, first | NESTING_PASID_DIRTY);
        return List.of(
                ScalableMachines.of("second stage", CAP, second),
                ScalableMachines.of("second stage, non-coherent walk", CAP, second & ~COHERENT),
                ScalableMachines.of("second stage, caching mode", cachingMode, second),
                ScalableMachines.of("second stage without SC", CAP, second & ~SNOOP_CONTROL),
                ScalableMachines.of("first stage", CAP, first),
                ScalableMachines.of("first stage, non-coherent walk", CAP, first & ~COHERENT),
                ScalableMachines.of("first stage, caching mode", cachingMode, first),
                ScalableMachines.of("first stage of 5 levels", CAP_5_LEVELS, first),
                ScalableMachines.withDevices(pasids, false),
                ScalableMachines.withDevices(pasids, true),
                ScalableMachines.withDevices(ScalableMachines.of("second stage", CAP, second), true),
                ScalableMachines.withDevices(
                        ScalableMachines.of("second stage, caching mode", cachingMode, second), true),
                ScalableMachines.twoUnits(CAP, second, CAP, second),
                ScalableMachines.twoUnits(CAP, first, CAP, first),
                ScalableMachines.of("second stage", CAP, second).flat(),
                ScalableMachines.of("first stage", CAP, first).flat());
    }
}
