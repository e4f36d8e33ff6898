// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.List;
import java.util.Objects;
import java.util.function.IntPredicate;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.bits.Hex;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PriCapability;
import org.iommu4j.spi.PageRequestGroups;
import org.jspecify.annotations.Nullable;

/**
 * A device's page requests: its PRI capability, PCIe 10.5.2, and its groups.
 *
 * <p>Locks, outermost first: the device, this object, the unit's queue. Source: {@code iommu_enable_pci_pri}, {@code
 * pci_enable_pri}, {@code intel_iommu_page_response}.
 */
final class DevicePageRequests implements PageRequests, PageRequestSink {
    /** Maximum number of a device's unanswered requests: {@code PRQ_DEPTH}. */
    private static final int MOST_OUTSTANDING = 32;

    private final PciAddress device;
    private final int requesterId;
    private final IntPredicate attached;
    private final PriCapability pri;
    private final PageRequestQueue queue;
    private final PageRequestGroups groups;
    private boolean enabled;
    private boolean closed;

    private DevicePageRequests(
            PciAddress device, int requesterId, IntPredicate attached, PriCapability pri, PageRequestQueue queue) {
        this.device = device;
        this.requesterId = requesterId;
        this.attached = attached;
        this.pri = pri;
        this.queue = queue;
        this.groups = new PageRequestGroups(device);
    }

    /**
     * Returns the page requests of a device that has PASIDs and a translation cache, or null when it can't have any.
     *
     * @param attached whether a PASID is attached to a domain
     */
    static @Nullable DevicePageRequests of(
            PciAddress device,
            int requesterId,
            IntPredicate attached,
            ConfigSpace config,
            @Nullable PageRequestQueue queue) {
        @Nullable PriCapability pri = PriCapability.of(config).orElse(null);
        // Answers carry the PASID: a device that does not accept that gets no page requests.
        return queue == null || pri == null || !pri.answersCarryPasid()
                ? null
                : new DevicePageRequests(device, requesterId, attached, pri, queue);
    }

    @Override
    public synchronized void enable() {
        checkOpen();
        if (enabled) {
            return;
        }
        if (!pri.reset()) {
            throw new IommuException(
                    Errno.EBUSY, device + " has not stopped its page requests, PRI status " + Hex.of(pri.status()));
        }
        queue.add(requesterId, this);
        pri.enable(MOST_OUTSTANDING);
        enabled = true;
    }

    private synchronized void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "the VT-d driver is closed");
        }
    }

    @Override
    public synchronized void disable() {
        if (!enabled) {
            return;
        }
        enabled = false;
        pri.disable();
        try {
            withdraw(pasid -> true);
        } finally {
            queue.remove(requesterId);
        }
    }

    /**
     * Stops permanently, as {@link #disable} does.
     *
     * @throws IommuException ETIMEDOUT or EIO
     */
    synchronized void close() {
        closed = true;
        disable();
    }

    /**
     * Answers the requests of a PASID that is no longer attached.
     *
     * @throws IommuException ETIMEDOUT or EIO
     */
    synchronized void withdraw(int pasid) {
        if (enabled) {
            withdraw(each -> each == pasid);
        }
    }

    private void withdraw(IntPredicate pasids) {
        queue.drain();
        for (PageRequestGroup group : groups.withdraw(pasids)) {
            send(group, PageResponse.INVALID);
        }
    }

    @Override
    public List<PageRequestGroup> take() {
        queue.read();
        return groups.take();
    }

    @Override
    public void respond(PageRequestGroup group, PageResponse response) {
        Objects.requireNonNull(group, "group");
        Objects.requireNonNull(response, "response");
        checkOpen();
        if (!groups.claim(group)) {
            throw new IommuException(Errno.EINVAL, group + " is already answered, or does not belong to " + device);
        }
        send(group, response);
    }

    private void send(PageRequestGroup group, PageResponse response) {
        queue.respond(requesterId, group.pasid(), group.index(), response);
    }

    @Override
    public long overflows() {
        return queue.overflows();
    }

    // ---- for the queue, under its lock -----------------------------------------------------------------------------

    @Override
    public boolean deliver(int pasid, int group, PageRequest page, boolean last) {
        boolean taken = attached.test(pasid);
        if (taken) {
            groups.add(pasid, group, page, last);
        }
        return taken;
    }

    @Override
    public void discardPartial() {
        groups.discardPartial();
    }
}
