// SPDX-License-Identifier: Apache-2.0

/**
 * Structures in memory that the driver writes and the hardware reads. Fault records and page requests go the other way.
 *
 * <h2>Source</h2>
 *
 * <ul>
 *   <li>VT-d revision 3.3, chapters 6, 7 and 9.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Root, context and PASID tables of legacy and scalable mode.
 *   <li>Paging entries of both stages.
 *   <li>Invalidation descriptors of 128 bits, which are also the lower half of those of 256.
 *   <li>Fault records; page request descriptors.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Interrupt remapping entries.
 * </ul>
 */
package org.iommu4j.intel.fmt;
