// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;

/** Silicon that is wrong. */
final class SiliconSaboteurs {
    private SiliconSaboteurs() {}

    static List<Saboteur> all() {
        return List.of();
    }
}
