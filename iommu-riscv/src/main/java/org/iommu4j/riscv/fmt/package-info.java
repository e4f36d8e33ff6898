// SPDX-License-Identifier: Apache-2.0

/**
 * Structures in memory that the driver writes and the unit reads. Fault records go the other way.
 *
 * <h2>Source</h2>
 *
 * <ul>
 *   <li>RISC-V IOMMU Architecture Specification 1.0, chapters "Data structures" and "In-memory queue interface".
 *   <li>RISC-V privileged architecture, Sv39 to Sv57, Svnapot, Svpbmt: the entries of first-stage tables.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Device directory entries and device contexts of both sizes.
 *   <li>First-stage entries.
 *   <li>The commands that Linux sends, and fault records.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Second stage, process directories, MSI tables, commands and records of ATS: Linux up to 7.2 uses none of them.
 * </ul>
 */
package org.iommu4j.riscv.fmt;
