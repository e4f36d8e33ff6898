// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.IommuDomain;
import org.jspecify.annotations.Nullable;

/** A guest's table above a parent. Source: {@code struct iommufd_hwpt_nested}. */
final class NestedHwpt extends Hwpt {
    private final PagingHwpt parent;
    private final @Nullable VirtualIommu virtualIommu;

    /**
     * Makes it around a nested domain.
     *
     * @param virtualIommu whose it is, null for none
     */
    NestedHwpt(
            PagingHwpt parent, @Nullable VirtualIommu virtualIommu, IommuDomain domain, boolean pasidCompatible) {
        super(domain, pasidCompatible);
        this.parent = parent;
        this.virtualIommu = virtualIommu;
        holder().users++;
    }

    @Override
    String kind() {
        return "nested HWPT";
    }

    @Override
    Ioas ioas() {
        return parent.ioas();
    }

    @Override
    boolean enforce() {
        return parent.enforce();
    }

    private IommufdObject holder() {
        return virtualIommu == null ? parent : virtualIommu;
    }

    @Override
    void destroy() {
        RuntimeException failure = free(null);
        holder().users--;
        if (failure != null) {
            throw failure;
        }
    }
}
