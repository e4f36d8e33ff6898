// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.amd.fmt.Command;
import org.iommu4j.amd.fmt.DeviceTableEntry;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * A device as its unit and the tables see it: the requester ids of its requests, their device table entries, its IOTLB
 * and its GCR3 table.
 *
 * <p>It has buffers for the old entries of a change. The lock of the {@link Attacher} guards all state, except where
 * stated otherwise.
 */
final class Requester {
    /** Number of words of a device table entry about translation; they are the first ones. */
    private static final int WORDS = 3;

    private final PciAddress address;
    private final AmdUnit unit;
    private final DeviceTable table;
    private final int[] ids;
    private final DeviceTlb tlb;
    private final long[] saved;

    /** The GCR3 table of its guest tables, while it uses any; read without the lock for invalidations. */
    private volatile @Nullable Gcr3Table gcr3;

    /**
     * Makes a requester; its entries are left unchanged.
     *
     * @param table the device table of its segment
     * @param ids the requester ids, its own first and then those of bridges that send on its behalf
     */
    Requester(PciAddress address, AmdUnit unit, DeviceTable table, int[] ids, DeviceTlb tlb) {
        this.address = address;
        this.unit = unit;
        this.table = table;
        this.ids = ids.clone();
        this.tlb = tlb;
        this.saved = new long[ids.length * WORDS];
    }

    PciAddress address() {
        return address;
    }

    AmdUnit unit() {
        return unit;
    }

    /** Returns its own IOTLB. */
    DeviceTlb tlb() {
        return tlb;
    }

    // --- its ids and their entries ---

    /** Returns the id of the function itself. */
    int id() {
        return ids[0];
    }

    /** Returns every id that its requests may carry, its own first. Callers must not change the array. */
    int[] ids() {
        return ids;
    }

    /** Returns whether requests of another device may carry an id of this segment too. */
    boolean shares(int id, Requester other) {
        return other.table == table && other.has(id);
    }

    private boolean has(int id) {
        for (int each : ids) {
            if (each == id) {
                return true;
            }
        }
        return false;
    }

    /**
     * Writes the translation of requests with an id; see {@link DeviceTable#set}.
     *
     * @param word1 without I, which is set where the device has an IOTLB and the entry does not block
     */
    void set(int id, long word0, long word1, long word2) {
        boolean iotlb = word0 != DeviceTableEntry.BLOCKED && tlb.isSupported();
        table.set(id, word0, iotlb ? word1 | DeviceTableEntry.I.mask() : word1, word2);
    }

    /** Writes the same for every id. */
    void setAll(long word0, long word1, long word2) {
        for (int id : ids) {
            set(id, word0, word1, word2);
        }
    }

    /** Saves the translation fields of its entries, for {@link #restore}. */
    void save() {
        for (int i = 0; i < saved.length; i++) {
            saved[i] = table.word(ids[i / WORDS], i % WORDS);
        }
    }

    /** Writes back the fields saved last. */
    void restore() {
        for (int i = 0; i < ids.length; i++) {
            table.set(
                    ids[i],
                    saved[i * WORDS],
                    saved[i * WORDS + 1] & DeviceTableEntry.TRANSLATION_1,
                    saved[i * WORDS + 2] & DeviceTableEntry.TRANSLATION_2);
        }
    }

    // --- its guest tables ---

    @Nullable
    Gcr3Table gcr3() {
        return gcr3;
    }

    void setGcr3(@Nullable Gcr3Table newGcr3) {
        gcr3 = newGcr3;
    }

    // --- invalidations, by commands to its unit ---

    /**
     * Invalidates the entries and a domain's pages in the unit, and all translations without a PASID in the device.
     *
     * @return false when the unit is broken or off, or did not execute the commands in time
     */
    boolean forget(int domainId) {
        UnitCommands commands = unit.commands();
        synchronized (commands) {
            CommandBatch batch = commands.begin();
            addEntries(batch, domainId);
            addIotlb(batch);
            return batch.complete();
        }
    }

    /**
     * Adds the commands that invalidate the entries and a domain's pages in the unit.
     *
     * @param domainId {@link DomainIds#NONE} for no domain's
     */
    void addEntries(CommandBatch batch, int domainId) {
        for (int id : ids) {
            batch.add(Command.invalidateDevtabEntry(id), 0);
        }
        if (domainId != DomainIds.NONE) {
            batch.add(Command.invalidatePages(domainId), Command.allPages());
        }
    }

    /** Adds the command that invalidates all translations without a PASID in the device. */
    void addIotlb(CommandBatch batch) {
        tlb.addForgetting(batch, Gcr3Table.ORDINARY, Command.iotlbPages(Command.allPages()));
    }

    /**
     * Adds the commands that invalidate pages of guest tables in the unit and the device's IOTLB.
     *
     * @param word1 word 1 of the command, with GN
     */
    void addGuestPages(CommandBatch batch, int pasid, long word1) {
        Gcr3Table tables = gcr3;
        if (tables == null) {
            // Not in use yet, or no longer: then nothing is cached, or everything is already invalidated.
            return;
        }
        batch.add(Command.invalidateGuestPages(tables.domainId(), pasid), word1);
        long iotlbPages = Command.iotlbPages(word1);
        tlb.addForgetting(batch, pasid, pasid == Gcr3Table.ORDINARY ? iotlbPages & ~Command.GN.mask() : iotlbPages);
    }

    @Override
    public String toString() {
        return address.toString();
    }
}
