// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.util.Locale;

/** How the outcomes of cases are printed. */
enum CaseFormat {
    /** For people. */
    TEXT,
    /** For programs. */
    JSON,
    /** For a browser: one file that needs no other. */
    HTML;

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
