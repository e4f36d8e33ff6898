// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

/** How much of a function's configuration space is known. */
public enum ConfigKnowledge {
    /** Nothing. */
    NONE,
    /** The 64 bytes of the header: what Linux shows without privilege. It hides every capability. */
    HEADER,
    /** The header and the capabilities below 256; of extended capabilities nothing is known. */
    CAPABILITIES,
    /** All of it, or of a conventional function all that there is. */
    ALL;

    /** Returns whether it is known which capabilities a function has, PCI Express among them. */
    public boolean capabilities() {
        return compareTo(CAPABILITIES) >= 0;
    }

    /** Returns whether it is known which extended capabilities a function has, Access Control Services among them. */
    public boolean extendedCapabilities() {
        return this == ALL;
    }
}
