// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A translation unit as its tables and registers describe it.
 *
 * @param id the unit's name, for example {@code dmar0}
 * @param segment the PCI segment
 * @param registerBase physical address of its registers
 * @param includeAll whether it has every function of the segment that no other unit names
 * @param scope what the firmware's table names, as text in the table's order, for example {@code 0000:00:02.0}
 * @param blocksNoSnoop whether it can block no-snoop for a domain
 * @param coherentWalk whether it walks tables through the CPU caches
 * @param interruptRemapping whether it can remap interrupts
 * @param fields every decoded capability field by the manual's mnemonic, prefixed with its register
 *     ({@code ECAP.SC}), in the manual's order; empty when the registers are unknown
 */
public record UnitDescription(
        String id,
        int segment,
        long registerBase,
        boolean includeAll,
        List<String> scope,
        Answer blocksNoSnoop,
        Answer coherentWalk,
        Answer interruptRemapping,
        Map<String, Long> fields) {
    /** Copies the collections, keeping their order. */
    public UnitDescription {
        scope = List.copyOf(scope);
        fields = Collections.unmodifiableMap(new LinkedHashMap<>(fields));
    }
}
