// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.Collection;
import org.iommu4j.LinuxRelease;
import org.iommu4j.release.RuleFixes;
import org.iommu4j.spi.IommuVendors;

/**
 * The Linux under which a case runs.
 *
 * @param release the release whose rules apply, maybe with fixes
 * @param allowUnsafeInterrupts whether VFIO assigns devices whose interrupts are not remapped: parameter {@code
 *     allow_unsafe_interrupts} of module {@code vfio_iommu_type1}
 */
public record Kernel(LinuxRelease release, boolean allowUnsafeInterrupts) {
    /** Returns a release with Linux's default module parameters. */
    public static Kernel of(LinuxRelease release) {
        return new Kernel(release, false);
    }

    /**
     * Returns this kernel with fixes, of any module's rules.
     *
     * @param fixes as {@link RuleFixes} takes them
     * @throws IllegalArgumentException as {@link RuleFixes#of}
     */
    public Kernel withFixes(Collection<String> fixes) {
        return new Kernel(RuleFixes.of(release, fixes, RuleModules.of(IommuVendors.load())), allowUnsafeInterrupts);
    }
}
