// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Hex;
import org.iommu4j.intel.acpi.RemappingStructure;
import org.iommu4j.intel.fmt.FaultRecord;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.intel.reg.Capability;
import org.iommu4j.intel.reg.DmarRegisters;
import org.iommu4j.intel.reg.ExtendedCapability;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One remapping unit: its registers, and everything that belongs to it.
 *
 * <p>Runs in scalable mode when the unit supports it and the command line lacks {@code intel_iommu=sm_off}: Linux's
 * {@code sm_supported}. Locks, outermost first: the device tables; the invalidator for a batch of requests; the command
 * lock for GCMD.
 */
final class IntelUnit {
    private static final Logger LOG = LoggerFactory.getLogger(IntelUnit.class);
    private static final long NO_FRAME = -1;

    private final int index;
    private final String name;
    private final Capability cap;
    private final ExtendedCapability ecap;
    private final boolean scalable;
    private final FrameAllocator frames;
    private final RegisterWindow window;
    private final Waiter waiter;
    private final UnitCommands commands;
    private final FaultLog faults;
    private final Invalidator invalidator;
    private final UnitCaches caches;
    private final @Nullable PageRequestQueue pageRequests;
    private final DeviceTables tables;
    private final DomainIds domainIds;
    private final long queueFrames;

    /**
     * Claims a unit's registers and allocates its memory; the hardware is not changed.
     *
     * @throws IommuException ENODEV when its registers hold impossible values, EBUSY when another driver has them,
     *     ENOMEM
     */
    static IntelUnit find(
            int index, String name, RemappingStructure.Drhd drhd, IntelRules rules, VendorContext context) {
        RegisterWindow first = map(name, context, drhd.registerBase(), DmarRegisters.MINIMUM_SIZE);
        Capability cap = new Capability(first.read64(DmarRegisters.CAP));
        ExtendedCapability ecap = new ExtendedCapability(first.read64(DmarRegisters.ECAP));
        RegisterWindow window;
        try {
            checkCapabilities(name, drhd.registerBase(), cap, ecap);
        } catch (IommuException e) {
            first.release();
            throw e;
        }
        int size = Math.max(ecap.iotlbOffset() + 16, cap.faultRecordOffset() + cap.faultRecords() * FaultRecord.SIZE);
        if (size <= DmarRegisters.MINIMUM_SIZE) {
            window = first;
        } else {
            first.release();
            window = map(
                    name,
                    context,
                    drhd.registerBase(),
                    (size + SystemMemory.FRAME_SIZE - 1) & -SystemMemory.FRAME_SIZE);
        }
        try {
            return new IntelUnit(index, name, drhd.segment(), cap, ecap, window, rules, context);
        } catch (RuntimeException e) {
            window.release();
            throw e;
        }
    }

    private IntelUnit(
            int index,
            String name,
            int segment,
            Capability cap,
            ExtendedCapability ecap,
            RegisterWindow window,
            IntelRules rules,
            VendorContext context) {
        this.index = index;
        this.name = name;
        this.frames = context.frames();
        this.waiter = context.waiter();
        this.cap = cap;
        this.ecap = ecap;
        this.window = window;
        this.scalable = ecap.scalableMode()
                && ecap.queuedInvalidation()
                && !context.bootOptions().has("intel_iommu", "sm_off");
        this.commands = new UnitCommands(name, window, waiter, cap.requiresWriteBufferFlush());
        this.faults = new FaultLog(name, segment, window, cap);
        this.domainIds = new DomainIds(name, cap.domains());
        if (ecap.queuedInvalidation()) {
            this.queueFrames = InvalidationQueue.allocate(context.memory(), frames, ecap);
            this.invalidator = new InvalidationQueue(name, context.memory(), window, waiter, cap, ecap, queueFrames);
        } else {
            this.queueFrames = NO_FRAME;
            this.invalidator = new RegisterInvalidation(window, waiter, cap, ecap);
        }
        this.caches = new UnitCaches(name, cap, scalable, commands, window, invalidator, faults);
        TableMemory memory = new TableMemory(context.memory(), frames, !ecap.coherentWalk());
        try {
            this.pageRequests = translatesPasids() && ecap.pageRequests()
                    ? new PageRequestQueue(name, context, window, caches)
                    : null;
        } catch (IommuException e) {
            freeQueue();
            throw e;
        }
        try {
            this.tables = scalable
                    ? new ScalableTables(name, cap.cachingMode(), memory, commands, caches)
                    : new LegacyTables(name, cap.cachingMode(), rules.forgetsByOwnId(), memory, commands, caches);
        } catch (IommuException e) {
            freePageRequests();
            freeQueue();
            throw e;
        }
    }

    private static RegisterWindow map(String name, VendorContext context, long base, int size) {
        try {
            return context.registers().map(base, size);
        } catch (IommuException e) {
            if (e.errno() == Errno.EBUSY) {
                throw new IommuException(
                        Errno.EBUSY, name + ": another driver has its registers at 0x" + Long.toHexString(base), e);
            }
            throw new IommuException(
                    Errno.ENODEV, name + ": no registers of " + size + " bytes at 0x" + Long.toHexString(base), e);
        }
    }

    private static void checkCapabilities(String name, long base, Capability cap, ExtendedCapability ecap) {
        String at = name + " at 0x" + Long.toHexString(base);
        if (cap.value() == -1L || cap.value() == 0 || ecap.value() == -1L) {
            throw new IommuException(
                    Errno.ENODEV,
                    at + ": CAP is 0x" + Long.toHexString(cap.value()) + " and ECAP 0x" + Long.toHexString(ecap.value())
                            + ", expected neither all ones nor zero");
        }
        if (!cap.supportsLevels(3) && !cap.supportsLevels(4) && !cap.supportsLevels(5) && !ecap.passThrough()) {
            throw new IommuException(
                    Errno.ENODEV, at + ": CAP.SAGAW supports neither 3, 4 nor 5 levels: " + Hex.of(cap.value()));
        }
    }

    int index() {
        return index;
    }

    String name() {
        return name;
    }

    Capability cap() {
        return cap;
    }

    ExtendedCapability ecap() {
        return ecap;
    }

    /** Returns whether requests are translated by PASID entries. */
    boolean isScalable() {
        return scalable;
    }

    /** Returns whether requests with PASID are translated. */
    boolean translatesPasids() {
        return scalable && ecap.pasids();
    }

    /** Returns whether page tables are walked through the CPU caches: {@code iommu_paging_structure_coherency}. */
    boolean walksCoherently() {
        return scalable ? ecap.scalableCoherentWalk() : ecap.coherentWalk();
    }

    /** Returns whether second-stage access and dirty bits can be kept; only in tables that the unit snoops. */
    boolean tracksDirty() {
        return scalable && ecap.secondStage() && ecap.secondStageDirty() && ecap.scalableCoherentWalk();
    }

    /** Returns whether a first stage can go through a second one. */
    boolean nests() {
        return scalable && ecap.secondStage() && ecap.nested();
    }

    /** Returns why a guest's table can't be walked by this unit, null when it can. */
    @Nullable
    String misfit(FirstStageTable guest) {
        int width = guest.addressWidth();
        boolean fiveLevels = cap.firstStageOf5Levels();
        if (width != 48 && !(width == 57 && fiveLevels)) {
            return name + " has a first stage of " + (fiveLevels ? "48 or 57" : "48") + " bits (CAP.FL5LP), not as "
                    + guest;
        }
        if (guest.has(FirstStageTable.SUPERVISOR_REQUESTS) && !ecap.supervisorRequests()) {
            return name + " does not translate supervisor requests (ECAP.SRS is 0)";
        }
        if (guest.has(FirstStageTable.EXTENDED_ACCESSED) && !ecap.extendedAccessed()) {
            return name + " has no extended accessed flag (ECAP.EAFS is 0)";
        }
        return null;
    }

    UnitCommands commands() {
        return commands;
    }

    UnitCaches caches() {
        return caches;
    }

    /** Returns the queue of page requests, null when the unit accepts none. */
    @Nullable
    PageRequestQueue pageRequests() {
        return pageRequests;
    }

    DeviceTables tables() {
        return tables;
    }

    DomainIds domainIds() {
        return domainIds;
    }

    /**
     * Starts the unit: turns it off if firmware left it on, then sets queue and root table and invalidates all caches.
     *
     * @throws IommuException ENODEV, ETIMEDOUT
     */
    void start() {
        commands.takeOver();
        if (commands.isOn(DmarRegisters.TE)) {
            LOG.info("{}: translation was left on, turning it off", name);
            commands.turn(DmarRegisters.TE, false);
        }
        if (commands.isOn(DmarRegisters.QIE)) {
            commands.turn(DmarRegisters.QIE, false);
        }
        if (commands.isOn(DmarRegisters.EAFL)) {
            LOG.info(
                    "{}: advanced fault logging was left on, {}; faults now go to the registers",
                    name,
                    DmarRegisters.AFLOG.decode(window.read64(DmarRegisters.AFLOG.offset())));
            commands.turn(DmarRegisters.EAFL, false);
        }
        // The ports deliver no interrupts: the fault event stays masked and the log is read on demand.
        window.write32(DmarRegisters.FECTL.offset(), (int) DmarRegisters.IM.mask());
        faults.drain();
        if (invalidator instanceof InvalidationQueue queue) {
            queue.program();
            commands.turn(DmarRegisters.QIE, true);
        }
        if (pageRequests != null) {
            pageRequests.program();
        }
        commands.flushWriteBuffer();
        window.write64(DmarRegisters.RTADDR.offset(), tables.rootPointer());
        commands.issue(DmarRegisters.SRTP, DmarRegisters.SRTP.mask());
        caches.flushAll();
    }

    /**
     * Turns translation on, and firmware's protected memory regions, which it replaces, off: {@code
     * iommu_disable_protect_mem_regions}.
     *
     * @throws IommuException ETIMEDOUT
     */
    void enable() {
        commands.turn(DmarRegisters.TE, true);
        if (!cap.protectedMemory()) {
            return;
        }
        int pmen = window.read32(DmarRegisters.PMEN.offset());
        if (pmen == -1 || (pmen & DmarRegisters.EPM.mask()) == 0) {
            return;
        }
        LOG.info("{}: firmware left protected memory regions on, turning them off", name);
        window.write32(DmarRegisters.PMEN.offset(), pmen & ~(int) DmarRegisters.EPM.mask());
        if (!waiter.await(this::isUnprotected, UnitCommands.DEADLINE_TICKS)) {
            throw new IommuException(
                    Errno.ETIMEDOUT, name + ": PMEN.PRS did not follow EPM, protected memory regions are still on");
        }
    }

    private boolean isUnprotected() {
        return (window.read32(DmarRegisters.PMEN.offset()) & DmarRegisters.PRS.mask()) == 0;
    }

    /**
     * Turns everything off and frees all frames, in any state. Exception: frames that hardware may still use, because
     * it did not confirm that it is off.
     *
     * <p>Both queues are closed first, so late polls for page requests and late answers reach neither. A unit that may
     * still translate walks its root, context and PASID tables, and queues page requests. It can't reach the tables of
     * domains: their last device was detached, or they were quarantined then.
     *
     * @return how many frames are kept; the number is also logged
     */
    long stop() {
        if (pageRequests != null) {
            pageRequests.stop();
        }
        boolean translates = !turnOffIfOn(DmarRegisters.TE);
        caches.stop();
        boolean invalidates = !turnOffIfOn(DmarRegisters.QIE);
        faults.stop();
        long kept = 0;
        if (translates) {
            kept += tables.countFrames() + (pageRequests == null ? 0 : pageRequests.countFrames());
        } else {
            tables.free();
            freePageRequests();
        }
        if (invalidates) {
            kept += 1L << InvalidationQueue.framesOrder(ecap);
        } else {
            freeQueue();
        }
        if (kept > 0) {
            LOG.error("{}: {} frames that it may still use are never freed", name, kept);
        }
        window.release();
        return kept;
    }

    /** Turns a function of the unit off, and returns whether it is off now. */
    private boolean turnOffIfOn(BitField bit) {
        if (!commands.isOn(bit)) {
            return true;
        }
        try {
            commands.turn(bit, false);
            return true;
        } catch (IommuException e) {
            LOG.error("{}: did not confirm that {} is off", name, bit.name(), e);
            return false;
        }
    }

    private void freePageRequests() {
        if (pageRequests != null) {
            pageRequests.free();
        }
    }

    private void freeQueue() {
        if (queueFrames != NO_FRAME) {
            frames.free(queueFrames, InvalidationQueue.framesOrder(ecap));
        }
    }

    /** Reads the fault log; see {@link FaultLog}. */
    FaultLog faults() {
        return faults;
    }
}
