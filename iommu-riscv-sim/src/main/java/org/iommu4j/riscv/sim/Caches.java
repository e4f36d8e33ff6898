// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.StateDigest;

/**
 * All that the unit remembers of structures in memory, and what commands make it forget.
 *
 * <p>Source: manual, "Caching in-memory data structures" and the sections on IOTINVAL and IODIR. Entries that are not
 * valid are never cached. First-stage pages are cached by what they translate to, which is a guest's address if there
 * is a second stage. So IOTINVAL.GVMA need not reach them.
 */
final class Caches {
    private static final long PAGES = -1L >>> 12;

    /** The epoch of all caches. */
    final Epoch epoch = new Epoch();

    final ContextCache<DeviceContext> devices = new ContextCache<>(epoch);
    final ContextCache<ProcessContext> processes = new ContextCache<>(epoch);

    /** Entries of the device directory that lead to tables, and of process directories. */
    final EntryCache deviceTables = new EntryCache(epoch);

    final EntryCache processTables = new EntryCache(epoch);

    final EntryCache firstPages = new EntryCache(epoch);
    final EntryCache firstTables = new EntryCache(epoch);
    final EntryCache secondPages = new EntryCache(epoch);
    final EntryCache secondTables = new EntryCache(epoch);
    final EntryCache msiPages = new EntryCache(epoch);

    /** Obeys an IOTINVAL.VMA. */
    void invalidateFirstStage(Command command) {
        boolean guest = command.hasGuest();
        long tag = guest ? guestTag(command) : DeviceContext.TAGGED;
        long mask = DeviceContext.GUEST | (guest ? DeviceContext.guest(-1) : 0);
        long kept = 0;
        if (command.hasPscid()) {
            tag |= command.pscid();
            mask = -1L;
            kept = Pte.G;
        }
        long first = command.hasAddress() ? command.firstPage() : 0;
        long last = command.hasAddress() ? command.lastPage() : PAGES;
        firstPages.remove(mask, tag, first, last, kept);
        if (!command.hasAddress() || command.reachesTables()) {
            firstTables.remove(mask, tag, first, last, kept);
        }
    }

    /** Obeys an IOTINVAL.GVMA. */
    void invalidateSecondStage(Command command) {
        long mask = command.hasGuest() ? -1L : 0;
        long tag = guestTag(command);
        boolean ranged = command.hasGuest() && command.hasAddress();
        long first = ranged ? command.firstPage() : 0;
        long last = ranged ? command.lastPage() : PAGES;
        secondPages.remove(mask, tag, first, last, 0);
        msiPages.remove(mask, tag, first, last, 0);
        if (!ranged || command.reachesTables()) {
            secondTables.remove(mask, tag, first, last, 0);
        }
    }

    private static long guestTag(Command command) {
        return DeviceContext.TAGGED | DeviceContext.GUEST | DeviceContext.guest(command.gscid());
    }

    /** Obeys an IODIR.INVAL_DDT of all devices. */
    void invalidateDirectories() {
        devices.removeIf(key -> true);
        deviceTables.remove(0, 0);
        processes.removeIf(key -> true);
        processTables.remove(0, 0);
    }

    /** Obeys an IODIR.INVAL_DDT of one device. */
    void invalidateDevice(int device) {
        devices.removeIf(key -> key == device);
        processes.removeIf(key -> ProcessContext.device(key) == device);
        processTables.remove(-1L, ProcessContext.tableTag(device));
    }

    /** Obeys an IODIR.INVAL_PDT. */
    void invalidateProcess(int device, int process) {
        long wanted = ProcessContext.key(device, process);
        processes.removeIf(key -> key == wanted);
    }

    void reset() {
        devices.reset();
        processes.reset();
        for (EntryCache cache : entryCaches()) {
            cache.reset();
        }
    }

    void addTo(StateDigest digest) {
        devices.addTo(digest);
        processes.addTo(digest);
        for (EntryCache cache : entryCaches()) {
            cache.addTo(digest);
        }
    }

    private EntryCache[] entryCaches() {
        return new EntryCache[] {
            deviceTables, processTables, firstPages, firstTables, secondPages, secondTables, msiPages
        };
    }
}
