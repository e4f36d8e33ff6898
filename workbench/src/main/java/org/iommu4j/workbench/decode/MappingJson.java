// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.io.PrintWriter;
import org.iommu4j.bits.Hex;
import org.iommu4j.sim.spi.TableVisitor;

/**
 * Prints every mapping as an object of a JSON array, a line each, as it is found: {@code bdf}, {@code pasid} (or null),
 * {@code iova}, {@code pa}, {@code size} in bytes, {@code perm}, {@code snoop} (whether no-snoop is blocked),
 * {@code pte}.
 */
public final class MappingJson implements TableVisitor {
    private final PrintWriter out;
    private final StringBuilder line = new StringBuilder();
    private String device = "";
    private String pasid = "";
    private boolean first = true;

    /** Makes a printer and opens the array. */
    public MappingJson(PrintWriter out) {
        this.out = out;
        out.append('[');
    }

    @Override
    public void requester(int sourceId, int pasidOfMappings, String translation, long root) {
        device = Notation.device(sourceId);
        pasid = pasidOfMappings == NO_PASID ? "null" : Integer.toString(pasidOfMappings);
    }

    @Override
    public void table(int level, long entryAddress, long entry, long iova) {
        // Only what is mapped is listed.
    }

    @Override
    public void mapping(
            long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {
        // No value can hold what JSON would have escaped.
        line.append(first ? "\n" : ",\n");
        first = false;
        line.append("{\"bdf\":\"").append(device);
        line.append("\",\"pasid\":").append(pasid);
        line.append(",\"iova\":\"").append(Hex.of(iova));
        line.append("\",\"pa\":\"").append(Hex.of(physicalAddress));
        line.append("\",\"size\":").append(Long.toUnsignedString(size));
        line.append(",\"perm\":\"").append(Notation.permission(prot));
        line.append("\",\"snoop\":").append(snoopForced);
        line.append(",\"pte\":\"").append(Hex.of(entry)).append("\"}");
        out.append(line);
        line.setLength(0);
    }

    /** Ignored: {@link GuardedVisitor} reports problems. */
    @Override
    public void problem(String text) {}

    /** Closes the array. */
    public void finish() {
        out.append("\n]\n");
    }
}
