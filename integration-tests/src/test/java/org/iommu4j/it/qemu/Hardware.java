// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.util.List;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;

/**
 * A machine that both QEMU and hardware-sim can be.
 *
 * <p>Its shape is always the same: two EDU devices on the root bus and one below a root port. What differs is the unit.
 */
interface Hardware {
    /** Memory of every machine: what hardware-sim divides between kernel and users at 128 MiB. */
    long MEMORY_BYTES = 256L << 20;

    /** The first device. */
    PciAddress FIRST = new PciAddress(0, 0, 5, 0);

    /** The second device, beside the first. */
    PciAddress SECOND = new PciAddress(0, 0, 7, 0);

    /** The root port. */
    PciAddress PORT = new PciAddress(0, 0, 6, 0);

    /** The device below the root port. */
    PciAddress BELOW = new PciAddress(0, 1, 0, 0);

    /**
     * Skips the calling test on a QEMU whose unit is no witness for ours, as {@code docs/qemu.md} says; every QEMU's is
     * unless the implementation says otherwise.
     */
    default void requireWitness(QemuLab lab) {}

    /** Returns how QEMU is told of the unit, as its {@code -device} option wants it. */
    String option(Qemu qemu);

    /** Returns whether QEMU's unit tells what it refused. */
    boolean reportsFaults(Qemu qemu);

    /** Returns what QEMU reports where ours reports this; the same unless the implementation says otherwise. */
    default Fault asReported(Qemu qemu, Fault fault) {
        return fault;
    }

    /** Returns whether QEMU reports such a fault where a mapping does not permit the request, or nothing is mapped. */
    default boolean isNotPermitted(Qemu qemu, Fault reported) {
        return false;
    }

    /**
     * Returns what hardware-sim builds, and what firmware says on both.
     *
     * @param registers QEMU's, for the unit's capabilities
     * @param functions QEMU's, as they stand when a driver is opened
     */
    MachineDescription describe(RegisterSpace registers, List<FunctionDescription> functions);
}
