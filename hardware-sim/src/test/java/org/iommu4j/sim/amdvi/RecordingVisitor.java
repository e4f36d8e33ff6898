// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.Prot;
import org.iommu4j.sim.spi.TableVisitor;

/** What a reader reported, a line each. */
final class RecordingVisitor implements TableVisitor {
    final List<String> lines = new ArrayList<>();

    @Override
    public void requester(int requesterId, int pasid, String translation, long root) {
        lines.add(String.format("%04x pasid %d: %s, root %x", requesterId, pasid, translation, root));
    }

    @Override
    public void table(int level, long entryAddress, long entry, long iova) {
        lines.add(String.format("table level %d at %x: %x for %x", level, entryAddress, entry, iova));
    }

    @Override
    public void mapping(
            long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {
        lines.add(String.format(
                "map %x to %x size %x %s%s %x level %d",
                iova, physicalAddress, size, Prot.toString(prot), snoopForced ? " forced" : "", entry, level));
    }

    @Override
    public void problem(String line) {
        lines.add("problem: " + line);
    }
}
