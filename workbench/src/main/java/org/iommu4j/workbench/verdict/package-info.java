// SPDX-License-Identifier: Apache-2.0

/**
 * What became of a run, read from its trace of events alone.
 *
 * <p>{@link org.iommu4j.workbench.verdict.CoherenceChecker} replays every write into a memory without caches, in event
 * order, and compares each read and the memory at the end with it. It knows nothing of capabilities or decisions.
 */
package org.iommu4j.workbench.verdict;
