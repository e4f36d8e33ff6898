// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.Optional;

/** A story that runs on any machine. Implementations have no state. */
public interface Case {
    /** Returns the name by which people run it: lower-case words joined by hyphens. */
    String name();

    /** Returns what it is about, in one line. */
    String about();

    /** Returns whether it needs a second device. */
    default boolean needsSecondDevice() {
        return false;
    }

    /**
     * Acts.
     *
     * @throws org.iommu4j.IommuException when the system refuses
     */
    void run(Scenario scenario);

    /**
     * Returns how the outcome of a run differs from what the case expects on its machine under its release; empty where
     * it does not, or nothing is expected.
     *
     * @param scenario the machine after the run
     */
    default Optional<String> unexpected(Outcome outcome, Scenario scenario) {
        return Optional.empty();
    }
}
