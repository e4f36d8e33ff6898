// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.function.BooleanSupplier;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.bits.Hex;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.platform.support.TableFrames;
import org.iommu4j.riscv.fmt.Command;
import org.iommu4j.riscv.fmt.FaultRecord;
import org.iommu4j.riscv.reg.Capabilities;
import org.iommu4j.riscv.reg.Registers;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;

/**
 * Turns a unit on and off: registers, and the frames of its directory and queues. "Guidelines for initialization".
 *
 * <p>Source: Linux {@code riscv_iommu_init} and what it calls. Where Linux gives up on a unit with EBUSY after a wait,
 * this is ETIMEDOUT, as with every vendor.
 */
final class UnitStart {
    /** A kernel that runs after a crash takes over what is on ({@code is_kdump_kernel}). */
    private static final String CRASH_KERNEL = "elfcorehdr";

    /** Logical steps until a queue is on or off; Linux waits 150,000 microseconds. */
    private static final long QUEUE_DEADLINE = 150_000;

    /** Logical steps until the directory is on or off; Linux waits 10 seconds. */
    private static final long DIRECTORY_DEADLINE = 10_000_000;

    private static final int LOG_COMMANDS = 13;
    private static final int LOG_FAULTS = 12;

    /** Vectors that Linux asks for: commands, faults, page requests, counters. */
    private static final int VECTORS = 4;

    private static final int GONE = -1;

    private final UnitPlace place;
    private final RegisterWindow window;
    private final FrameAllocator frames;
    private final Waiter waiter;
    private final long capabilities;
    private final DeviceDirectory directory;
    private final QueueMemory commandRing;
    private final QueueMemory faultRing;

    private UnitStart(
            UnitPlace place,
            VendorContext context,
            RegisterWindow window,
            long capabilities,
            DeviceDirectory directory,
            QueueMemory commandRing,
            QueueMemory faultRing) {
        this.place = place;
        this.window = window;
        this.frames = context.frames();
        this.waiter = context.waiter();
        this.capabilities = capabilities;
        this.directory = directory;
        this.commandRing = commandRing;
        this.faultRing = faultRing;
    }

    RegisterWindow window() {
        return window;
    }

    long capabilities() {
        return capabilities;
    }

    DeviceDirectory directory() {
        return directory;
    }

    QueueMemory commandRing() {
        return commandRing;
    }

    QueueMemory faultRing() {
        return faultRing;
    }

    // --- on ---

    /**
     * Maps the registers, makes sure that the unit is off, and takes frames.
     *
     * @throws IommuException ENODEV, EBUSY, EINVAL, ENOMEM, ETIMEDOUT; nothing is held
     */
    static UnitStart begin(UnitPlace place, VendorContext context, RiscvRules rules) {
        long base = place.base().orElse(0);
        if (base == 0 || (base & (Registers.WINDOW_SIZE - 1)) != 0) {
            throw new IommuException(
                    Errno.ENODEV, "open: " + place.name() + " can't have registers at " + Hex.of(base));
        }
        RegisterWindow window;
        try {
            window = context.registers().map(base, Registers.WINDOW_SIZE);
        } catch (IommuException e) {
            Errno errno = e.errno() == Errno.EBUSY ? Errno.EBUSY : Errno.ENODEV;
            throw new IommuException(
                    errno,
                    "open: nothing answers at " + Hex.of(base) + " for " + place.name() + ", or another driver",
                    e);
        }
        try {
            return begin(place, context, rules, window);
        } catch (IommuException e) {
            window.release();
            throw e;
        }
    }

    private static UnitStart begin(UnitPlace place, VendorContext context, RiscvRules rules, RegisterWindow window) {
        long capabilities = window.read64(Registers.CAPABILITIES);
        if (!Capabilities.makesSense(capabilities)) {
            throw new IommuException(
                    Errno.ENODEV, "open: capabilities of " + place.name() + " are " + Hex.of(capabilities));
        }
        boolean wires = usesWires(place, capabilities, rules);
        quiesce(place, context, window);
        int vectors = wires || (rules.countsWires() && place.function().isEmpty())
                ? Math.min(place.wires(), VECTORS)
                : VECTORS;
        configure(place, window, capabilities, wires, vectors);

        SystemMemory memory = context.memory();
        FrameAllocator frames = context.frames();
        QueueMemory commands =
                QueueMemory.allocate(window, memory, frames, Registers.CQB, LOG_COMMANDS, Command.BYTES, "command");
        @Nullable QueueMemory faults = null;
        try {
            faults =
                    QueueMemory.allocate(window, memory, frames, Registers.FQB, LOG_FAULTS, FaultRecord.BYTES, "fault");
            DeviceDirectory directory = new DeviceDirectory(
                    memory, new TableFrames(memory, frames), Capabilities.MSI_FLAT.isSet(capabilities));
            return new UnitStart(place, context, window, capabilities, directory, commands, faults);
        } catch (IommuException e) {
            frames.free(commands.base(), commands.order());
            if (faults != null) {
                frames.free(faults.base(), faults.order());
            }
            throw e;
        }
    }

    /** Returns whether the unit interrupts by wires, or throws ENODEV where it can't interrupt Linux. */
    private static boolean usesWires(UnitPlace place, long capabilities, RiscvRules rules) {
        int ways = (int) Capabilities.IGS.get(capabilities);
        boolean platform = place.function().isEmpty();
        boolean messages = (ways == Capabilities.IGS_MSI || ways == Capabilities.IGS_BOTH)
                && place.messages()
                && (!platform || rules.platformMessages());
        boolean wires = (ways == Capabilities.IGS_WIRES || ways == Capabilities.IGS_BOTH) && place.wires() > 0;
        boolean counted = platform && rules.countsWires() && place.wires() == 0;
        if (counted || (!messages && !wires)) {
            throw new IommuException(
                    Errno.ENODEV,
                    "open: " + place.name() + " can't interrupt: IGS is " + ways + ", with " + place.wires() + " wires"
                            + (place.messages() ? "" : " and no controller for messages"));
        }
        return !messages;
    }

    /** Makes sure that directory and queues are off. */
    private static void quiesce(UnitPlace place, VendorContext context, RegisterWindow window) {
        long ddtp = window.read64(Registers.DDTP);
        checkThere(place, ddtp);
        if (Registers.DDTP_BUSY.isSet(ddtp)) {
            throw new IommuException(Errno.EBUSY, "open: the directory of " + place.name() + " is being changed");
        }
        long mode = Registers.IOMMU_MODE.get(ddtp);
        if (mode > Registers.MODE_BARE) {
            if (!context.bootOptions().isGiven(CRASH_KERNEL)) {
                throw new IommuException(
                        Errno.EBUSY, "open: " + place.name() + " is in use, its ddtp is " + Hex.of(ddtp));
            }
            // Linux writes Bare; the manual leaves that undefined, and has no such doubt about Off.
            window.write64(Registers.DDTP, Registers.IOMMU_MODE.set(ddtp, Registers.MODE_OFF));
            if (!context.waiter().await(() -> isOff(window), DIRECTORY_DEADLINE)) {
                throw new IommuException(Errno.ETIMEDOUT, "open: " + place.name() + " does not turn off");
            }
        }
        for (int queue : new int[] {Registers.CQCSR, Registers.FQCSR, Registers.PQCSR}) {
            if (window.read32(queue) != 0) {
                window.write32(queue, 0);
                if (!context.waiter().await(() -> isOff(window, queue), QUEUE_DEADLINE)) {
                    throw new IommuException(
                            Errno.ETIMEDOUT, "open: a queue of " + place.name() + " does not turn off");
                }
            }
        }
        window.write32(Registers.IPSR, Registers.IPSR_ALL);
    }

    /** Throws ENODEV where a register reads all ones, as of hardware that is gone. */
    private static void checkThere(UnitPlace place, long value) {
        if (value == GONE) {
            throw new IommuException(Errno.ENODEV, "open: " + place.name() + " is gone");
        }
    }

    private static boolean isOff(RegisterWindow window) {
        long ddtp = window.read64(Registers.DDTP);
        return !Registers.DDTP_BUSY.isSet(ddtp) && Registers.IOMMU_MODE.get(ddtp) == Registers.MODE_OFF;
    }

    private static boolean isOff(RegisterWindow window, int queue) {
        int status = window.read32(queue);
        return !Registers.BUSY.isSet(status) && !Registers.ON.isSet(status);
    }

    /** Sets byte order and the way of interrupts. No interrupt is enabled: the ports deliver none. */
    private static void configure(
            UnitPlace place, RegisterWindow window, long capabilities, boolean wires, int vectors) {
        int control = window.read32(Registers.FCTL);
        checkThere(place, control);
        int wanted = (int) Registers.WSI.set(control & 0xffff_ffffL, wires ? 1 : 0) & ~(int) Registers.BE.mask();
        boolean bigEndian = Registers.BE.isSet(control);
        if (bigEndian && !Capabilities.END.isSet(capabilities)) {
            throw new IommuException(Errno.EINVAL, "open: " + place.name() + " is big endian only");
        }
        if (wanted != control) {
            window.write32(Registers.FCTL, wanted);
            int set = window.read32(Registers.FCTL);
            checkThere(place, set);
            if (Registers.BE.isSet(set)) {
                throw new IommuException(Errno.EINVAL, "open: " + place.name() + " stays big endian");
            }
        }
        window.write64(
                Registers.ICVEC,
                Registers.FIV.of(1 % vectors) | Registers.PIV.of(2 % vectors) | Registers.PMIV.of(3 % vectors));
        long taken = window.read64(Registers.ICVEC);
        checkThere(place, taken);
        if (Math.max(
                        Math.max(Registers.CIV.get(taken), Registers.FIV.get(taken)),
                        Math.max(Registers.PIV.get(taken), Registers.PMIV.get(taken)))
                >= vectors) {
            throw new IommuException(
                    Errno.EINVAL,
                    "open: icvec of " + place.name() + " is " + Hex.of(taken) + ", expected vectors below " + vectors);
        }
    }

    /**
     * Turns queues and directory on.
     *
     * @throws IommuException EINVAL (no directory of any levels), ETIMEDOUT; {@link #end} turns them off
     */
    void turnOn() {
        window.write32(Registers.CQT, 0);
        enable(Registers.CQCSR, "command");
        window.write32(Registers.FQH, 0);
        enable(Registers.FQCSR, "fault");
        for (int mode = Registers.MODE_3LVL; ; mode--) {
            window.write64(Registers.DDTP, Registers.IOMMU_MODE.of(mode) | Registers.ppn(directory.root()));
            if (!waiter.await(() -> !Registers.DDTP_BUSY.isSet(window.read64(Registers.DDTP)), DIRECTORY_DEADLINE)) {
                throw new IommuException(
                        Errno.ETIMEDOUT, "open: " + place.name() + " does not take a device directory");
            }
            long ddtp = window.read64(Registers.DDTP);
            checkThere(place, ddtp);
            long taken = Registers.IOMMU_MODE.get(ddtp);
            if (taken == mode) {
                directory.levels(mode - Registers.MODE_1LVL + 1);
                return;
            }
            if (taken > Registers.MODE_BARE || mode == Registers.MODE_1LVL) {
                throw new IommuException(
                        Errno.EINVAL,
                        "open: " + place.name() + " has directory mode " + taken + " in place of " + mode);
            }
        }
    }

    private void enable(int control, String queue) {
        window.write32(control, (int) Registers.ENABLE.mask());
        BooleanSupplier on = () -> {
            int status = window.read32(control);
            return status != GONE && Registers.ON.isSet(status) && !Registers.BUSY.isSet(status);
        };
        if (!waiter.await(on, QUEUE_DEADLINE)) {
            throw new IommuException(
                    Errno.ETIMEDOUT, "open: the " + queue + " queue of " + place.name() + " does not turn on");
        }
    }

    // --- off ---

    /**
     * Turns the unit off and gives back frames and registers.
     *
     * @return how many frames are kept, because the unit did not confirm
     */
    long end() {
        // Linux's page number is 0 here, though the manual wants it unchanged.
        window.write64(Registers.DDTP, Registers.IOMMU_MODE.of(Registers.MODE_OFF));
        boolean off = waiter.await(() -> isOff(window), DIRECTORY_DEADLINE);
        window.write32(Registers.CQCSR, 0);
        window.write32(Registers.FQCSR, 0);
        off &= waiter.await(() -> isOff(window, Registers.CQCSR), QUEUE_DEADLINE);
        off &= waiter.await(() -> isOff(window, Registers.FQCSR), QUEUE_DEADLINE);
        window.release();
        if (!off) {
            return directory.frames() + commandRing.frames() + faultRing.frames();
        }
        directory.free();
        frames.free(commandRing.base(), commandRing.order());
        frames.free(faultRing.base(), faultRing.order());
        return 0;
    }
}
