// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.capability;

import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;

/**
 * A domain as the second stage below tables that a guest writes.
 *
 * <p>Source: {@code domain_alloc_nested} in {@code struct iommu_ops}, {@code struct iommu_hwpt_vtd_s1}.
 */
public interface Nesting {
    /**
     * Makes a nested domain: a guest's table translates first, this domain translates what that gives.
     *
     * <p>The parent can't be closed while nested domains of it exist.
     *
     * @param device the device that it is for
     * @param guestTable guest-physical address of the guest's top table, in bytes: a first-stage table (VT-d), a GCR3
     *     table (AMD-Vi)
     * @param addressWidth bits of the addresses that the guest's table translates: 48 or 57
     * @throws org.iommu4j.IommuException EINVAL (misaligned table, width that the unit does not have), EOPNOTSUPP,
     *     ENOMEM, ENOSPC
     */
    IommuDomain allocateNested(IommuDevice device, long guestTable, int addressWidth);
}
