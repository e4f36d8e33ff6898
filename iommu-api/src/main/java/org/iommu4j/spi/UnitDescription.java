// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * A translation unit as its tables and registers describe it.
 *
 * @param id the unit's name under {@code /sys/class/iommu}, for example {@code dmar0}; the opened driver and the
 *     silicon call it so too
 * @param segment the PCI segment of its functions, or the first of several; empty where no table tells
 * @param registerBase physical address of its registers, empty where nothing tells
 * @param includeAll whether it has every function of the segment that no other unit names
 * @param scope what the firmware's table puts behind it, in the table's order
 * @param abilities what it can do
 * @param registers the values of its capability registers by the manual's mnemonic, as far as known
 * @param fields every decoded capability field by the manual's mnemonic, prefixed with its register
 *     ({@code ECAP.SC}), in the manual's order; empty when the registers are unknown
 */
public record UnitDescription(
        String id,
        OptionalInt segment,
        OptionalLong registerBase,
        Answer includeAll,
        List<ScopeEntry> scope,
        UnitAbilities abilities,
        Map<String, Long> registers,
        Map<String, Long> fields) {
    /** Copies the collections, keeping their order. */
    public UnitDescription {
        Objects.requireNonNull(id, "id");
        Objects.requireNonNull(segment, "segment");
        Objects.requireNonNull(registerBase, "registerBase");
        Objects.requireNonNull(includeAll, "includeAll");
        Objects.requireNonNull(abilities, "abilities");
        scope = List.copyOf(scope);
        registers = Collections.unmodifiableMap(new LinkedHashMap<>(registers));
        fields = Collections.unmodifiableMap(new LinkedHashMap<>(fields));
    }

    /** Returns the ids of some units for people, the middle of many left out: {@code dmar0 .. dmar8 (9)}. */
    public static String range(List<String> ids) {
        return ids.size() <= 3
                ? String.join(", ", ids)
                : ids.get(0) + " .. " + ids.get(ids.size() - 1) + " (" + ids.size() + ")";
    }
}
