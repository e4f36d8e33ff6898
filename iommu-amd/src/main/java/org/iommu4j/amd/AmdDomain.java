// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.jspecify.annotations.Nullable;

/**
 * A domain of this driver: what a device table entry says, and who uses it.
 *
 * <p>Attaching and detaching are one at a time under the lock of the {@link Attacher}, which also guards what is not final or volatile here.
 */
abstract class AmdDomain implements IommuDomain {
    private final DriverState driver;
    private final Attacher attacher;
    private final DomainType type;
    private final int id;
    private final AttachmentList attachments = new AttachmentList();

    /** A unit that never confirmed may still use the domain's tables and id. */
    private boolean leftBehind;

    /** Changed under the attacher's lock, read without. */
    private volatile boolean closed;

    AmdDomain(DriverState driver, Attacher attacher, DomainType type, int id) {
        this.driver = driver;
        this.attacher = attacher;
        this.type = type;
        this.id = id;
    }

    @Override
    public final DomainType type() {
        return type;
    }

    @Override
    public final Iommu iommu() {
        return driver.iommu();
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
            if (closed) {
                return;
            }
            if (!attachments.isEmpty()) {
                throw new IommuException(Errno.EBUSY, "close " + this + ": attached are " + attachments);
            }
            driver.forget(this);
            free();
            if (!leftBehind && id != DomainIds.NONE) {
                driver.domainIds().free(id);
            }
        }
    }

    final DriverState driver() {
        return driver;
    }

    final Attacher attacher() {
        return attacher;
    }

    // --- for the driver, under the attacher's lock ---

    /** Returns the id that tags what units cache, or {@link DomainIds#NONE}. */
    final int id() {
        return id;
    }

    /** Returns the uses of the domain. */
    final AttachmentList attachments() {
        return attachments;
    }

    /** Returns word 0 of a device table entry that uses this domain, but for its GCR3 table. */
    abstract long entryWord0();

    /** Returns word 1 of a device table entry that uses this domain, but for its GCR3 table and the device's IOTLB. */
    long entryWord1() {
        return id;
    }

    /** Returns whether a device's PASIDs work while its ordinary requests use this domain. */
    boolean allowsPasids() {
        return false;
    }

    /** Returns the root that GCR3 tables point to, or 0 when ordinary requests need none. */
    long guestRoot() {
        return 0;
    }

    /** Returns why a device can't use this domain, or null. */
    @Nullable
    String refuses(AmdDevice device) {
        return null;
    }

    /** Adds a use, before hardware knows: from now on its unit is told what to forget. */
    void add(Attachment attachment) {
        attachments.add(attachment);
    }

    /** Removes a use whose unit has forgotten this domain, or never will. Never allocates. */
    void remove(Attachment attachment) {
        attachments.remove(attachment);
    }

    /** Notes that a unit may use the domain's tables and id for good. */
    final void leaveBehind() {
        leftBehind = true;
    }

    final boolean isLeftBehind() {
        return leftBehind;
    }

    /**
     * Refuses to go on with a domain that is closed, or whose driver is.
     *
     * @throws IommuException ENODEV
     */
    final void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, this + " is closed");
        }
    }

    /** Frees what the domain has, or keeps it for good when a unit was left with it. */
    void free() {
        closed = true;
    }

    @Override
    public String toString() {
        return type + " domain " + id;
    }
}
