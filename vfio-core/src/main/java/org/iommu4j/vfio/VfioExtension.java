// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

/** The extensions of a container, by their numbers. Source: {@code include/uapi/linux/vfio.h}. */
public final class VfioExtension {
    /** Type 1, whose unmap removes every mapping that starts in the range, whole. */
    public static final int TYPE1_IOMMU = 1;
    /** POWER's type. Never available here. */
    public static final int SPAPR_TCE_IOMMU = 2;
    /** Type 1, whose unmap refuses to split a mapping. */
    public static final int TYPE1V2_IOMMU = 3;
    /** Whether no device of the container can bypass the CPU caches: every domain enforces. */
    public static final int DMA_CC_IOMMU = 4;
    /** POWER's error handling. Never available here. */
    public static final int EEH = 5;
    /** Type 1 under a guest's own tables, until 6.12; no group with an IOMMU can be in such a container. */
    public static final int TYPE1_NESTING_IOMMU = 6;
    /** POWER's second type. Never available here. */
    public static final int SPAPR_TCE_V2_IOMMU = 7;
    /** Containers for devices without an IOMMU, where the host allows them. */
    public static final int NOIOMMU_IOMMU = 8;
    /** Unmap has a flag for everything. */
    public static final int UNMAP_ALL = 9;
    /** Virtual addresses can change under a mapping. */
    public static final int UPDATE_VADDR = 10;

    private VfioExtension() {}
}
