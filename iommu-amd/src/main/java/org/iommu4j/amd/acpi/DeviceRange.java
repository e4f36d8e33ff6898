// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.acpi;

/**
 * Requester ids that an IVHD block covers by one or two of its entries.
 *
 * @param first the first id
 * @param last the last id, inclusive
 * @param alias the id that their requests carry, or {@link #NO_ALIAS}
 * @param dataSetting as {@link DeviceEntry#dataSetting}
 */
public record DeviceRange(int first, int last, int alias, int dataSetting) {
    /** Requests carry the device's own id. */
    public static final int NO_ALIAS = -1;

    /** Returns whether an id is in the range. */
    public boolean contains(int deviceId) {
        return first <= deviceId && deviceId <= last;
    }

    /** Returns the highest id that the range names. */
    public int highest() {
        return Math.max(last, alias);
    }
}
