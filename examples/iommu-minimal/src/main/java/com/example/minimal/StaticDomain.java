// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import org.iommu4j.DomainType;
import org.iommu4j.spi.DomainWithoutTables;

/** A domain that refuses every request, or passes every request unchanged. */
final class StaticDomain extends MinimalDomain implements DomainWithoutTables {
    StaticDomain(MinimalIommu iommu, DomainType type) {
        super(iommu, type, 0);
    }

    @Override
    public String format() {
        return "minimal-none";
    }

    @Override
    void free(boolean forgotten) {
        // it has no frames
    }
}
