// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * What one translation unit is, before it is built.
 *
 * @param provider the name of the provider that builds it
 * @param name the unit's name as Linux shows it, for example {@code dmar0}
 * @param segment the PCI segment
 * @param registerBase physical address of its registers, 4 KiB aligned
 * @param registerSize bytes of its register window
 * @param registers values of its read-only registers by the manual's mnemonic, for example {@code CAP}
 * @param sourceIds which source ids requests have; a requester in no range has its requester id
 */
public record TranslationUnitSpec(
        String provider,
        String name,
        int segment,
        long registerBase,
        int registerSize,
        Map<String, Long> registers,
        List<SourceIdRange> sourceIds) {
    /** Copies the collections. */
    public TranslationUnitSpec {
        Objects.requireNonNull(provider, "provider");
        Objects.requireNonNull(name, "name");
        registers = Map.copyOf(registers);
        sourceIds = List.copyOf(sourceIds);
    }

    /** Describes a unit whose tables are indexed by requester ids. */
    public TranslationUnitSpec(
            String provider,
            String name,
            int segment,
            long registerBase,
            int registerSize,
            Map<String, Long> registers) {
        this(provider, name, segment, registerBase, registerSize, registers, List.of());
    }

    /** Returns the same unit with other source ids. */
    public TranslationUnitSpec withSourceIds(List<SourceIdRange> others) {
        return new TranslationUnitSpec(provider, name, segment, registerBase, registerSize, registers, others);
    }

    /**
     * Returns the source id with which a requester's requests reach the unit. Allocates nothing.
     *
     * @param requesterSegment the PCI segment, 0 to 0xffff
     * @param requesterId bus 15:8, device 7:3, function 2:0
     * @return unsigned 32 bits
     */
    public int sourceId(int requesterSegment, int requesterId) {
        for (int i = 0; i < sourceIds.size(); i++) {
            SourceIdRange range = sourceIds.get(i);
            if (range.contains(requesterSegment, requesterId)) {
                return range.firstSourceId() + requesterId - range.firstRequesterId();
            }
        }
        return requesterId;
    }

    /**
     * Returns a register's value.
     *
     * @throws IllegalArgumentException when the specification lacks it
     */
    public long register(String mnemonic) {
        Objects.requireNonNull(mnemonic, "mnemonic");
        Long value = registers.get(mnemonic);
        if (value == null) {
            throw new IllegalArgumentException(
                    "unit " + name + " needs a value for register " + mnemonic + "; given: " + registers.keySet());
        }
        return value;
    }
}
