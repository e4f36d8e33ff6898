// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.util.Optional;

/**
 * A remark of the vectors on a step whose answer by the model is doubtful, or not the only one.
 *
 * @param tag its kind
 * @param manualsAnswer what the manual wants instead, as an independent checker read it
 */
record Remark(String tag, Optional<Json> manualsAnswer) {
    /**
     * Returns whether the unit's own answer is neither the model's nor the checker's: it refuses addresses wider than
     * physical ones, and reserved bits of MSI masks.
     */
    boolean isOtherwise() {
        return tag.equals("bare-56-bit") || tag.equals("msi-mgpaw");
    }
}
