// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.List;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.jspecify.annotations.Nullable;

/**
 * A domain's fields for device table entries, and its uses, as the {@link Attacher} needs them.
 *
 * <p>Its lock guards all fields that are neither final nor volatile.
 */
abstract class DomainState {
    private final DomainType type;
    private final int id;
    private final AttachmentList<Attachment> attachments = new AttachmentList<>();

    /** A unit that never confirmed may still use the domain's tables and id. */
    private boolean leftBehind;

    /** Changed under the attacher's lock, read without it. */
    private volatile boolean closed;

    /**
     * Makes a domain without uses.
     *
     * @param id the tag of its pages, or {@link DomainIds#NONE}
     */
    DomainState(DomainType type, int id) {
        this.type = type;
        this.id = id;
    }

    /** One use of the domain: a device's ordinary requests, or its requests with one PASID. Equal to itself only. */
    final class Attachment {
        private final Requester requester;
        private final int pasid;

        private Attachment(Requester requester, int pasid) {
            this.requester = requester;
            this.pasid = pasid;
        }

        DomainState domain() {
            return DomainState.this;
        }

        Requester requester() {
            return requester;
        }

        /** Returns the PASID, or {@link Gcr3Table#ORDINARY}. */
        int pasid() {
            return pasid;
        }

        /** Ends the use: its unit has invalidated the domain, or never will. Never allocates. */
        void leave() {
            remove(this);
        }

        @Override
        public String toString() {
            return pasid == Gcr3Table.ORDINARY ? requester.toString() : requester + " with PASID " + pasid;
        }
    }

    /** Returns the type of the domain. */
    public final DomainType type() {
        return type;
    }

    // --- fields for entries ---

    /** Returns the tag of entries cached by units, or {@link DomainIds#NONE}. */
    final int id() {
        return id;
    }

    /** Returns word 0 of a device table entry that uses this domain, without its GCR3 table. */
    abstract long entryWord0();

    /** Returns word 1 of a device table entry that uses this domain, without its GCR3 table and the device's IOTLB. */
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

    // --- its uses ---

    /** Returns the uses of the domain, which may be walked without the lock. */
    final AttachmentList<Attachment> attachments() {
        return attachments;
    }

    /**
     * Returns why a device can't use this domain, or null.
     *
     * @param unit the device's unit
     * @param pasids the device's uses with PASIDs, of any domain
     */
    @Nullable
    String refuses(AmdUnit unit, List<Attachment> pasids) {
        return null;
    }

    /** Starts a use before hardware uses it: from now on invalidations go to its unit. */
    final Attachment join(Requester requester, int pasid) {
        Attachment attachment = new Attachment(requester, pasid);
        add(attachment);
        return attachment;
    }

    /** Adds a use. */
    void add(Attachment attachment) {
        attachments.add(attachment);
    }

    /** Removes a use. Never allocates. */
    void remove(Attachment attachment) {
        attachments.remove(attachment);
    }

    /** Records that a unit may use the domain's tables and id permanently. */
    final void leaveBehind() {
        leftBehind = true;
    }

    final boolean isLeftBehind() {
        return leftBehind;
    }

    // --- open and closed ---

    final boolean isClosed() {
        return closed;
    }

    /** Refuses all later calls. */
    final void shut() {
        closed = true;
    }

    /**
     * Throws when the domain or its driver is closed.
     *
     * @throws IommuException ENODEV
     */
    public final void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, this + " is closed");
        }
    }

    @Override
    public String toString() {
        return type + " domain " + id;
    }
}
