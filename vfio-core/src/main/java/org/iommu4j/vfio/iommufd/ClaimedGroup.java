// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.List;
import org.iommu4j.AttachResult;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.core.IommuGroup;

/** An IOMMU's group, whose DMA an iommufd has claimed. */
record ClaimedGroup(IommuGroup group) implements DmaGroup {
    @Override
    public List<IommuDevice> devices() {
        return group.devices();
    }

    @Override
    public AttachResult attach(IommuDomain domain) {
        return group.attach(domain);
    }

    @Override
    public AttachResult replace(IommuDomain domain) {
        return group.replace(domain);
    }

    @Override
    public void detach(IommuDomain domain) {
        group.detach(domain);
    }

    @Override
    public void release(IommuDevice device) {
        group.deviceReleaseDmaOwner(device);
    }

    @Override
    public String toString() {
        return group.toString();
    }
}
