// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.capability.GuestTable;
import org.jspecify.annotations.Nullable;

/**
 * A HWPT to make. Source: {@code struct iommu_hwpt_alloc}.
 *
 * @param flags {@link #NEST_PARENT}, {@link #DIRTY_TRACKING}, {@link #FAULT_ID_VALID}, {@link #PASID}
 * @param deviceId the device that it is for
 * @param parentId an IOAS, a HWPT that is to be a parent, or a virtual IOMMU
 * @param dataType {@link #DATA_NONE}, or the vendor's number of {@code data}
 * @param data a guest's table, null for none
 * @param faultId the fault queue, if {@link #FAULT_ID_VALID} is set
 */
public record HwptAlloc(
        int flags,
        int deviceId,
        int parentId,
        int dataType,
        @Nullable GuestTable data,
        int faultId) {
    /** It can be the parent of nested HWPTs. */
    public static final int NEST_PARENT = 1;
    /** Written pages can be recorded. */
    public static final int DIRTY_TRACKING = 1 << 1;
    /** Page requests of its devices go to a fault queue. */
    public static final int FAULT_ID_VALID = 1 << 2;
    /** Devices that use PASIDs, and PASIDs, can be attached. */
    public static final int PASID = 1 << 3;

    /** No data. */
    public static final int DATA_NONE = 0;
    /** A guest's VT-d first-stage table. */
    public static final int DATA_VTD_S1 = 1;

    /** Asks for a HWPT on an IOAS. */
    public HwptAlloc(int flags, int deviceId, int ioasId) {
        this(flags, deviceId, ioasId, DATA_NONE, null, 0);
    }
}
