// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;

/** Drivers and devices that are wrong. */
final class DriverSaboteurs {
    private DriverSaboteurs() {}

    static List<Saboteur> all() {
        return List.of();
    }
}
