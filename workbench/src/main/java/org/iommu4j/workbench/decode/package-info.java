// SPDX-License-Identifier: Apache-2.0

/**
 * Prints the translation tables in a memory dump: {@code iommu4j decode}.
 *
 * <p>Read in this order: {@link org.iommu4j.workbench.decode.RegisterText} reads a copy of a unit's registers, {@link
 * org.iommu4j.workbench.decode.MemoryImage} is the memory, {@link org.iommu4j.workbench.decode.TableReaders} finds the
 * silicon that understands both, and the visitors print the entries that its reader finds. No class here knows a
 * vendor's format.
 *
 * <p>Modelled: images of single pages and of the whole physical memory from address 0, plain and compressed by zstd, of
 * any size. Not modelled: cores in ELF or kdump form (use QEMU's {@code pmemsave} and {@code xp}),
 * registers of several units in one file, the tables of interrupt remapping.
 */
package org.iommu4j.workbench.decode;
