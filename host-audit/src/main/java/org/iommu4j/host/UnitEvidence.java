// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.Collections;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.iommu4j.spi.Answer;

/**
 * A translation unit under the name that Linux gave it.
 *
 * @param name for example {@code dmar0}
 * @param registerBase physical address of its registers, empty when no input states it
 * @param inSysfs whether it was seen under {@code sys/class/iommu}, where Linux shows the units that it uses
 * @param includeAll whether it has every function of its segment that no other unit names, as a log shows
 * @param attributes trimmed contents of the files below it in {@code sys/class/iommu} by path, for example {@code
 *     intel-iommu/cap}; empty when it was not seen there, or they could not be read
 * @param registers the register values seen, by the manual's mnemonic, each with the input that states it
 */
public record UnitEvidence(
        String name,
        OptionalLong registerBase,
        boolean inSysfs,
        Answer includeAll,
        Map<String, String> attributes,
        Map<String, Fact<Long>> registers) {
    /** Copies the maps. */
    public UnitEvidence {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(registerBase, "registerBase");
        Objects.requireNonNull(includeAll, "includeAll");
        attributes = Collections.unmodifiableMap(new TreeMap<>(attributes));
        registers = Collections.unmodifiableMap(new TreeMap<>(registers));
    }
}
