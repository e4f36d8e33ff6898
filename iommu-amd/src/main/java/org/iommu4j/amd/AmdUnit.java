// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.DmaFault;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.amd.acpi.Ivhd;
import org.iommu4j.amd.fmt.Command;
import org.iommu4j.amd.fmt.EventLogEntry;
import org.iommu4j.amd.reg.Features;
import org.iommu4j.amd.reg.Registers;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.Waiter;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One translation unit: its registers, command buffer and logs.
 *
 * <p>Invalidations of one unit are serialized by the monitor of its {@link UnitCommands}, which also guards its logs.
 */
final class AmdUnit {
    private static final Logger LOG = LoggerFactory.getLogger(AmdUnit.class);

    /** Invalidation time-out of devices: 1 second. */
    private static final int INV_TIMEOUT_1S = 4;

    private static final long GONE = -1L;

    /** Bits of the status register for the queues that the unit is working on. */
    private static final long RUNNING =
            Registers.CMD_BUF_RUN.mask() | Registers.EVENT_LOG_RUN.mask() | Registers.PPR_LOG_RUN.mask();

    private final String id;
    private final Ivhd block;
    private final RegisterWindow window;
    private final Waiter waiter;
    private final UnitFeatures features;
    private final CommandBuffer buffer;
    private final UnitCommands commands;
    private final EventLog events;
    /** Set when the unit is made. */
    private @Nullable PprLog pageRequests;

    private final List<DmaFault> faults = new ArrayList<>();
    private long overflows;

    private AmdUnit(
            String id,
            Ivhd block,
            RegisterWindow window,
            Waiter waiter,
            UnitFeatures features,
            CommandBuffer buffer,
            EventLog events,
            long control) {
        this.id = id;
        this.block = block;
        this.window = window;
        this.waiter = waiter;
        this.features = features;
        this.buffer = buffer;
        this.commands = new UnitCommands(id, window, buffer, control, () -> events.read(this::take));
        this.events = events;
    }

    /**
     * Reads a unit's registers and allocates its queues; writes nothing to the unit.
     *
     * @param efrImage firmware's image of the features, which takes precedence over the registers, or 0
     * @throws IommuException ENODEV (nothing answers), EBUSY (another driver has its registers), ENOMEM
     */
    static AmdUnit find(String id, Ivhd block, long efrImage, VendorContext context) {
        RegisterWindow window = map(id, block, context);
        try {
            return find(id, block, efrImage, window, context);
        } catch (RuntimeException e) {
            window.release();
            throw e;
        }
    }

    private static AmdUnit find(String id, Ivhd block, long efrImage, RegisterWindow window, VendorContext context) {
        long control = window.read64(Registers.CONTROL.offset());
        if (control == GONE) {
            throw noDevice(id, block, "its control register reads all ones");
        }
        UnitCapability capability = UnitCapability.read(context.topology(), block);
        long efr = capability.hasExtendedFeatures() ? window.read64(Features.EFR.offset()) : 0;
        long efr2 = capability.hasExtendedFeatures() ? window.read64(Features.EFR2.offset()) : 0;
        if (efr == GONE || efr2 == GONE) {
            throw noDevice(id, block, "its feature registers read all ones");
        }
        if (efrImage != 0) {
            if (efr != efrImage || efr2 != block.efr2Image()) {
                LOG.warn("{}", imageMismatch(id, block, efr, efr2));
            }
            efr = efrImage;
            efr2 = block.efr2Image();
        }
        UnitFeatures features = new UnitFeatures(efr, efr2, capability);
        CommandBuffer buffer = new CommandBuffer(context, window);
        EventLog events;
        try {
            events = new EventLog(context.memory(), context.frames(), window);
        } catch (RuntimeException e) {
            buffer.free();
            throw e;
        }
        AmdUnit unit = new AmdUnit(id, block, window, context.waiter(), features, buffer, events, control);
        if (features.takesPageRequests()) {
            try {
                unit.pageRequests = new PprLog(unit.commands, features.efr(), context, window);
            } catch (RuntimeException e) {
                unit.freeQueues();
                throw e;
            }
        }
        return unit;
    }

    private static RegisterWindow map(String id, Ivhd block, VendorContext context) {
        if (block.base() == 0 || (block.base() & (Registers.WINDOW_SIZE - 1)) != 0) {
            throw noDevice(id, block, "its register base is not aligned to 16 KiB, or 0");
        }
        try {
            return context.registers().map(block.base(), Registers.WINDOW_SIZE);
        } catch (IommuException e) {
            if (e.errno() == Errno.EBUSY) {
                throw new IommuException(
                        Errno.EBUSY,
                        id + " at 0x" + Long.toHexString(block.base()) + ": another driver has its registers",
                        e);
            }
            throw new IommuException(
                    Errno.ENODEV, id + " at 0x" + Long.toHexString(block.base()) + ": nothing answers there", e);
        }
    }

    /** Describes a difference between firmware's image of the features and the registers. */
    static String imageMismatch(String id, Ivhd block, long efr, long efr2) {
        return String.format(
                "%s: the IVHD of type %02Xh at offset 0x%x has EFR 0x%x and EFR2 0x%x, the registers have 0x%x and "
                        + "0x%x",
                id, block.type(), block.offset(), block.efrImage(), block.efr2Image(), efr, efr2);
    }

    private static IommuException noDevice(String id, Ivhd block, String what) {
        return new IommuException(Errno.ENODEV, id + " at 0x" + Long.toHexString(block.base()) + ": " + what);
    }

    /** Returns its name in Linux's numbering, {@code ivhd0}. */
    String id() {
        return id;
    }

    /** Returns the firmware's block that describes it. */
    Ivhd block() {
        return block;
    }

    /** Returns its features. */
    UnitFeatures features() {
        return features;
    }

    /** Returns its commands. */
    UnitCommands commands() {
        return commands;
    }

    /**
     * Turns translation on with a device table, and invalidates everything that the unit may have cached.
     *
     * @param gcr3OfGuests whether GCR3 tables above host tables are at guest physical addresses, where the unit can do
     *     that
     * @throws IommuException ENODEV (the registers keep nothing), ETIMEDOUT
     */
    void enable(DeviceTable table, boolean gcr3OfGuests) {
        synchronized (commands) {
            turnOn(table, gcr3OfGuests);
        }
    }

    private void turnOn(DeviceTable table, boolean gcr3OfGuests) {
        disable();
        window.write64(Registers.DEV_TAB_BAR.offset(), table.register());
        long kept = window.read64(Registers.DEV_TAB_BAR.offset());
        if (kept == 0 || kept == GONE) {
            throw noDevice(id, block, "its device table register does not keep what is written");
        }
        buffer.program();
        events.program();
        long control = commands.control();
        if (pageRequests != null) {
            control = pageRequests.program(control);
        }
        control = Registers.HT_TUN_EN.set(control, block.flags() & 1);
        control = Registers.PASS_PW.set(control, block.flags() >> 1 & 1);
        control = Registers.RES_PASS_PW.set(control, block.flags() >> 2 & 1);
        control = Registers.ISOC.set(control, block.flags() >> 3 & 1);
        control = Registers.INV_TIMEOUT.set(control, INV_TIMEOUT_1S);
        control = Registers.GT_EN.set(control, Features.GT_SUP.get(features.efr()));
        control = Registers.GCR3_TRP_MODE.set(control, gcr3OfGuests && features.nests() ? 1 : 0);
        control = Registers.COM_WAIT_INT_EN.set(control, buffer.interrupts() ? 1 : 0);
        control |= Registers.COHERENT.mask() | Registers.CMD_BUF_EN.mask() | Registers.EVENT_LOG_EN.mask();
        commands.control(control);
        commands.turn(Registers.IOMMU_EN, true);
        if (!forgetAll(table.size())) {
            throw commands.refusal(false, "open");
        }
    }

    /** Source: {@code amd_iommu_flush_all_caches}. */
    private boolean forgetAll(int deviceIds) {
        CommandBatch batch = commands.begin();
        if (Features.IA_SUP.isSet(features.efr())) {
            batch.add(Command.invalidateAll(), 0);
            return batch.complete();
        }
        for (int deviceId = 0; deviceId < deviceIds; deviceId++) {
            batch.add(Command.invalidateDevtabEntry(deviceId), 0);
        }
        for (int deviceId = 0; deviceId < deviceIds; deviceId++) {
            batch.add(Command.invalidateInterruptTable(deviceId), 0);
        }
        for (int domainId = 0; domainId <= Command.DOMAIN_ID.max(); domainId++) {
            batch.add(Command.invalidatePages(domainId), Command.allPages());
        }
        return batch.complete();
    }

    /** Keeps a refused request for a later caller, and logs other events. */
    private void take(long word0, long word1) {
        String text = EventLogEntry.text(block.segment(), word0, word1);
        if (EventLogEntry.isRefusedRequest(word0)) {
            faults.add(new DmaFault(
                    id,
                    PciAddress.of(block.segment(), (int) EventLogEntry.DEVICE_ID.get(word0)),
                    EventLogEntry.pasid(word0),
                    word1,
                    EventLogEntry.wrote(word0),
                    (int) EventLogEntry.EVENT_CODE.get(word0),
                    text));
        } else {
            if (EventLogEntry.isAboutCommands(word0)) {
                commands.noteError(text);
            }
            LOG.error("{}: {}", id, text);
        }
    }

    /** Removes and returns the refused requests so far, oldest first, and restarts the log when it overflowed. */
    void takeFaults(List<DmaFault> into) {
        synchronized (commands) {
            if (!commands.stopped() && readEvents()) {
                commands.turn(Registers.EVENT_LOG_EN, false);
                window.write64(Registers.STATUS.offset(), Registers.EVENT_OVERFLOW.mask());
                events.program();
                commands.turn(Registers.EVENT_LOG_EN, true);
            }
            into.addAll(faults);
            faults.clear();
        }
    }

    /** Keeps the refused requests so far, and returns whether the log overflowed, and so stopped. */
    private boolean readEvents() {
        long status = window.read64(Registers.STATUS.offset());
        events.read(this::take);
        boolean overflowed = status != GONE && Registers.EVENT_OVERFLOW.isSet(status);
        if (overflowed) {
            overflows++;
            LOG.warn("{}: the event log overflowed, events were lost", id);
        }
        return overflowed;
    }

    /** Returns how many times the event log was found to have overflowed. */
    long overflows() {
        synchronized (commands) {
            return overflows;
        }
    }

    /**
     * Turns off translation, the queue, all logs and all interrupts, and lets the unit cache interrupt tables again.
     * Never fails.
     *
     * <p>The state that firmware or an earlier kernel may have left does not depend on the release. So everything is
     * turned off in each release; older ones do not change page requests and IRTCacheDis. The settings of interrupt
     * remapping (GAEn, XTEn and others) are kept. Source: {@code iommu_disable}.
     */
    private void disable() {
        long control = commands.control()
                & ~(Registers.EVENT_INT_EN.mask()
                        | Registers.COM_WAIT_INT_EN.mask()
                        | Registers.CMD_BUF_EN.mask()
                        | Registers.EVENT_LOG_EN.mask()
                        | Registers.PPR_LOG_EN.mask()
                        | Registers.PPR_INT_EN.mask()
                        | Registers.PPR_EN.mask()
                        | Registers.GA_LOG_EN.mask()
                        | Registers.GA_INT_EN.mask());
        commands.control(control);
        commands.control(control & ~(Registers.IOMMU_EN.mask() | Registers.IRT_CACHE_DIS.mask()));
    }

    /**
     * Turns everything off and frees the queues, unless the unit does not confirm that it has stopped them. Never
     * fails.
     *
     * <p>Refused requests that were logged before can be read afterwards. For concurrent readers of them this is one
     * step: none can turn the log on again, or read it after it is freed.
     *
     * @return how many frames are quarantined, which is also logged; if any, the unit may also still read its device
     *     table
     */
    long stop() {
        synchronized (commands) {
            disable();
            boolean confirmed = waiter.await(this::hasStopped, CommandBuffer.DEADLINE);
            readEvents();
            commands.stop();
            window.release();
            if (confirmed) {
                freeQueues();
                return 0;
            }
            long kept = CommandBuffer.FRAMES + EventLog.FRAMES + (pageRequests == null ? 0 : PprLog.FRAMES);
            LOG.error("{}: did not confirm that its queues are off, {} frames are never freed", id, kept);
            return kept;
        }
    }

    /** The status register has no bit for translation as a whole: 48882 3.4.15. */
    private boolean hasStopped() {
        long status = window.read64(Registers.STATUS.offset());
        return status != GONE && (status & RUNNING) == 0;
    }

    /** Frees the queues, which the unit never got or no longer uses. */
    private void freeQueues() {
        buffer.free();
        events.free();
        if (pageRequests != null) {
            pageRequests.free();
        }
    }

    /** Returns its log of page requests, null when it accepts none. */
    @Nullable
    PprLog pageRequests() {
        return pageRequests;
    }

    @Override
    public String toString() {
        return id;
    }
}
