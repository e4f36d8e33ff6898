// SPDX-License-Identifier: Apache-2.0

/**
 * A complete driver of a small IOMMU, to be copied by the author of another. Read {@code MinimalVendor}, {@code
 * MinimalIommu}, {@code Unit}, {@code MinimalDomain}. The manual of the hardware follows. Driver and silicon are
 * written from it separately and share no constant.
 *
 * <p><b>Firmware.</b> The ACPI table {@code MINI} has the physical address of the registers in the 8 bytes after its
 * header. The unit translates for all functions of segment 0.
 *
 * <p><b>Registers</b> have 64 bits, in a window of 4 KiB, and are written whole:
 *
 * <pre>
 * 0x00 CAP    read-only. Bits 7:0 version, 1. Bit 8, SC: translated requests are snooped, no-snoop or not
 * 0x08 TABLE  physical address of the device table; 0: addresses pass unchanged
 * 0x10 FLUSH  a write has the unit forget all words that it cached; reads 1 until it has, then 0
 * </pre>
 *
 * <p><b>Tables</b> consist of words with flags in bits 1:0 and an address in bits 39:12; other bits are reserved. The
 * device table, 512 KiB, has a word for each requester id. Bit 0, P: addresses pass unchanged; else bit 1, T: they are
 * translated by the top table at the address. The top table, 16 KiB, has a word for each 2 MiB of 32-bit addresses. Bit
 * 0, P: it leads to a page table. A page table has a word for each of 512 pages of 4 KiB. Bits 0, R, and 1, W: a device
 * may read and write the page. A word without flags is not present. The unit snoops when it reads tables. It caches
 * words of pages by requester id and address.
 *
 * <p><b>Reasons</b> for refusals: 1 the requester's word is not present; 2 a word is malformed, or not in memory; 3 the
 * address has more than 32 bits; 4 the page is not present; 5 no right to read or write it; 6 the request has a PASID.
 */
package com.example.minimal;
