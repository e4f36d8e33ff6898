// SPDX-License-Identifier: Apache-2.0

/**
 * The smallest vendor there is: what a newcomer has to write.
 *
 * <p>Read {@link org.iommu4j.it.minimal.MinimalVendor} (the driver) and then
 * {@link org.iommu4j.it.minimal.MinimalSilicon} (its hardware). Both enter through {@link java.util.ServiceLoader}: two
 * lines in {@code META-INF/services}.
 *
 * <p>The hardware: one table of one level, {@value org.iommu4j.it.minimal.MinimalDomain#ENTRIES} words of which each
 * maps 64 KiB; for every requester id a register with the physical address of its table, 0 for none; no cache, so
 * nothing to invalidate; no way to block no-snoop. Firmware tells where the registers are in an ACPI table of its own,
 * {@code MINI}: 8 bytes of address, then a byte that is 1 when ordinary DMA is coherent.
 */
package org.iommu4j.it.minimal;
