// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Objects;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.platform.support.FailNth;

/**
 * The platform that a driver is opened on, and with it the rules that a driver keeps there.
 *
 * <ul>
 *   <li>The driver stores zeros into a new frame before a unit can read it [port-1].
 *   <li>It writes back each store before a unit that does not snoop can read the word [port-2].
 *   <li>It waits only by the {@link Waiter} [port-3].
 *   <li>It touches registers only inside the windows that it mapped, and no wait of it is endless where registers read
 *       all ones [port-4].
 *   <li>When a port fails, the state is as it was before the call, nothing has leaked, and the next attempt succeeds
 *       [port-5].
 *   <li>It keeps nothing that another driver, opened on another platform, can see [port-6].
 * </ul>
 *
 * @param memory where tables and queues live
 * @param frames what they are made of
 * @param registers where the units' registers are
 * @param waiter how to wait for a unit
 * @param firmware the ACPI tables and the device tree
 * @param topology the PCI functions
 * @param bootOptions what the kernel was told
 * @param release the rules to follow
 */
public record VendorContext(
        SystemMemory memory,
        FrameAllocator frames,
        RegisterSpace registers,
        Waiter waiter,
        FirmwareTables firmware,
        PciTopology topology,
        BootOptions bootOptions,
        LinuxRelease release) {
    /** Refuses what is missing. */
    public VendorContext {
        Objects.requireNonNull(memory, "memory");
        Objects.requireNonNull(frames, "frames");
        Objects.requireNonNull(registers, "registers");
        Objects.requireNonNull(waiter, "waiter");
        Objects.requireNonNull(firmware, "firmware");
        Objects.requireNonNull(topology, "topology");
        Objects.requireNonNull(bootOptions, "bootOptions");
        Objects.requireNonNull(release, "release");
    }

    /** Returns this context with another memory. */
    public VendorContext withMemory(SystemMemory other) {
        return new VendorContext(other, frames, registers, waiter, firmware, topology, bootOptions, release);
    }

    /** Returns this context with other frames. */
    public VendorContext withFrames(FrameAllocator other) {
        return new VendorContext(memory, other, registers, waiter, firmware, topology, bootOptions, release);
    }

    /** Returns this context with other registers. */
    public VendorContext withRegisters(RegisterSpace other) {
        return new VendorContext(memory, frames, other, waiter, firmware, topology, bootOptions, release);
    }

    /** Returns this context with another way to wait. */
    public VendorContext withWaiter(Waiter other) {
        return new VendorContext(memory, frames, registers, other, firmware, topology, bootOptions, release);
    }

    /** Returns this context with other firmware. */
    public VendorContext withFirmware(FirmwareTables other) {
        return new VendorContext(memory, frames, registers, waiter, other, topology, bootOptions, release);
    }

    /** Returns this context with another command line. */
    public VendorContext withBootOptions(BootOptions other) {
        return new VendorContext(memory, frames, registers, waiter, firmware, topology, other, release);
    }

    /** Returns this context with the rules of another release. */
    public VendorContext withRelease(LinuxRelease other) {
        return new VendorContext(memory, frames, registers, waiter, firmware, topology, bootOptions, other);
    }

    /** Returns this context with failures injected into frames, registers and waiting. */
    public VendorContext failing(FailNth injector) {
        return withFrames(injector.frames(frames))
                .withRegisters(injector.registers(registers))
                .withWaiter(injector.waiter(waiter));
    }
}
