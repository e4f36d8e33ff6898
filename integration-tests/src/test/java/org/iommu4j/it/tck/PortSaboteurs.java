// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;

/** Drivers that use their ports wrongly. */
final class PortSaboteurs {
    private PortSaboteurs() {}

    static List<Saboteur> all() {
        return List.of();
    }
}
