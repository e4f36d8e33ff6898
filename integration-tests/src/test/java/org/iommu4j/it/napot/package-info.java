// SPDX-License-Identifier: Apache-2.0

/**
 * A vendor that is neither x86's nor PCI's, in the fewest lines: {@link org.iommu4j.it.napot.NapotDriver} and {@link
 * org.iommu4j.it.napot.NapotUnit}. Its devices have names, their source ids have 24 bits, large pages are naturally
 * aligned powers of two (NAPOT, as RISC-V's Svnapot has them), and its machine's processors are RISC-V's.
 *
 * <p>Firmware's table {@code NAPT} has the register base (8 bytes), and for each device its source id (4 bytes) and its
 * name (20 bytes). A directory of one frame has pairs of words: source id with bit 63 as valid, and the device's table.
 * A table has one frame of entries for the first 2 MiB: V, R and W in bits 2:0, the frame number in bits 53:10, and N
 * in bit 63: then bits 3:0 of the frame number are 1000b, and 16 equal entries map 64 KiB.
 */
package org.iommu4j.it.napot;
