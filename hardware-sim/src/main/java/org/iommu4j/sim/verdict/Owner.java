// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import java.util.Objects;

/**
 * The owner of an initiator's data: a virtual machine or the host.
 *
 * @param name the owner's name: {@code host}, or a virtual machine's
 * @param guest whether it is a virtual machine, whose driver shares the duty of cache maintenance
 */
public record Owner(String name, boolean guest) {
    /** The host: its CPUs, its units, and the devices that it keeps. */
    public static final Owner HOST = new Owner("host", false);

    /** Refuses what is missing. */
    public Owner {
        Objects.requireNonNull(name, "name");
    }

    /** Returns the virtual machine with a name. */
    public static Owner guest(String name) {
        return new Owner(name, true);
    }
}
