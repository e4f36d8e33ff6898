// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.AttachResult;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.amd.DomainState.Attachment;
import org.iommu4j.amd.fmt.DeviceTableEntry;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Changes the domains of devices: device table entries, GCR3 tables, and the invalidations of units that follow.
 *
 * <p>Its monitor orders everything that changes a device table entry: attaching, detaching, growing a table. It also
 * guards the lists of devices and domains, and whether the driver is open. Mapping does not take it.
 *
 * <p>Every change has the same steps: allocate, register with the domain, write, invalidate in the unit. When the
 * invalidation fails, the old state is written back. A unit that did not confirm may use either state, so neither is
 * freed.
 */
final class Attacher {
    private static final Logger LOG = LoggerFactory.getLogger(Attacher.class);

    private final DriverState driver;

    /** All devices, for a walk that allocates nothing. */
    private final List<AmdDevice> devices = new ArrayList<>();

    Attacher(DriverState driver) {
        this.driver = driver;
    }

    /** Records a device that was probed. */
    synchronized void add(AmdDevice device) {
        devices.add(device);
    }

    // --- ordinary requests ---

    /** Moves a device to a domain, or changes nothing. */
    synchronized AttachResult attach(IommuDevice given, DomainState domain) {
        AmdDevice device = AmdDevice.own(given, driver);
        domain.checkOpen();
        Attachment old = device.attachment();
        if (old != null && old.domain() == domain) {
            return AttachResult.ATTACHED;
        }
        String reason = domain.refuses(device.unit(), device.pasids());
        if (reason != null) {
            return AttachResult.incompatible(reason);
        }
        String what = "attach " + device + " to " + domain;
        checkWorks(device.unit(), what);
        Gcr3Table oldGcr3 = device.requester().gcr3();
        long oldRoot = oldGcr3 == null ? 0 : oldGcr3.root(Gcr3Table.ORDINARY);
        boolean needsGcr3 = domain.guestRoot() != 0 || !device.pasids().isEmpty();
        Gcr3Table gcr3 = !needsGcr3 ? null : oldGcr3 == null ? driver.newGcr3(device.maxPasids()) : oldGcr3;
        Attachment next = domain.join(device.requester(), Gcr3Table.ORDINARY);
        if (gcr3 != null) {
            gcr3.setRoot(Gcr3Table.ORDINARY, domain.guestRoot());
            device.requester().setGcr3(gcr3);
        }
        // A GCR3 table that the device leaves belongs to it until the unit has invalidated it. Until then, freeing
        // pages of the old domain must invalidate them in the unit.
        device.requester().save();
        write(device, domain, gcr3);
        if (!device.forget(tag(old), oldGcr3)) {
            if (oldGcr3 != null) {
                oldGcr3.setRoot(Gcr3Table.ORDINARY, oldRoot);
            }
            device.requester().restore();
            device.requester().setGcr3(oldGcr3);
            next.leave();
            domain.leaveBehind();
            if (gcr3 != null && gcr3 != oldGcr3) {
                driver.free(gcr3, false);
            }
            throw device.unit().commands().refusal(false, what);
        }
        device.setAttachment(next);
        if (old != null) {
            old.leave();
        }
        if (oldGcr3 != null && gcr3 == null) {
            device.requester().setGcr3(null);
            driver.free(oldGcr3, true);
        }
        if (blocks(domain)) {
            device.disableServices();
        } else {
            device.enableServices();
        }
        return AttachResult.ATTACHED;
    }

    /** Blocks a device that is in a domain. */
    synchronized void detach(IommuDevice given, DomainState domain) {
        AmdDevice device = AmdDevice.own(given, driver);
        domain.checkOpen();
        Attachment old = device.attachment();
        if (old == null || old.domain() != domain) {
            throw new IommuException(Errno.EINVAL, "detach " + device + ": it is not attached to " + domain);
        }
        boolean wasBroken = device.unit().commands().broken();
        device.disableServices();
        device.setAttachment(null);
        Gcr3Table gcr3 = device.requester().gcr3();
        if (gcr3 != null) {
            gcr3.setRoot(Gcr3Table.ORDINARY, 0);
        }
        write(device, null, null);
        boolean forgotten = device.forget(tag(old), gcr3);
        old.leave();
        releaseGcr3(device, forgotten);
        if (!forgotten) {
            domain.leaveBehind();
            throw device.unit().commands().refusal(wasBroken, "detach " + device + " from " + domain);
        }
    }

    // --- requests with a PASID ---

    /** Attaches a device's requests with a PASID to a domain, or changes nothing. */
    synchronized AttachResult attachPasid(IommuDevice given, DomainState domain, int pasid) {
        AmdDevice device = AmdDevice.own(given, driver);
        domain.checkOpen();
        String what = "attach " + device + " with PASID " + pasid + " to " + domain;
        if (device.maxPasids() == 0) {
            throw new IommuException(Errno.EOPNOTSUPP, what + ": it has no PASIDs");
        }
        if (pasid < 1 || pasid >= device.maxPasids()) {
            throw new IommuException(Errno.EINVAL, what + ": expected 1 to " + (device.maxPasids() - 1));
        }
        Attachment old = device.pasid(pasid);
        if (old != null && old.domain() == domain) {
            return AttachResult.ATTACHED;
        }
        DomainState ordinary = device.domain();
        if (ordinary == null || !ordinary.allowsPasids()) {
            return AttachResult.incompatible(
                    "PASIDs of " + device + " work only while it is attached to an identity domain or to"
                            + " one with guest tables, it is attached to " + ordinary);
        }
        checkWorks(device.unit(), what);
        Gcr3Table oldGcr3 = device.requester().gcr3();
        Gcr3Table gcr3 = oldGcr3 == null ? driver.newGcr3(device.maxPasids()) : oldGcr3;
        try {
            gcr3.reserve(pasid);
        } catch (IommuException e) {
            if (oldGcr3 == null) {
                driver.free(gcr3, true);
            }
            throw e;
        }
        long oldRoot = gcr3.root(pasid);
        Attachment next = domain.join(device.requester(), pasid);
        gcr3.setRoot(pasid, domain.guestRoot());
        boolean forgotten;
        device.requester().save();
        if (oldGcr3 == null) {
            device.requester().setGcr3(gcr3);
            write(device, ordinary, gcr3);
            forgotten = device.forget(ordinary.id(), null);
        } else {
            forgotten = device.forgetPasid(pasid);
        }
        if (!forgotten) {
            gcr3.setRoot(pasid, oldRoot);
            if (oldGcr3 == null) {
                device.requester().restore();
                device.requester().setGcr3(null);
                driver.free(gcr3, false);
            }
            next.leave();
            domain.leaveBehind();
            throw device.unit().commands().refusal(false, what);
        }
        device.pasids().add(next);
        if (old != null) {
            device.pasids().remove(old);
            old.leave();
            withdrawPageRequests(device, pasid);
        }
        return AttachResult.ATTACHED;
    }

    /** The PASID has moved, even if its requests can't be answered. */
    private static void withdrawPageRequests(AmdDevice device, int pasid) {
        try {
            device.withdrawPageRequests(pasid);
        } catch (IommuException e) {
            LOG.error("{} while page requests of {} for PASID {} were refused", e.getMessage(), device, pasid);
        }
    }

    /** Blocks a device's requests with a PASID. */
    synchronized void detachPasid(IommuDevice given, DomainState domain, int pasid) {
        AmdDevice device = AmdDevice.own(given, driver);
        domain.checkOpen();
        Attachment old = device.pasid(pasid);
        Gcr3Table gcr3 = device.requester().gcr3();
        String what = "detach " + device + " with PASID " + pasid + " from " + domain;
        if (old == null || old.domain() != domain || gcr3 == null) {
            throw new IommuException(Errno.EINVAL, what + ": it is not attached there");
        }
        boolean wasBroken = device.unit().commands().broken();
        gcr3.setRoot(pasid, 0);
        device.pasids().remove(old);
        boolean forgotten = device.forgetPasid(pasid);
        old.leave();
        releaseGcr3(device, forgotten);
        if (!forgotten) {
            domain.leaveBehind();
            throw device.unit().commands().refusal(wasBroken, what);
        }
        device.withdrawPageRequests(pasid);
    }

    /**
     * Frees the GCR3 table of a device that is blocked and has no PASIDs; an attached device keeps it until it moves.
     */
    private void releaseGcr3(AmdDevice device, boolean forgotten) {
        Gcr3Table gcr3 = device.requester().gcr3();
        if (gcr3 != null && device.attachment() == null && device.pasids().isEmpty()) {
            device.requester().setGcr3(null);
            driver.free(gcr3, forgotten);
        }
    }

    // --- changes of a domain that change its entries ---

    /**
     * Refuses to change a domain while one of its units accepts no commands.
     *
     * @throws IommuException EIO
     */
    synchronized void checkWorks(DomainState domain, String what) {
        AttachmentList<Attachment> uses = domain.attachments();
        for (int i = 0; i < uses.size(); i++) {
            Attachment use = uses.get(i);
            if (use != null) {
                checkWorks(use.requester().unit(), what);
            }
        }
    }

    /**
     * Changes word 0 of every entry that uses a domain with host tables, and invalidates the old word and the domain's
     * pages in the units. When that fails in one unit, all entries get the old word back.
     *
     * @return null, or the failure of the first unit that did not
     */
    synchronized @Nullable IommuException rewrite(DomainState domain, long before, long after, String what) {
        writeAll(domain, after);
        AttachmentList<Attachment> uses = domain.attachments();
        for (int i = 0; i < uses.size(); i++) {
            Attachment use = uses.get(i);
            if (use != null && !use.requester().forget(domain.id())) {
                writeAll(domain, before);
                return use.requester().unit().commands().refusal(false, what);
            }
        }
        return null;
    }

    private static void writeAll(DomainState domain, long word0) {
        AttachmentList<Attachment> uses = domain.attachments();
        for (int i = 0; i < uses.size(); i++) {
            Attachment use = uses.get(i);
            if (use != null) {
                use.requester().setAll(word0, domain.id(), 0);
            }
        }
    }

    // --- device table entries ---

    /**
     * Writes the entry of every id of a device. When a device is blocked, an id that it shares with another function
     * keeps that function's entry while that one is not blocked. (Linux blocks the id: functions that share one are in
     * one group, and move together.)
     *
     * @param domain null to block
     */
    private void write(AmdDevice device, @Nullable DomainState domain, @Nullable Gcr3Table gcr3) {
        for (int id : device.requester().ids()) {
            AmdDevice other = blocks(domain) ? otherUser(device, id) : null;
            if (other == null) {
                write(device, id, domain, gcr3);
            } else {
                write(other, id, other.domain(), other.requester().gcr3());
            }
        }
    }

    private @Nullable AmdDevice otherUser(AmdDevice device, int requesterId) {
        for (int i = 0; i < devices.size(); i++) {
            AmdDevice other = devices.get(i);
            if (other != device
                    && !blocks(other.domain())
                    && device.requester().shares(requesterId, other.requester())) {
                return other;
            }
        }
        return null;
    }

    private static boolean blocks(@Nullable DomainState domain) {
        return domain == null || domain.entryWord0() == DeviceTableEntry.BLOCKED;
    }

    private void write(AmdDevice device, int requesterId, @Nullable DomainState domain, @Nullable Gcr3Table gcr3) {
        if (domain == null) {
            device.requester().set(requesterId, DeviceTableEntry.BLOCKED, DomainIds.NONE, 0);
            return;
        }
        long word0 = domain.entryWord0();
        long word1 = domain.entryWord1();
        long word2 = 0;
        if (gcr3 != null && domain.allowsPasids()) {
            word0 |= gcr3.entryWord0() | device.pageRequestBits();
            word1 = gcr3.entryWord1();
            word2 = DeviceTableEntry.guest2(driver.features().guestLevels());
        }
        device.requester().set(requesterId, word0, word1, word2);
    }

    /** Returns the tag of a unit's cached entries for a use's ordinary requests, unless it is the GCR3 table's id. */
    private static int tag(@Nullable Attachment use) {
        return use == null || use.domain().guestRoot() != 0
                ? DomainIds.NONE
                : use.domain().id();
    }

    private static void checkWorks(AmdUnit unit, String what) {
        if (unit.commands().broken()) {
            throw unit.commands().refusal(true, what);
        }
    }
}
