// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.io.PrintWriter;
import org.iommu4j.bits.Hex;
import org.iommu4j.sim.spi.TableVisitor;

/** Prints every mapping as a line of its own, under a heading. */
public final class MappingList implements TableVisitor {
    private final PrintWriter out;
    private final StringBuilder line = new StringBuilder();
    private String device = "";
    private String pasid = "";

    /** Makes a printer and prints the heading. */
    public MappingList(PrintWriter out) {
        this.out = out;
        row("device", "PASID", "IOVA", "physical", "size", "perm", "snoop", "entry");
    }

    @Override
    public void requester(int sourceId, int pasidOfMappings, String translation, long root) {
        device = Notation.device(sourceId);
        pasid = pasidOfMappings == NO_PASID ? "-" : Hex.of(pasidOfMappings);
    }

    @Override
    public void table(int level, long entryAddress, long entry, long iova) {
        // Only what is mapped is listed.
    }

    @Override
    public void mapping(
            long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {
        row(
                device,
                pasid,
                Hex.of(iova),
                Hex.of(physicalAddress),
                Notation.size(size),
                Notation.permission(prot),
                snoopForced ? "forced" : "-",
                Hex.of(entry));
    }

    /** Ignored: {@link GuardedVisitor} reports problems. */
    @Override
    public void problem(String text) {}

    private void row(
            String first,
            String second,
            String iova,
            String physicalAddress,
            String size,
            String permission,
            String snoop,
            String entry) {
        Notation.left(line, first, 9);
        Notation.left(line, second, 9);
        Notation.left(line, iova, 20);
        Notation.left(line, physicalAddress, 17);
        Notation.right(line, size, 5);
        line.append("  ");
        Notation.left(line, permission, 6);
        Notation.left(line, snoop, 8);
        out.append(line).append(entry).append('\n');
        line.setLength(0);
    }
}
