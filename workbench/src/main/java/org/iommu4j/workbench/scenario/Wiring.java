// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import org.iommu4j.platform.Processor;
import org.iommu4j.vfio.VfioGroup;

/**
 * What stands between the parts of a scenario: by default nothing.
 *
 * <p>A test puts a broken part in from here, to show that a case notices. What stands between the driver and the
 * machine needs no place here: a {@link CaseRunner} takes the vendors that it is given.
 */
public interface Wiring {
    /** Nothing in between. */
    Wiring DIRECT = new Wiring() {};

    /** Returns the processor that a virtual machine gets in place of a CPU of the machine. */
    default Processor processor(Processor cpu) {
        return cpu;
    }

    /** Returns whether the VMM tells KVM of a group that it assigns. */
    default boolean tellsKvm(VfioGroup group) {
        return true;
    }
}
