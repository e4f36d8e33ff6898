// SPDX-License-Identifier: Apache-2.0

/**
 * An audit as text, JSON, HTML or CSV. The audit itself is made by {@link org.iommu4j.audit.Auditor}.
 *
 * <p>{@link org.iommu4j.workbench.audit.AuditText}, {@link org.iommu4j.workbench.audit.AuditJson} and {@link
 * org.iommu4j.workbench.audit.AuditHtml} print the audit of one host, {@link org.iommu4j.workbench.audit.FleetReport}
 * those of many.
 */
package org.iommu4j.workbench.audit;
