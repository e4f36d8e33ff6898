// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import org.iommu4j.sim.spi.AccessStatus;
import org.jspecify.annotations.Nullable;

/**
 * Devices' process directories. Source: manual, "Process to locate the Process-context" and "Process-context
 * configuration checks".
 */
final class ProcessDirectory {
    private static final int LEAF_BITS = 8;
    private static final int INDEX_BITS = 9;
    private static final int CONTEXT_BYTES = 16;
    private static final int PROCESS_ID_BITS = 20;

    private final Memory memory;
    private final Features features;
    private final Caches caches;
    private final SecondStage second;

    ProcessDirectory(Memory memory, Features features, Caches caches, SecondStage second) {
        this.memory = memory;
        this.features = features;
        this.caches = caches;
        this.second = second;
    }

    /** Returns whether a process id is one of a directory of a mode; a mode is the number of levels. */
    static boolean has(int mode, int process) {
        return process >>> Math.min(LEAF_BITS + INDEX_BITS * (mode - 1), PROCESS_ID_BITS) == 0;
    }

    /** Finds the context of a process; null, with the cause, if there is none. */
    @Nullable
    ProcessContext locate(Request request, DeviceContext device, int process) {
        long key = ProcessContext.key(device.device, process);
        ProcessContext context = caches.processes.find(key);
        if (context == null) {
            long leaf = leaf(request, device, process);
            context = leaf < 0 ? null : read(request, device, key, leaf + (process & 0xffL) * CONTEXT_BYTES);
            if (context != null) {
                caches.processes.fill(context, request.epoch);
            }
        }
        return context;
    }

    /** Returns the address of the table of contexts, a guest's if there is a second stage, or -1. */
    private long leaf(Request request, DeviceContext device, int process) {
        long table = DeviceContext.PPN.get(device.fsc) << 12;
        for (int level = device.firstMode - 1; level > 0; level--) {
            long prefix = (long) process >>> (LEAF_BITS + INDEX_BITS * (level - 1));
            long place = prefix << 2 | level;
            long entry = caches.processTables.find(ProcessContext.tableTag(device.device), place);
            if (entry == EntryCache.MISS) {
                entry = readEntry(request, device, table + (prefix & ((1 << INDEX_BITS) - 1)) * Long.BYTES);
                if (entry == EntryCache.MISS) {
                    return -1;
                }
                caches.processTables.fill(ProcessContext.tableTag(device.device), place, 0, entry, request.epoch);
            }
            table = PageDirectory.next(entry);
        }
        return table;
    }

    private long readEntry(Request request, DeviceContext device, long at) {
        long physical = physical(request, device, at);
        if (physical < 0) {
            return EntryCache.MISS;
        }
        long entry = memory.read(physical, device.is(DeviceContext.SBE));
        if (isUnreadable(request, physical, entry)) {
            return EntryCache.MISS;
        }
        if (!PageDirectory.isValid(entry)) {
            return request.fault(Cause.PDT_NOT_VALID);
        }
        return PageDirectory.isMalformed(entry) ? request.fault(Cause.PDT_MISCONFIGURED) : entry;
    }

    /** Returns the physical address of an entry, or -1. */
    private long physical(Request request, DeviceContext device, long at) {
        if (!device.hasSecondStage()) {
            return at;
        }
        long page = second.implicit(request, device, at, false);
        if (page != EntryCache.MISS) {
            return Pte.translate(page, at);
        }
        if (request.cause == Cause.PT_CORRUPT) {
            request.fault(Cause.PDT_CORRUPT);
        } else if (request.iotval2 == 0) {
            request.fault(Cause.PDT_LOAD);
        }
        return -1;
    }

    private boolean isUnreadable(Request request, long at, long word) {
        AccessStatus status = memory.status(at, word);
        if (status != AccessStatus.OK) {
            request.fault(status == AccessStatus.POISON ? Cause.PDT_CORRUPT : Cause.PDT_LOAD);
        }
        return status != AccessStatus.OK;
    }

    private @Nullable ProcessContext read(Request request, DeviceContext device, long key, long at) {
        long physical = physical(request, device, at);
        if (physical < 0) {
            return null;
        }
        long ta = memory.read(physical, device.is(DeviceContext.SBE));
        long fsc = memory.read(physical + Long.BYTES, device.is(DeviceContext.SBE));
        if (isUnreadable(request, physical, ta) || isUnreadable(request, physical + Long.BYTES, fsc)) {
            return null;
        }
        if (!ProcessContext.V.isSet(ta)) {
            request.fault(Cause.PDT_NOT_VALID);
            return null;
        }
        boolean misconfigured = (ta & ProcessContext.RESERVED_TA) != 0
                || (fsc & DeviceContext.RESERVED_FSC) != 0
                || !features.hasFirstStage((int) DeviceContext.MODE.get(fsc));
        if (misconfigured) {
            request.fault(Cause.PDT_MISCONFIGURED);
            return null;
        }
        return new ProcessContext(key, ta, fsc);
    }
}
