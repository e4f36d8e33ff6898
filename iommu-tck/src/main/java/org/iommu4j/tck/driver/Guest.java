// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.iommu4j.tck.Bench.READ_WRITE;

import java.util.Set;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDomain;
import org.iommu4j.capability.GuestInvalidation;
import org.iommu4j.capability.GuestInvalidationRequest;
import org.iommu4j.capability.Nesting;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.GuestTables;
import org.iommu4j.tck.GuestTables.Entry;

/** A guest with its memory below a parent: two sets of tables, and pages of data behind them. */
final class Guest {
    static final int DATA = 8;

    final Bench bench;
    final GuestTables tables;
    final IommuDomain parent;
    final Nesting nesting;
    final long page;
    final long root;
    final long otherRoot;
    final long data;
    final long virtual;

    Guest(Bench bench) {
        this.bench = bench;
        tables = bench.traits().guestTables().orElseThrow();
        page = bench.granule();
        root = bench.iova();
        otherRoot = root + tables.tableBytes();
        data = otherRoot + tables.tableBytes();
        virtual = (1L << 35) + 5 * page;
        parent = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.NEST_PARENT));
        bench.map(parent, root, bench.scratch(), page, (data - root) / page + DATA, READ_WRITE);
        nesting = parent.nesting().orElseThrow();
        for (int i = 0; i < 4; i++) {
            write(i, i, Entry.READ_WRITE);
        }
    }

    long host(long guestPhysical) {
        return bench.scratch() + (guestPhysical - root);
    }

    long at(int number) {
        return virtual + number * page;
    }

    long hostOf(int number) {
        return host(data + number * page);
    }

    void write(int virtualPage, int dataPage, Entry entry) {
        write(root, virtualPage, data + dataPage * page, entry);
    }

    void write(long tableRoot, int virtualPage, long target, Entry entry) {
        bench.steps().note("guest maps 0x%x to 0x%x, %s", at(virtualPage), target, entry);
        tables.map((address, value) -> bench.store(host(address), value), tableRoot, at(virtualPage), target, entry);
    }

    IommuDomain nested() {
        return nested(root);
    }

    IommuDomain nested(long tableRoot) {
        bench.steps().note("allocateNested(0x%x)", tableRoot);
        return nesting.allocateNested(bench.device(), tables.table(tableRoot));
    }

    IommuDomain attached() {
        IommuDomain nested = nested();
        bench.attach(nested, bench.device());
        return nested;
    }

    void assertReaches(int virtualPage, int dataPage) {
        bench.assertReaches(at(virtualPage), hostOf(dataPage));
    }

    void assertAll() {
        for (int i = 0; i < 4; i++) {
            assertReaches(i, i);
        }
    }

    static GuestInvalidation invalidation(IommuDomain nested) {
        return nested.guestInvalidation().orElseThrow();
    }

    static void invalidate(Bench bench, IommuDomain nested, GuestInvalidationRequest request) {
        bench.steps().note("invalidate(%s)", request);
        invalidation(nested).invalidate(request);
    }
}
