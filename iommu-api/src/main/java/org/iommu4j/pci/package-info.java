// SPDX-License-Identifier: Apache-2.0

/**
 * PCI Express as drivers and core see it: addresses, functions, configuration space and the capabilities of
 * translation.
 *
 * <p>A {@link org.iommu4j.pci.PciTopology} lists {@link org.iommu4j.pci.PciFunction}s, each with its {@link
 * org.iommu4j.pci.PciAddress} and its {@link org.iommu4j.pci.ConfigSpace}. {@link org.iommu4j.pci.AtsCapability},
 * {@link org.iommu4j.pci.PasidCapability} and {@link org.iommu4j.pci.PriCapability} are the parts of that space which
 * an IOMMU driver programs. The package belongs to no vendor; of the other packages it knows {@link
 * org.iommu4j.device.DeviceId} alone.
 *
 * <p>Source: PCI Express Base Specification 6.2, sections 7.5 (configuration space), 7.8.9 (PASID) and 10.5 (ATS, PRI).
 */
package org.iommu4j.pci;
