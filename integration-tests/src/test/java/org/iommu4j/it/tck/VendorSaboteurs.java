// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;

/** Vendors that describe and open wrongly. */
final class VendorSaboteurs {
    private VendorSaboteurs() {}

    static List<Saboteur> all() {
        return List.of();
    }
}
