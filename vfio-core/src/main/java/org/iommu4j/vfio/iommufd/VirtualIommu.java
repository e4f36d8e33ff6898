// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.HashMap;
import java.util.Map;
import org.iommu4j.Iommu;

/** A slice of a unit that a guest sees as its IOMMU. Source: {@code struct iommufd_viommu}. */
final class VirtualIommu extends IommufdObject {
    private final PagingHwpt parent;
    private final Iommu iommu;
    private final String unit;

    /** The devices' ids in the guest, unsigned, and which devices have them. */
    final Map<Long, Object> virtualIds = new HashMap<>();

    VirtualIommu(PagingHwpt parent, Iommu iommu, String unit) {
        this.parent = parent;
        this.iommu = iommu;
        this.unit = unit;
        parent.users++;
    }

    @Override
    String kind() {
        return "virtual IOMMU";
    }

    PagingHwpt parent() {
        return parent;
    }

    Iommu iommu() {
        return iommu;
    }

    /** Returns the name of the unit that it is a slice of. */
    String unit() {
        return unit;
    }

    @Override
    void destroy() {
        parent.users--;
    }
}
