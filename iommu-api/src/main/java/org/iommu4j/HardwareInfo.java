// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.List;

/**
 * What a vendor tells user space of the unit of a device. Source: {@code hw_info} in {@code struct iommu_ops}.
 *
 * @param type the vendor's number ({@code enum iommu_hw_info_type})
 * @param words the vendor's structure in 32-bit words, little-endian
 */
public record HardwareInfo(int type, List<Integer> words) {
    /** The driver tells nothing. */
    public static final HardwareInfo NONE = new HardwareInfo(0, List.of());

    /** Copies the words. */
    public HardwareInfo {
        words = List.copyOf(words);
    }
}
