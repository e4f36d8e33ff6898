// SPDX-License-Identifier: Apache-2.0

/**
 * The remapping hardware's registers as the driver uses them, and the capability registers decoded.
 *
 * <h2>Source</h2>
 *
 * <ul>
 *   <li>VT-d revision 3.3, chapter 11.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Version, capabilities, commands and status, root table address.
 *   <li>Register-based and queued invalidation.
 *   <li>Fault status and control, fault recording, the advanced fault log's address.
 *   <li>Protected memory enable; page requests.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Interrupt remapping, events of the invalidation queue.
 *   <li>Performance monitoring, enhanced command and virtual command registers.
 * </ul>
 */
package org.iommu4j.intel.reg;
