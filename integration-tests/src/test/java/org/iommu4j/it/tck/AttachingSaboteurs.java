// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;

/** Domains whose attachments and whose control over no-snoop are wrong. */
final class AttachingSaboteurs {
    private AttachingSaboteurs() {}

    static List<Saboteur> all() {
        return List.of();
    }
}
