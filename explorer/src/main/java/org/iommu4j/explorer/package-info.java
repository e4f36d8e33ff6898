// SPDX-License-Identifier: Apache-2.0

/**
 * Explicit-state exploration: every state that a transition system can reach is visited once, breadth first.
 *
 * <p>Read {@link org.iommu4j.explorer.TransitionSystem} (the states and actions that a caller describes), {@link
 * org.iommu4j.explorer.Exploration} (the search, its workers and its resumption), then {@link
 * org.iommu4j.explorer.Report} (the cover and the violation). {@link org.iommu4j.explorer.CheckedSystem} proves while
 * it runs that a system keeps its promises. {@link org.iommu4j.explorer.ExplorationEngine} is the service through which
 * another engine takes the place of the local one.
 *
 * <p>A visited state is remembered by a fingerprint of 64 bits and by its parent and action, in 24 bytes or less. Only
 * the frontier holds whole states, packed into words. Not offered: temporal properties beyond states (liveness),
 * partial-order reduction.
 */
package org.iommu4j.explorer;
