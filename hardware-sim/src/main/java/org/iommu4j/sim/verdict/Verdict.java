// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

/** What became of a run. */
public enum Verdict {
    /** Every read saw what a memory without caches would have held, and so does memory at the end. */
    COHERENT,
    /** Some read, or memory at the end, differs from it. */
    CORRUPTED,
    /** A reader saw another owner's data. */
    LEAKED,
    /** The system said no before any DMA. */
    REFUSED,
    /** The run can't show its story here, and whoever runs it has the reason. */
    NOT_APPLICABLE
}
