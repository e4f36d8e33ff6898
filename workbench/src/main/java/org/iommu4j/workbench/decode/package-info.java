// SPDX-License-Identifier: Apache-2.0

/**
 * Translation tables as a memory dump has them: {@code iommu4j decode}.
 *
 * <p>Read in this order: {@link org.iommu4j.workbench.decode.RegisterText} reads a copy of a unit's registers,
 * {@link org.iommu4j.workbench.decode.MemoryImage} is the memory, {@link org.iommu4j.workbench.decode.TableReaders}
 * finds the silicon that understands both, and the visitors print what its reader finds. Nothing here knows a vendor's
 * format.
 *
 * <p>Modelled: images of single pages and of the whole physical memory from address 0, plain and compressed by zstd, of
 * any size. Not modelled: cores in ELF or kdump form (QEMU's {@code pmemsave} and {@code xp} give what is read here),
 * registers of several units in one file, the tables of interrupt remapping.
 */
package org.iommu4j.workbench.decode;
