// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.jspecify.annotations.Nullable;

/**
 * What all domains share: moving devices.
 *
 * <p>Locks, outermost first: the device, the domain, the unit. Whether a device fits and its joining are one step under
 * the domain's lock, so that enforcement can't slip in between, as it can in Linux 7.1.
 */
abstract class IntelDomain implements IommuDomain {
    private final IntelIommu iommu;
    private final DomainType type;
    private int devices;
    private boolean closed;

    IntelDomain(IntelIommu iommu, DomainType type) {
        this.iommu = iommu;
        this.type = type;
    }

    @Override
    public final DomainType type() {
        return type;
    }

    @Override
    public final Iommu iommu() {
        return iommu;
    }

    final IntelIommu driver() {
        return iommu;
    }

    @Override
    public final AttachResult attach(IommuDevice given) {
        IntelDevice device = iommu.own(given);
        synchronized (device) {
            IntelDomain old = device.domain();
            if (old == this) {
                return AttachResult.ATTACHED;
            }
            synchronized (this) {
                checkOpen();
                String reason = misfit(device.unit());
                if (reason != null) {
                    return AttachResult.incompatible(reason);
                }
                int domainId = join(device.unit());
                try {
                    device.unit().setContext(device, contextLow(), contextHigh(device.unit(), domainId), domainId);
                } catch (IommuException e) {
                    if (e.errno() == Errno.ETIMEDOUT) {
                        invalidationFailed();
                    }
                    leave(device.unit());
                    throw e;
                }
                devices++;
            }
            device.setDomain(this);
            if (old != null) {
                old.forget(device);
            }
        }
        device.unit().reportFaults();
        return AttachResult.ATTACHED;
    }

    @Override
    public final void detach(IommuDevice given) {
        IntelDevice device = iommu.own(given);
        synchronized (device) {
            if (device.domain() != this) {
                throw new IommuException(Errno.EINVAL, device + " is not attached to this domain of " + type);
            }
            try {
                device.unit().clearContext(device);
            } catch (IommuException e) {
                invalidationFailed();
                throw e;
            } finally {
                device.setDomain(null);
                forget(device);
            }
        }
        device.unit().reportFaults();
    }

    private synchronized void forget(IntelDevice device) {
        devices--;
        leave(device.unit());
    }

    @Override
    public final void close() {
        synchronized (this) {
            if (closed) {
                return;
            }
            if (devices > 0) {
                throw new IommuException(Errno.EBUSY, devices + " devices are attached to this domain of " + type);
            }
            closed = true;
            release();
        }
        iommu.forget(this);
    }

    /** Returns whether no device is attached. */
    final synchronized boolean isIdle() {
        return devices == 0;
    }

    final void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "this domain of " + type + " is closed");
        }
    }

    /** Says why a device of a unit does not fit, or null when it does; under the domain's lock. */
    abstract @Nullable String misfit(IntelUnit unit);

    /** Counts a device in and returns the domain id to tag with; under the domain's lock. */
    abstract int join(IntelUnit unit);

    /** Counts a device out; under the domain's lock. Never allocates. */
    abstract void leave(IntelUnit unit);

    /** Returns the low word of the domain's context entries, 0 for none. */
    abstract long contextLow();

    abstract long contextHigh(IntelUnit unit, int domainId);

    /** Takes note that some unit may go on using what this domain's tables say. */
    abstract void invalidationFailed();

    /** Frees all; under the domain's lock, without devices. */
    abstract void release();
}
