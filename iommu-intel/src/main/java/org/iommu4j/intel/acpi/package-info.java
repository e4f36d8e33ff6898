// SPDX-License-Identifier: Apache-2.0

/**
 * DMAR, the ACPI table of the remapping hardware: VT-d chapter 8.
 *
 * <p>{@link org.iommu4j.intel.acpi.DmarParser} reads the structures DRHD, RMRR, ATSR, RHSA, ANDD, SATC and SIDP; a structure of an unknown
 * type is kept by its type and warned of, a length that can't be right is refused. {@link
 * org.iommu4j.intel.acpi.ScopeResolver} finds the PCI functions that a scope names.
 */
package org.iommu4j.intel.acpi;
