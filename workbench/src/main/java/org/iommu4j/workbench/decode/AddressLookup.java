// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TableVisitor;
import org.iommu4j.sim.spi.Translation;
import org.jspecify.annotations.Nullable;

/** Looks one address up in all that a device has: its ordinary requests, and those of each of its PASIDs. */
public final class AddressLookup implements TableVisitor {
    private final long address;
    private final WalkPath path = new WalkPath();
    private final List<Entry> entries = new ArrayList<>();

    /**
     * One address space in which the address was looked up.
     *
     * @param sourceId of the device, as the unit counts
     * @param pasid 0 to 2^20 - 1, or {@link TableVisitor#NO_PASID}
     * @param translation how it is translated, in the manual's words; null when the device has no entry
     * @param steps the entries that lead to the mapping, from the top down; empty when there is none
     * @param mapping what maps the address, or null
     * @param read what a read gets: a {@link Translation}
     * @param write what a write gets: a {@link Translation}
     */
    public record Entry(
            int sourceId,
            int pasid,
            @Nullable String translation,
            List<WalkStep> steps,
            @Nullable Mapping mapping,
            long read,
            long write) {
        /** Copies the list. */
        public Entry {
            steps = List.copyOf(steps);
        }
    }

    /** A mapping, with the values of {@link TableVisitor#mapping}. */
    public record Mapping(
            long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {}

    /** Makes a lookup of an address, in bytes. */
    public AddressLookup(long address) {
        this.address = address;
    }

    @Override
    public void requester(int sourceId, int pasid, String translation, long root) {
        path.clear();
        entries.add(new Entry(sourceId, pasid, translation, List.of(), null, 0, 0));
    }

    @Override
    public void table(int level, long entryAddress, long entry, long iova) {
        path.descend(level, entryAddress, entry);
    }

    @Override
    public void mapping(
            long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {
        if (Long.compareUnsigned(address - iova, size) < 0) {
            path.ascendTo(level);
            Entry found = entries.remove(entries.size() - 1);
            Mapping mapping = new Mapping(iova, physicalAddress, size, prot, snoopForced, entry, level);
            entries.add(new Entry(found.sourceId(), found.pasid(), found.translation(), path.steps(), mapping, 0, 0));
        }
    }

    /** Ignored: {@link GuardedVisitor} reports problems. */
    @Override
    public void problem(String line) {}

    /** Returns what was found, with what the unit itself answers; at least the ordinary requests of the device. */
    public List<Entry> answers(TableReader reader, int sourceId) {
        List<Entry> found =
                entries.isEmpty() ? List.of(new Entry(sourceId, NO_PASID, null, List.of(), null, 0, 0)) : entries;
        return found.stream()
                .map(entry -> new Entry(
                        entry.sourceId(),
                        entry.pasid(),
                        entry.translation(),
                        entry.steps(),
                        entry.mapping(),
                        reader.translate(sourceId, entry.pasid(), address, RequestFlags.READ),
                        reader.translate(sourceId, entry.pasid(), address, RequestFlags.WRITE)))
                .toList();
    }
}
