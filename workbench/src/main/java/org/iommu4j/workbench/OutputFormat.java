// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

/** How an answer is printed. */
enum OutputFormat {
    /** For people. */
    TEXT,
    /** For programs. */
    JSON;

    @Override
    public String toString() {
        return name().toLowerCase(java.util.Locale.ROOT);
    }
}
