// SPDX-License-Identifier: Apache-2.0

/**
 * RIMT, the ACPI table of the units (RISC-V I/O Mapping Table).
 *
 * <p>{@link org.iommu4j.riscv.acpi.Rimt#parse} reads the table, {@link org.iommu4j.riscv.acpi.Rimt#map} follows its
 * mappings of ids as Linux does.
 *
 * <h2>Source</h2>
 *
 * <ul>
 *   <li>Linux {@code include/acpi/actbl2.h} (the layout) and {@code drivers/acpi/riscv/rimt.c} (the meaning).
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Nodes of IOMMUs, of PCIe root complexes and of platform devices, with wires and mappings.
 *   <li>A node of an unknown type is skipped with a warning, as in Linux.
 *   <li>An impossible count, length or offset is refused, with its offset.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Proximity domains, and the flags of a mapping.
 * </ul>
 */
package org.iommu4j.riscv.acpi;
