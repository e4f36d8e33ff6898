// SPDX-License-Identifier: Apache-2.0

/**
 * A complete driver of a small IOMMU, to be copied by the author of another. Read {@code MinimalVendor}, {@code
 * MinimalIommu}, {@code MinimalDomain}, {@code PagingDomain}, {@code Unit}. The manual of the hardware follows. Driver
 * and silicon are written from it separately and share no constant.
 *
 * <p><b>Firmware.</b> The ACPI table {@code MINI} has the physical address of the registers in the 8 bytes after its
 * header. The unit translates for all functions of segment 0.
 *
 * <p><b>Registers</b> have 64 bits, in a window of 4 KiB:
 *
 * <pre>
 * 0x00 CAP     read-only. Bits 7:0 version, 1. Bit 8, SC: translated requests are snooped, no-snoop or not
 * 0x08 TABLE   physical address of the device table; 0: addresses pass unchanged. Used from the next INVAL of all on
 * 0x10 FIRST   first and
 * 0x18 LAST    last address of an invalidation of pages
 * 0x20 INVAL   a write begins an invalidation, and is ignored while one is under way; reads 0 when there is none.
 *              Bits 1:0, CMD: 1 all; 2 the device table entry of the requester in bits 31:16, ID; 3 the pages from
 *              FIRST to LAST, and the tables on the way to them, of the top table in bits 51:12, TOP
 * 0x28 ADDRESS bits 63:2 of the address of the oldest refused request that is in the log, which has room for 32
 * 0x30 FAULT   of the same: bit 63, F: there is one; bit 61, W: it wrote; bits 23:16 the reason; bits 15:0, ID.
 *              A write takes it out of the log
 * </pre>
 *
 * <p><b>Device table</b>: 512 KiB, a word for each requester id. Bit 0, V: valid, else all is refused. Bit 1, T:
 * translate with the top table in bits 51:12, TOP, else addresses pass unchanged.
 *
 * <p><b>Page tables</b> have 3 levels of 512 words, and translate addresses of 39 bits. A word of level 1 has in bit 0,
 * R, and bit 1, W, whether a device may read and write a page of 4 KiB; one above has bit 2, T, as it leads to a table.
 * Bits 51:12 are the address. A word without any of R, W and T is not present. All other bits are reserved.
 *
 * <p>The unit snoops when it reads tables. It caches words that are present, until it is told to forget them.
 *
 * <p><b>Reasons</b>: 1 the requester's entry is not valid; 2 a word is malformed, or not in memory; 3 the address has
 * more than 39 bits; 4 the page is not present; 5 no right to read or write it; 6 the request has a PASID.
 */
package com.example.minimal;
