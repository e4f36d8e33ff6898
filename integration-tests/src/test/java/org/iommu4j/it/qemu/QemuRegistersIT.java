// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.tck.RegisterSpaceConformance;

/** Registers of QEMU's VT-d unit; QEMU keeps no account of owners, and answers everywhere. */
@OnEachQemu
class QemuRegistersIT extends RegisterSpaceConformance {
    private static final int CAP = 0x08;
    private static final int RTADDR = 0x20;

    private final QemuLab lab;

    QemuRegistersIT(QemuLab lab) {
        this.lab = lab;
    }

    @Override
    protected Registers newRegisters() {
        RegisterSpace space = new QemuMachine(lab, new IntelHardware("")).registers();
        return new Registers(
                space,
                space,
                IntelHardware.REGISTER_BASE,
                IntelHardware.REGISTER_BYTES,
                CAP,
                space.map(IntelHardware.REGISTER_BASE, IntelHardware.REGISTER_BYTES)
                        .read64(CAP),
                RTADDR,
                -1L << 12,
                false,
                false,
                false,
                OptionalLong.empty(),
                Optional.empty());
    }
}
