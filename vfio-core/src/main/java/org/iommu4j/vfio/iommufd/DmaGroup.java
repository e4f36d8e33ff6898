// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.List;
import org.iommu4j.AttachResult;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.core.IommuGroup;

/** The devices that are moved from domain to domain together: an IOMMU's group, or one device without an IOMMU. */
interface DmaGroup {
    /** Returns the devices, at least one. */
    List<IommuDevice> devices();

    /** Moves the devices to their first domain: {@link IommuGroup#attach}. */
    AttachResult attach(IommuDomain domain);

    /** Moves the devices to another domain: {@link IommuGroup#replace}. */
    AttachResult replace(IommuDomain domain);

    /** Moves the devices out: {@link IommuGroup#detach}. */
    void detach(IommuDomain domain);

    /** Takes one device's claim back: {@link IommuGroup#deviceReleaseDmaOwner}. */
    void release(IommuDevice device);
}
