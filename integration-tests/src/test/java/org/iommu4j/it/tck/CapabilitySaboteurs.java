// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;

/** Capabilities that are wrong: written pages, PASIDs, page requests, nesting. */
final class CapabilitySaboteurs {
    private CapabilitySaboteurs() {}

    static List<Saboteur> all() {
        return List.of();
    }
}
