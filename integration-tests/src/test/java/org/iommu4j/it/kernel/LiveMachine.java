// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.List;
import org.iommu4j.it.qemu.Qemu;

/** A machine of QEMU that live kernels are booted on. */
enum LiveMachine {
    /** VT-d with snoop control. */
    INTEL(7, List.of("intel-iommu,snoop-control=on")),
    /** VT-d without it. */
    INTEL_WITHOUT_SNOOP_CONTROL(7, List.of("intel-iommu,snoop-control=off")),
    /** AMD-Vi. */
    AMD(10, List.of("amd-iommu,pt=off"));

    private final int qemuMajor;
    private final List<String> units;

    LiveMachine(int qemuMajor, List<String> units) {
        this.qemuMajor = qemuMajor;
        this.units = units;
    }

    /** Returns whether a QEMU has this machine. */
    boolean runsOn(Qemu qemu) {
        return qemu.isAtLeast(qemuMajor, 0);
    }

    /** Returns QEMU's devices. */
    List<String> units() {
        return units;
    }

    /** Returns what the kernel is told of its unit. */
    String kernelOptions() {
        return this == AMD ? "amd_iommu=on iommu.passthrough=0" : "intel_iommu=on iommu.passthrough=0";
    }
}
