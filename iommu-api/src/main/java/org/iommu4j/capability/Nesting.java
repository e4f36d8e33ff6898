// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.capability;

import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;

/**
 * A domain as the second stage below tables that a guest writes.
 *
 * <p>Source: {@code domain_alloc_nested} in {@code struct iommu_ops}.
 */
public interface Nesting {
    /**
     * Makes a nested domain: a guest's table translates first, this domain translates the result [nest-1].
     *
     * <p>A page that either stage misses, and an entry of either stage with reserved bits, is a fault [nest-2]. The
     * parent can't be closed while nested domains of it exist [nest-3]. A table of a form that the device's unit can't
     * walk is refused, here with EINVAL or when the device is attached [nest-4].
     *
     * @param device the device that the domain is for; it is not attached
     * @param table the guest's table, in a record of the driver's vendor
     * @throws org.iommu4j.IommuException EOPNOTSUPP (the unit does not nest, the record is another vendor's) [nest-5];
     *     ENODEV (another driver's device, the domain is closed) [nest-6]; ENOMEM, ENOSPC (out of domain ids) [nest-7]
     */
    IommuDomain allocateNested(IommuDevice device, GuestTable table);
}
