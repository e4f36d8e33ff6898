// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.iommu4j.IommuException;
import org.iommu4j.intel.fmt.PasidEntry;
import org.iommu4j.intel.fmt.ScalableContextEntry;
import org.iommu4j.intel.fmt.ScalableRootEntry;
import org.iommu4j.intel.reg.DmarRegisters;

/**
 * Root, context and PASID tables of scalable mode, VT-d 3.4.3.
 *
 * <p>A device's context entries are made when it is probed and lead to its PASID table; requests without PASID use the
 * entry of PASID 0 there. Afterwards only PASID entries change. Where two functions share a requester id, the first
 * one's table is used for it; both belong to one group and move together. Source: {@code device_pasid_table_setup} and
 * {@code drivers/iommu/intel/pasid.c}.
 */
final class ScalableTables implements DeviceTables {
    /** Two context tables for each of 256 buses. */
    private static final int HALF_BUSES = 512;

    private static final int CONTEXTS = 128;
    private static final long NO_FRAME = -1;
    private static final long SCALABLE_MODE = DmarRegisters.TTM.of(1);

    private final String unit;
    private final boolean cachingMode;
    private final TableMemory memory;
    private final UnitCommands commands;
    private final UnitCaches caches;
    private final long[] contextTables = new long[HALF_BUSES];
    private final List<PasidTable> pasidTables = new ArrayList<>();
    private final long rootTable;

    /**
     * Makes an empty root table.
     *
     * @param unit the unit's name
     * @param cachingMode CAP.CM: whether the unit caches that entries are not present
     * @throws IommuException ENOMEM
     */
    ScalableTables(String unit, boolean cachingMode, TableMemory memory, UnitCommands commands, UnitCaches caches) {
        this.unit = unit;
        this.cachingMode = cachingMode;
        this.memory = memory;
        this.commands = commands;
        this.caches = caches;
        Arrays.fill(contextTables, NO_FRAME);
        this.rootTable = memory.allocate(0);
    }

    @Override
    public long rootPointer() {
        return DmarRegisters.RTA.getInPlace(rootTable) | SCALABLE_MODE;
    }

    @Override
    public synchronized void prepare(Requester requester) {
        for (int id : requester.ids()) {
            int half = id >>> 7;
            if (contextTables[half] == NO_FRAME) {
                long table = memory.allocate(0);
                contextTables[half] = table;
                memory.store(rootTable + (long) half * (ScalableRootEntry.SIZE / 2), ScalableRootEntry.half(table));
            }
        }
        PasidTable table = new PasidTable(memory, requester.maxPasids());
        pasidTables.add(table);
        requester.setPasidTable(table);
        int[] ids = requester.ids();
        long low = ScalableContextEntry.low(
                table.directory(),
                table.directoryEntries(),
                requester.tlb().isSupported(),
                requester.maxPasids() > 0,
                requester.asksForPages());
        for (int id : ids) {
            long entry = context(id);
            if (!ScalableContextEntry.P.isSet(memory.load(entry))) {
                // RID_PASID is 0, and so are the reserved words.
                memory.store(entry, low);
            }
        }
        if (cachingMode) {
            caches.forgetMissingContexts(ids);
        } else {
            commands.flushWriteBuffer();
        }
    }

    @Override
    public synchronized void set(Requester requester, int pasid, long[] words, int domainId) {
        commands.checkUsable();
        long entry = requester.pasidTable().prepare(pasid);
        long[] saved = requester.savedPasidEntry();
        save(entry, saved);
        try {
            clear(requester, pasid, entry, saved);
            if (words.length != 0) {
                write(entry, words);
                announce(pasid, words);
            }
        } catch (IommuException e) {
            memory.store(entry, 0);
            write(entry, saved);
            throw e;
        }
    }

    @Override
    public synchronized void clear(Requester requester, int pasid) {
        long entry = requester.pasidTable().entry(pasid);
        long[] saved = requester.savedPasidEntry();
        save(entry, saved);
        clear(requester, pasid, entry, saved);
    }

    private void save(long entry, long[] words) {
        for (int i = 0; i < words.length; i++) {
            words[i] = memory.load(entry + i * 8L);
        }
    }

    private void clear(Requester requester, int pasid, long entry, long[] old) {
        if (!PasidEntry.P.isSet(old[0])) {
            return;
        }
        // P is cleared first and alone: the unit may fetch the entry in pieces.
        memory.store(entry, 0);
        try {
            forget(requester, pasid, old);
        } finally {
            for (int i = 1; i < old.length; i++) {
                memory.store(entry + i * 8L, 0);
            }
        }
    }

    /** Invalidates an entry and its translations, in the unit and then in the device: VT-d 6.5.3.3. */
    private void forget(Requester requester, int pasid, long[] old) {
        caches.forgetPasidEntry((int) PasidEntry.DID.get(old[1]), pasid, isByPasid(old));
        caches.flushDevice(requester.tlb(), pasid, UnitCaches.ALL_FIRST, UnitCaches.ALL_LAST);
    }

    private static boolean isByPasid(long[] words) {
        long type = PasidEntry.PGTT.get(words[0]);
        return type == PasidEntry.PGTT_FIRST_STAGE || type == PasidEntry.PGTT_PASS_THROUGH;
    }

    /** Invalidates the entry in a unit in caching mode, which may have cached that it was not present. */
    private void announce(int pasid, long[] words) {
        if (cachingMode) {
            caches.forgetPasidEntry((int) PasidEntry.DID.get(words[1]), pasid, true);
        } else {
            commands.flushWriteBuffer();
        }
    }

    @Override
    public synchronized void change(Requester requester, int pasid, int domainId, int word, long mask, boolean set) {
        long entry = requester.pasidTable().entry(pasid);
        long[] words = requester.savedPasidEntry();
        save(entry, words);
        long changed = changed(words, domainId, word, mask, set);
        if (changed == words[word]) {
            return;
        }
        commands.checkUsable();
        memory.store(entry + word * 8L, changed);
        try {
            forget(requester, pasid, words);
        } catch (IommuException e) {
            memory.store(entry + word * 8L, words[word]);
            throw e;
        }
    }

    @Override
    public synchronized void takeBack(Requester requester, int pasid, int domainId, int word, long mask, boolean set) {
        long entry = requester.pasidTable().entry(pasid);
        long[] words = requester.savedPasidEntry();
        save(entry, words);
        long changed = changed(words, domainId, word, mask, set);
        if (changed != words[word]) {
            memory.store(entry + word * 8L, changed);
            forget(requester, pasid, words);
        }
    }

    /** Returns a word with bits set or cleared, or unchanged where the entry does not belong to the domain. */
    private static long changed(long[] words, int domainId, int word, long mask, boolean set) {
        boolean own = PasidEntry.P.isSet(words[0]) && PasidEntry.DID.get(words[1]) == domainId;
        return !own ? words[word] : set ? words[word] | mask : words[word] & ~mask;
    }

    private void write(long entry, long[] words) {
        // The lowest word is stored last: its P makes all words valid.
        for (int i = words.length - 1; i >= 0; i--) {
            memory.store(entry + i * 8L, words[i]);
        }
    }

    private long context(int requesterId) {
        long table = contextTables[requesterId >>> 7];
        if (table == NO_FRAME) {
            throw new IllegalStateException(
                    unit + ": no context table for requester 0x" + Integer.toHexString(requesterId));
        }
        return table + (long) (requesterId % CONTEXTS) * ScalableContextEntry.SIZE;
    }

    @Override
    public synchronized long countFrames() {
        return memory.inUse();
    }

    @Override
    public synchronized void free() {
        for (PasidTable table : pasidTables) {
            table.free();
        }
        pasidTables.clear();
        for (int half = 0; half < HALF_BUSES; half++) {
            if (contextTables[half] != NO_FRAME) {
                memory.free(contextTables[half], 0);
                contextTables[half] = NO_FRAME;
            }
        }
        memory.free(rootTable, 0);
    }
}
