// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.ProcessMemory;

/** A file without pages of RAM, which can't be pinned. Source: {@code memfd_pin_folios}. */
final class NotMemfd implements ProcessMemory {
    @Override
    public long translate(long virtualAddress) {
        return UNMAPPED;
    }

    @Override
    public void pin(long virtualAddress, int count, boolean write, long[] frames) {
        throw new IommuException(Errno.EINVAL, "the file has no pages to pin");
    }

    @Override
    public void unpin(long frame, boolean dirty) {
        throw new IllegalStateException("nothing was pinned");
    }

    @Override
    public long pinned() {
        return 0;
    }

    @Override
    public void charge(long pages) {
        // Nothing is pinned, so that nobody is charged.
    }

    @Override
    public void uncharge(long pages) {
        // As above.
    }

    @Override
    public long charged() {
        return 0;
    }
}
