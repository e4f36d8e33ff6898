// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

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
}
