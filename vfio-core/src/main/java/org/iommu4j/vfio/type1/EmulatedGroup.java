// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

/**
 * The group of an emulated device, which does no DMA of its own: its driver reads and writes the container's memory.
 * Source: {@code vfio_register_emulated_iommu_dev}, and {@code dma_unmap} of {@code struct vfio_device_ops}.
 */
public interface EmulatedGroup {
    /**
     * A mapping is about to go; the driver must unpin every page of it that it has pinned ({@link
     * Type1Iommu#unpinPages}). Called under the container's lock.
     *
     * @param iova first byte
     * @param size bytes
     */
    void unmapped(long iova, long size);
}
