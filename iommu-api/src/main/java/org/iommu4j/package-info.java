// SPDX-License-Identifier: Apache-2.0

/**
 * Domains, devices and the words of the Linux IOMMU contract.
 *
 * <p>Read in this order: {@link org.iommu4j.IommuDomain}, {@link org.iommu4j.Iommu},
 * {@link org.iommu4j.IommuCapability}, {@link org.iommu4j.Prot}. A device is known by its {@link
 * org.iommu4j.device.DeviceId}.
 *
 * <p>Four ideas are kept apart here because Linux once had the first three as one:
 * <ol>
 *   <li>{@link org.iommu4j.Prot#CACHE} on a mapping: ordinary DMA through it is coherent.
 *   <li>{@link org.iommu4j.IommuCapability#CACHE_COHERENCY} of a device: {@code Prot.CACHE} works for it.
 *   <li>{@link org.iommu4j.capability.CacheCoherencyEnforcement#enforce()} on a domain: no-snoop is blocked for
 *       all of it, for good.
 *   <li>{@link org.iommu4j.IommuCapability#ENFORCE_CACHE_COHERENCY} of a device: a prediction that 3 will succeed.
 * </ol>
 *
 * <p>A null is taken only where a parameter is {@code @Nullable}; every other public call, here and in the modules
 * above, refuses it with {@link NullPointerException} before it does anything.
 *
 * <p>Models {@code include/linux/iommu.h} as of Linux 7.1: paging, identity, blocked and nested domains, PASID
 * attachment, dirty tracking, page requests. Not modelled: SVA.
 */
package org.iommu4j;
