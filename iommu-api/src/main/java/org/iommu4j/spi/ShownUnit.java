// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Collections;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.TreeMap;

/**
 * A unit as Linux shows it to everybody, under {@code /sys/class/iommu} or in its log.
 *
 * @param registerBase physical address of its registers, empty where Linux does not say
 * @param registers the values that it shows, by the manual's mnemonic
 * @param inUse whether it uses the unit: what is under {@code /sys/class/iommu}, and nothing else where anything is;
 *     the log names units that are not used too
 * @param includeAll whether it has every function of its segment that no other unit names, as the log shows
 */
public record ShownUnit(OptionalLong registerBase, Map<String, Long> registers, Answer inUse, Answer includeAll) {
    /** Makes a unit of which is not known which functions it has. */
    public ShownUnit(OptionalLong registerBase, Map<String, Long> registers, Answer inUse) {
        this(registerBase, registers, inUse, Answer.UNKNOWN);
    }

    /** Makes a unit of which is not known whether it is used. */
    public ShownUnit(OptionalLong registerBase, Map<String, Long> registers) {
        this(registerBase, registers, Answer.UNKNOWN);
    }

    /** Copies the map. */
    public ShownUnit {
        Objects.requireNonNull(registerBase, "registerBase");
        Objects.requireNonNull(inUse, "inUse");
        Objects.requireNonNull(includeAll, "includeAll");
        registers = Collections.unmodifiableMap(new TreeMap<>(registers));
    }
}
