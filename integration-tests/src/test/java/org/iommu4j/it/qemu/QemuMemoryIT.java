// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.util.List;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.tck.SystemMemoryConformance;

/** The emulated machine's RAM keeps the promises of memory; each access is a command to QEMU. */
@OnEachQemu
class QemuMemoryIT extends SystemMemoryConformance {
    private final QemuLab lab;

    QemuMemoryIT(QemuLab lab) {
        this.lab = lab;
    }

    @Override
    protected SystemMemory newMemory(long bytes) {
        return new QemuMemory(lab.start(16L << 20, List.of()).qtest(), bytes);
    }

    @Override
    protected int rounds() {
        return 100;
    }
}
