// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

/** Names that Linux and this driver give. */
final class RiscvNames {
    /** The vendor. */
    static final String VENDOR = "riscv";

    /** ACPI id of a unit that is no PCI function ({@code riscv_iommu_acpi_match}). */
    static final String HARDWARE_ID = "RSCV0004";

    /** A unit under {@code /sys/class/iommu}: this and the name of its device ({@code riscv_iommu_init}). */
    private static final String UNIT_PREFIX = "riscv-iommu@";

    private static final int LONGEST = 64;

    private RiscvNames() {}

    /** Returns the name of the unit that is a device of Linux's. */
    static String unit(String device) {
        return UNIT_PREFIX + device;
    }

    /** Returns whether a unit under {@code /sys/class/iommu} is this driver's. */
    static boolean isUnit(String name) {
        return name.startsWith(UNIT_PREFIX) && name.length() > UNIT_PREFIX.length() && name.length() <= LONGEST;
    }
}
