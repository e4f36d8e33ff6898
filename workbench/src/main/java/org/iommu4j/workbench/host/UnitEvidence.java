// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import java.util.Collections;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;

/**
 * A translation unit under the name that Linux gave it.
 *
 * @param name for example {@code dmar0}
 * @param registerBase physical address of its registers, empty when no input tells
 * @param registers the register values seen, by the manual's mnemonic, each with the input that says so
 */
public record UnitEvidence(String name, OptionalLong registerBase, Map<String, Fact<Long>> registers) {
    /** Copies the map. */
    public UnitEvidence {
        registers = Collections.unmodifiableMap(new TreeMap<>(registers));
    }
}
