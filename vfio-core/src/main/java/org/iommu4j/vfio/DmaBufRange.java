// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

/**
 * A part of a region to export. Source: {@code struct vfio_region_dma_range}.
 *
 * @param offset its first byte in the region, a multiple of 4 KiB
 * @param length bytes, a multiple of 4 KiB
 */
public record DmaBufRange(long offset, long length) {}
