// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.bits.BitField;

/** What all domains share: the driver moves devices between them. */
abstract class MinimalDomain implements IommuDomain {
    private static final BitField V = BitField.bit(0, "V");
    private static final BitField T = BitField.bit(1, "T");

    private final MinimalIommu iommu;
    private final DomainType type;
    private final long top;

    /** Whether the unit may use the tables for ever. Guarded by the driver's monitor. */
    boolean leftBehind;

    /** Set in the driver's monitor. */
    volatile boolean closed;

    /** Makes a domain with a top table at a physical address, or with 0. */
    MinimalDomain(MinimalIommu iommu, DomainType type, long top) {
        this.iommu = iommu;
        this.type = type;
        this.top = top;
    }

    final long top() {
        return top;
    }

    /** Returns the word of its devices in the device table. */
    final long deviceTableEntry() {
        return type.isPaging() ? V.mask() | T.mask() | top : type == DomainType.IDENTITY ? V.mask() : 0;
    }

    /** Gives its frames back, or quarantines them. */
    abstract void free(boolean forgotten);

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
    public final MinimalIommu iommu() {
        return iommu;
    }

    @Override
    public final AttachResult attach(IommuDevice device) {
        iommu.attach(device, this);
        return AttachResult.ATTACHED;
    }

    @Override
    public final void detach(IommuDevice device) {
        iommu.detach(device, this);
    }

    @Override
    public final void close() {
        iommu.close(this);
    }
}
