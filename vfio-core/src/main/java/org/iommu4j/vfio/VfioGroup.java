// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import org.iommu4j.platform.PciAddress;

/** An open group, {@code /dev/vfio/N}: itself the file that KVM is told about. */
@SuppressWarnings("DoNotCallSuggester")
public final class VfioGroup implements VfioFile, AutoCloseable {
    VfioGroup() {}

    /** Returns the number. */
    public int id() {
        throw new UnsupportedOperationException();
    }

    /** Returns whether it may be given to a user: no device of it is bound to a kernel driver that does DMA. */
    public boolean viable() {
        throw new UnsupportedOperationException();
    }

    /** Returns whether it is in a container. */
    public boolean containerSet() {
        throw new UnsupportedOperationException();
    }

    /** Puts it in a container. EINVAL when in one, EPERM when not viable. */
    public void setContainer(VfioContainer container) {
        throw new UnsupportedOperationException();
    }

    /** Takes it out. EINVAL when in none, EBUSY while a device of it is open. */
    public void unsetContainer() {
        throw new UnsupportedOperationException();
    }

    /** Opens a device. EINVAL before the container has an IOMMU, ENODEV for a device that is not here. */
    public VfioDevice openDevice(PciAddress address) {
        throw new UnsupportedOperationException();
    }

    /** Closes a device that was opened. */
    public void closeDevice(VfioDevice device) {
        throw new UnsupportedOperationException();
    }

    @Override
    public boolean enforcedCoherent() {
        throw new UnsupportedOperationException();
    }

    @Override
    public void close() {
        throw new UnsupportedOperationException();
    }
}
