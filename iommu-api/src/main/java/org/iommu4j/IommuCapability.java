// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

/**
 * Questions about one device that {@link Iommu#capable} answers.
 *
 * <p>Source: {@code enum iommu_cap}, Linux 7.1.
 */
public enum IommuCapability {
    /** {@link Prot#CACHE} works: ordinary DMA of this device is coherent. VFIO refuses a device without it. */
    CACHE_COHERENCY,
    /** {@link Prot#NOEXEC} works. */
    NOEXEC,
    /** Firmware asked that the device be kept from DMA until the operating system takes over. */
    PRE_BOOT_PROTECTION,
    /**
     * A prediction that {@link org.iommu4j.capability.CacheCoherencyEnforcement#enforce()} will succeed on a domain
     * of this device. It can disagree with what a domain was really asked to do.
     */
    ENFORCE_CACHE_COHERENCY,
    /** Invalidation after unmap may be deferred; the drivers are asked until 7.0. */
    DEFERRED_FLUSH,
    /** The hardware records which pages a device wrote. */
    DIRTY_TRACKING,
    /** The device may use PCIe Address Translation Services. */
    PCI_ATS_SUPPORTED
}
