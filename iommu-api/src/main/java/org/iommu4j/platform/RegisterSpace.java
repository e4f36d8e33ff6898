// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

/** Memory-mapped I/O: where a driver maps a device's registers. */
@FunctionalInterface
public interface RegisterSpace {
    /**
     * Maps registers, and keeps them from others until {@link RegisterWindow#release}, where the platform takes account
     * of that [registers-map-1]. Source: {@code request_mem_region}.
     *
     * @param physicalBase the base that firmware told, 4 KiB aligned
     * @param size bytes
     * @throws org.iommu4j.IommuException ENXIO when nothing answers there [registers-map-2]; EBUSY when another
     *     driver has them [registers-map-3]
     */
    RegisterWindow map(long physicalBase, int size);
}
