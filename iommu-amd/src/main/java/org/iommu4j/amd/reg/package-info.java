// SPDX-License-Identifier: Apache-2.0

/**
 * A unit's registers as the driver uses them, and the feature registers decoded.
 *
 * <h2>Source</h2>
 *
 * <ul>
 *   <li>48882 revision 3.08, section 3.4 (MMIO) and section 3.2 (PCI capability).
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Device table, command buffer, event log and page request log: base, head and tail.
 *   <li>Control and status; automatic responses to page requests.
 *   <li>Extended features, both registers, and the header of the PCI capability.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Exclusion ranges, segmented device tables, MARC.
 *   <li>Logs of the guest virtual APIC, second logs, performance counters.
 * </ul>
 */
package org.iommu4j.amd.reg;
