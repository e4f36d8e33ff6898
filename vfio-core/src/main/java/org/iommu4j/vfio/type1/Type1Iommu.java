// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

/** The mappings of one container and the domains that hold them. */
public final class Type1Iommu {
    private Type1Iommu() {}
}
