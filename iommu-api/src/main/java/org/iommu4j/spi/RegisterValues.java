// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Objects;
import java.util.OptionalLong;

/** Values of units' registers that somebody read, as far as known. */
@FunctionalInterface
public interface RegisterValues {
    /** Nothing is known. */
    RegisterValues UNKNOWN = (registerBase, register) -> {
        Objects.requireNonNull(register, "register");
        return OptionalLong.empty();
    };

    /**
     * Returns a value.
     *
     * @param registerBase the unit's physical base
     * @param register the manual's mnemonic, for example {@code CAP}, {@code ECAP}, {@code EFR}
     */
    OptionalLong value(long registerBase, String register);
}
