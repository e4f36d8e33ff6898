// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

/** Whose ability decides whether no-snoop is blocked, under one kernel release. */
public enum CoherencyRule {
    /** Every unit of the machine must be able to, whichever translates for the device. */
    PER_MACHINE("every unit of the machine must be able to block no-snoop"),
    /** Every unit behind the domain's devices must be able to; VFIO and KVM go by the domain. */
    PER_DOMAIN("the units behind the domain's devices must be able to block no-snoop"),
    /** The device's own unit must be able to; VFIO and KVM go by this capability of the device. */
    PER_DEVICE("the device's own unit must be able to block no-snoop"),
    /** The vendor's hardware always can. */
    ALWAYS("every unit of this vendor blocks no-snoop"),
    /** What firmware states of the device's root complex decides; the unit has no say. */
    PER_ROOT_COMPLEX("the device's root complex must make no-snoop harmless"),
    /** No unit of this vendor can, or its driver does not try. */
    NEVER("no unit of this vendor blocks no-snoop");

    private final String meaning;

    CoherencyRule(String meaning) {
        this.meaning = meaning;
    }

    /** Returns the rule in words. */
    public String meaning() {
        return meaning;
    }
}
