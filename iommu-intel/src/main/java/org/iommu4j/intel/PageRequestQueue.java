// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.HashMap;
import java.util.Map;
import org.iommu4j.PageRequest;
import org.iommu4j.PageResponse;
import org.iommu4j.intel.fmt.PageRequestDescriptor;
import org.iommu4j.intel.reg.DmarRegisters;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.spi.VendorContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A unit's page request queue, VT-d 7.4: 2048 entries, read on demand, with the event masked.
 *
 * <p>Its monitor is taken after those of devices and before the invalidator's. Hardware writes through the caches,
 * whatever ECAP.C is. Source: {@code intel_iommu_enable_prq}, {@code prq_event_thread}, {@code
 * intel_iommu_drain_pasid_prq}, {@code intel_iommu_finish_prq}.
 */
final class PageRequestQueue {
    private static final Logger LOG = LoggerFactory.getLogger(PageRequestQueue.class);

    private static final int ORDER = 4;
    private static final int BYTES = SystemMemory.FRAME_SIZE << ORDER;

    private final String unit;
    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final RegisterWindow window;
    private final UnitCaches caches;
    private final long base;

    /** The sinks of the devices with page requests, by requester id. */
    private final Map<Integer, PageRequestSink> sinks = new HashMap<>();

    private boolean programmed;
    private boolean stopped;
    private int head;
    private long overflows;

    /**
     * Allocates the frames.
     *
     * @throws org.iommu4j.IommuException ENOMEM
     */
    PageRequestQueue(String unit, VendorContext context, RegisterWindow window, UnitCaches caches) {
        this.unit = unit;
        this.memory = context.memory();
        this.frames = context.frames();
        this.window = window;
        this.caches = caches;
        this.base = frames.allocate(ORDER);
    }

    /** Sets the queue's address in the unit; no device has page requests yet. */
    void program() {
        programmed = true;
        window.write32(DmarRegisters.PECTL.offset(), (int) DmarRegisters.IM.mask());
        window.write64(DmarRegisters.PQH.offset(), 0);
        window.write64(DmarRegisters.PQT.offset(), 0);
        window.write64(
                DmarRegisters.PQA.offset(), DmarRegisters.PQ_BASE.getInPlace(base) | DmarRegisters.PQS.of(ORDER));
        // Requests for an earlier kernel are dropped.
        clearStatus();
    }

    private void clearStatus() {
        window.write32(
                DmarRegisters.PR_STATUS.offset(), (int) (DmarRegisters.PPR.mask() | DmarRegisters.PR_OVERFLOW.mask()));
    }

    /** Reads nothing from now on, after a read in progress: the frames are freed next, or left to the unit. */
    synchronized void stop() {
        stopped = true;
    }

    /**
     * Clears the queue's address in the unit and frees the queue; call it with translation off, when none can arrive.
     */
    void free() {
        if (programmed) {
            window.write64(DmarRegisters.PQH.offset(), 0);
            window.write64(DmarRegisters.PQT.offset(), 0);
            window.write64(DmarRegisters.PQA.offset(), 0);
            clearStatus();
        }
        frames.free(base, ORDER);
    }

    /** Returns how many frames the queue uses. */
    long countFrames() {
        return 1L << ORDER;
    }

    /** Delivers a device's requests to a sink from now on. */
    synchronized void add(int requesterId, PageRequestSink sink) {
        sinks.put(requesterId, sink);
    }

    /** Answers a device's requests as invalid from now on. */
    synchronized void remove(int requesterId) {
        sinks.remove(requesterId);
    }

    /**
     * Reads all queued requests; nothing once the queue is stopped.
     *
     * @return whether the queue had overflowed; it accepts requests again
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO when a request without a sink could not be answered
     */
    synchronized boolean read() {
        if (stopped) {
            return false;
        }
        window.write32(DmarRegisters.PR_STATUS.offset(), (int) DmarRegisters.PPR.mask());
        readQueued();
        int status = window.read32(DmarRegisters.PR_STATUS.offset());
        if (status == -1 || !DmarRegisters.PR_OVERFLOW.isSet(status)) {
            return false;
        }
        // While PRO is set nothing is added: afterwards, all requests from before the overflow are read.
        readQueued();
        overflows++;
        LOG.warn("{}: the page request queue overflowed, requests were lost", unit);
        for (PageRequestSink sink : sinks.values()) {
            sink.discardPartial();
        }
        window.write32(DmarRegisters.PR_STATUS.offset(), (int) DmarRegisters.PR_OVERFLOW.mask());
        return true;
    }

    private void readQueued() {
        long tail = window.read64(DmarRegisters.PQT.offset());
        if ((tail & ~DmarRegisters.PQ_POINTER.mask()) != 0 || tail >= BYTES) {
            return; // the unit is gone
        }
        try {
            while (head != tail) {
                long low = memory.load(base + head);
                long high = memory.load(base + head + 8);
                head = (head + PageRequestDescriptor.SIZE) & (BYTES - 1);
                handle(low, high);
            }
        } finally {
            window.write64(DmarRegisters.PQH.offset(), head);
        }
    }

    private void handle(long low, long high) {
        boolean last = PageRequestDescriptor.LPIG.isSet(high);
        boolean read = PageRequestDescriptor.RDR.isSet(high);
        boolean write = PageRequestDescriptor.WRR.isSet(high);
        if (last && !read && !write) {
            return; // a stop marker, for which no reader waits
        }
        int requesterId = (int) PageRequestDescriptor.RID.get(low);
        int pasid = PageRequestDescriptor.PP.isSet(low) ? (int) PageRequestDescriptor.PASID.get(low) : -1;
        int group = (int) PageRequestDescriptor.PRGI.get(high);
        PageRequest page = new PageRequest(
                PageRequestDescriptor.ADDR.getInPlace(high),
                read,
                write,
                PageRequestDescriptor.EXE.isSet(low),
                PageRequestDescriptor.PRIV.isSet(low));
        boolean understood = PageRequestDescriptor.TYPE.get(low) == PageRequestDescriptor.PAGE_REQUEST
                && pasid >= 0
                && !page.execute()
                && !page.privileged();
        PageRequestSink sink = sinks.get(requesterId);
        if (understood && sink != null && sink.deliver(pasid, group, page, last)) {
            return;
        }
        LOG.warn("{}: refused {}", unit, PageRequestDescriptor.LAYOUT.decode(low, high));
        if (last) {
            respond(requesterId, pasid, group, PageResponse.INVALID);
        }
    }

    /**
     * Answers a group.
     *
     * @param pasid below 0 for a request without PASID
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO
     */
    void respond(int requesterId, int pasid, int group, PageResponse response) {
        caches.respondToPageRequest(requesterId, pasid, group, response.code());
    }

    /**
     * Reads all requests that devices sent before they last answered an invalidation.
     *
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO
     */
    void drain() {
        do {
            caches.drainPageRequests();
        } while (read());
    }

    /** Returns how many overflows of the queue were found. */
    synchronized long overflows() {
        return overflows;
    }
}
