// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.capability;

import org.iommu4j.AttachResult;
import org.iommu4j.IommuDevice;

/**
 * Attaching one PASID of a device to a domain, beside the domain that its ordinary requests use.
 *
 * <p>Source: {@code set_dev_pasid} in {@code struct iommu_domain_ops}.
 */
public interface PasidAttachment {
    /**
     * Sends a device's requests with a PASID to this domain, from whatever the PASID used before.
     *
     * @param device a device that translates requests with PASID ({@link IommuDevice#maxPasids()})
     * @param pasid 1 to {@code maxPasids() - 1}
     * @return attached, or incompatible; when incompatible the PASID stays where it was
     * @throws org.iommu4j.IommuException EINVAL (PASID out of range), EOPNOTSUPP (the device has no PASIDs), ENOMEM,
     *     ENOSPC, ETIMEDOUT or EIO (an invalidation did not complete), ENODEV (another driver's device); the PASID
     *     stays where it was
     */
    AttachResult attach(IommuDevice device, int pasid);

    /**
     * Blocks a device's requests with a PASID. Never allocates.
     *
     * @throws org.iommu4j.IommuException EINVAL when that PASID does not use this domain; ETIMEDOUT or EIO when the
     *     invalidation did not complete: the PASID is detached and the unit is broken
     */
    void detach(IommuDevice device, int pasid);
}
