// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.sim.amdvi.AmdViRegisters.CMD_BUF_RUN;
import static org.iommu4j.sim.amdvi.AmdViRegisters.COMMAND_BAR;
import static org.iommu4j.sim.amdvi.AmdViRegisters.COMMAND_HEAD;
import static org.iommu4j.sim.amdvi.AmdViRegisters.COMMAND_TAIL;
import static org.iommu4j.sim.amdvi.AmdViRegisters.COM_WAIT_INT;
import static org.iommu4j.sim.amdvi.AmdViRegisters.STATUS;

import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.InvalidationAnswer;
import org.iommu4j.sim.spi.InvalidationTags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * The ring in memory from which the unit reads commands, snooped. The caller of each method holds the unit's lock.
 *
 * <p>Source: 48882, section 2.4, "Commands". Software owns the tail, the unit the head. Commands take effect one after
 * the other, so a COMPLETION_WAIT completes after all commands before it. A command that the unit can't execute is
 * logged. It stops the buffer with the head at it, until software turns CmdBufEn off and on.
 */
final class AmdViCommandBuffer {
    private static final int BAR_PLACE = RegisterFile.place(COMMAND_BAR);
    private static final int HEAD_PLACE = RegisterFile.place(COMMAND_HEAD);
    private static final int TAIL_PLACE = RegisterFile.place(COMMAND_TAIL);
    private static final int CONTROL_PLACE = RegisterFile.place(AmdViRegisters.CONTROL);
    private static final int STATUS_PLACE = RegisterFile.place(STATUS);

    private final RegisterFile registers;
    private final Fabric fabric;
    private final AmdViEventLog events;
    private final Caches caches;
    private final AmdViFeatures features;
    private final AmdViPprLog pageRequests;

    /** The requests that devices answer later; the note is the command's address. */
    private final InvalidationTags tags = new InvalidationTags(InvalidationTags.MOST);

    /** Whether a device has not answered an invalidation of its IOTLB, so that no COMPLETION_WAIT completes. */
    private boolean waitsForever;

    /**
     * Makes the buffer of a unit.
     *
     * @param features decide on the commands that it has
     */
    AmdViCommandBuffer(
            RegisterFile registers,
            Fabric fabric,
            AmdViEventLog events,
            Caches caches,
            AmdViFeatures features,
            AmdViPprLog pageRequests) {
        this.registers = registers;
        this.fabric = fabric;
        this.events = events;
        this.caches = caches;
        this.features = features;
        this.pageRequests = pageRequests;
    }

    /** Executes one command and returns whether there was one. */
    boolean step() {
        long head = registers.get(HEAD_PLACE);
        if (!CMD_BUF_RUN.isSet(registers.get(STATUS_PLACE)) || head == registers.get(TAIL_PLACE)) {
            return false;
        }
        long bar = registers.get(BAR_PLACE);
        long at = Rings.base(bar) + head;
        long word0 = fabric.read(at, true);
        long word1 = fabric.read(at + 8, true);
        if (word0 == -1L && fabric.isUnreadable(at, true)) {
            stop();
            events.writeHardwareError(Event.commandHardwareError(), at);
        } else if (!AmdViCommand.wellFormed(word0, word1) || !supported((int) AmdViCommand.OPCODE.get(word0))) {
            stop();
            events.write(Event.illegalCommand(), at);
        } else if (mustWait((int) AmdViCommand.OPCODE.get(word0))) {
            return false;
        } else if (execute(word0, word1, at)) {
            registers.set(HEAD_PLACE, (head + AmdViCommand.BYTES) % Rings.bytes(bar));
        }
        return true;
    }

    /** Returns whether a command is not executed before a device answers. */
    private boolean mustWait(int opcode) {
        return switch (opcode) {
            case AmdViCommand.COMPLETION_WAIT -> waitsForever || !tags.isEmpty();
            case AmdViCommand.INVALIDATE_IOTLB_PAGES -> tags.free() == InvalidationTags.NONE;
            default -> false;
        };
    }

    /** Takes a device's late answer, and returns whether it was expected. */
    boolean complete(int requesterId, int completed, int count) {
        // The answer pushes the device's earlier requests ahead of it.
        pageRequests.drain();
        return tags.complete(requesterId, completed, count);
    }

    /** Gives up on some answers. */
    void timeOut(int late) {
        for (int left = late & tags.outstanding(); left != 0; left &= left - 1) {
            int tag = Integer.numberOfTrailingZeros(left);
            tags.release(tag);
            unanswered(tags.sourceId(tag), tags.note(tag));
        }
    }

    /** Drops pending work: software turned the buffer off. */
    void abandon() {
        tags.reset();
        waitsForever = false;
    }

    void addTo(StateDigest digest) {
        tags.addTo(digest);
        digest.add(waitsForever);
    }

    private void stop() {
        registers.clearBits(STATUS_PLACE, CMD_BUF_RUN.mask());
    }

    private boolean supported(int opcode) {
        return switch (opcode) {
            case AmdViCommand.INVALIDATE_IOTLB_PAGES -> features.deviceIotlbs;
            case AmdViCommand.PREFETCH_IOMMU_PAGES -> features.prefetch;
            case AmdViCommand.COMPLETE_PPR_REQUEST -> features.pageRequests;
            case AmdViCommand.INVALIDATE_IOMMU_ALL -> features.invalidateAll;
            default -> true;
        };
    }

    /** Executes a known and well-formed command; false when it stopped the buffer. */
    private boolean execute(long word0, long word1, long at) {
        switch ((int) AmdViCommand.OPCODE.get(word0)) {
            case AmdViCommand.COMPLETION_WAIT -> {
                return completionWait(word0, word1);
            }
            case AmdViCommand.INVALIDATE_DEVTAB_ENTRY ->
                caches.devices.invalidate((int) AmdViCommand.DEVICE_ID.get(word0));
            case AmdViCommand.INVALIDATE_IOMMU_PAGES -> invalidatePages(word0, word1);
            case AmdViCommand.INVALIDATE_IOTLB_PAGES -> invalidateDeviceIotlb(word0, word1, at);
            case AmdViCommand.INVALIDATE_IOMMU_ALL -> caches.invalidateAll();
            case AmdViCommand.COMPLETE_PPR_REQUEST -> pageRequests.complete(word0, word1);
            default -> {
                // Interrupt tables, which this unit does not cache, and a hint.
            }
        }
        return true;
    }

    private boolean completionWait(long word0, long data) {
        if (AmdViCommand.STORE.isSet(word0)) {
            long address = AmdViCommand.STORE_ADDRESS.getInPlace(word0);
            if (!fabric.isMemory(address)) {
                stop();
                events.writeHardwareError(Event.commandHardwareError(), address);
                return false;
            }
            fabric.write(address, data, true);
        }
        if (AmdViCommand.INTERRUPT.isSet(word0)) {
            registers.setBits(STATUS_PLACE, COM_WAIT_INT.mask());
        }
        return true;
    }

    /** Invalidates a domain's host addresses and the guest pages found through them, or a PASID's guest addresses. */
    private void invalidatePages(long word0, long word1) {
        int domainId = (int) AmdViCommand.DOMAIN_ID.get(word0);
        long offsetMask = offsetMask(word1);
        long first = AmdViCommand.ADDRESS.getInPlace(word1) & ~offsetMask;
        long last = first | offsetMask;
        boolean guest = AmdViCommand.GN.isSet(word1);
        long tag =
                guest ? WalkCache.guestTag(domainId, (int) AmdViCommand.PASID.get(word0)) : WalkCache.hostTag(domainId);
        if (AmdViCommand.PDE.isSet(word1)) {
            (guest ? caches.guestDirectories : caches.directories).invalidate(tag, first, last);
        }
        (guest ? caches.guestPages : caches.pages).invalidate(tag, first, last);
        if (!guest) {
            caches.guestPages.invalidateNested(domainId);
        }
    }

    /** A device without IOTLB never answers; InvTimeOut decides whether and when the unit stops waiting. */
    private void invalidateDeviceIotlb(long word0, long word1, long at) {
        // The device's answer pushes its earlier requests ahead of it.
        pageRequests.drain();
        int requesterId = (int) AmdViCommand.DEVICE_ID.get(word0);
        int pasid = AmdViCommand.GN.isSet(word1) ? AmdViCommand.pasidOfIotlb(word0) : TranslationUnit.NO_PASID;
        long offsetMask = offsetMask(word1);
        long first = AmdViCommand.ADDRESS.getInPlace(word1) & ~offsetMask;
        long size = offsetMask + 1 == 0 ? Long.MIN_VALUE : offsetMask + 1;
        int tag = tags.free();
        tags.take(tag, requesterId, at);
        InvalidationAnswer answer = fabric.invalidateDevice(requesterId, pasid, false, first, size, tag);
        if (answer != InvalidationAnswer.LATER) {
            tags.release(tag);
        }
        if (answer == InvalidationAnswer.NEVER) {
            unanswered(requesterId, at);
        }
    }

    private void unanswered(int requesterId, long at) {
        if (AmdViRegisters.INV_TIME_OUT.get(registers.get(CONTROL_PLACE)) == 0) {
            waitsForever = true;
        } else {
            events.write(Event.iotlbTimeout(requesterId), at);
        }
    }

    private static long offsetMask(long word1) {
        return AmdViCommand.SIZE.isSet(word1) ? encodedOffsetMask(AmdViCommand.ADDRESS.getInPlace(word1)) : 0xfff;
    }

    /**
     * Returns the size of an encoded range in bytes, minus 1: the bits up to and including the lowest clear one from 12
     * on. Returns all bits when the clear one is the highest or there is none.
     */
    private static long encodedOffsetMask(long address) {
        long lowestClear = Long.lowestOneBit(~(address | 0xfff));
        return lowestClear <= 0 ? -1L : (lowestClear << 1) - 1;
    }
}
