// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;

/** A domain of this driver as its users see it. Only one attach, detach or close runs at a time. */
abstract class AmdDomain extends DomainState implements IommuDomain {
    private final DriverState driver;
    private final Attacher attacher;

    AmdDomain(DriverState driver, Attacher attacher, DomainType type, int id) {
        super(type, id);
        this.driver = driver;
        this.attacher = attacher;
    }

    @Override
    public final Iommu iommu() {
        return driver.iommu();
    }

    final DriverState driver() {
        return driver;
    }

    final Attacher attacher() {
        return attacher;
    }

    @Override
    public final AttachResult attach(IommuDevice device) {
        return attacher.attach(device, this);
    }

    @Override
    public final void detach(IommuDevice device) {
        attacher.detach(device, this);
    }

    @Override
    public final void close() {
        synchronized (attacher) {
            if (isClosed()) {
                return;
            }
            if (!attachments().isEmpty()) {
                throw new IommuException(Errno.EBUSY, "close " + this + ": it has attached " + attachments());
            }
            driver.forget(this);
            free();
            if (!isLeftBehind() && id() != DomainIds.NONE) {
                driver.domainIds().free(id());
            }
        }
    }

    /** Frees the domain's tables, or quarantines them when a unit may still use them; under the attacher's lock. */
    void free() {
        shut();
    }
}
