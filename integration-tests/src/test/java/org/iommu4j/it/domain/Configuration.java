// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import org.iommu4j.sim.spi.MachineDescription;

/**
 * One machine that the contract runs on, and what its tables must look like there.
 *
 * @param name for the display name of the test
 * @param machine what to build
 * @param caches whether CPU caches are in front of memory
 * @param coherentWalk whether the unit snoops when it walks; if not, only what is in DRAM counts
 * @param enforcement what the domain answers when it is asked to block no-snoop
 * @param leaves how the vendor's leaf entries are encoded
 */
public record Configuration(
        String name,
        MachineDescription machine,
        boolean caches,
        boolean coherentWalk,
        Enforcement enforcement,
        LeafFormat leaves) {

    /** The three states of Linux's optional op. */
    public enum Enforcement {
        /** There is no such control. */
        ABSENT,
        /** It is there and can't. */
        REFUSED,
        /** It is there and does, from then on. */
        GRANTED,
        /** It is there, and leaves block no-snoop whether anybody asks or not. */
        UNCONDITIONAL,
        /**
         * It is there and answers that it does, and no-snoop passes all the same: AMD's guest tables, as Linux has
         * them.
         */
        PRETENDED;

        /** Returns whether no-snoop is blocked once the domain was asked. */
        boolean isKept() {
            return this == GRANTED || this == UNCONDITIONAL;
        }
    }

    /** Returns this configuration without caches in front of memory. */
    public Configuration flat() {
        return new Configuration(name + ", flat memory", machine, false, coherentWalk, enforcement, leaves);
    }

    @Override
    public String toString() {
        return name;
    }
}
