// SPDX-License-Identifier: Apache-2.0

/**
 * A unit's registers as the driver uses them, and the capabilities decoded.
 *
 * <h2>Source</h2>
 *
 * <ul>
 *   <li>RISC-V IOMMU Architecture Specification 1.0 with the extensions NL, S, Svrsw60t59b and QOSID, chapter
 *       "Memory-mapped register interface".
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Capabilities, features control, device directory pointer.
 *   <li>Command queue and fault queue; the page request queue's control, which is only turned off.
 *   <li>Pending interrupts, which are cleared, and the numbers of interrupt vectors.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>MSI configuration, performance counters, translation requests for debugging, QoS ids: Linux 7.1 uses none of
 *       them but MSIs, which the ports do not deliver.
 * </ul>
 */
package org.iommu4j.riscv.reg;
