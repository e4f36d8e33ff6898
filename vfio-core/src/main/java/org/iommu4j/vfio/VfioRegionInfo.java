// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

/**
 * What is said of a region of a device. Source: {@code struct vfio_region_info}.
 *
 * @param argsz how many bytes the answer would have had
 * @param flags {@link #READ}, {@link #WRITE}, {@link #MMAP} and {@link #CAPS}; 0 of an empty region
 * @param index its number
 * @param capOffset where its capability is in the answer; 0 where it has none, or the caller no room. The only one is
 *     that the table of MSI-X may be mapped with the rest ({@code VFIO_REGION_INFO_CAP_MSIX_MAPPABLE})
 * @param size bytes
 * @param offset where it is in the device's file
 */
public record VfioRegionInfo(int argsz, int flags, int index, int capOffset, long size, long offset) {
    /** It can be read. */
    public static final int READ = 1;

    /** It can be written. */
    public static final int WRITE = 1 << 1;

    /** It can be mapped into the user's address space. */
    public static final int MMAP = 1 << 2;

    /** It has a capability. */
    public static final int CAPS = 1 << 3;

    /** Bytes of the structure, without which it is refused. */
    public static final int MIN_SIZE = 32;

    /** Bytes of a capability behind it. */
    public static final int CAPABILITY_SIZE = 8;
}
