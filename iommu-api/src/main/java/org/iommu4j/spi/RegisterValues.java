// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Objects;
import java.util.OptionalLong;

/** Values of units' registers, as far as they were read. */
@FunctionalInterface
public interface RegisterValues {
    /** Nothing is known. */
    RegisterValues UNKNOWN = (unit, registerBase, register) -> {
        Objects.requireNonNull(unit, "unit");
        Objects.requireNonNull(registerBase, "registerBase");
        Objects.requireNonNull(register, "register");
        return OptionalLong.empty();
    };

    /**
     * Returns a value of the unit at a base, or, where its base is not known on one of the two sides, of the unit of a
     * name.
     *
     * @param unit the name that Linux gave the unit, for example {@code dmar0}; empty text when that is not known
     * @param registerBase physical address of the unit's registers; empty when it is not known, or when they are not
     *     memory-mapped at a fixed address
     * @param register the manual's mnemonic as the manual writes it, for example {@code CAP}, {@code ECAP}, {@code
     *     EFR}; silicon's specification of the unit has the same
     */
    OptionalLong value(String unit, OptionalLong registerBase, String register);
}
