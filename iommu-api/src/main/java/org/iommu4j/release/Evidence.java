// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.release;

/** How it is known that a release behaves as a rule has it. */
public enum Evidence {
    /**
     * The source of the release was read, and the nearest older one that was to be had. Where a release between them
     * is missing, its pull requests or the stable kernel's changelog date the change.
     */
    READ,
    /** A kernel of the release was asked. */
    OBSERVED,
    /** Deduced, from the date of a commit or a pull request or from releases around it. */
    INFERRED,
    /** It is not: no release behaves so. A correction that is tried. */
    PROPOSED
}
