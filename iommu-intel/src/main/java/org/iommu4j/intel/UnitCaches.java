// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.intel.fmt.ContextEntry;
import org.iommu4j.intel.fmt.InvalidationDescriptor;
import org.iommu4j.intel.reg.Capability;
import org.iommu4j.intel.reg.DmarRegisters;
import org.iommu4j.platform.RegisterWindow;

/**
 * The caches of a unit and of the devices behind it, and their invalidation: VT-d 6.5. Answers to page requests go the
 * same way.
 *
 * <p>A unit whose invalidation did not complete is broken permanently ({@link UnitCommands#breakDown}). All methods
 * throw ETIMEDOUT when that happens and EIO from then on. They also throw EIO once the unit is stopped, when its queue
 * is freed.
 */
final class UnitCaches {
    /** A range that means all of a domain. */
    static final long ALL_FIRST = 1;

    /** See {@link #ALL_FIRST}. */
    static final long ALL_LAST = 0;

    private final String unit;
    private final Capability cap;
    private final boolean scalable;
    private final UnitCommands commands;
    private final RegisterWindow window;
    private final Invalidator invalidator;
    private final FaultLog faults;

    UnitCaches(
            String unit,
            Capability cap,
            boolean scalable,
            UnitCommands commands,
            RegisterWindow window,
            Invalidator invalidator,
            FaultLog faults) {
        this.unit = unit;
        this.cap = cap;
        this.scalable = scalable;
        this.commands = commands;
        this.window = window;
        this.invalidator = invalidator;
        this.faults = faults;
    }

    /** Refuses all requests from now on, after a request in progress. */
    void stop() {
        synchronized (invalidator) {
            commands.stop();
        }
    }

    /** Invalidates everything in the unit. */
    void flushAll() {
        synchronized (invalidator) {
            invalidator.contextCache(InvalidationDescriptor.GLOBAL, 0, 0);
            finish();
            if (scalable) {
                invalidator.pasidCache(InvalidationDescriptor.PASID_CACHE_GLOBAL, 0, 0);
                finish();
            }
            invalidator.iotlb(InvalidationDescriptor.GLOBAL, 0, 0, 0, false);
            finish();
        }
    }

    /**
     * Invalidates a range of a second stage in the unit, by pages where it can and the range is small enough.
     *
     * @param first first byte
     * @param last last byte, inclusive; below {@code first} for all of the domain
     */
    void flush(int domainId, long first, long last, boolean leavesOnly) {
        synchronized (invalidator) {
            commands.checkUsable();
            int mask = mask(first, last);
            if (isByPage(mask, first, last)) {
                invalidator.iotlb(
                        InvalidationDescriptor.PAGE, domainId, first & (-1L << (12 + mask)), mask, leavesOnly);
            } else {
                invalidator.iotlb(InvalidationDescriptor.DOMAIN, domainId, 0, 0, false);
            }
            finish();
        }
    }

    /** Invalidates a range of one PASID's first stage in the unit; see {@link #flush}. */
    void flushPasid(int domainId, int pasid, long first, long last, boolean leavesOnly) {
        synchronized (invalidator) {
            commands.checkUsable();
            int mask = mask(first, last);
            if (isByPage(mask, first, last)) {
                invalidator.pasidIotlb(
                        InvalidationDescriptor.PASID_PAGE,
                        domainId,
                        pasid,
                        first & (-1L << (12 + mask)),
                        mask,
                        leavesOnly);
            } else {
                invalidator.pasidIotlb(InvalidationDescriptor.PASID_ALL, domainId, pasid, 0, 0, false);
            }
            finish();
        }
    }

    /**
     * Makes the unit see entries of a second stage that became present: VT-d 6.1 and 6.8.
     *
     * @param first first byte
     * @param last last byte, inclusive; below {@code first} for all of the domain
     */
    void syncMap(int domainId, long first, long last) {
        if (cap.cachingMode()) {
            flush(domainId, first, last, false);
        } else {
            commands.flushWriteBuffer();
        }
    }

    /** Invalidates a range in a device, after its unit: otherwise it could refill its TLB from the unit. */
    void flushDevice(DeviceTlb tlb, int pasid, long first, long last) {
        if (!tlb.isInUse()) {
            return;
        }
        synchronized (invalidator) {
            commands.checkUsable();
            int mask = Long.compareUnsigned(first, last) <= 0 ? mask(first, last) : InvalidationDescriptor.ALL_PAGES;
            boolean all = mask >= InvalidationDescriptor.ALL_PAGES;
            invalidator.deviceTlb(
                    tlb, pasid, all ? 0 : first & (-1L << (12 + mask)), all ? InvalidationDescriptor.ALL_PAGES : mask);
            finish();
        }
    }

    /** Sends the answer to a group of page requests through the unit; the unit does not track groups. */
    void respondToPageRequest(int requesterId, int pasid, int group, int code) {
        synchronized (invalidator) {
            commands.checkUsable();
            invalidator.pageGroupResponse(requesterId, pasid, group, code);
            finish();
        }
    }

    /** Makes the unit write all arrived page requests to their queue, or answer them: VT-d 7.10. */
    void drainPageRequests() {
        synchronized (invalidator) {
            commands.checkUsable();
            invalidator.drainPageRequests();
            finish();
        }
    }

    /** Returns log2 of the smallest aligned power of two of pages that covers a range. */
    private static int mask(long first, long last) {
        return 64 - Long.numberOfLeadingZeros((first ^ last) >>> 12);
    }

    private boolean isByPage(int mask, long first, long last) {
        return cap.pageSelectiveInvalidation()
                && mask <= cap.maximumAddressMask()
                && Long.compareUnsigned(first, last) <= 0;
    }

    // ---- legacy mode ---------------------------------------------------------------------------------------------

    /**
     * Invalidates context entries that were present: those whose old words have P.
     *
     * @param aliases the requester ids, the device's own first
     * @param byOwnId whether all are invalidated by that one
     */
    void forgetContexts(int[] aliases, boolean byOwnId, long[] low, long[] high) {
        synchronized (invalidator) {
            commands.checkUsable();
            // The IOTLB after the context cache; otherwise an old context entry could refill it.
            for (int i = 0; i < aliases.length; i++) {
                if (ContextEntry.P.isSet(low[i])) {
                    invalidator.contextCache(
                            InvalidationDescriptor.DEVICE,
                            (int) ContextEntry.DID.get(high[i]),
                            aliases[byOwnId ? 0 : i]);
                }
            }
            finish();
            int last = -1;
            for (int i = 0; i < aliases.length; i++) {
                int domainId = (int) ContextEntry.DID.get(high[i]);
                if (ContextEntry.P.isSet(low[i]) && domainId != last) {
                    invalidator.iotlb(InvalidationDescriptor.DOMAIN, domainId, 0, 0, false);
                    last = domainId;
                }
            }
            finish();
        }
    }

    /** Invalidates context entries in a unit in caching mode, which may have cached that they were not present. */
    void forgetMissingContexts(int[] aliases) {
        synchronized (invalidator) {
            commands.checkUsable();
            for (int alias : aliases) {
                // Entries that are not present are tagged with id 0: VT-d 6.1.
                invalidator.contextCache(InvalidationDescriptor.DEVICE, 0, alias);
            }
            finish();
        }
    }

    // ---- scalable mode -------------------------------------------------------------------------------------------

    /**
     * Invalidates a PASID entry and its translations in the unit, in the order of VT-d 6.5.3: the PASID cache first;
     * otherwise the old entry could refill the IOTLB.
     *
     * @param byPasid whether the entry's translations are tagged with the PASID, as for a first stage and pass-through
     */
    void forgetPasidEntry(int domainId, int pasid, boolean byPasid) {
        synchronized (invalidator) {
            commands.checkUsable();
            invalidator.pasidCache(InvalidationDescriptor.PASID_CACHE_PASID, domainId, pasid);
            finish();
            if (byPasid) {
                invalidator.pasidIotlb(InvalidationDescriptor.PASID_ALL, domainId, pasid, 0, 0, false);
            } else {
                invalidator.iotlb(InvalidationDescriptor.DOMAIN, domainId, 0, 0, false);
            }
            finish();
        }
    }

    private void finish() {
        if (!invalidator.complete()) {
            commands.breakDown();
            faults.drain();
            int status = window.read32(DmarRegisters.FSTS.offset());
            throw new IommuException(
                    Errno.ETIMEDOUT,
                    unit + ": an invalidation did not complete, the unit is broken from now on; "
                            + DmarRegisters.FSTS.decode(status) + ", " + invalidator.state());
        }
    }
}
