// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

/**
 * What else a paging domain has to be able to do, asked for when it is allocated.
 *
 * <p>Source: {@code IOMMU_HWPT_ALLOC_*}, {@code include/uapi/linux/iommufd.h}.
 */
public enum DomainFlag {
    /** It may become the parent of nested domains ({@link org.iommu4j.capability.Nesting}). */
    NEST_PARENT,
    /** The hardware records which pages devices wrote ({@link org.iommu4j.capability.DirtyTracking}). */
    DIRTY_TRACKING,
    /** Devices that use PASIDs can be attached to it ({@link org.iommu4j.capability.PasidAttachment}). */
    PASID
}
