// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.util.Locale;

/** How an answer is printed. */
enum OutputFormat {
    /** For people. */
    TEXT,
    /** For programs. */
    JSON;

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
