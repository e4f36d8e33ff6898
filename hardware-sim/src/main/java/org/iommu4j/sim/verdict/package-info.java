// SPDX-License-Identifier: Apache-2.0

/**
 * The outcome of a run, determined from its trace of events alone.
 *
 * <p>{@link org.iommu4j.sim.verdict.CoherenceChecker} replays every write into a memory without caches ({@code
 * WriteHistory}), in event order, and compares each read and the memory at the end with it. {@code BlameRules} decides
 * which party failed its duty; {@link org.iommu4j.sim.verdict.Owner} is the owner for whom an initiator acts. None of
 * them uses capabilities or decisions.
 */
package org.iommu4j.sim.verdict;
