// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.IommuDomain;

/** A guest's table above a parent. Source: {@code struct iommufd_hwpt_nested}. */
final class NestedHwpt extends Hwpt {
    private final PagingHwpt parent;

    /** Makes it around a nested domain. */
    NestedHwpt(PagingHwpt parent, IommuDomain domain, boolean pasidCompatible) {
        super(domain, pasidCompatible);
        this.parent = parent;
        parent.users++;
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

    @Override
    boolean isEnforced() {
        return parent.isEnforced();
    }

    @Override
    void destroy() {
        RuntimeException failure = free(null);
        parent.users--;
        if (failure != null) {
            throw failure;
        }
    }
}
