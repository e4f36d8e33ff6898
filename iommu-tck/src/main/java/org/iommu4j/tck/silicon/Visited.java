// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.sim.spi.TableVisitor;

/** What a visit told, requester by requester. */
final class Visited implements TableVisitor {
    /** Far more than the tests' tables have, damaged or not. */
    private static final int MOST = 20_000_000;

    final List<Requester> requesters = new ArrayList<>();
    final List<String> problems = new ArrayList<>();
    final List<Table> tables = new ArrayList<>();
    private int count;

    /** One requester with its mappings. */
    record Requester(int sourceId, int pasid, String translation, long root, List<Mapping> mappings) {}

    /** One mapping. */
    record Mapping(long iova, long physicalAddress, long size, int prot, boolean snoopForced) {}

    /** An entry that points to a table. */
    record Table(int level, long entryAddress, long entry, long iova) {}

    Visited() {}

    private void count() {
        if (++count > MOST) {
            throw new AssertionError("a visit tells more than " + MOST + " things");
        }
    }

    @Override
    public void requester(int sourceId, int pasid, String translation, long root) {
        count();
        requesters.add(new Requester(sourceId, pasid, translation, root, new ArrayList<>()));
    }

    @Override
    public void table(int level, long entryAddress, long entry, long iova) {
        count();
        if (tables.size() < 100_000) {
            tables.add(new Table(level, entryAddress, entry, iova));
        }
    }

    @Override
    public void mapping(
            long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {
        count();
        List<Mapping> last = requesters.get(requesters.size() - 1).mappings();
        if (last.size() < 100_000) {
            last.add(new Mapping(iova, physicalAddress, size, prot, snoopForced));
        }
    }

    @Override
    public void problem(String line) {
        count();
        if (problems.size() < 100_000) {
            problems.add(line);
        }
    }
}
