// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import org.iommu4j.LinuxRelease;

/**
 * The Linux under which a case runs.
 *
 * @param release the release whose rules apply
 * @param allowUnsafeInterrupts whether VFIO assigns devices whose interrupts are not remapped: parameter {@code
 *     allow_unsafe_interrupts} of module {@code vfio_iommu_type1}
 */
public record Kernel(LinuxRelease release, boolean allowUnsafeInterrupts) {
    /** Returns a release with Linux's default module parameters. */
    public static Kernel of(LinuxRelease release) {
        return new Kernel(release, false);
    }
}
