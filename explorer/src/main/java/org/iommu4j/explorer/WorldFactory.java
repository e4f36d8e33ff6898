// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

/**
 * Opens the systems of one exploration. A class of it has a public constructor without parameters and is in an exported
 * package, so that an engine makes it by name on any machine.
 *
 * <p>An engine makes one factory a process and calls it once a worker, possibly from several threads: what the systems
 * share belongs to the factory.
 */
@FunctionalInterface
public interface WorldFactory {
    /**
     * Opens a system in its initial state.
     *
     * @param input what it is made from, in the factory's own form; not to be changed
     * @throws IllegalArgumentException if the input describes none
     */
    TransitionSystem open(byte[] input);
}
