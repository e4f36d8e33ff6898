// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.List;
import java.util.Objects;
import java.util.function.IntPredicate;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.amd.fmt.DeviceTableEntry;
import org.iommu4j.bits.Hex;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PriCapability;
import org.iommu4j.spi.PageRequestGroups;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A device's page requests: its PRI capability, PCI Express section 10.5.2, and its groups.
 *
 * <p>The capability is on while a user has enabled it and the device may request translations; a blocked device has
 * both off. The attacher's lock guards all state, except where stated otherwise. Source: {@code pdev_enable_cap_pri},
 * {@code amd_iommu_complete_ppr}.
 */
final class DevicePageRequests implements PageRequests, PageRequestSink {
    private static final Logger LOG = LoggerFactory.getLogger(DevicePageRequests.class);

    /** Maximum number of a device's unanswered requests, as in Linux. */
    private static final int MOST_OUTSTANDING = 32;

    private final DriverState driver;
    private final Object lock;
    private final Requester requester;
    private final IntPredicate attached;
    private final PriCapability pri;
    private final PprLog log;
    private final boolean answersCarryPasid;
    private final PageRequestGroups groups;
    private boolean wanted;
    private boolean on;

    private DevicePageRequests(
            DriverState driver,
            Object lock,
            Requester requester,
            IntPredicate attached,
            PriCapability pri,
            PprLog log) {
        this.driver = driver;
        this.lock = lock;
        this.requester = requester;
        this.attached = attached;
        this.pri = pri;
        this.log = log;
        this.answersCarryPasid = pri.answersCarryPasid();
        this.groups = new PageRequestGroups(requester.address());
    }

    /**
     * Returns the page requests of a device that has PASIDs and an IOTLB, or null when it can't have any.
     *
     * @param lock the attacher's lock
     * @param attached returns whether a PASID is attached to a domain
     */
    static @Nullable DevicePageRequests of(
            DriverState driver, Object lock, Requester requester, ConfigSpace config, IntPredicate attached) {
        @Nullable PriCapability pri = PriCapability.of(config).orElse(null);
        PprLog log = requester.unit().pageRequests();
        return pri == null || log == null ? null : new DevicePageRequests(driver, lock, requester, attached, pri, log);
    }

    /** Returns the bits of word 0 of a device table entry that permit page requests. */
    long entryWord0() {
        return DeviceTableEntry.PPR.mask() | (answersCarryPasid ? DeviceTableEntry.GPRP.mask() : 0);
    }

    @Override
    public boolean answersCarryPasid() {
        return answersCarryPasid;
    }

    @Override
    public void enable() {
        synchronized (lock) {
            driver.checkOpen();
            if (!wanted && requester.tlb().isInUse()) {
                turnOn();
            }
            wanted = true;
        }
    }

    @Override
    public void disable() {
        synchronized (lock) {
            wanted = false;
            turnOff();
        }
    }

    /** Records that the device may request translations; under the lock. */
    void resume() {
        if (wanted && !on) {
            try {
                turnOn();
            } catch (IommuException e) {
                LOG.error("{}: its page requests stay off", e.getMessage());
            }
        }
    }

    /** Stops page requests before the device loses the right to request translations; under the lock. */
    void suspend() {
        try {
            turnOff();
        } catch (IommuException e) {
            LOG.error("{} while page requests of {} were refused", e.getMessage(), requester);
        }
    }

    private void turnOn() {
        if (!pri.reset()) {
            throw new IommuException(
                    Errno.EBUSY, requester + " has not stopped its page requests, PRI status " + Hex.of(pri.status()));
        }
        log.add(requester.id(), this);
        pri.enable(MOST_OUTSTANDING);
        on = true;
    }

    private void turnOff() {
        if (!on) {
            return;
        }
        on = false;
        pri.disable();
        try {
            log.drain(requester.tlb());
            withdraw(pasid -> true);
        } finally {
            log.remove(requester.id());
        }
    }

    /**
     * Answers the requests of a PASID that is no longer attached, after its invalidation in unit and device; under the
     * lock.
     *
     * @throws IommuException ETIMEDOUT, EIO
     */
    void withdraw(int pasid) {
        if (on) {
            withdraw(each -> each == pasid);
        }
    }

    private void withdraw(IntPredicate pasids) {
        log.read();
        for (PageRequestGroup group : groups.withdraw(pasids)) {
            send(group, PageResponse.INVALID);
        }
    }

    @Override
    public List<PageRequestGroup> take() {
        synchronized (lock) {
            log.read();
            return groups.take();
        }
    }

    @Override
    public void respond(PageRequestGroup group, PageResponse response) {
        Objects.requireNonNull(group, "group");
        Objects.requireNonNull(response, "response");
        synchronized (lock) {
            driver.checkOpen();
        }
        if (!groups.claim(group)) {
            throw new IommuException(Errno.EINVAL, group + " is already answered, or does not belong to " + requester);
        }
        send(group, response);
    }

    private void send(PageRequestGroup group, PageResponse response) {
        int pasid = answersCarryPasid ? group.pasid() : -1;
        log.respond(requester.id(), pasid, group.index(), response);
    }

    @Override
    public long overflows() {
        return log.overflows();
    }

    // --- for the log, under the locks of attacher and unit ---

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
