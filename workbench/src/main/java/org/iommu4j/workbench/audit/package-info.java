// SPDX-License-Identifier: Apache-2.0

/**
 * Prints audits as text, JSON, HTML or CSV; {@link org.iommu4j.audit.Auditor} makes them.
 *
 * <p>{@link org.iommu4j.workbench.audit.AuditText}, {@link org.iommu4j.workbench.audit.AuditJson} and {@link
 * org.iommu4j.workbench.audit.AuditHtml} print the audit of one host, {@link org.iommu4j.workbench.audit.FleetReport}
 * those of many.
 */
package org.iommu4j.workbench.audit;
