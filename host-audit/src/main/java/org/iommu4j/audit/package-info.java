// SPDX-License-Identifier: Apache-2.0

/**
 * Audits of hosts: for each device and group its translation unit, whether that unit can block no-snoop, the answers of
 * VFIO and KVM under a kernel release, the reasons, and hints.
 *
 * <p>Read {@link org.iommu4j.audit.Auditor} first: it turns {@link org.iommu4j.host.HostEvidence} into an {@link
 * org.iommu4j.audit.Audit}. {@code HostPicture} holds the vendors' descriptions and the groups. {@code Viability}
 * decides whether VFIO accepts a device. {@link org.iommu4j.audit.Assignment} answers for one virtual machine as a
 * whole. {@link org.iommu4j.audit.Headline} puts an audit into a few sentences. {@link org.iommu4j.audit.Fleet} audits
 * many captures at once.
 *
 * <p>Not modelled: iommufd's own order of attachment (the answers are those of VFIO's type1 containers); mediated
 * devices and virtual functions that do not exist yet; quirks of single devices in the forming of groups; the fact that
 * before Linux 6.6 only the VT-d driver refused devices with a DIRECT reserved region.
 */
package org.iommu4j.audit;
