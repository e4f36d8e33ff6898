// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.IommuException;
import org.jspecify.annotations.Nullable;

/**
 * The caches that may hold translations of one domain: the IOTLBs of units, by domain id or by domain id and PASID, and
 * the translation caches of devices.
 *
 * <p>The two lists are changed under the domain's lock and read without one: a removed element still leads to the next.
 * A tag is added before its entry becomes present, and removed after the entry is invalidated. So a flush that misses
 * the tag has nothing to flush there. Source: {@code drivers/iommu/intel/cache.c}.
 */
final class CacheTags {
    /** The table on which a tag's entries in an IOTLB depend. */
    enum Kind {
        /** The second stage of this domain: tagged with the domain id, invalidated by address. */
        SECOND_STAGE,
        /** The first stage of this domain: tagged with domain id and PASID. */
        FIRST_STAGE,
        /** This domain's second stage below another domain's first; the addresses that depend on it are unknown. */
        BELOW_A_FIRST_STAGE
    }

    /** Entries of one IOTLB. */
    private static final class Tag {
        final IntelUnit unit;
        final int domainId;
        final int pasid;
        final Kind kind;
        int users = 1;
        volatile @Nullable Tag next;

        Tag(IntelUnit unit, int domainId, int pasid, Kind kind, @Nullable Tag next) {
            this.unit = unit;
            this.domainId = domainId;
            this.pasid = pasid;
            this.kind = kind;
            this.next = next;
        }
    }

    /** A device, or one PASID of it, that the domain translates for. */
    static final class Attachment {
        final IntelDevice device;
        final int pasid;
        final int domainId;
        final Kind kind;
        private volatile @Nullable Attachment next;

        private Attachment(IntelDevice device, int pasid, int domainId, Kind kind, @Nullable Attachment next) {
            this.device = device;
            this.pasid = pasid;
            this.domainId = domainId;
            this.kind = kind;
            this.next = next;
        }

        @Nullable
        Attachment next() {
            return next;
        }
    }

    private volatile @Nullable Tag tags;
    private volatile @Nullable Attachment attachments;

    /** Returns the first attachment, the newest. */
    @Nullable
    Attachment attachments() {
        return attachments;
    }

    /** Adds a device's caches; under the domain's lock. */
    void add(IntelDevice device, int pasid, int domainId, Kind kind) {
        attachments = new Attachment(device, pasid, domainId, kind, attachments);
        Tag tag = find(device.unit(), domainId, pasid, kind);
        if (tag != null) {
            tag.users++;
        } else {
            tags = new Tag(device.unit(), domainId, pasid, kind, tags);
        }
    }

    private @Nullable Tag find(IntelUnit unit, int domainId, int pasid, Kind kind) {
        for (Tag tag = tags; tag != null; tag = tag.next) {
            if (tag.unit == unit
                    && tag.domainId == domainId
                    && tag.kind == kind
                    && (kind != Kind.FIRST_STAGE || tag.pasid == pasid)) {
                return tag;
            }
        }
        return null;
    }

    /** Removes a device's caches; under the domain's lock. Never allocates. */
    void remove(IntelDevice device, int pasid, int domainId, Kind kind) {
        Attachment before = null;
        Attachment at = attachments;
        while (at != null
                && !(at.device == device && at.pasid == pasid && at.domainId == domainId && at.kind == kind)) {
            before = at;
            at = at.next;
        }
        if (at == null) {
            throw new IllegalStateException(device + ", PASID " + pasid + " has no tag of domain id " + domainId);
        }
        if (before == null) {
            attachments = at.next;
        } else {
            before.next = at.next;
        }
        Tag tag = find(device.unit(), domainId, pasid, kind);
        if (tag != null && --tag.users == 0) {
            unlink(tag);
        }
    }

    private void unlink(Tag tag) {
        Tag before = null;
        for (Tag at = tags; at != null && at != tag; at = at.next) {
            before = at;
        }
        if (before == null) {
            tags = tag.next;
        } else {
            before.next = tag.next;
        }
    }

    /**
     * Invalidates a range everywhere, units first and then devices; all are asked, even when one does not answer.
     *
     * @param first first byte
     * @param last last byte, inclusive; below {@code first} for everything
     * @throws IommuException ETIMEDOUT, EIO
     */
    void flush(long first, long last, boolean leavesOnly) {
        IommuException failure = null;
        for (Tag tag = tags; tag != null; tag = tag.next) {
            UnitCaches caches = tag.unit.caches();
            try {
                switch (tag.kind) {
                    case SECOND_STAGE -> caches.flush(tag.domainId, first, last, leavesOnly);
                    case FIRST_STAGE -> caches.flushPasid(tag.domainId, tag.pasid, first, last, leavesOnly);
                    case BELOW_A_FIRST_STAGE ->
                        caches.flush(tag.domainId, UnitCaches.ALL_FIRST, UnitCaches.ALL_LAST, false);
                }
            } catch (IommuException e) {
                failure = failure == null ? e : failure;
            }
        }
        for (Attachment at = attachments; at != null; at = at.next) {
            boolean all = at.kind == Kind.BELOW_A_FIRST_STAGE;
            try {
                at.device
                        .unit()
                        .caches()
                        .flushDevice(
                                at.device.tlb(),
                                at.pasid,
                                all ? UnitCaches.ALL_FIRST : first,
                                all ? UnitCaches.ALL_LAST : last);
            } catch (IommuException e) {
                failure = failure == null ? e : failure;
            }
        }
        if (failure != null) {
            throw failure;
        }
    }

    /**
     * Makes every unit see entries that became present.
     *
     * @throws IommuException ETIMEDOUT, EIO
     */
    void syncMap(long first, long last) {
        for (Tag tag = tags; tag != null; tag = tag.next) {
            boolean all = tag.kind == Kind.BELOW_A_FIRST_STAGE;
            tag.unit
                    .caches()
                    .syncMap(tag.domainId, all ? UnitCaches.ALL_FIRST : first, all ? UnitCaches.ALL_LAST : last);
        }
    }
}
