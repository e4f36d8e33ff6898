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
     * Sends a device's requests with a PASID to this domain, from whatever the PASID used before [attach-pasid-1].
     *
     * <p>The device's ordinary requests, and its other PASIDs, go on as they did [attach-pasid-2].
     *
     * @param device a device that translates requests with PASID ({@link IommuDevice#maxPasids()})
     * @param pasid 1 to {@code maxPasids() - 1}
     * @return attached, or incompatible, never null; when incompatible the PASID stays where it was [attach-pasid-3]
     * @throws org.iommu4j.IommuException EINVAL (PASID out of range) [attach-pasid-4]; EOPNOTSUPP (the device has no
     *     PASIDs) [attach-pasid-5]; ENOMEM, ENOSPC (out of domain ids), ETIMEDOUT or EIO (an invalidation did not
     *     complete) [attach-pasid-6]; ENODEV (another driver's device, the domain is closed) [attach-pasid-7]. After
     *     each of these the PASID stays where it was [attach-pasid-8]
     */
    AttachResult attach(IommuDevice device, int pasid);

    /**
     * Blocks a device's requests with a PASID, from the return of this call on [detach-pasid-1].
     *
     * <p>Allocates neither memory nor frames [detach-pasid-2].
     *
     * @throws org.iommu4j.IommuException EINVAL when that PASID does not use this domain [detach-pasid-3]; ETIMEDOUT or
     *     EIO when the invalidation did not complete: the PASID is detached all the same, and the unit is broken
     *     [detach-pasid-4]; ENODEV (another driver's device, the domain is closed) [detach-pasid-5]
     */
    void detach(IommuDevice device, int pasid);
}
