// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import org.iommu4j.sim.spi.AccessStatus;

/**
 * Second-stage tables: guest-physical addresses to physical ones.
 *
 * <p>Source: Privileged specification, "Two-Stage Address Translation" and "Guest Physical Address Translation". All
 * accesses are a user's. The root has four times the entries of other tables.
 */
final class SecondStage {
    /** Flags of iotval2. */
    private static final long IMPLICIT = 1;

    private static final long IMPLICIT_WRITE = 3;

    private static final long ROOT_INDEX = 2047;
    private static final long INDEX = 511;

    private final Memory memory;
    private final Features features;
    private final Control control;
    private final Caches caches;

    SecondStage(Memory memory, Features features, Control control, Caches caches) {
        this.memory = memory;
        this.features = features;
        this.control = control;
        this.caches = caches;
    }

    /** Returns the page of an address that a first stage brought, or 0 with the fault. */
    long explicit(Request request, DeviceContext device, long address) {
        return translate(request, device, address, request.needed(), request.wanted, 0);
    }

    /** Returns the page of an entry of a first-stage table or a process directory, or 0 with the fault. */
    long implicit(Request request, DeviceContext device, long address, boolean write) {
        long needed = write ? Pte.R | Pte.W : Pte.R;
        return translate(request, device, address, needed, needed, write ? IMPLICIT_WRITE : IMPLICIT);
    }

    private long translate(Request request, DeviceContext device, long address, long needed, long wanted, long flags) {
        long page = caches.secondPages.find(device.guestTag, address >>> 12);
        if (page == EntryCache.MISS || mustMark(page, wanted)) {
            page = walk(request, device, address, needed, wanted, flags);
        } else if ((needed & ~page) != 0) {
            return request.guestPageFault(address, flags);
        }
        return page;
    }

    /** Returns whether the entry of a page must be marked dirty, or accessed, first. */
    private static boolean mustMark(long page, long wanted) {
        return (page & Pte.A) == 0 || ((wanted & page & Pte.W) != 0 && (page & Pte.D) == 0);
    }

    private long walk(Request request, DeviceContext device, long address, long needed, long wanted, long flags) {
        int levels = Features.levels(device.secondMode);
        if (address >>> (12 + 9 * levels + 2) != 0) {
            return request.guestPageFault(address, flags);
        }
        long known = caches.secondTables.find(device.guestTag, address >>> 12);
        long table = known == EntryCache.MISS ? device.secondRoot : Pte.address(known);
        int level = (known == EntryCache.MISS ? levels : Pte.level(known)) - 1;
        long indexMask = known == EntryCache.MISS ? ROOT_INDEX : INDEX;
        while (true) {
            long at = table + ((address >>> (12 + 9 * level)) & indexMask) * Long.BYTES;
            long pte = memory.read(at, control.isBigEndian());
            AccessStatus status = memory.status(at, pte);
            if (status != AccessStatus.OK) {
                return request.unreadable(status);
            }
            long entry = Pte.decode(pte, level, features.reservedPteBits);
            if (entry == 0) {
                return request.guestPageFault(address, flags);
            }
            if (!Pte.isLeaf(entry)) {
                caches.secondTables.fill(device.guestTag, address >>> 12, Pte.sizeOf(entry), entry, request.epoch);
                table = Pte.address(entry);
                indexMask = INDEX;
                level--;
                continue;
            }
            if ((entry & Pte.U) == 0 || (needed & ~entry) != 0) {
                return request.guestPageFault(address, flags);
            }
            if (mustMark(entry, wanted)) {
                if (!device.is(DeviceContext.GADE)) {
                    return request.guestPageFault(address, flags);
                }
                if (!memory.isWritable(at)) {
                    return request.accessFault();
                }
                long marks = Pte.A | (wanted & entry & Pte.W) << Pte.W_TO_D;
                if (!memory.compareAndSet(at, pte, pte | marks, control.isBigEndian())) {
                    continue; // another agent changed it: read it again
                }
                entry |= marks;
            }
            caches.secondPages.fill(device.guestTag, address >>> 12, Pte.sizeOf(entry), entry, request.epoch);
            return entry;
        }
    }
}
