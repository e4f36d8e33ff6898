// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

/**
 * Where an IOVA is in memory. Source: {@code struct iommu_ioas_noiommu_get_pa}.
 *
 * @param physicalAddress of the byte at the IOVA
 * @param length bytes from there on that are contiguous and mapped, at most as many as were asked for
 */
public record NoIommuAddress(long physicalAddress, long length) {}
