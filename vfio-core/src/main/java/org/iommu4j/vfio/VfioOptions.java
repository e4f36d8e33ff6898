// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.Objects;
import org.iommu4j.LinuxRelease;

/**
 * The parameters of the modules {@code vfio} and {@code vfio_iommu_type1}.
 *
 * @param release the rules to follow
 * @param allowUnsafeInterrupts whether devices whose interrupts are not remapped may be assigned; a device could then
 *     forge any interrupt
 * @param dmaEntryLimit the greatest number of mappings of a container, at least 1
 * @param enableUnsafeNoIommuMode whether devices for which no IOMMU translates may be assigned; such a device reaches
 *     all memory
 */
public record VfioOptions(
        LinuxRelease release, boolean allowUnsafeInterrupts, int dmaEntryLimit, boolean enableUnsafeNoIommuMode) {
    /** The newest release, with the parameters' default values. */
    public static final VfioOptions DEFAULT = new VfioOptions(LinuxRelease.NEWEST, false, 65535);

    /** Checks the limit. */
    public VfioOptions {
        Objects.requireNonNull(release, "release");
        if (dmaEntryLimit < 1) {
            throw new IllegalArgumentException("dmaEntryLimit is " + dmaEntryLimit + ", expected at least 1");
        }
    }

    /** Makes options without the mode that needs no IOMMU. */
    public VfioOptions(LinuxRelease release, boolean allowUnsafeInterrupts, int dmaEntryLimit) {
        this(release, allowUnsafeInterrupts, dmaEntryLimit, false);
    }

    /** Returns these options with another release. */
    public VfioOptions withRelease(LinuxRelease other) {
        return new VfioOptions(other, allowUnsafeInterrupts, dmaEntryLimit, enableUnsafeNoIommuMode);
    }

    /** Returns these options with unsafe interrupts allowed or not. */
    public VfioOptions withAllowUnsafeInterrupts(boolean allowed) {
        return new VfioOptions(release, allowed, dmaEntryLimit, enableUnsafeNoIommuMode);
    }

    /** Returns these options with another limit of mappings. */
    public VfioOptions withDmaEntryLimit(int limit) {
        return new VfioOptions(release, allowUnsafeInterrupts, limit, enableUnsafeNoIommuMode);
    }

    /** Returns these options with devices without an IOMMU allowed or not. */
    public VfioOptions withEnableUnsafeNoIommuMode(boolean enabled) {
        return new VfioOptions(release, allowUnsafeInterrupts, dmaEntryLimit, enabled);
    }
}
