// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

/** The outcome of a run. */
public enum Verdict {
    /** Every read saw the contents of a memory without caches, and memory at the end has the same contents. */
    COHERENT,
    /** A read, or memory at the end, differs from it. */
    CORRUPTED,
    /** A reader saw another owner's data. */
    LEAKED,
    /** The system refused before any DMA. */
    REFUSED,
    /** The run can't show its story here; its report holds the reason. */
    NOT_APPLICABLE
}
