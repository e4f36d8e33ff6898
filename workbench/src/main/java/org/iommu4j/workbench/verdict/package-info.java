// SPDX-License-Identifier: Apache-2.0

/**
 * What became of a run, read from its trace of events alone.
 *
 * <p>{@link org.iommu4j.workbench.verdict.CoherenceChecker} replays every write into a memory without caches ({@code
 * WriteHistory}), in event order, and compares each read and the memory at the end with it. {@code BlameRules} decides who left
 * out its part, for whom each initiator acts ({@link org.iommu4j.workbench.verdict.Owner}). None knows of capabilities or
 * decisions. That a case does not apply comes from elsewhere: {@link org.iommu4j.workbench.verdict.NotApplicable}.
 */
package org.iommu4j.workbench.verdict;
