// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.Objects;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;

/** A domain of this driver as its users see it. Only one attach, detach or close runs at a time. */
abstract class RiscvDomain extends DomainState implements IommuDomain {
    private final DriverState driver;
    private final Attacher attacher;

    RiscvDomain(DriverState driver, Attacher attacher, DomainType type) {
        super(type);
        this.driver = driver;
        this.attacher = attacher;
    }

    final DriverState driver() {
        return driver;
    }

    @Override
    public final Iommu iommu() {
        return driver.iommu();
    }

    @Override
    public final AttachResult attach(IommuDevice device) {
        Objects.requireNonNull(device, "device");
        attacher.attach(device, this);
        return AttachResult.ATTACHED;
    }

    @Override
    public final void detach(IommuDevice device) {
        Objects.requireNonNull(device, "device");
        attacher.detach(device, this);
    }

    @Override
    public final void close() {
        attacher.close(this);
    }
}
