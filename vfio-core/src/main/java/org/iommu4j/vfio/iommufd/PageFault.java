// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.Objects;
import org.iommu4j.PageRequest;

/**
 * One page that a device asked for, as a fault queue hands it out. Source: {@code struct iommu_hwpt_pgfault}.
 *
 * @param deviceId the device's object
 * @param pasid in whose address space
 * @param group the device's number for the group that the page belongs to
 * @param request the page and what for
 * @param last whether it is the group's last
 * @param cookie what answers the group, the same for all of its pages
 */
public record PageFault(int deviceId, int pasid, int group, PageRequest request, boolean last, int cookie) {
    /** Refuses null. */
    public PageFault {
        Objects.requireNonNull(request, "request");
    }
}
