// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.Arrays;
import java.util.BitSet;
import java.util.function.BooleanSupplier;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.bits.BitField;
import org.iommu4j.intel.acpi.RemappingStructure;
import org.iommu4j.intel.fmt.ContextEntry;
import org.iommu4j.intel.fmt.FaultRecord;
import org.iommu4j.intel.fmt.InvalidationDescriptor;
import org.iommu4j.intel.fmt.RootEntry;
import org.iommu4j.intel.reg.Capability;
import org.iommu4j.intel.reg.DmarRegisters;
import org.iommu4j.intel.reg.ExtendedCapability;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.spi.VendorContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One remapping unit: its registers, root and context tables, domain ids and invalidation.
 *
 * <p>Locks, outermost first: the unit itself for root and context tables and domain ids; the invalidator for a batch of
 * requests; the command lock for GCMD. A unit whose invalidation did not complete is broken for good: what it cached is
 * unknown.
 */
final class IntelUnit {
    /** How long hardware may take, in the waiter's logical steps. */
    static final long DEADLINE_TICKS = 1_000_000;

    /** The first id that a domain gets: 0 tags entries that are not present, 1 is that of pass-through. */
    static final int FIRST_DOMAIN_ID = 2;

    /** The id of pass-through entries. */
    static final int PASS_THROUGH_DOMAIN_ID = 1;

    private static final Logger LOG = LoggerFactory.getLogger(IntelUnit.class);
    private static final int BUSES = 256;
    private static final long NO_FRAME = -1;

    /** Commands of GCMD that act once and whose status bits must not be written back as commands. */
    private static final long STICKY_COMMANDS =
            DmarRegisters.TE.mask() | DmarRegisters.QIE.mask() | DmarRegisters.IRE.mask() | DmarRegisters.CFI.mask();

    private final int index;
    private final String name;
    private final int segment;
    private final Capability cap;
    private final ExtendedCapability ecap;
    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final RegisterWindow window;
    private final Waiter waiter;
    private final FaultLog faults;
    private final Invalidator invalidator;
    private final Object commandLock = new Object();
    private final long[] contextTables = new long[BUSES];
    private final BitSet domainIds = new BitSet();
    private final BooleanSupplier commandDone = this::isCommandDone;
    private final long rootTable;
    private final long queueFrames;
    private long command;
    private long awaitedMask;
    private long awaitedValue;
    private volatile boolean broken;

    /**
     * Maps a unit's registers and allocates what it needs; the hardware is not changed.
     *
     * @throws IommuException ENODEV when its registers make no sense, ENOMEM
     */
    IntelUnit(int index, String name, RemappingStructure.Drhd drhd, VendorContext context) {
        this.index = index;
        this.name = name;
        this.segment = drhd.segment();
        this.memory = context.memory();
        this.frames = context.frames();
        this.waiter = context.waiter();
        RegisterWindow first = map(context, drhd.registerBase(), DmarRegisters.MINIMUM_SIZE);
        this.cap = new Capability(first.read64(DmarRegisters.CAP));
        this.ecap = new ExtendedCapability(first.read64(DmarRegisters.ECAP));
        checkCapabilities(drhd.registerBase());
        int size = Math.max(ecap.iotlbOffset() + 16, cap.faultRecordOffset() + cap.faultRecords() * FaultRecord.SIZE);
        this.window = size <= DmarRegisters.MINIMUM_SIZE
                ? first
                : map(context, drhd.registerBase(), (size + SystemMemory.FRAME_SIZE - 1) & -SystemMemory.FRAME_SIZE);
        this.faults = new FaultLog(name, segment, window, cap);
        Arrays.fill(contextTables, NO_FRAME);
        this.rootTable = newTable();
        if (ecap.queuedInvalidation()) {
            try {
                this.queueFrames = InvalidationQueue.allocate(memory, frames);
            } catch (IommuException e) {
                frames.free(rootTable, 0);
                throw e;
            }
            this.invalidator = new InvalidationQueue(memory, window, waiter, cap, queueFrames);
        } else {
            this.queueFrames = NO_FRAME;
            this.invalidator = new RegisterInvalidation(window, waiter, cap, ecap);
        }
    }

    private RegisterWindow map(VendorContext context, long base, int size) {
        try {
            return context.registers().map(base, size);
        } catch (IommuException e) {
            throw new IommuException(
                    Errno.ENODEV, name + ": no registers of " + size + " bytes at 0x" + Long.toHexString(base), e);
        }
    }

    private void checkCapabilities(long base) {
        String at = name + " at 0x" + Long.toHexString(base);
        if (cap.value() == -1L || cap.value() == 0 || ecap.value() == -1L) {
            throw new IommuException(
                    Errno.ENODEV,
                    at + ": CAP is 0x" + Long.toHexString(cap.value()) + " and ECAP 0x" + Long.toHexString(ecap.value())
                            + ", expected neither all ones nor zero");
        }
        if (!cap.supportsLevels(3) && !cap.supportsLevels(4) && !cap.supportsLevels(5) && !ecap.passThrough()) {
            throw new IommuException(
                    Errno.ENODEV, at + ": CAP.SAGAW supports neither 3, 4 nor 5 levels: " + hex(cap.value()));
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

    boolean isBroken() {
        return broken;
    }

    /** Returns whether software must act after it made entries present: Linux's {@code iotlb_sync_map}. */
    boolean needsSyncMap() {
        return cap.requiresWriteBufferFlush() || cap.cachingMode();
    }

    /**
     * Brings the unit up: off if firmware left it on, then queue, root table and a clean slate of caches.
     *
     * @throws IommuException ENODEV, ETIMEDOUT
     */
    void start() {
        int status = window.read32(DmarRegisters.GSTS.offset());
        if (status == -1) {
            throw new IommuException(Errno.ENODEV, name + ": GSTS reads all ones, the unit is gone");
        }
        command = status & STICKY_COMMANDS;
        if ((command & DmarRegisters.TE.mask()) != 0) {
            LOG.info("{}: translation was left on, turning it off", name);
            turn(DmarRegisters.TE, false);
        }
        if ((command & DmarRegisters.QIE.mask()) != 0) {
            turn(DmarRegisters.QIE, false);
        }
        // Interrupts are not handed out by the ports: the fault event stays masked and the log is read on demand.
        window.write32(DmarRegisters.FECTL.offset(), (int) DmarRegisters.IM.mask());
        faults.drain();
        if (invalidator instanceof InvalidationQueue queue) {
            queue.program();
            turn(DmarRegisters.QIE, true);
        }
        flushWriteBuffer();
        window.write64(DmarRegisters.RTADDR.offset(), DmarRegisters.RTA.getInPlace(rootTable));
        issue(DmarRegisters.SRTP, DmarRegisters.SRTP.mask());
        synchronized (invalidator) {
            invalidator.contextCache(InvalidationDescriptor.GLOBAL, 0, 0);
            finish();
            invalidator.iotlb(InvalidationDescriptor.GLOBAL, 0, 0, 0, false);
            finish();
        }
    }

    /** Turns translation on, and firmware's protected memory ranges, which it replaces, off. */
    void enable() {
        turn(DmarRegisters.TE, true);
        if (cap.protectedMemory()) {
            int pmen = window.read32(DmarRegisters.PMEN.offset());
            if (pmen != -1 && (pmen & DmarRegisters.EPM.mask()) != 0) {
                window.write32(DmarRegisters.PMEN.offset(), pmen & ~(int) DmarRegisters.EPM.mask());
            }
        }
    }

    /** Turns all off and frees everything, in any state; what hardware does not confirm is logged. */
    void stop() {
        turnOffIfOn(DmarRegisters.TE);
        turnOffIfOn(DmarRegisters.QIE);
        faults.drain();
        free();
    }

    private void turnOffIfOn(BitField bit) {
        if ((command & bit.mask()) == 0) {
            return;
        }
        try {
            turn(bit, false);
        } catch (IommuException e) {
            LOG.error("{}: did not confirm that {} is off", name, bit.name(), e);
        }
    }

    /** Frees the unit's frames. */
    private synchronized void free() {
        for (int bus = 0; bus < BUSES; bus++) {
            if (contextTables[bus] != NO_FRAME) {
                frames.free(contextTables[bus], 0);
                contextTables[bus] = NO_FRAME;
            }
        }
        if (queueFrames != NO_FRAME) {
            frames.free(queueFrames, InvalidationQueue.FRAMES_ORDER);
        }
        frames.free(rootTable, 0);
    }

    /** Logs and clears pending faults. */
    int reportFaults() {
        return faults.drain();
    }

    // ---- commands ------------------------------------------------------------------------------------------------

    private void turn(BitField bit, boolean on) {
        synchronized (commandLock) {
            command = on ? command | bit.mask() : command & ~bit.mask();
            window.write32(DmarRegisters.GCMD.offset(), (int) command);
            await(bit, on ? bit.mask() : 0);
        }
    }

    private void issue(BitField bit, long statusWhenDone) {
        synchronized (commandLock) {
            window.write32(DmarRegisters.GCMD.offset(), (int) (command | bit.mask()));
            await(bit, statusWhenDone);
        }
    }

    private void await(BitField bit, long value) {
        awaitedMask = bit.mask();
        awaitedValue = value;
        if (!waiter.await(commandDone, DEADLINE_TICKS)) {
            throw new IommuException(
                    Errno.ETIMEDOUT,
                    name + ": GSTS did not follow command " + bit.name() + ", expected bit " + bit.low() + " to be "
                            + (value == 0 ? 0 : 1));
        }
    }

    private boolean isCommandDone() {
        int status = window.read32(DmarRegisters.GSTS.offset());
        return status != -1 && (status & awaitedMask) == awaitedValue;
    }

    /** Makes the unit see stored entries, where CAP.RWBF asks for it: VT-d 6.8. */
    void flushWriteBuffer() {
        if (cap.requiresWriteBufferFlush()) {
            checkUsable();
            try {
                issue(DmarRegisters.WBF, 0);
            } catch (IommuException e) {
                broken = true;
                throw e;
            }
        }
    }

    // ---- domain ids ----------------------------------------------------------------------------------------------

    /**
     * Takes a domain id.
     *
     * @throws IommuException ENOSPC
     */
    synchronized int takeDomainId() {
        int id = domainIds.nextClearBit(FIRST_DOMAIN_ID);
        if (id >= cap.domains()) {
            throw new IommuException(
                    Errno.ENOSPC, name + ": all " + (cap.domains() - FIRST_DOMAIN_ID) + " domain ids are in use");
        }
        domainIds.set(id);
        return id;
    }

    /** Gives a domain id back. */
    synchronized void giveDomainId(int id) {
        domainIds.clear(id);
    }

    // ---- root and context tables ---------------------------------------------------------------------------------

    /**
     * Makes sure that every alias's bus has a context table, so that attaching needs no memory.
     *
     * @throws IommuException ENOMEM
     */
    synchronized void prepareBuses(int[] aliases) {
        for (int alias : aliases) {
            int bus = alias >>> 8;
            if (contextTables[bus] == NO_FRAME) {
                long table = newTable();
                contextTables[bus] = table;
                store(rootTable + (long) bus * RootEntry.SIZE, RootEntry.low(table));
            }
        }
    }

    /**
     * Points a device's context entries somewhere else, by way of not present: 128 bits can't change at once.
     *
     * @param low the new low word, 0 for none
     * @throws IommuException ETIMEDOUT or EIO; the old entries stand again
     */
    synchronized void setContext(IntelDevice device, long low, long high, int domainId) {
        checkUsable();
        int[] aliases = device.aliases();
        for (int i = 0; i < aliases.length; i++) {
            long entry = contextEntry(aliases[i]);
            device.savedLow()[i] = memory.load(entry);
            device.savedHigh()[i] = memory.load(entry + 8);
        }
        try {
            clear(device);
            if (low != 0) {
                for (int alias : aliases) {
                    write(contextEntry(alias), low, high);
                }
                announce(aliases, domainId);
            }
        } catch (IommuException e) {
            for (int i = 0; i < aliases.length; i++) {
                long entry = contextEntry(aliases[i]);
                store(entry, 0);
                write(entry, device.savedLow()[i], device.savedHigh()[i]);
            }
            throw e;
        }
    }

    /**
     * Clears a device's context entries; never allocates.
     *
     * @throws IommuException ETIMEDOUT or EIO; the entries are clear all the same
     */
    synchronized void clearContext(IntelDevice device) {
        int[] aliases = device.aliases();
        for (int i = 0; i < aliases.length; i++) {
            long entry = contextEntry(aliases[i]);
            device.savedLow()[i] = memory.load(entry);
            device.savedHigh()[i] = memory.load(entry + 8);
        }
        clear(device);
    }

    /** Clears the entries whose old words the device keeps, and has the unit forget them. */
    private void clear(IntelDevice device) {
        int[] aliases = device.aliases();
        boolean any = false;
        for (int i = 0; i < aliases.length; i++) {
            if (ContextEntry.P.isSet(device.savedLow()[i])) {
                store(contextEntry(aliases[i]), 0);
                store(contextEntry(aliases[i]) + 8, 0);
                any = true;
            }
        }
        if (!any) {
            return;
        }
        synchronized (invalidator) {
            checkUsable();
            // The IOTLB after the context cache has been done, or an old context entry could fill it again.
            for (int i = 0; i < aliases.length; i++) {
                if (ContextEntry.P.isSet(device.savedLow()[i])) {
                    invalidator.contextCache(
                            InvalidationDescriptor.DEVICE,
                            (int) ContextEntry.DID.get(device.savedHigh()[i]),
                            aliases[i]);
                }
            }
            finish();
            int last = -1;
            for (int i = 0; i < aliases.length; i++) {
                int domainId = (int) ContextEntry.DID.get(device.savedHigh()[i]);
                if (ContextEntry.P.isSet(device.savedLow()[i]) && domainId != last) {
                    invalidator.iotlb(InvalidationDescriptor.DOMAIN, domainId, 0, 0, false);
                    last = domainId;
                }
            }
            finish();
        }
    }

    /** Has the unit forget that the entries were not present, where it may have cached that. */
    private void announce(int[] aliases, int domainId) {
        if (!cap.cachingMode()) {
            flushWriteBuffer();
            return;
        }
        synchronized (invalidator) {
            checkUsable();
            for (int alias : aliases) {
                // Entries that are not present are tagged with id 0: VT-d 6.1.
                invalidator.contextCache(InvalidationDescriptor.DEVICE, 0, alias);
            }
            finish();
            invalidator.iotlb(InvalidationDescriptor.DOMAIN, domainId, 0, 0, false);
            finish();
        }
    }

    private void write(long entry, long low, long high) {
        // The high word first: the low word's P makes both valid.
        store(entry + 8, high);
        store(entry, low);
    }

    private void store(long address, long value) {
        memory.store(address, value);
        if (!ecap.coherentWalk()) {
            memory.writeBack(address, 8);
        }
    }

    private long contextEntry(int requesterId) {
        long table = contextTables[requesterId >>> 8];
        if (table == NO_FRAME) {
            throw new IllegalStateException(
                    name + ": no context table for requester 0x" + Integer.toHexString(requesterId));
        }
        return table + (long) (requesterId & 0xff) * ContextEntry.SIZE;
    }

    private long newTable() {
        long frame = frames.allocate(0);
        memory.storeRun(frame, 0, 0, SystemMemory.FRAME_WORDS);
        if (!ecap.coherentWalk()) {
            memory.writeBack(frame, SystemMemory.FRAME_SIZE);
        }
        return frame;
    }

    // ---- invalidation --------------------------------------------------------------------------------------------

    /**
     * Has the unit forget a range of a domain, by pages where it can and the range is small enough.
     *
     * @param first first byte
     * @param last last byte, inclusive; below {@code first} for all of the domain
     * @throws IommuException ETIMEDOUT, EIO
     */
    void flush(int domainId, long first, long last, boolean leavesOnly) {
        synchronized (invalidator) {
            checkUsable();
            // The smallest aligned power of two of pages that covers the range.
            int mask = 64 - Long.numberOfLeadingZeros((first ^ last) >>> 12);
            if (cap.pageSelectiveInvalidation()
                    && mask <= cap.maximumAddressMask()
                    && Long.compareUnsigned(first, last) <= 0) {
                invalidator.iotlb(
                        InvalidationDescriptor.PAGE, domainId, first & (-1L << (12 + mask)), mask, leavesOnly);
            } else {
                invalidator.iotlb(InvalidationDescriptor.DOMAIN, domainId, 0, 0, false);
            }
            finish();
        }
    }

    /**
     * Makes the unit see entries that became present.
     *
     * @throws IommuException ETIMEDOUT, EIO
     */
    void syncMap(int domainId, long first, long last) {
        if (cap.cachingMode()) {
            flush(domainId, first, last, false);
        } else {
            flushWriteBuffer();
        }
    }

    private void finish() {
        if (!invalidator.complete()) {
            broken = true;
            faults.drain();
            int status = window.read32(DmarRegisters.FSTS.offset());
            throw new IommuException(
                    Errno.ETIMEDOUT,
                    name + ": an invalidation did not complete, the unit is broken from now on; "
                            + DmarRegisters.FSTS.decode(status) + ", " + invalidator.state());
        }
    }

    private void checkUsable() {
        if (broken) {
            throw new IommuException(Errno.EIO, name + ": broken since an invalidation did not complete");
        }
    }

    private static String hex(long value) {
        return "0x" + Long.toHexString(value);
    }
}
