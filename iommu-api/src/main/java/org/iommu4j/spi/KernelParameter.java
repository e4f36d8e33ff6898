// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Objects;

/**
 * A parameter of the kernel's command line that changes what a description says.
 *
 * @param parameter the name before the equals sign, for example {@code amd_iommu}
 * @param value one of the values after it, for example {@code pgtbl_v2}
 * @param effect what it does to the answers
 * @param why what it means, with its source
 */
public record KernelParameter(String parameter, String value, Effect effect, Reason why) {
    /** Leaves the units of every vendor off; it takes precedence over a vendor's own parameter. */
    public static final KernelParameter EVERY_UNIT_OFF = new KernelParameter(
            "iommu",
            "off",
            Effect.DISABLES,
            new Reason("leaves the units of every vendor off", "Linux x86 iommu_setup, no_iommu"));

    /** Refuses what is missing. */
    public KernelParameter {
        Objects.requireNonNull(parameter, "parameter");
        Objects.requireNonNull(value, "value");
        Objects.requireNonNull(effect, "effect");
        Objects.requireNonNull(why, "why");
    }

    /** What a parameter does. */
    public enum Effect {
        /** Units are used, where the kernel was built not to use them by itself. */
        ENABLES,
        /** Units are not used: nothing can be assigned. */
        DISABLES,
        /** Some units are not used: nothing of what only they translate for can be assigned. */
        DISABLES_SOME,
        /** The driver says that no-snoop is blocked, and it is not. */
        FALSE_PROMISE
    }

    @Override
    public String toString() {
        return parameter + "=" + value;
    }
}
