// SPDX-License-Identifier: Apache-2.0

/**
 * Structures in memory that the driver writes and the hardware reads, and fault records, the other way round.
 *
 * <p>Root, context and PASID tables of legacy and scalable mode, paging entries of both stages, invalidation descriptors of
 * 128 bits, which are also the lower half of those of 256; page requests. Not here: interrupt remapping entries. Section
 * numbers are of VT-d revision 3.3, chapters 6 and 9.
 */
package org.iommu4j.intel.fmt;
