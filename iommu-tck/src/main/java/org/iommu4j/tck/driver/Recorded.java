// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;

import java.util.Set;
import java.util.TreeSet;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDomain;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.Requester;

/** A domain of the first device, and of the second if it is let in, with pages to write. */
final class Recorded {
    static final int PAGES = 200;

    final Bench bench;
    final IommuDomain domain;
    final DirtyTracking tracking;
    final long page;
    final boolean both;

    Recorded(Bench bench, boolean both) {
        this.bench = bench;
        page = bench.granule();
        domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.DIRTY_TRACKING));
        bench.map(domain, bench.iova(), bench.scratch(), page, PAGES, READ_WRITE);
        bench.attach(domain, bench.device());
        this.both = both && domain.attach(bench.second()).attached();
        tracking = domain.dirtyTracking().orElseThrow();
    }

    void record(boolean enabled) {
        bench.steps().note("setDirtyTracking(%s)", enabled);
        tracking.setDirtyTracking(enabled);
    }

    long at(int number) {
        return bench.iova() + number * page;
    }

    void write(int number) {
        write(bench.requester(), at(number));
    }

    void writeBySecond(int number) {
        write(both ? bench.secondRequester() : bench.requester(), at(number));
    }

    void write(Requester who, long iova) {
        bench.steps().note("device writes at 0x%x", iova);
        assertThat(who.write(iova, iova ^ 5, false)).as("a write at 0x%x", iova).isTrue();
    }

    DirtyBitmap bitmap(int first, int count) {
        return new DirtyBitmap(at(first), page, count);
    }

    void read(DirtyBitmap bitmap, boolean clear) {
        bench.steps().note("readAndClearDirty(0x%x, 0x%x, %s)", bitmap.start(), bitmap.size(), clear);
        tracking.readAndClearDirty(bitmap, clear);
    }

    /** Takes both devices out; a broken unit does not confirm that. */
    void detach() {
        Detaching.quietly(domain, bench);
        Errnos.of(() -> domain.detach(bench.second()));
    }

    void clear() {
        read(bitmap(0, PAGES), true);
    }

    Set<Integer> read(int first, int count, boolean clear) {
        DirtyBitmap bitmap = bitmap(first, count);
        read(bitmap, clear);
        Set<Integer> marked = new TreeSet<>();
        for (int i = 0; i < PAGES; i++) {
            if (bitmap.isMarked(at(i))) {
                marked.add(i);
            }
        }
        assertThat(bitmap.count()).as("marks in a range that is all mapped").isEqualTo(marked.size());
        return marked;
    }

    void assertWritten(boolean clear, Integer... pages) {
        assertThat(read(0, PAGES, clear)).as("written pages").containsExactlyInAnyOrder(pages);
    }

    static Recorded recording(Bench bench) {
        Recorded recorded = new Recorded(bench, true);
        recorded.record(true);
        recorded.clear();
        return recorded;
    }
}
