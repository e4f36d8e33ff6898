// SPDX-License-Identifier: Apache-2.0

/**
 * The IVRS, I/O Virtualization Reporting Structure: 48882 section 5.2.
 *
 * <p>{@link org.iommu4j.amd.acpi.Ivrs#parse} reads hardware definition blocks (IVHD 10h, 11h, 40h) with their device
 * entries and memory definition blocks (IVMD 20h, 21h, 22h). A block or entry of an unknown type is skipped with a
 * warning; a length that can't be is refused with its offset.
 *
 * <p>Not here: which block Linux chooses and which unit serves a device; that is the driver's.
 */
package org.iommu4j.amd.acpi;
