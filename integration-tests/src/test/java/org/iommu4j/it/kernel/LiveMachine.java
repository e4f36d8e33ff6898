// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

/** A machine of QEMU that live kernels are booted on. */
enum LiveMachine {
    /** VT-d with snoop control. */
    INTEL("intel-iommu,snoop-control=on"),
    /** VT-d without it. */
    INTEL_WITHOUT_SNOOP_CONTROL("intel-iommu,snoop-control=off");

    private final String unit;

    LiveMachine(String unit) {
        this.unit = unit;
    }

    /** Returns QEMU's device for its unit. */
    String unit() {
        return unit;
    }
}
