// SPDX-License-Identifier: Apache-2.0

/**
 * Groups, DMA ownership, default domains and page-size splitting: the part of Linux between IOMMU drivers and their
 * consumers.
 *
 * <p>Read {@link org.iommu4j.core.IommuCore} (which function is in which group, per-device questions), then {@link
 * org.iommu4j.core.IommuGroup} (who may use it, and in which domain it is), then {@link org.iommu4j.core.IommuMapper}
 * (how a range becomes runs of pages).
 *
 * <p>Models {@code drivers/iommu/iommu.c} of Linux 7.1, where {@link org.iommu4j.core.CoreRules} does not say that a
 * release differs, and of the PCI core the requester-id aliases and the test of Access Control Services with the quirks
 * that {@link org.iommu4j.core.AcsQuirks} lists. Not modelled: alias quirks, other ACS quirks (a board that needs one
 * has larger groups than Linux gives it), groups on other buses than PCI, hot plug, PASID attachment, changing a
 * group's type at run time, deferred attach for kdump.
 */
package org.iommu4j.core;
