// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.tck.RegisterSpaceConformance;

/** Registers of QEMU's AMD-Vi unit; QEMU keeps no account of owners, and answers everywhere. */
@OnEachQemu
class QemuAmdRegistersIT extends RegisterSpaceConformance {
    private static final int EFR = 0x30;
    private static final int EXCLUSION_LIMIT = 0x28;

    private final QemuLab lab;

    QemuAmdRegistersIT(QemuLab lab) {
        this.lab = lab;
    }

    @Override
    protected Registers newRegisters() {
        RegisterSpace space = new QemuMachine(lab, new AmdHardware()).registers();
        return new Registers(
                space,
                space,
                AmdHardware.REGISTER_BASE,
                AmdHardware.REGISTER_BYTES,
                EFR,
                space.map(AmdHardware.REGISTER_BASE, AmdHardware.REGISTER_BYTES).read64(EFR),
                EXCLUSION_LIMIT,
                0x000f_ffff_ffff_f000L,
                false,
                false,
                false,
                OptionalLong.empty(),
                Optional.empty());
    }
}
