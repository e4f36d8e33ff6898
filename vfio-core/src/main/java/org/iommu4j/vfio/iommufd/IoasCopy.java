// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

/**
 * A part of an IOAS to map once more. Source: {@code struct iommu_ioas_copy}.
 *
 * @param flags as of {@link IoasMap}; FIXED_IOVA is about {@code destinationIova}
 * @param destinationId where to
 * @param sourceId where from; may be the same
 * @param length bytes
 * @param destinationIova where in the destination, if FIXED_IOVA is set; else Linux chooses
 * @param sourceIova first byte in the source
 */
public record IoasCopy(
        int flags, int destinationId, int sourceId, long length, long destinationIova, long sourceIova) {}
