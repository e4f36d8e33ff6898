// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

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
 */
public record TranslationUnitSpec(
        String provider, String name, int segment, long registerBase, int registerSize, Map<String, Long> registers) {
    /** Copies the map. */
    public TranslationUnitSpec {
        Objects.requireNonNull(provider, "provider");
        Objects.requireNonNull(name, "name");
        registers = Map.copyOf(registers);
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
