// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.Objects;
import org.iommu4j.LinuxRelease;

/**
 * How the kernel of an iommufd is configured.
 *
 * @param release the rules to follow
 * @param allowUnsafeInterrupts the parameter {@code allow_unsafe_interrupts}: whether devices whose interrupts are not
 *     remapped may be bound
 * @param noIommu whether it is built with VFIO_NOIOMMU, so that devices without an IOMMU can be used
 */
public record IommufdOptions(LinuxRelease release, boolean allowUnsafeInterrupts, boolean noIommu) {
    /** The newest release, with remapped interrupts and IOMMUs only. */
    public static final IommufdOptions DEFAULT = new IommufdOptions(LinuxRelease.NEWEST, false, false);

    /** Refuses null. */
    public IommufdOptions {
        Objects.requireNonNull(release, "release");
    }

    /** Returns these options with another release. */
    public IommufdOptions withRelease(LinuxRelease other) {
        return new IommufdOptions(other, allowUnsafeInterrupts, noIommu);
    }

    /** Returns these options with unsafe interrupts allowed or not. */
    public IommufdOptions withAllowUnsafeInterrupts(boolean allowed) {
        return new IommufdOptions(release, allowed, noIommu);
    }

    /** Returns these options with devices without an IOMMU allowed or not. */
    public IommufdOptions withNoIommu(boolean built) {
        return new IommufdOptions(release, allowUnsafeInterrupts, built);
    }
}
