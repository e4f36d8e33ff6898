// SPDX-License-Identifier: Apache-2.0

/**
 * Groups, DMA ownership, default domains and page-size splitting: the layer of Linux between IOMMU drivers and
 * consumers.
 *
 * <p>Read {@link org.iommu4j.core.IommuCore} (the group of each function, per-device questions), then {@link
 * org.iommu4j.core.IommuGroup} (its users and its domain), then {@link org.iommu4j.core.IommuMapper}
 * (splitting a range into runs of pages).
 *
 * <p>Models {@code drivers/iommu/iommu.c} of Linux 7.1; {@link org.iommu4j.core.CoreRules} lists where a release
 * differs. Of the PCI core it models the requester-id aliases and the test of Access Control Services, with the quirks
 * that {@link org.iommu4j.core.AcsQuirks} lists. Not modelled: alias quirks, other ACS quirks (a board that needs one
 * gets larger groups here than in Linux), groups on other buses than PCI, hot plug, PASID attachment, types of default
 * domains that a driver demands ({@code def_domain_type}), that a hypervisor's caching makes every domain strict,
 * deferred attach for kdump.
 */
package org.iommu4j.core;
