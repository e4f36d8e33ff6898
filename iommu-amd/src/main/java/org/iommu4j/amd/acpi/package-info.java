// SPDX-License-Identifier: Apache-2.0

/**
 * IVRS, the ACPI table of the units (I/O Virtualization Reporting Structure), and the I/O APICs of the MADT.
 *
 * <p>{@link org.iommu4j.amd.acpi.Ivrs#parse} reads the table. The driver decides on the blocks that Linux chooses and
 * on each device's unit.
 *
 * <h2>Source</h2>
 *
 * <ul>
 *   <li>48882 revision 3.08, section 5.2.
 *   <li>ACPI 6.5, section 5.2.12, for the MADT.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Hardware definition blocks (IVHD 10h, 11h, 40h) with their device entries.
 *   <li>Memory definition blocks (IVMD 20h, 21h, 22h).
 *   <li>A block or entry of an unknown type is skipped with a warning.
 *   <li>An impossible length is refused, with its offset.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Devices of ACPI's namespace (ACPI HID entries): descriptions name them, but the driver has no device for them.
 * </ul>
 */
package org.iommu4j.amd.acpi;
