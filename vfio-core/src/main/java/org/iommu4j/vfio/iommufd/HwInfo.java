// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.Objects;
import org.iommu4j.HardwareInfo;

/**
 * What hardware is behind a device. Source: {@code struct iommu_hw_info}.
 *
 * @param hardware the vendor's words
 * @param maxPasidLog2 log2 of the number of PASIDs that the device can use, 0 for none
 * @param capabilities {@link #DIRTY_TRACKING}, {@link #ATS_NOT_SUPPORTED}
 */
public record HwInfo(HardwareInfo hardware, int maxPasidLog2, long capabilities) {
    /** Written pages can be recorded. */
    public static final long DIRTY_TRACKING = 1;
    /** Requests with a PASID may execute. */
    public static final long PCI_PASID_EXEC = 1 << 1;
    /** Requests with a PASID may be privileged. */
    public static final long PCI_PASID_PRIVILEGED = 1 << 2;
    /** The device can't cache translations. */
    public static final long ATS_NOT_SUPPORTED = 1 << 3;

    /** Refuses null. */
    public HwInfo {
        Objects.requireNonNull(hardware, "hardware");
    }
}
