// SPDX-License-Identifier: Apache-2.0

/**
 * DMAR, the ACPI table of the remapping hardware.
 *
 * <p>{@link org.iommu4j.intel.acpi.DmarParser} reads the table. {@link org.iommu4j.intel.acpi.ScopeResolver} finds the
 * PCI functions that a scope names.
 *
 * <h2>Source</h2>
 *
 * <ul>
 *   <li>VT-d revision 3.3, chapter 8.
 *   <li>Linux {@code drivers/iommu/intel/dmar.c}.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>The structures DRHD, RMRR, ATSR, RHSA, ANDD, SATC and SIDP.
 *   <li>A structure of an unknown type is kept by its type, with a warning.
 *   <li>An impossible length is refused.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Devices of ACPI's namespace (ANDD): descriptions name them, but the driver has no device for them.
 *   <li>The proximity domains of units (RHSA): they are read but not used.
 * </ul>
 */
package org.iommu4j.intel.acpi;
