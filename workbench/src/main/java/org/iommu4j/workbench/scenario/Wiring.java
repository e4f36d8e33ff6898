// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import org.iommu4j.platform.Processor;
import org.iommu4j.vfio.VfioFile;

/**
 * The wiring between the parts of a scenario: by default direct.
 *
 * <p>A test inserts a broken part here, to show that a case notices it. Parts between the driver and the machine are
 * not inserted here: a {@link CaseRunner} takes the vendors that it is given.
 */
public interface Wiring {
    /** No part in between. */
    Wiring DIRECT = new Wiring() {};

    /** Returns the processor that a virtual machine gets in place of a CPU of the machine. */
    default Processor processor(Processor cpu) {
        return cpu;
    }

    /** Returns whether the VMM adds a file of what it assigns to KVM. */
    default boolean addsToKvm(VfioFile file) {
        return true;
    }
}
