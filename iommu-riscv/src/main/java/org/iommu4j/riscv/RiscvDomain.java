// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.Objects;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;

/** What all domains share: the driver moves devices between them. */
abstract class RiscvDomain implements IommuDomain {
    /** The tag of device contexts without a table. */
    static final int NO_TAG = 0;

    private final RiscvIommu iommu;
    private final DomainType type;

    /** Whether a unit may use the tables for ever. Guarded by the driver's monitor. */
    private boolean leftBehind;

    /** Set in the driver's monitor. */
    private volatile boolean closed;

    RiscvDomain(RiscvIommu iommu, DomainType type) {
        this.iommu = iommu;
        this.type = type;
    }

    // --- for the driver, under its monitor ---

    /** Returns the first-stage context of its devices. */
    abstract long firstStage();

    /** Returns the tag of translations of its devices. */
    abstract int tag();

    /** Throws ENODEV when a unit can't walk its table. */
    abstract void checkFits(RiscvUnit unit);

    /** Notes that a device behind a unit joins. */
    abstract void join(RiscvUnit unit);

    /** Notes that a device behind a unit has left. */
    abstract void leave(RiscvUnit unit);

    /** Returns whether the unit's translations are to be forgotten when one device more leaves. */
    abstract boolean isLast(RiscvUnit unit);

    /** Gives its frames and its tag back; frames that a unit may use for ever are quarantined. */
    abstract void free();

    /** Returns whether its devices' contexts are valid. */
    final boolean passes() {
        return type != DomainType.BLOCKED;
    }

    final void leaveBehind() {
        leftBehind = true;
    }

    final boolean isLeftBehind() {
        return leftBehind;
    }

    /** Closes it; the driver has made sure that no device is attached. */
    final void end() {
        closed = true;
        free();
    }

    // --- IommuDomain ---

    /** Throws ENODEV when the domain or its driver is closed. */
    public final void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "the domain is closed");
        }
    }

    @Override
    public final DomainType type() {
        return type;
    }

    @Override
    public final RiscvIommu iommu() {
        return iommu;
    }

    @Override
    public final AttachResult attach(IommuDevice device) {
        Objects.requireNonNull(device, "device");
        iommu.attach(device, this);
        return AttachResult.ATTACHED;
    }

    @Override
    public final void detach(IommuDevice device) {
        Objects.requireNonNull(device, "device");
        iommu.detach(device, this);
    }

    @Override
    public final void close() {
        iommu.close(this);
    }
}
