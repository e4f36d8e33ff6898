// SPDX-License-Identifier: Apache-2.0

/**
 * Groups, DMA ownership, default domains and page-size splitting: the part of Linux between IOMMU drivers and their
 * consumers.
 *
 * <p>Read {@link org.iommu4j.core.IommuCore} (which function is in which group, per-device questions), then {@link
 * org.iommu4j.core.IommuGroup} (who may use it, and in which domain it is), then {@link org.iommu4j.core.IommuMapper}
 * (how a range becomes runs of pages).
 *
 * <p>Models {@code drivers/iommu/iommu.c} of Linux 7.1, and of the PCI core the requester-id aliases and the test of
 * Access Control Services. Not modelled: quirks of single devices (alias and ACS quirks, so that a board whose root
 * ports need one has larger groups than Linux gives it), groups on other buses than PCI, hot plug, PASID attachment,
 * changing a group's type at run time, deferred attach for kdump.
 */
package org.iommu4j.core;
