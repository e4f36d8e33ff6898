// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import org.iommu4j.sim.spi.AccessStatus;

/**
 * First-stage tables: I/O virtual addresses to guest-physical ones, or to physical ones without a second stage.
 *
 * <p>Source: Privileged specification, "Virtual Address Translation Process".
 */
final class FirstStage {
    private final Memory memory;
    private final Features features;
    private final Caches caches;
    private final SecondStage second;

    FirstStage(Memory memory, Features features, Caches caches, SecondStage second) {
        this.memory = memory;
        this.features = features;
        this.caches = caches;
        this.second = second;
    }

    /**
     * Returns the page of a request's address, with the rights that the request has there, or 0 with the fault.
     *
     * @param fsc mode and root of the tables
     * @param pscid the address space
     * @param sum whether a supervisor may use users' pages
     */
    long translate(Request request, DeviceContext device, long fsc, long pscid, boolean sum) {
        long tag = device.firstTag | pscid;
        long page = caches.firstPages.find(tag, request.address >>> 12);
        if (page != EntryCache.MISS) {
            page = withRights(request, page, sum);
            if (page == 0 || !mustMark(request, page)) {
                return page;
            }
        }
        return walk(request, device, fsc, tag, sum);
    }

    /** Returns a page without the rights that the request has not there, or 0 with the fault if one is needed. */
    private static long withRights(Request request, long page, boolean sum) {
        boolean users = (page & Pte.U) != 0;
        if (users == request.privileged && !(users && sum)) {
            return request.pageFault();
        }
        // A supervisor never executes users' pages.
        long rights = users && request.privileged ? page & ~Pte.X : page;
        return (request.needed() & ~rights) != 0 ? request.pageFault() : rights;
    }

    private static boolean mustMark(Request request, long page) {
        return (page & Pte.A) == 0 || ((request.wanted & page & Pte.W) != 0 && (page & Pte.D) == 0);
    }

    private long walk(Request request, DeviceContext device, long fsc, long tag, boolean sum) {
        long address = request.address;
        int levels = Features.levels((int) DeviceContext.MODE.get(fsc));
        int unused = Long.SIZE - 12 - 9 * levels;
        if (address << unused >> unused != address) {
            return request.pageFault();
        }
        long known = caches.firstTables.find(tag, address >>> 12);
        long table = known == EntryCache.MISS ? DeviceContext.PPN.get(fsc) << 12 : Pte.address(known);
        int level = (known == EntryCache.MISS ? levels : Pte.level(known)) - 1;
        long global = known & Pte.G;
        boolean bigEndian = device.is(DeviceContext.SBE);
        while (true) {
            long at = table + ((address >>> (12 + 9 * level)) & 511) * Long.BYTES;
            long physical = physical(request, device, at, false);
            if (physical < 0) {
                return 0;
            }
            long pte = memory.read(physical, bigEndian);
            AccessStatus status = memory.status(physical, pte);
            if (status != AccessStatus.OK) {
                return request.unreadable(status);
            }
            long entry = Pte.decode(pte, level, features.reservedPteBits);
            if (entry == 0) {
                return request.pageFault();
            }
            global |= entry & Pte.G; // of all below
            entry |= global;
            if (!Pte.isLeaf(entry)) {
                caches.firstTables.fill(tag, address >>> 12, Pte.sizeOf(entry), entry, request.epoch);
                table = Pte.address(entry);
                level--;
                continue;
            }
            long page = withRights(request, entry, sum);
            if (page == 0) {
                return 0;
            }
            if (mustMark(request, page)) {
                if (!device.is(DeviceContext.SADE)) {
                    return request.pageFault();
                }
                long marks = Pte.A | (request.wanted & page & Pte.W) << Pte.W_TO_D;
                physical = physical(request, device, at, true);
                if (physical < 0) {
                    return 0;
                }
                if (!memory.isWritable(physical)) {
                    return request.accessFault();
                }
                if (!memory.compareAndSet(physical, pte, pte | marks, bigEndian)) {
                    continue; // another agent changed it: read it again
                }
                entry |= marks;
                page |= marks;
            }
            caches.firstPages.fill(tag, address >>> 12, Pte.sizeOf(entry), entry, request.epoch);
            return page;
        }
    }

    /** Returns the physical address of an entry, or -1 with the fault. */
    private long physical(Request request, DeviceContext device, long at, boolean write) {
        if (!device.hasSecondStage()) {
            return at;
        }
        long page = second.implicit(request, device, at, write);
        return page == 0 ? -1 : Pte.translate(page, at);
    }
}
