// SPDX-License-Identifier: Apache-2.0

/**
 * What became of a run, read from its trace of events alone.
 *
 * <p>{@link org.iommu4j.sim.verdict.CoherenceChecker} replays every write into a memory without caches ({@code
 * WriteHistory}), in event order, and compares each read and the memory at the end with it. {@code BlameRules} decides
 * who left out its part, for whom each initiator acts ({@link org.iommu4j.sim.verdict.Owner}). None of them knows
 * capabilities or decisions.
 */
package org.iommu4j.sim.verdict;
