// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.tck.ConfigSpaceConformance;

/** A function's configuration space where QEMU maps it into memory. */
@OnEachQemu
class QemuConfigSpaceIT extends ConfigSpaceConformance {
    private final QemuMachine machine;

    QemuConfigSpaceIT(QemuLab lab) {
        machine = new QemuMachine(lab, new IntelHardware(""));
    }

    @Override
    protected ConfigSpace newConfigSpace() {
        return machine.vendorContext(LinuxRelease.NEWEST)
                .topology()
                .function(Hardware.FIRST)
                .orElseThrow()
                .config();
    }
}
