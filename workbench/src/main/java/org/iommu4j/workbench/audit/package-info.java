// SPDX-License-Identifier: Apache-2.0

/**
 * What will happen on a host: for each device and group the unit that translates for it, whether that unit blocks
 * no-snoop, what VFIO and KVM will make of it under a kernel release, why, and what can be done.
 *
 * <p>Read {@link org.iommu4j.workbench.audit.Auditor} first: it turns {@link org.iommu4j.workbench.host.HostEvidence} into
 * an {@link org.iommu4j.workbench.audit.Audit} with the help of the vendors' {@code describe}. {@link
 * org.iommu4j.workbench.audit.Assignment} answers for one virtual machine as a whole. {@link
 * org.iommu4j.workbench.audit.AuditText}, {@link org.iommu4j.workbench.audit.AuditJson} and {@link
 * org.iommu4j.workbench.audit.AuditHtml} print it; {@link org.iommu4j.workbench.audit.Fleet} audits many captures at once.
 *
 * <p>Not modelled: iommufd's own order of attachment (the answers are those of VFIO's type1 containers); mediated devices
 * and virtual functions that do not exist yet; quirks of single devices in the forming of groups; that before Linux 6.6
 * only the VT-d driver refused devices with a DIRECT reserved region.
 */
package org.iommu4j.workbench.audit;
