// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

/**
 * The start of a walk of a PASID's guest tables: the device table entry, and the epoch of its words.
 *
 * <p>Source: 48882, section 2.2.2, "Device Table". A thread reuses one object for all its walks, so that a walk
 * allocates nothing.
 */
final class GuestWalk {
    /** The first word of the device table entry, as {@link DeviceTableCache} keeps it. */
    long entry0;
    /** Its second word. */
    long entry1;
    /** The domain of the entry. */
    int domainId;
    /** The PASID; 0 also stands for a request without PASID. */
    int pasid;
    /** The domain and PASID that tag cached entries. */
    long tag;
    /** The epoch before the device table entry was looked up. */
    long epoch;

    /** Starts from a device table entry with GV. */
    void start(long entry0, long entry1, int pasid, long epoch) {
        this.entry0 = entry0;
        this.entry1 = entry1;
        this.pasid = pasid;
        this.epoch = epoch;
        domainId = (int) AmdViDeviceTableEntry.DOMAIN_ID.get(entry1);
        tag = WalkCache.guestTag(domainId, pasid);
    }

    /** Returns whether host tables translate the guest's addresses. */
    boolean isNested() {
        return AmdViDeviceTableEntry.MODE.get(entry0) != 0;
    }
}
