// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

/** What a container of type 1 was asked for. Source: {@code vfio_iommu_type1_open}. */
public enum Type1Version {
    /** Unmap removes every mapping that starts in its range, whole, and no driver pins pages. */
    TYPE1,
    /** Unmap refuses to split a mapping. */
    TYPE1V2,
    /**
     * As {@link #TYPE1V2}, for domains under a guest's own tables.
     *
     * <p>No driver here makes such domains for VFIO, so that it serves emulated groups alone. In Linux, VT-d's driver
     * made them before 5.18, on machines whose units all nest; that is left out.
     */
    NESTING
}
