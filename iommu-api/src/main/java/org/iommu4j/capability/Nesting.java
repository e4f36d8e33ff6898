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
     * Makes a nested domain: a guest's table translates first, this domain translates what that gives.
     *
     * <p>The parent can't be closed while nested domains of it exist.
     *
     * @param device the device that it is for
     * @param table what the guest says of its table, in a record of the driver's vendor
     * @throws org.iommu4j.IommuException EINVAL (misaligned table, something that the unit does not have), EOPNOTSUPP
     *     (the unit does not nest, the record is another vendor's), ENODEV, ENOMEM, ENOSPC
     */
    IommuDomain allocateNested(IommuDevice device, GuestTable table);
}
