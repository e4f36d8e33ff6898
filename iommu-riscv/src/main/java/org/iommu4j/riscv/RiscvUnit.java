// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.iommu4j.DmaFault;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.bits.Hex;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.riscv.fmt.Command;
import org.iommu4j.riscv.fmt.DeviceContext;
import org.iommu4j.riscv.fmt.FaultRecord;
import org.iommu4j.riscv.reg.Capabilities;
import org.iommu4j.spi.VendorContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A unit that is on: its registers, device directory, command queue and fault queue.
 *
 * <p>The monitor orders what is said to it. A unit that did not complete an invalidation is broken for good, since
 * nobody knows what it still has: it gets no further one. (Linux prints a line and goes on.)
 */
final class RiscvUnit {
    private static final Logger LOG = LoggerFactory.getLogger(RiscvUnit.class);

    /** Commands that are sent for a range before everything with the domain's tag is forgotten instead. */
    private static final int MOST_COMMANDS = 512;

    private static final int PAGE_SHIFT = 12;
    private static final long PAGE = SystemMemory.FRAME_SIZE;

    private final String name;
    private final RiscvRules rules;
    private final UnitStart start;
    private final RegisterWindow window;
    private final long capabilities;
    private final DeviceDirectory directory;
    private final CommandQueue commands;
    private final FaultQueue faultQueue;
    private final UnitMap map;
    private final UnitPlace place;
    private final Map<Long, DeviceId> requesters = new ConcurrentHashMap<>();
    private final List<DmaFault> faults = new ArrayList<>();
    private final FaultQueue.Sink sink = this::record;
    private long overflows;
    private volatile boolean broken;
    private volatile boolean stopped;

    private RiscvUnit(UnitMap map, UnitPlace place, VendorContext context, RiscvRules rules, UnitStart start) {
        this.map = map;
        this.place = place;
        this.name = place.name();
        this.rules = rules;
        this.start = start;
        this.window = start.window();
        this.capabilities = start.capabilities();
        this.directory = start.directory();
        this.commands = new CommandQueue(context.memory(), window, context.waiter(), start.commandRing());
        this.faultQueue = new FaultQueue(context.memory(), window, start.faultRing());
    }

    /**
     * Turns a unit on, with every device blocked.
     *
     * @throws IommuException as {@link org.iommu4j.spi.IommuVendor#open}; the unit is off again
     */
    static RiscvUnit open(UnitMap map, UnitPlace place, VendorContext context, RiscvRules rules) {
        UnitStart start = UnitStart.begin(place, context, rules);
        RiscvUnit unit = new RiscvUnit(map, place, context, rules, start);
        try {
            start.turnOn();
            unit.commands.add(Command.forgetDirectory(), 0);
            unit.commands.add(Command.forgetAll(), 0);
            if (!unit.commands.complete()) {
                throw new IommuException(Errno.ETIMEDOUT, "open: " + place.name() + " does not execute commands");
            }
            return unit;
        } catch (IommuException e) {
            start.end();
            throw e;
        }
    }

    String name() {
        return name;
    }

    long capabilities() {
        return capabilities;
    }

    DeviceDirectory directory() {
        return directory;
    }

    // --- whether it works ---

    /** Returns whether it accepts no more commands, because some did not complete or it was turned off. */
    boolean isBroken() {
        return broken || stopped;
    }

    /** Makes the refusal after commands that did not complete, or were not sent to a broken unit. */
    IommuException refusal(boolean wasBroken, String what) {
        return wasBroken
                ? new IommuException(Errno.EIO, what + ": " + name + " is broken, an invalidation never completed")
                : new IommuException(Errno.ETIMEDOUT, what + ": " + name + " did not complete an invalidation");
    }

    /** Executes the commands that were added; the caller holds the monitor. Returns whether the unit did. */
    private boolean complete() {
        if (!isBroken() && !commands.complete()) {
            broken = true;
            LOG.error("{} did not complete an invalidation; it is broken from now on", name);
        }
        return !isBroken();
    }

    private void add(long word0, long word1) {
        if (!isBroken()) {
            commands.add(word0, word1);
        }
    }

    // --- forgetting ---

    /**
     * Has the unit forget translations of a range.
     *
     * @param tables whether tables that translated some of the range are freed
     * @return whether it did
     */
    synchronized boolean forget(int pscid, long first, long last, boolean tables) {
        if (rules.rangeInvalidations()) {
            addRange(pscid, first, last, tables);
        } else if (tables || last - first >= MOST_COMMANDS * PAGE - 1) {
            add(Command.forgetTag(pscid), 0);
        } else {
            for (long at = first & -PAGE; at <= last; at += PAGE) {
                add(Command.forgetAddress(pscid, false), Command.page(at));
            }
        }
        return complete();
    }

    /** Adds the commands for a range, as few as the unit allows; one for all of the domain where they are too many. */
    private void addRange(int pscid, long first, long last, boolean tables) {
        boolean nonLeaf = tables && rules.nonLeafInvalidations() && Capabilities.NL.isSet(capabilities);
        long start = first & -PAGE;
        if ((tables && !nonLeaf) || countCommands(start, last) > MOST_COMMANDS) {
            add(Command.forgetTag(pscid), 0);
            return;
        }
        for (long at = start; at <= last; ) {
            int shift = blockShift(at, last);
            add(
                    Command.forgetAddress(pscid, nonLeaf),
                    shift == PAGE_SHIFT ? Command.page(at) : Command.range(at, shift));
            at += 1L << shift;
        }
    }

    private int countCommands(long start, long last) {
        int count = 0;
        for (long at = start; at <= last && count <= MOST_COMMANDS; at += 1L << blockShift(at, last)) {
            count++;
        }
        return count;
    }

    /** Returns log2 of the largest block of one command that starts at an address and ends in the range. */
    private int blockShift(long at, long last) {
        if (!Capabilities.S.isSet(capabilities)) {
            return PAGE_SHIFT;
        }
        int fits = 63 - Long.numberOfLeadingZeros(Math.max(last - at + 1, PAGE));
        return at == 0 ? fits : Math.min(fits, Long.numberOfTrailingZeros(at));
    }

    /** Has the unit forget all translations of a domain; returns whether it did. */
    synchronized boolean forget(int pscid) {
        add(Command.forgetTag(pscid), 0);
        return complete();
    }

    // --- contexts of devices, under the attacher's monitor ---

    /**
     * Takes contexts out of use, and has the unit forget them.
     *
     * @param skip ids whose contexts stay as they are
     * @return whether it did
     */
    synchronized boolean retire(long[] ids, long[] contexts, boolean[] skip) {
        boolean any = false;
        for (int i = 0; i < ids.length; i++) {
            long control = directory.translationControl(contexts[i]);
            if (!skip[i] && DeviceContext.V.isSet(control)) {
                directory.translationControl(contexts[i], control & ~DeviceContext.V.mask());
                addForgetting(ids[i], contexts[i]);
                any = true;
            }
        }
        return !any || complete();
    }

    /**
     * Stores what contexts are for from now on, and has the unit forget what it may have read of them.
     *
     * @param skip ids whose contexts stay as they are
     * @return whether it did
     */
    synchronized boolean assign(long[] ids, long[] contexts, boolean[] skip, boolean valid, long firstStage, int tag) {
        for (int i = 0; i < ids.length; i++) {
            if (!skip[i]) {
                store(contexts[i], valid, firstStage, tag);
                addForgetting(ids[i], contexts[i]);
            }
        }
        return complete();
    }

    /** Stores a context; it is valid after all else is stored. */
    synchronized void store(long context, boolean valid, long firstStage, int tag) {
        long control = directory.translationControl(context) & ~DeviceContext.V.mask();
        directory.attributes(context, firstStage, tag);
        directory.translationControl(context, control | (valid ? DeviceContext.V.mask() : 0));
    }

    private void addForgetting(long id, long context) {
        add(Command.forgetDevice(id), 0);
        if (rules.forgetsAfterDirectory()) {
            boolean translates = directory.firstStage(context) != DeviceContext.BARE;
            add(translates ? Command.forgetTag(directory.pscid(context)) : Command.forgetAll(), 0);
        }
    }

    // --- faults ---

    /** Notes which device has an id. */
    void note(long id, DeviceId device) {
        requesters.putIfAbsent(id, device);
    }

    synchronized List<DmaFault> takeFaults() {
        readFaults();
        List<DmaFault> taken = List.copyOf(faults);
        faults.clear();
        return taken;
    }

    synchronized long faultOverflows() {
        return overflows;
    }

    private void readFaults() {
        if (!stopped && faultQueue.read(sink)) {
            overflows++;
        }
    }

    /** Records what the unit reported of a device's request. What it reports of itself is printed. */
    private void record(long word0, long address) {
        int cause = (int) FaultRecord.CAUSE.get(word0);
        long id = FaultRecord.DID.get(word0);
        if (!FaultRecord.isOfDevice(word0)) {
            LOG.error("{}: {} at {}", name, FaultRecord.describe(cause), Hex.of(address));
            return;
        }
        faults.add(new DmaFault(
                name,
                requester(id),
                FaultRecord.PV.isSet(word0) ? (int) FaultRecord.PID.get(word0) : DmaFault.NO_PASID,
                address,
                FaultRecord.wrote(word0),
                cause,
                FaultRecord.describe(cause)));
    }

    private DeviceId requester(long id) {
        DeviceId known = requesters.get(id);
        return known != null
                ? known
                : map.requester(place, id)
                        .<DeviceId>map(function -> function)
                        .orElseGet(() -> new NamedDevice("source-id:" + Hex.of(id)));
    }

    // --- the end ---

    /** Turns translation off, and gives back frames and registers; returns how many frames it may still use. */
    synchronized long close() {
        readFaults();
        stopped = true;
        return start.end();
    }

    @Override
    public String toString() {
        return name;
    }
}
