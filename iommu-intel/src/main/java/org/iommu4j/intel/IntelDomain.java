// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.Optional;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.intel.fmt.PasidEntry;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Common base of all domains: moves devices, and PASIDs of devices.
 *
 * <p>Locks, outermost first: the device, the domain, the unit. Checking a device and adding it are one step under the
 * domain's lock. So enforcement can't change in between, as it can in Linux 7.1.
 */
abstract class IntelDomain implements IommuDomain {
    private static final Logger LOG = LoggerFactory.getLogger(IntelDomain.class);

    private final DriverState driver;
    private final DomainType type;
    private final Optional<PasidAttachment> pasidAttachment;
    private final Object lock;
    private int attachments;
    private boolean shut;

    /** Changed under the lock, read without it. */
    private volatile boolean closed;

    /**
     * Makes a domain.
     *
     * @param lock guards the domain: null for its own monitor; a domain that leads to another's tables shares the
     *     other's lock
     */
    IntelDomain(DriverState driver, DomainType type, boolean attachesPasids, @Nullable Object lock) {
        this.driver = driver;
        this.type = type;
        this.lock = lock == null ? this : lock;
        this.pasidAttachment = attachesPasids ? Optional.of(new Pasids()) : Optional.empty();
    }

    @Override
    public final DomainType type() {
        return type;
    }

    @Override
    public final Iommu iommu() {
        return driver.iommu();
    }

    final DriverState driver() {
        return driver;
    }

    @Override
    public final AttachResult attach(IommuDevice device) {
        return attach(IntelDevice.own(device, driver), PasidEntry.NO_PASID);
    }

    @Override
    public final void detach(IommuDevice device) {
        detach(IntelDevice.own(device, driver), PasidEntry.NO_PASID);
    }

    @Override
    public final Optional<PasidAttachment> pasidAttachment() {
        return pasidAttachment;
    }

    /** Single PASIDs of devices, moved as the devices' ordinary requests are. */
    private final class Pasids implements PasidAttachment {
        @Override
        public AttachResult attach(IommuDevice given, int pasid) {
            IntelDevice device = IntelDevice.own(given, driver);
            checkOpen();
            if (device.maxPasids() == 0) {
                throw new IommuException(Errno.EOPNOTSUPP, device + " has no PASIDs that its unit translates");
            }
            if (pasid <= PasidEntry.NO_PASID || pasid >= device.maxPasids()) {
                throw new IommuException(
                        Errno.EINVAL,
                        "PASID " + pasid + " of " + device + ", expected 1 to " + (device.maxPasids() - 1));
            }
            return IntelDomain.this.attach(device, pasid);
        }

        @Override
        public void detach(IommuDevice given, int pasid) {
            IntelDevice device = IntelDevice.own(given, driver);
            checkOpen();
            if (pasid <= PasidEntry.NO_PASID) {
                throw new IommuException(Errno.EINVAL, "PASID " + pasid + " of " + device + ", expected at least 1");
            }
            IntelDomain.this.detach(device, pasid);
        }
    }

    /** A device, or one PASID of it, in this domain. */
    private final class Attached implements AttachmentState {
        private final IntelDevice device;
        private final int pasid;

        Attached(IntelDevice device, int pasid) {
            this.device = device;
            this.pasid = pasid;
        }

        @Override
        public IommuDomain domain() {
            return IntelDomain.this;
        }

        @Override
        public boolean translates() {
            return IntelDomain.this.translates();
        }

        @Override
        public void leave() {
            synchronized (lock) {
                attachments--;
                IntelDomain.this.leave(device, pasid);
            }
        }
    }

    private AttachResult attach(IntelDevice device, int pasid) {
        synchronized (device) {
            AttachmentState old = device.attachment(pasid);
            if (old != null && old.domain() == this) {
                return AttachResult.ATTACHED;
            }
            AttachmentState attached = new Attached(device, pasid);
            String reason = null;
            IommuException refusal = null;
            synchronized (lock) {
                checkTakesDevices();
                checkMayTake(device);
                try {
                    reason = misfit(device, pasid);
                } catch (IommuException e) {
                    refusal = e;
                }
                if (reason == null && refusal == null) {
                    enter(device, pasid);
                }
            }
            if (refusal != null) {
                leaveBlocked(device, pasid, old);
                throw refusal;
            }
            if (reason != null) {
                leaveBlocked(device, pasid, old);
                return AttachResult.incompatible(reason);
            }
            device.setAttachment(pasid, attached);
            if (old != null) {
                old.leave();
                withdrawPageRequests(device, pasid);
            }
        }
        device.unit().faults().drain();
        return AttachResult.ATTACHED;
    }

    /** Adds a device and writes its entry, or changes nothing; under the domain's lock. */
    private void enter(IntelDevice device, int pasid) {
        // A unit that is already broken keeps its state. Any other may see the new entry, whatever fails.
        device.unit().commands().checkUsable();
        int domainId = join(device, pasid);
        try {
            device.unit().tables().set(device.requester(), pasid, entry(device, domainId), domainId);
        } catch (IommuException e) {
            if (e.errno() != Errno.ENOMEM) {
                invalidationFailed();
            }
            leave(device, pasid);
            throw e;
        }
        attachments++;
    }

    /**
     * Blocks a device that this domain refused, as Linux's driver does: it blocks a device before it looks whether a
     * domain fits ({@code device_block_translation} in {@code intel_iommu_attach_device}). A PASID stays where it is.
     * Outside of this domain's lock, because the other domain's is taken.
     */
    private static void leaveBlocked(IntelDevice device, int pasid, @Nullable AttachmentState old) {
        if (old == null || pasid != PasidEntry.NO_PASID || old.domain().type() == DomainType.BLOCKED) {
            return;
        }
        try {
            old.domain().detach(device);
        } catch (IommuException e) {
            LOG.error("{} while {} was blocked, which another domain refused", e.getMessage(), device);
        }
    }

    private void detach(IntelDevice device, int pasid) {
        checkOpen();
        synchronized (device) {
            AttachmentState attached = device.attachment(pasid);
            if (attached == null || attached.domain() != this) {
                throw new IommuException(
                        Errno.EINVAL,
                        device + (pasid == PasidEntry.NO_PASID ? "" : " with PASID " + pasid)
                                + " is not attached to this domain of " + type);
            }
            try {
                device.unit().tables().clear(device.requester(), pasid);
            } catch (IommuException e) {
                invalidationFailed();
                throw e;
            } finally {
                device.setAttachment(pasid, null);
                attached.leave();
            }
            device.withdrawPageRequests(pasid);
        }
        device.unit().faults().drain();
    }

    /** The PASID has moved, even if its requests can't be answered. */
    private static void withdrawPageRequests(IntelDevice device, int pasid) {
        try {
            device.withdrawPageRequests(pasid);
        } catch (IommuException e) {
            LOG.error("{} while page requests of {} for PASID {} were refused", e.getMessage(), device, pasid);
        }
    }

    @Override
    public final void close() {
        synchronized (lock) {
            if (closed) {
                return;
            }
            if (attachments > 0) {
                throw new IommuException(Errno.EBUSY, attachments + " devices are attached to this domain of " + type);
            }
            checkUnused();
            closed = true;
            release();
        }
        driver.forget(this);
    }

    /**
     * Refuses devices from now on, unless some are attached: the driver is about to close. This is one step, so that no
     * device joins in between. An attach is also refused if the driver finally stays open.
     *
     * @return whether no device is attached
     */
    final boolean shut() {
        synchronized (lock) {
            shut = attachments == 0;
            return shut;
        }
    }

    /** Accepts devices again: the driver stays open. */
    final void reopen() {
        synchronized (lock) {
            shut = false;
        }
    }

    /**
     * Refuses devices, and domains that depend on this one, once it is closed or its driver is about to be; under the
     * lock.
     *
     * @throws IommuException ENODEV
     */
    final void checkTakesDevices() {
        if (shut) {
            throw new IommuException(Errno.ENODEV, "the VT-d driver is closed");
        }
        checkOpen();
    }

    /**
     * Throws when the domain or its driver is closed.
     *
     * @throws IommuException ENODEV
     */
    public final void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "this domain of " + type + " is closed");
        }
    }

    /**
     * Throws while the domain is still needed by others, and can't be closed; under its lock.
     *
     * @throws IommuException EBUSY
     */
    void checkUnused() {
        // The number of devices is checked already.
    }

    /**
     * Refuses a device that may not be in this domain; it stays where it is.
     *
     * @throws IommuException EPERM
     */
    void checkMayTake(IntelDevice device) {
        // Every device may.
    }

    /**
     * Returns why a device, or one PASID of it, does not fit, or null when it does; under the domain's lock.
     *
     * @throws IommuException where the release refuses it with its own errno
     */
    abstract @Nullable String misfit(IntelDevice device, int pasid);

    /**
     * Adds a device and returns the domain id for its entry's tag; under the domain's lock.
     *
     * @throws IommuException ENOSPC
     */
    abstract int join(IntelDevice device, int pasid);

    /** Removes a device; under the domain's lock. Never allocates. */
    abstract void leave(IntelDevice device, int pasid);

    /** Returns whether requests go through tables, so that a device may cache the translations. */
    abstract boolean translates();

    /**
     * Returns the words of a device's entry: both of a context entry in legacy mode, the lowest three of a PASID entry
     * in scalable mode, none for not present.
     */
    abstract long[] entry(IntelDevice device, int domainId);

    /** Records that a unit may go on using this domain's tables. */
    abstract void invalidationFailed();

    /** Frees everything; under the domain's lock, when it has no devices. */
    abstract void release();
}
