// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.iommufd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.PageResponse;
import org.iommu4j.intel.conformance.IntelMachines;
import org.iommu4j.intel.conformance.VtdGuest;
import org.iommu4j.it.domain.CoherenceInvariants;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.tck.GuestTables.Entry;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.iommufd.DirtyRange;
import org.iommu4j.vfio.iommufd.FaultQueue;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.HwptState;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.PageFault;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Random calls of a VMM whose guest has an IOMMU, beside a simple model: HWPTs of each kind, PASIDs, a guest's tables,
 * records of written pages, and page requests. After each call the device reads through the silicon what the model
 * says, and blocks no-snoop.
 */
class IommufdGuestPropertyTest {
    private static final long PAGE = IommufdBench.PAGE;
    private static final int STEPS = 4000;
    private static final int TURN = 50;

    /** Pages that calls map are below; then come the guest's tables, in every IOAS. */
    private static final int PAGES = 12;

    private static final long TABLES = 40 * PAGE;
    private static final long TABLES_MEMORY = IommufdBench.MEMORY + 48 * PAGE;
    private static final int NO_PASID = 0;
    private static final int[] PASIDS = {5, 6};
    private static final int RW = IoasMap.READABLE | IoasMap.WRITEABLE;

    private enum Kind {
        PLAIN(0),
        FOR_PASIDS(HwptAlloc.PASID),
        RECORDING(HwptAlloc.DIRTY_TRACKING),
        PARENT(HwptAlloc.NEST_PARENT),
        DELIVERING(HwptAlloc.PASID | HwptAlloc.FAULT_ID_VALID),
        NESTED(0);

        private final int flags;

        Kind(int flags) {
            this.flags = flags;
        }
    }

    /** A HWPT: the areas below it, and for one that records its written pages. */
    private static final class Table {
        final Kind kind;
        final NavigableMap<Long, Area> areas;
        final int parent;
        final Set<Long> written = new TreeSet<>();
        boolean recording;

        Table(Kind kind, NavigableMap<Long, Area> areas, int parent) {
            this.kind = kind;
            this.areas = areas;
            this.parent = parent;
        }

        boolean takesPasids() {
            return (kind.flags & HwptAlloc.PASID) != 0;
        }
    }

    private record Area(int pages, long memory) {}

    private record Waiting(int cookie, int pasid, long iova) {}

    private IommufdBench bench;
    private Iommufd iommufd;
    private VfioDeviceFile file;
    private int device;
    private FaultQueue queue;
    private Endpoint endpoint;
    private final VtdGuest guest = new VtdGuest();
    private final Map<Integer, TreeMap<Long, Area>> ioas = new TreeMap<>();
    private final Map<Integer, Table> tables = new TreeMap<>();

    /** The HWPT of each PASID, of ordinary requests under 0. */
    private final Map<Integer, Integer> attached = new TreeMap<>();

    /** What the guest's tables map: pages by pages. */
    private final Map<Long, Long> guestPages = new TreeMap<>();

    private final List<Waiting> waiting = new ArrayList<>();
    private final Map<Kind, Integer> reads = new EnumMap<>(Kind.class);
    private CoherenceInvariants invariants;

    /** Whether requests wait on when their PASID moves to a HWPT without the queue. */
    private boolean forgets;

    private Random random = new Random();
    private int answered;
    private int recorded;

    @ParameterizedTest
    @ValueSource(strings = {"6.17", "7.3"})
    void theDeviceReachesWhatTheGuestAndItsMonitorSay(String release) {
        long seed = Long.getLong("iommu4j.seed", 20261201L);
        random = new Random(seed);
        bench = new IommufdBench(IntelMachines.withEverything(), release, 64);
        forgets = release.equals("6.17");
        iommufd = bench.open();
        file = bench.file(bench.first);
        device = file.bind(iommufd);
        queue = iommufd.faultQueueAlloc(0);
        endpoint = bench.machine.endpoint(IommufdBench.FIRST);
        invariants = new CoherenceInvariants(bench.machine, Set.of(), Set.of());
        endpoint.config().write(4, 2, 6);
        for (int i = 0; i < 2; i++) {
            int id = iommufd.ioasAlloc(0);
            ioas.put(id, new TreeMap<>());
            iommufd.ioasMap(new IoasMap(RW | IoasMap.FIXED_IOVA, id, TABLES_MEMORY, guest.tableBytes(), TABLES));
        }
        for (int step = 0; step < STEPS; step++) {
            String what = step(step);
            check(String.format("%s -Diommu4j.seed=%d step %d: %s", release, seed, step, what));
        }
        assertThat(reads.keySet()).as("kinds of HWPTs that were read through").containsExactly(Kind.values());
        assertThat(answered).as("page requests").isPositive();
        assertThat(recorded).as("pages that were recorded").isPositive();
        file.close();
        queue.close();
        iommufd.close();
        assertThat(bench.process.pinned()).isZero();
        assertThat(bench.account.charged()).isZero();
        assertThat(iommufd.objects()).isZero();
        bench.core.close();
        bench.iommu.close();
        assertThat(bench.iommu.quarantinedFrames()).isZero();
    }

    /** PASIDs and a guest's tables exclude each other, and so take turns. */
    private String step(int number) {
        int id = any(ioas.keySet());
        int pasid = PASIDS[random.nextInt(PASIDS.length)];
        boolean pasids = number / TURN % 2 == 0;
        if (number % TURN == 0) {
            detach(PASIDS[0]);
            detach(PASIDS[1]);
            return detach(NO_PASID);
        }
        return switch (random.nextInt(20)) {
            case 0, 1 -> map(id);
            case 2, 3 -> unmap(id);
            case 4, 5 -> allocate(id, pasids);
            case 6 -> destroy();
            case 7, 8 -> attach(NO_PASID);
            case 9 -> detach(NO_PASID);
            case 10, 11 -> guestMaps();
            case 12 -> answer();
            case 13, 14 -> pasids ? attach(pasid) : write();
            case 15 -> pasids ? detach(pasid) : record();
            case 16, 17 -> pasids ? ask() : write();
            case 18 -> pasids ? ask() : record();
            default -> write();
        };
    }

    private int any(Set<Integer> ids) {
        List<Integer> all = new ArrayList<>(ids);
        return all.get(random.nextInt(all.size()));
    }

    private static Errno errno(Runnable call) {
        try {
            call.run();
            return null;
        } catch (IommuException refusal) {
            return refusal.errno();
        }
    }

    // ---- mappings --------------------------------------------------------------------------------------------------

    private static long at(NavigableMap<Long, Area> areas, long iova) {
        Map.Entry<Long, Area> below = areas.floorEntry(iova);
        return below == null || iova >= below.getKey() + below.getValue().pages * PAGE
                ? -1
                : below.getValue().memory + (iova - below.getKey());
    }

    private String map(int id) {
        TreeMap<Long, Area> areas = ioas.get(id);
        int pages = 1 + random.nextInt(4);
        long iova = (1 + random.nextInt(PAGES)) * PAGE;
        long memory = IommufdBench.MEMORY + random.nextInt(40) * PAGE;
        boolean free = true;
        for (int i = 0; i < pages; i++) {
            free &= at(areas, iova + i * PAGE) < 0;
        }
        Errno errno =
                errno(() -> iommufd.ioasMap(new IoasMap(RW | IoasMap.FIXED_IOVA, id, memory, pages * PAGE, iova)));
        assertThat(errno).isEqualTo(free ? null : Errno.EEXIST);
        if (free) {
            areas.put(iova, new Area(pages, memory));
        }
        return "map";
    }

    private String unmap(int id) {
        TreeMap<Long, Area> areas = ioas.get(id);
        if (areas.isEmpty()) {
            return "nothing to unmap";
        }
        List<Long> all = new ArrayList<>(areas.keySet());
        long iova = all.get(random.nextInt(all.size()));
        Area area = areas.remove(iova);
        assertThat(iommufd.ioasUnmap(id, iova, area.pages * PAGE)).isEqualTo(area.pages * PAGE);
        tables.values().stream()
                .filter(table -> table.areas == areas)
                .forEach(table -> table.written.removeIf(page -> at(areas, page) < 0));
        return "unmap";
    }

    // ---- HWPTs -----------------------------------------------------------------------------------------------------

    private String allocate(int id, boolean pasids) {
        if (tables.size() > 9) {
            return destroy();
        }
        Kind kind = Kind.values()[random.nextInt(Kind.values().length)];
        if (random.nextBoolean()) {
            kind = pasids ? Kind.DELIVERING : random.nextBoolean() ? Kind.NESTED : Kind.RECORDING;
        }
        if (kind == Kind.NESTED) {
            return nest();
        }
        int made = iommufd.hwptAlloc(new HwptAlloc(
                kind.flags, device, id, HwptAlloc.DATA_NONE, null, kind == Kind.DELIVERING ? queue.id() : 0));
        tables.put(made, new Table(kind, ioas.get(id), 0));
        return "make " + kind;
    }

    private String nest() {
        if (tables.isEmpty()) {
            return "no parent";
        }
        int parent = anyOfAKind();
        Table below = tables.get(parent);
        HwptAlloc alloc = new HwptAlloc(0, device, parent, HwptAlloc.DATA_VTD_S1, guest.table(TABLES), 0);
        if (below.kind != Kind.PARENT) {
            assertThat(errno(() -> iommufd.hwptAlloc(alloc))).isEqualTo(Errno.EINVAL);
            return "nested on " + below.kind;
        }
        tables.put(iommufd.hwptAlloc(alloc), new Table(Kind.NESTED, below.areas, parent));
        return "nested";
    }

    private String destroy() {
        if (tables.isEmpty()) {
            return "no HWPT";
        }
        int id = any(tables.keySet());
        boolean used = attached.containsValue(id) || tables.values().stream().anyMatch(each -> each.parent == id);
        assertThat(errno(() -> iommufd.destroy(id))).isEqualTo(used ? Errno.EBUSY : null);
        if (!used) {
            tables.remove(id);
        }
        return "destroy";
    }

    /** Returns a HWPT, each kind that there is as likely as any other. */
    private int anyOfAKind() {
        Map<Kind, List<Integer>> kinds = new EnumMap<>(Kind.class);
        tables.forEach((id, table) ->
                kinds.computeIfAbsent(table.kind, kind -> new ArrayList<>()).add(id));
        List<List<Integer>> all = new ArrayList<>(kinds.values());
        List<Integer> ids = all.get(random.nextInt(all.size()));
        return ids.get(random.nextInt(ids.size()));
    }

    private String attach(int pasid) {
        if (tables.isEmpty()) {
            return "no HWPT";
        }
        int id = anyOfAKind();
        Table table = tables.get(id);
        Integer ordinary = attached.get(NO_PASID);
        boolean fits = pasid == NO_PASID
                ? table.takesPasids() || attached.keySet().stream().allMatch(each -> each == NO_PASID)
                : table.takesPasids()
                        && (ordinary == null || tables.get(ordinary).takesPasids());
        boolean stays = Integer.valueOf(id).equals(attached.get(pasid));
        Errno errno = errno(() -> {
            if (pasid == NO_PASID) {
                file.attach(id);
            } else {
                file.attachPasid(pasid, id);
            }
        });
        assertThat(errno).isEqualTo(fits || stays ? null : Errno.EINVAL);
        if (fits && !stays) {
            attached.put(pasid, id);
            left(pasid, forgets && table.kind != Kind.DELIVERING);
        }
        return "attach PASID " + pasid + " to " + table.kind + ": " + errno;
    }

    private String detach(int pasid) {
        if (pasid == NO_PASID) {
            file.detach();
        } else {
            file.detachPasid(pasid);
        }
        attached.remove(pasid);
        left(pasid, false);
        return "detach PASID " + pasid;
    }

    /** What waited of a PASID that has moved was answered by its driver; the queue may have forgotten to. */
    private void left(int pasid, boolean forgotten) {
        bench.machine.runPending();
        for (Waiting each : List.copyOf(waiting)) {
            if (each.pasid == pasid) {
                assertThat(endpoint.lastPageResponse()).isEqualTo(PageResponse.INVALID.code());
                assertThat(errno(() -> queue.write(each.cookie, 0))).isEqualTo(forgotten ? null : Errno.EINVAL);
                waiting.remove(each);
            }
        }
    }

    // ---- the guest -------------------------------------------------------------------------------------------------

    private String guestMaps() {
        long from = (1 + random.nextInt(PAGES)) * PAGE;
        Long to = random.nextInt(4) == 0 ? null : Long.valueOf((1 + random.nextInt(PAGES)) * PAGE);
        guest.map(
                (address, value) -> bench.machine
                        .memory(0)
                        .store(bench.process.translate(TABLES_MEMORY + (address - TABLES)), value),
                TABLES,
                from,
                to == null ? 0 : to,
                to == null ? Entry.ABSENT : Entry.READ_WRITE);
        if (to == null) {
            guestPages.remove(from);
        } else {
            guestPages.put(from, to);
        }
        tables.forEach((id, table) -> {
            if (table.kind == Kind.NESTED) {
                assertThat(iommufd.hwptInvalidate(id, 24, List.of(guest.page(from)))
                                .done())
                        .isEqualTo(1);
            }
        });
        return "the guest maps " + Long.toHexString(from) + " to " + to;
    }

    // ---- page requests ---------------------------------------------------------------------------------------------

    private String ask() {
        List<Integer> asking = attached.keySet().stream()
                .filter(each -> each != NO_PASID && tables.get(attached.get(each)).kind == Kind.DELIVERING)
                .toList();
        // Above what is mapped, or among it.
        long iova = (1 + random.nextInt(PAGES + 8)) * PAGE;
        if (asking.isEmpty()) {
            return "nobody asks";
        }
        int pasid = asking.get(random.nextInt(asking.size()));
        if (at(tables.get(attached.get(pasid)).areas, iova) >= 0) {
            return "nobody asks for a page";
        }
        endpoint.usePasid(pasid);
        endpoint.read(iova, false);
        assertThat(endpoint.lastStatus()).isEqualTo(RequestStatus.PAGE_AWAITED);
        bench.machine.runPending();
        List<PageFault> faults = queue.read();
        if (waiting.stream().anyMatch(each -> each.pasid == pasid && each.iova == iova)) {
            assertThat(faults).as("the device waits for the page already").isEmpty();
            return "PASID " + pasid + " waits";
        }
        assertThat(faults).hasSize(1);
        PageFault fault = faults.get(0);
        assertThat(fault.deviceId()).isEqualTo(device);
        assertThat(fault.pasid()).isEqualTo(pasid);
        assertThat(fault.request().address()).isEqualTo(iova);
        waiting.add(new Waiting(fault.cookie(), pasid, iova));
        if (waiting.size() > 4) {
            answer();
        }
        return "PASID " + pasid + " asks";
    }

    private String answer() {
        if (waiting.isEmpty()) {
            return "nothing to answer";
        }
        Waiting oldest = waiting.remove(random.nextInt(waiting.size()));
        int code = random.nextInt(2);
        queue.write(oldest.cookie, code);
        bench.machine.runPending();
        assertThat(endpoint.lastPageResponse())
                .isEqualTo((code == 0 ? PageResponse.SUCCESS : PageResponse.INVALID).code());
        answered++;
        return "answer";
    }

    // ---- written pages ---------------------------------------------------------------------------------------------

    /** The device writes what is there already. */
    private String write() {
        Integer id = attached.get(NO_PASID);
        if (id == null || tables.get(id).kind == Kind.NESTED) {
            return "nobody writes";
        }
        Table table = tables.get(id);
        long iova = (1 + random.nextInt(PAGES)) * PAGE;
        long memory = at(table.areas, iova);
        if (memory < 0) {
            return "nothing to write";
        }
        endpoint.usePasid(TranslationUnit.NO_PASID);
        assertThat(endpoint.write(iova, memory, false)).isTrue();
        if (table.recording) {
            table.written.add(iova);
        }
        return "write";
    }

    private String record() {
        List<Integer> all = new ArrayList<>();
        tables.forEach((id, table) -> {
            if (table.kind == Kind.RECORDING) {
                all.add(id);
            }
        });
        if (all.isEmpty()) {
            return "nobody records";
        }
        Integer used = attached.get(NO_PASID);
        int id = all.contains(used) ? used : all.get(random.nextInt(all.size()));
        Table table = tables.get(id);
        if (!table.recording || random.nextInt(5) == 0) {
            table.recording = !table.recording;
            table.written.clear();
            iommufd.hwptSetDirtyTracking(id, table.recording ? Iommufd.DIRTY_TRACKING_ENABLE : 0);
            return "record: " + table.recording;
        }
        boolean clears = random.nextBoolean();
        List<Long> written = List.copyOf(table.written);
        long first = written.isEmpty() || random.nextBoolean()
                ? (1 + random.nextInt(PAGES)) * PAGE
                : written.get(random.nextInt(written.size()));
        int pages = 1 + random.nextInt(PAGES);
        long bits = 0;
        for (int i = 0; i < pages && at(table.areas, first + i * PAGE) >= 0; i++) {
            if (table.recording && table.written.contains(first + i * PAGE)) {
                bits |= 1L << i;
            }
            if (clears) {
                table.written.remove(first + i * PAGE);
            }
        }
        recorded += Long.bitCount(bits);
        assertThat(iommufd.hwptGetDirtyBitmap(
                        new DirtyRange(id, clears ? 0 : DirtyRange.NO_CLEAR, first, pages * PAGE, PAGE)))
                .containsExactly(bits);
        return "get the record";
    }

    // ---- checks ----------------------------------------------------------------------------------------------------

    private long expected(int pasid, long iova) {
        Integer id = attached.get(pasid);
        if (id == null) {
            return -1;
        }
        Table table = tables.get(id);
        if (table.kind != Kind.NESTED) {
            return at(table.areas, iova);
        }
        Long page = guestPages.get(iova);
        return page == null ? -1 : at(table.areas, page);
    }

    private void check(String when) {
        check(when, NO_PASID);
        for (int pasid : PASIDS) {
            check(when, pasid);
        }
        List<CoherenceInvariants.Attached> all = new ArrayList<>();
        tables.forEach((id, table) -> {
            if (table.kind != Kind.NESTED) {
                HwptState state = iommufd.hwpt(id);
                assertThat(state.enforced()).as(when).isTrue();
                all.add(new CoherenceInvariants.Attached(
                        state.domain(),
                        table.areas,
                        true,
                        Integer.valueOf(id).equals(attached.get(NO_PASID)) ? List.of(IommufdBench.FIRST) : List.of(),
                        table.areas.keySet()));
            }
        });
        invariants.check(when, all);
    }

    /** Reads through the silicon; where missing pages are asked for only what is there, so that nobody waits. */
    private void check(String when, int pasid) {
        Integer id = attached.get(pasid);
        boolean asks = attached.values().stream().anyMatch(each -> tables.get(each).kind == Kind.DELIVERING);
        endpoint.usePasid(pasid == NO_PASID ? TranslationUnit.NO_PASID : pasid);
        for (int page = 1; page <= PAGES + 4; page++) {
            long iova = page * PAGE;
            long memory = expected(pasid, iova);
            if (memory < 0 && asks) {
                continue;
            }
            long value = endpoint.read(iova, false);
            assertThat(endpoint.lastStatus() == RequestStatus.DONE ? value : -1)
                    .as("%s: PASID %d at page %d", when, pasid, page)
                    .isEqualTo(memory);
            if (memory >= 0) {
                reads.merge(tables.get(id).kind, 1, Integer::sum);
                long translation = bench.machine
                        .unit("dmar0")
                        .translate(
                                IommufdBench.FIRST.requesterId(),
                                pasid == NO_PASID ? TranslationUnit.NO_PASID : pasid,
                                iova,
                                RequestFlags.READ);
                assertThat(Translation.snoopForced(translation))
                        .as("%s: PASID %d blocks no-snoop at page %d", when, pasid, page)
                        .isTrue();
            }
        }
    }
}
