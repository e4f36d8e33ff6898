// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import static org.iommu4j.tck.Bench.READ_WRITE;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.SiliconBench;
import org.iommu4j.tck.Subject;

/**
 * A machine with its driver, whose units are watched: each access of memory, each register write, each step.
 *
 * <p>The driver sets the unit up; the test uses the unit itself.
 */
final class Watched {
    static final int READ = RequestFlags.READ;
    static final int WRITE = RequestFlags.WRITE;

    /** Pages that {@link #map} maps for reading and writing. */
    static final int PAGES = 4;

    /** More than any unit has in its queues. */
    private static final int MANY_STEPS = 100_000;

    final Bench bench;
    final List<WatchedUnit> units;

    /** The unit that the first device is behind. */
    final WatchedUnit unit;

    /** The first device, as the unit's tables know it. */
    final int sourceId;

    private Watched(Bench bench, List<WatchedUnit> units, WatchedUnit unit, int sourceId) {
        this.bench = bench;
        this.units = units;
        this.unit = unit;
        this.sourceId = sourceId;
    }

    static Watched on(SiliconBench silicon) {
        return on(silicon, silicon.subject());
    }

    /** Returns one without caches in front of memory, which any thread may use. */
    static Watched flat(SiliconBench silicon) {
        return on(silicon, silicon.subject().flat());
    }

    private static Watched on(SiliconBench silicon, Subject subject) {
        List<WatchedUnit> units = new ArrayList<>();
        Bench bench = new Bench(subject.withUnits(recording(units)));
        String name = silicon.unit(bench.device().id());
        WatchedUnit unit = units.stream()
                .filter(each -> each.spec().name().equals(name))
                .findFirst()
                .orElseThrow();
        return new Watched(bench, units, unit, silicon.sourceId(bench.device().id()));
    }

    /** Builds another machine of the subject's kind, on which no driver is opened. */
    static Machine build(Subject subject, MachineDescription machine, List<WatchedUnit> units) {
        return subject.on(machine).withUnits(recording(units)).build();
    }

    /** Adds units to a list, and watches them. */
    private static Subject.UnitMaker recording(List<WatchedUnit> made) {
        return (silicon, spec, fabric) -> {
            WatchedFabric watched = new WatchedFabric(fabric);
            WatchedUnit unit = new WatchedUnit(silicon.create(spec, watched), watched);
            made.add(unit);
            return unit;
        };
    }

    /** Attaches the first device to a domain with {@link #PAGES} pages, and one that is not for writing. */
    IommuDomain map() {
        IommuDomain domain = bench.attached();
        bench.map(domain, iova(0), page(0), bench.granule(), PAGES, READ_WRITE);
        bench.map(domain, iova(readOnly()), page(readOnly()), bench.granule(), 1, Prot.READ | Prot.CACHE);
        return domain;
    }

    /** The page that {@link #map} maps for reading only. */
    static int readOnly() {
        return PAGES + 3;
    }

    /** Returns where a page is mapped. */
    long iova(int page) {
        return bench.iova() + page * bench.granule();
    }

    /** Returns what a page is mapped to; pages that are neighbours are none in memory. */
    long page(int page) {
        return bench.scratch() + page * bench.granule();
    }

    long translate(int from, long address, int flags) {
        return unit.translate(from, TranslationUnit.NO_PASID, address, flags);
    }

    long translate(long address, int flags) {
        return translate(sourceId, address, flags);
    }

    /** Steps all units until they have no work. */
    void settle() {
        units.forEach(Watched::settle);
    }

    /** Steps a unit until it has no work, which it must come to. */
    static void settle(TranslationUnit unit) {
        int steps = 0;
        while (unit.step()) {
            if (++steps > MANY_STEPS) {
                throw new AssertionError("a unit has work after " + MANY_STEPS + " steps");
            }
        }
    }

    /** Begins to watch all units. */
    void watch() {
        units.forEach(WatchedUnit::watch);
    }
}
