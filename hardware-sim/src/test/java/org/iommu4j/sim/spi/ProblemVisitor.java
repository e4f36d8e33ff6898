// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.util.ArrayList;
import java.util.List;

/** Keeps the problems alone, of a listing that may be too long to record. */
public final class ProblemVisitor implements TableVisitor {
    /** The problems so far. */
    public final List<String> problems = new ArrayList<>();

    @Override
    public void requester(int requesterId, int pasid, String translation, long root) {}

    @Override
    public void table(int level, long entryAddress, long entry, long iova) {}

    @Override
    public void mapping(
            long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {}

    @Override
    public void problem(String line) {
        problems.add(line);
    }
}
