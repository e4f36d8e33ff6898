// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.List;

/**
 * The unit and the ids of a device.
 *
 * @param place the unit
 * @param ids at least one, no id twice
 */
record UnitIds(UnitPlace place, List<Long> ids) {
    /** Copies the list. */
    public UnitIds {
        ids = List.copyOf(ids);
    }
}
