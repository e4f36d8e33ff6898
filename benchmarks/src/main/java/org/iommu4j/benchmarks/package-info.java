// SPDX-License-Identifier: Apache-2.0

/**
 * What the hot paths cost, each beside its limit: the same work written by hand over the same kind of memory.
 *
 * <p>Start at {@link org.iommu4j.benchmarks.MapBenchmark}. {@code java -jar benchmarks/target/benchmarks.jar -prof gc}
 * runs all; docs/performance.md says what the figures mean. Before anything is measured
 * {@link org.iommu4j.benchmarks.Adapters} runs every adapter in the same fork, so that no call is fast only because
 * nobody else was there.
 */
package org.iommu4j.benchmarks;
