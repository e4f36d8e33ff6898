// SPDX-License-Identifier: Apache-2.0

/**
 * What a vendor's driver module implements, and how it is found.
 *
 * <p>Three small steps: {@link org.iommu4j.spi.IommuVendor}, found through {@link org.iommu4j.spi.IommuVendors}, opens
 * an {@link org.iommu4j.Iommu} on a {@link org.iommu4j.spi.VendorContext}; that probes devices and allocates domains.
 * {@code describe} answers from tables and register values alone, without opening anything, and {@link
 * org.iommu4j.spi.KernelLog} reads what the driver printed on a host. {@link
 * org.iommu4j.spi.PageRequestGroups} keeps the requests of devices that ask for pages, for every driver.
 */
package org.iommu4j.spi;
