// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.List;
import org.iommu4j.vfio.type1.DomainState;
import org.iommu4j.vfio.type1.Type1Info;

/** An open container, {@code /dev/vfio/vfio}. */
@SuppressWarnings("DoNotCallSuggester")
public final class VfioContainer implements AutoCloseable {
    /** The device may read. */
    public static final int MAP_READ = 1;
    /** The device may write. */
    public static final int MAP_WRITE = 1 << 1;
    /** Unmap everything; address and size must be 0. */
    public static final int UNMAP_ALL = 1 << 1;

    VfioContainer() {}

    /** Answers by number of {@link VfioExtension}: 0 or 1. */
    public int checkExtension(int extension) {
        throw new UnsupportedOperationException();
    }

    /** Chooses TYPE1_IOMMU or TYPE1V2_IOMMU for the groups that are in. EINVAL, ENODEV, EPERM. */
    public void setIommu(int type) {
        throw new UnsupportedOperationException();
    }

    /** Maps. */
    public void map(long iova, long virtualAddress, long size, int flags) {
        throw new UnsupportedOperationException();
    }

    /** Unmaps and returns bytes. */
    public long unmap(long iova, long size, int flags) {
        throw new UnsupportedOperationException();
    }

    /** GET_INFO. */
    public Type1Info info() {
        throw new UnsupportedOperationException();
    }

    /** The domains, empty before SET_IOMMU. */
    public List<DomainState> domains() {
        throw new UnsupportedOperationException();
    }

    @Override
    public void close() {
        throw new UnsupportedOperationException();
    }
}
