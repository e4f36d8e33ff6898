// SPDX-License-Identifier: Apache-2.0

/**
 * Structures in memory that the driver writes and the unit reads. Events and page requests go the other way.
 *
 * <p>Bits that Linux never sets are named where naming them makes a decoded word readable.
 *
 * <h2>Source</h2>
 *
 * <ul>
 *   <li>48882 revision 3.08, chapter 2.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Device table entries and GCR3 entries.
 *   <li>Paging entries of host (v1) and guest (v2) tables.
 *   <li>Commands, events, page requests in the log.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Interrupt remapping entries. Their bits in a device table entry are declared and kept.
 * </ul>
 */
package org.iommu4j.amd.fmt;
