// SPDX-License-Identifier: Apache-2.0
/**
 * Drivers' page tables under every order of two threads' memory accesses.
 *
 * <p>{@link org.iommu4j.it.interleaving.Interleavings} runs two operations one memory access at a time and tries every
 * order with a bounded number of preemptions; {@link org.iommu4j.it.interleaving.SteppedMemory} is where they take
 * turns. Orders of whole accesses only: what the Java memory model adds is left to the stress tests.
 */
package org.iommu4j.it.interleaving;
