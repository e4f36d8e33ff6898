// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.Arrays;
import org.iommu4j.IommuException;
import org.iommu4j.intel.fmt.ContextEntry;
import org.iommu4j.intel.fmt.PasidEntry;
import org.iommu4j.intel.fmt.RootEntry;
import org.iommu4j.intel.reg.DmarRegisters;

/** Root and context tables of legacy mode, VT-d 3.4.2: an entry for each requester id. */
final class LegacyTables implements DeviceTables {
    private static final int BUSES = 256;
    private static final long NO_FRAME = -1;

    private final String unit;
    private final boolean cachingMode;
    private final boolean forgetsByOwnId;
    private final TableMemory memory;
    private final UnitCommands commands;
    private final UnitCaches caches;
    private final long[] contextTables = new long[BUSES];
    private final long rootTable;

    /**
     * Makes an empty root table.
     *
     * @param unit the unit's name
     * @param cachingMode CAP.CM: whether the unit caches that entries are not present
     * @param forgetsByOwnId whether entries of other ids are invalidated by the device's own ({@link IntelRules})
     * @throws IommuException ENOMEM
     */
    LegacyTables(
            String unit,
            boolean cachingMode,
            boolean forgetsByOwnId,
            TableMemory memory,
            UnitCommands commands,
            UnitCaches caches) {
        this.unit = unit;
        this.cachingMode = cachingMode;
        this.forgetsByOwnId = forgetsByOwnId;
        this.memory = memory;
        this.commands = commands;
        this.caches = caches;
        Arrays.fill(contextTables, NO_FRAME);
        this.rootTable = memory.allocate(0);
    }

    @Override
    public long rootPointer() {
        return DmarRegisters.RTA.getInPlace(rootTable);
    }

    @Override
    public synchronized void prepare(Requester requester) {
        for (int id : requester.ids()) {
            int bus = id >>> 8;
            if (contextTables[bus] == NO_FRAME) {
                long table = memory.allocate(0);
                contextTables[bus] = table;
                memory.store(rootTable + (long) bus * RootEntry.SIZE, RootEntry.low(table));
            }
        }
    }

    @Override
    public synchronized void set(Requester requester, int pasid, long[] words, int domainId) {
        commands.checkUsable();
        int[] ids = requester.ids();
        save(requester);
        try {
            clearSaved(requester);
            if (words.length != 0) {
                for (int id : ids) {
                    write(entry(id), words[0], words[1]);
                }
                announce(ids, domainId);
            }
        } catch (IommuException e) {
            for (int i = 0; i < ids.length; i++) {
                long entry = entry(ids[i]);
                memory.store(entry, 0);
                write(entry, requester.savedLow()[i], requester.savedHigh()[i]);
            }
            throw e;
        }
    }

    @Override
    public synchronized void clear(Requester requester, int pasid) {
        save(requester);
        clearSaved(requester);
    }

    @Override
    public void change(Requester requester, int pasid, int domainId, int word, long mask, boolean set) {
        throw new IllegalStateException(unit + ": a context entry of legacy mode has nothing to change");
    }

    @Override
    public void takeBack(Requester requester, int pasid, int domainId, int word, long mask, boolean set) {
        throw new IllegalStateException(unit + ": a context entry of legacy mode was never changed");
    }

    private void save(Requester requester) {
        int[] ids = requester.ids();
        for (int i = 0; i < ids.length; i++) {
            long entry = entry(ids[i]);
            requester.savedLow()[i] = memory.load(entry);
            requester.savedHigh()[i] = memory.load(entry + 8);
        }
    }

    /** Clears the entries whose old words the requester keeps, and invalidates them in the unit and the device. */
    private void clearSaved(Requester requester) {
        int[] ids = requester.ids();
        boolean any = false;
        for (int i = 0; i < ids.length; i++) {
            if (ContextEntry.P.isSet(requester.savedLow()[i])) {
                memory.store(entry(ids[i]), 0);
                memory.store(entry(ids[i]) + 8, 0);
                any = true;
            }
        }
        if (any) {
            caches.forgetContexts(ids, forgetsByOwnId, requester.savedLow(), requester.savedHigh());
            caches.flushDevice(requester.tlb(), PasidEntry.NO_PASID, UnitCaches.ALL_FIRST, UnitCaches.ALL_LAST);
        }
    }

    /** Invalidates the entries in a unit that may have cached that they were not present. */
    private void announce(int[] ids, int domainId) {
        if (cachingMode) {
            caches.forgetMissingContexts(ids);
            caches.flush(domainId, UnitCaches.ALL_FIRST, UnitCaches.ALL_LAST, false);
        } else {
            commands.flushWriteBuffer();
        }
    }

    private void write(long entry, long low, long high) {
        // The high word first: the low word's P makes both valid.
        memory.store(entry + 8, high);
        memory.store(entry, low);
    }

    private long entry(int requesterId) {
        long table = contextTables[requesterId >>> 8];
        if (table == NO_FRAME) {
            throw new IllegalStateException(
                    unit + ": no context table for requester 0x" + Integer.toHexString(requesterId));
        }
        return table + (long) (requesterId & 0xff) * ContextEntry.SIZE;
    }

    @Override
    public synchronized long countFrames() {
        return memory.inUse();
    }

    @Override
    public synchronized void free() {
        for (int bus = 0; bus < BUSES; bus++) {
            if (contextTables[bus] != NO_FRAME) {
                memory.free(contextTables[bus], 0);
                contextTables[bus] = NO_FRAME;
            }
        }
        memory.free(rootTable, 0);
    }
}
