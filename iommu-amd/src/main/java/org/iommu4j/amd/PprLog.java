// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.HashMap;
import java.util.Map;
import org.iommu4j.IommuException;
import org.iommu4j.PageRequest;
import org.iommu4j.PageResponse;
import org.iommu4j.amd.fmt.Command;
import org.iommu4j.amd.fmt.PprLogEntry;
import org.iommu4j.amd.reg.Features;
import org.iommu4j.amd.reg.Registers;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.spi.VendorContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A unit's log of page requests, 48882 section 2.6: 512 entries in a ring, read on demand; and the answers.
 *
 * <p>The monitor of its unit's commands guards it, and is taken after the attacher's lock. Source:
 * {@code drivers/iommu/amd/ppr.c}.
 */
final class PprLog {
    private static final Logger LOG = LoggerFactory.getLogger(PprLog.class);

    private static final int LOG_ENTRIES = 9;
    private static final int BYTES = PprLogEntry.BYTES << LOG_ENTRIES;
    private static final int ORDER = 1;

    /** Number of frames that it uses. */
    static final long FRAMES = 1L << ORDER;

    private static final long GONE = -1L;

    private final UnitCommands commands;
    private final long efr;
    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final RegisterWindow window;
    private final long base;

    /** The devices that may send page requests, by requester id. */
    private final Map<Integer, PageRequestSink> askers = new HashMap<>();

    private int head;
    private long overflows;

    /**
     * Allocates the frames.
     *
     * @throws IommuException ENOMEM
     */
    PprLog(UnitCommands commands, long efr, VendorContext context, RegisterWindow window) {
        this.commands = commands;
        this.efr = efr;
        this.memory = context.memory();
        this.frames = context.frames();
        this.window = window;
        this.base = frames.allocate(ORDER);
        for (int frame = 0; frame < 1 << ORDER; frame++) {
            memory.storeRun(base + (long) frame * SystemMemory.FRAME_SIZE, 0, 0, SystemMemory.FRAME_WORDS);
        }
    }

    /**
     * Sets the log's address in the unit while it is off, and returns the value of its control register that turns it
     * on.
     */
    long program(long control) {
        place();
        // Lost requests are answered with success, so that the device repeats them; Linux leaves this off.
        window.write64(Registers.PPR_AUTO_RESPONSE.offset(), PageResponse.SUCCESS.code());
        long on = control | Registers.PPR_EN.mask() | Registers.PPR_LOG_EN.mask();
        on = Registers.PPR_AUTO_RSP_EN.set(on, Features.PPR_AUTO_RSP_SUP.get(efr));
        return Registers.EPH_EN.set(on, Features.EPH_SUP.get(efr));
    }

    private void place() {
        head = 0;
        window.write64(Registers.PPR_LOG_BAR.offset(), base | Registers.LENGTH.of(LOG_ENTRIES));
        window.write64(Registers.PPR_LOG_HEAD.offset(), 0);
        window.write64(Registers.PPR_LOG_TAIL.offset(), 0);
    }

    /** Frees the frames, which the unit no longer uses. */
    void free() {
        frames.free(base, ORDER);
    }

    /** Delivers a device's requests to a sink from now on. */
    void add(int requesterId, PageRequestSink asker) {
        synchronized (commands) {
            askers.put(requesterId, asker);
        }
    }

    /** Answers a device's requests as invalid from now on. */
    void remove(int requesterId) {
        synchronized (commands) {
            askers.remove(requesterId);
        }
    }

    /** Returns how many overflows of the log were found. */
    long overflows() {
        synchronized (commands) {
            return overflows;
        }
    }

    /**
     * Reads the requests so far, and restarts the log when it overflowed; under the attacher's lock. A stopped unit has
     * no requests.
     *
     * @throws IommuException ETIMEDOUT or EIO when a request without a sink could not be answered
     */
    void read() {
        synchronized (commands) {
            if (commands.stopped()) {
                return;
            }
            window.write64(Registers.STATUS.offset(), Registers.PPR_INT.mask());
            long status = window.read64(Registers.STATUS.offset());
            readLogged();
            if (status != GONE && Registers.PPR_OVERFLOW.isSet(status)) {
                overflows++;
                LOG.warn("{}: the log of page requests overflowed, requests were lost", commands);
                askers.values().forEach(PageRequestSink::discardPartial);
                commands.turn(Registers.PPR_LOG_EN, false);
                window.write64(Registers.STATUS.offset(), Registers.PPR_OVERFLOW.mask());
                place();
                commands.turn(Registers.PPR_LOG_EN, true);
            }
        }
    }

    private void readLogged() {
        long tail = window.read64(Registers.PPR_LOG_TAIL.offset());
        if ((tail & ~Registers.POINTER.mask()) != 0 || tail >= BYTES) {
            return; // the unit is gone
        }
        try {
            while (head != tail) {
                long word0 = memory.load(base + head);
                long word1 = memory.load(base + head + 8);
                if (PprLogEntry.CODE.get(word0) == 0) {
                    // The tail was visible before the entry; the next read finds it.
                    break;
                }
                memory.store(base + head, 0);
                memory.store(base + head + 8, 0);
                head = (head + PprLogEntry.BYTES) & (BYTES - 1);
                handle(word0, word1);
            }
        } finally {
            window.write64(Registers.PPR_LOG_HEAD.offset(), head);
        }
    }

    private void handle(long word0, long word1) {
        boolean read = PprLogEntry.READ.isSet(word0);
        boolean write = PprLogEntry.WRITE.isSet(word0);
        boolean last = PprLogEntry.LAST.isSet(word0);
        if (last && !read && !write) {
            return; // a stop marker, for which no reader waits
        }
        int requesterId = (int) PprLogEntry.DEVICE_ID.get(word0);
        int pasid = PprLogEntry.GN.isSet(word0) ? (int) PprLogEntry.PASID.get(word0) : -1;
        int group = (int) PprLogEntry.TAG.get(word0);
        PageRequest page = new PageRequest(
                PprLogEntry.ADDRESS.getInPlace(word1),
                read,
                write,
                PprLogEntry.EXECUTE.isSet(word0),
                !PprLogEntry.US.isSet(word0));
        boolean understood = PprLogEntry.CODE.get(word0) == PprLogEntry.PAGE_SERVICE_REQUEST
                && pasid >= 0
                && !page.execute()
                && !page.privileged()
                && !PprLogEntry.RZ.isSet(word0);
        PageRequestSink asker = askers.get(requesterId);
        if (understood && asker != null && asker.deliver(pasid, group, page, last)) {
            return;
        }
        LOG.warn("{}: refused {}", commands, PprLogEntry.LAYOUT.decode(word0, word1));
        if (last) {
            boolean withPasid = asker == null || asker.answersCarryPasid();
            respond(requesterId, withPasid ? pasid : -1, group, PageResponse.INVALID);
        }
    }

    /**
     * Answers a group of page requests.
     *
     * @param pasid the PASID of the answer, below 0 for none
     * @throws IommuException ETIMEDOUT, EIO
     */
    void respond(int requesterId, int pasid, int group, PageResponse response) {
        synchronized (commands) {
            boolean wasBroken = commands.broken();
            CommandBatch batch = commands.begin();
            batch.add(
                    Command.completePpr0(requesterId, Math.max(pasid, 0)),
                    Command.completePpr1(pasid >= 0, group, response.code()));
            if (!batch.complete()) {
                throw commands.refusal(
                        wasBroken, "answer to a page request of device " + Integer.toHexString(requesterId));
            }
        }
    }

    /**
     * Waits until all requests that a device has sent are in the log: it answers an invalidation only after them.
     *
     * @throws IommuException ETIMEDOUT, EIO
     */
    void drain(DeviceTlb device) {
        synchronized (commands) {
            boolean wasBroken = commands.broken();
            CommandBatch batch = commands.begin();
            device.addForgetting(batch, Gcr3Table.ORDINARY, Command.iotlbPages(Command.allPages()));
            if (!batch.complete()) {
                throw commands.refusal(wasBroken, "drain of page requests of " + device);
            }
        }
    }
}
