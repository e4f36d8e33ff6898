// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;

/** Domains that are wrong otherwise. */
final class DomainSaboteurs {
    private DomainSaboteurs() {}

    static List<Saboteur> all() {
        return List.of();
    }
}
