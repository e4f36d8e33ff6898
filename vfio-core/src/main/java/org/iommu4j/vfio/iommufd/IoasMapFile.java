// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.platform.ProcessMemory;
import org.jspecify.annotations.Nullable;

/**
 * A file's memory to map. Source: {@code struct iommu_ioas_map_file}.
 *
 * @param flags as of {@link IoasMap}
 * @param ioasId where
 * @param file the file's pages, at the addresses that are their offsets; null for a bad file descriptor
 * @param start first byte in the file
 * @param length bytes
 * @param iova where in the IOAS, if {@link IoasMap#FIXED_IOVA} is set; else Linux chooses
 */
public record IoasMapFile(int flags, int ioasId, @Nullable ProcessMemory file, long start, long length, long iova) {}
