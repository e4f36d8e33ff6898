// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.InvalidationAnswer;
import org.iommu4j.sim.spi.InvalidationTags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/**
 * The command queue. Source: manual, "Command-Queue".
 *
 * <p>Commands are executed in their order, each by one step. An IOFENCE.C waits until devices have answered all earlier
 * invalidation requests, and reports a time-out. A request for which there is no tag is held, and the queue with it.
 */
final class CommandQueue extends MemoryQueue {
    private static final BitField TIME_OUT = bit(9, "cmd_to");
    private static final BitField ILLEGAL = bit(10, "cmd_ill");
    private static final BitField FENCE_SIGNAL = bit(11, "fence_w_ip");

    private final TranslationUnitSpec spec;
    private final Memory memory;
    private final Fabric fabric;
    private final Features features;
    private final Control control;
    private final Caches caches;
    private final DeviceDirectory devices;

    /** The command that is executed. */
    private final Command command = new Command();

    /** The requests that devices answer later. */
    private final InvalidationTags tags;

    /** Whether {@link #command} is an invalidation request that waits for a tag; its place in the queue is free. */
    private boolean held;

    /** Whether an invalidation request since the last fence was not answered. */
    private boolean timedOut;

    CommandQueue(
            TranslationUnitSpec spec,
            Interrupts interrupts,
            Memory memory,
            Fabric fabric,
            Features features,
            Control control,
            Caches caches,
            DeviceDirectory devices) {
        super(interrupts, features, Interrupts.CIP, Command.BYTES, true);
        this.spec = spec;
        tags = new InvalidationTags(features.invalidationTags);
        this.memory = memory;
        this.fabric = fabric;
        this.features = features;
        this.control = control;
        this.caches = caches;
        this.devices = devices;
    }

    @Override
    void reset() {
        super.reset();
        timedOut = false;
        tags.reset();
        held = false;
    }

    @Override
    boolean hasStopped() {
        return has(MEMORY_FAULT) || has(TIME_OUT) || has(ILLEGAL);
    }

    /** Executes one command, and returns whether there was one. */
    boolean step() {
        if (held) {
            return sendHeld();
        }
        if (!isRunning() || isEmpty()) {
            return false;
        }
        long at = headAddress();
        long low = memory.read(at, control.isBigEndian());
        long high = memory.read(at + Long.BYTES, control.isBigEndian());
        if (memory.status(at, low) != AccessStatus.OK || memory.status(at + Long.BYTES, high) != AccessStatus.OK) {
            set(MEMORY_FAULT);
            return true;
        }
        command.load(low, high);
        int deviceBits = devices.deviceBits(Control.mode(control.directory()));
        if (!command.isLegal(features, control.isWired(), deviceBits)) {
            set(ILLEGAL);
        } else if (command.kind() == Command.IOFENCE_C && !tags.isEmpty()) {
            return false;
        } else if (command.kind() != Command.IOFENCE_C || fence()) {
            execute();
            advanceHead();
        }
        return true;
    }

    private void execute() {
        switch (command.kind()) {
            case Command.IOTINVAL_VMA -> caches.invalidateFirstStage(command);
            case Command.IOTINVAL_GVMA -> caches.invalidateSecondStage(command);
            case Command.IODIR_INVAL_DDT -> {
                if (command.hasDevice()) {
                    caches.invalidateDevice(command.device());
                } else {
                    caches.invalidateDirectories();
                }
            }
            case Command.IODIR_INVAL_PDT -> caches.invalidateProcess(command.device(), command.process());
            case Command.ATS_INVAL -> {
                held = true;
                sendHeld();
            }
            case Command.ATS_PRGR ->
                fabric.respondToPageRequest(destination(), command.pasid(), command.group(), command.response());
            default -> {} // a fence, which is done
        }
    }

    /** Sends the invalidation request in {@link #command} if there is a tag for it, and returns whether it was sent. */
    private boolean sendHeld() {
        int tag = tags.free();
        if (tag == InvalidationTags.NONE) {
            return false;
        }
        held = false;
        tags.take(tag, destination(), 0);
        InvalidationAnswer answer = fabric.invalidateDevice(
                destination(), command.pasid(), command.isGlobal(), command.rangeStart(), command.rangeBytes(), tag);
        if (answer != InvalidationAnswer.LATER) {
            tags.release(tag);
        }
        timedOut |= answer == InvalidationAnswer.NEVER;
        return true;
    }

    /** Takes a device's late answer, and returns whether it was expected. */
    boolean complete(int device, int completed, int count) {
        return tags.complete(device, completed, count);
    }

    /** Gives up on some answers; the next fence reports it. */
    void timeOut(int late) {
        for (int left = late & tags.outstanding(); left != 0; left &= left - 1) {
            tags.release(Integer.numberOfTrailingZeros(left));
            timedOut = true;
        }
    }

    /** Returns the device id of the function that a message goes to. */
    private int destination() {
        return spec.sourceId(command.segment(spec.segment()), command.requester());
    }

    /** Completes a fence, and returns whether it could. All earlier requests and commands are done by now. */
    private boolean fence() {
        if (timedOut) {
            timedOut = false;
            set(TIME_OUT);
            return false;
        }
        if (command.hasAddress()) {
            long at = command.fenceAddress();
            if (!memory.isWritable(at)) {
                set(MEMORY_FAULT);
                return false;
            }
            memory.write32(at, command.fenceData(), control.isBigEndian());
        }
        if (command.isSignalled()) {
            set(FENCE_SIGNAL);
        }
        return true;
    }

    @Override
    void addTo(StateDigest digest) {
        super.addTo(digest);
        digest.add(timedOut);
        tags.addTo(digest);
        digest.add(held);
        if (held) {
            command.addTo(digest);
        }
    }
}
