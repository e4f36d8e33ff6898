// SPDX-License-Identifier: Apache-2.0

/**
 * An exploration on Apache Spark, for what one machine can't hold.
 *
 * <p>A state travels as a {@code Row}: a fingerprint of 128 bits, and the path of actions from the initial state. A
 * round of {@code Search} finds all states of one depth: an {@code Expansion} of each part of the states of the depth
 * before, a shuffle that sorts the rows by fingerprint, and a {@code Merge} with the fingerprints that were visited.
 * What a round found is in the {@code Checkpoint}, from which another run goes on. Every file is a function of the
 * files of the round before, so that a task that runs twice writes the same twice.
 */
@org.jspecify.annotations.NullMarked
package org.iommu4j.explorer.spark;
