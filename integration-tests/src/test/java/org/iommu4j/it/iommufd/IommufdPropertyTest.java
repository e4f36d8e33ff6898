// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.iommufd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.it.domain.CoherenceInvariants;
import org.iommu4j.it.domain.CoherenceInvariants.Hole;
import org.iommu4j.kvm.KvmOptions;
import org.iommu4j.kvm.KvmVfioDevice;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.iommufd.CompatContainer;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.HwptState;
import org.iommu4j.vfio.iommufd.IoasCopy;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.IoasMapFile;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdAccess;
import org.iommu4j.vfio.iommufd.IommufdUser;
import org.iommu4j.vfio.iommufd.UserAccount;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Random calls beside a simple model; after each, both devices read through the silicon what the model says, and {@link
 * CoherenceInvariants} hold but for the holes that the release has.
 */
class IommufdPropertyTest {
    private static final long PAGE = IommufdBench.PAGE;
    private static final int PAGES = 64;
    private static final int STEPS = 600;

    /** IOVA pages that are used, from 1. */
    private static final int IOVAS = 48;

    /** Pages of a mapping, the address of the first one's memory, and whether it is a file's. */
    private record Area(int pages, long memory, boolean file) {}

    /** What the model knows: the areas of each IOAS by their first IOVA, the IOAS of each HWPT, where devices are. */
    private static final class Model {
        final Map<Integer, TreeMap<Long, Area>> ioas = new HashMap<>();

        /** Pages where Linux may choose addresses, the first and the last; all without an entry. */
        final Map<Integer, long[]> allowed = new HashMap<>();

        /** The IOAS that map page by page. */
        final Set<Integer> small = new TreeSet<>();

        final Map<Integer, Integer> hwpts = new HashMap<>();
        final Map<PciAddress, Integer> attached = new HashMap<>();

        /** Returns the memory at an IOVA, or -1. */
        static long at(NavigableMap<Long, Area> areas, long iova) {
            Map.Entry<Long, Area> below = areas.floorEntry(iova);
            return below == null || iova >= below.getKey() + below.getValue().pages * PAGE
                    ? -1
                    : below.getValue().memory + (iova - below.getKey());
        }

        /** Returns whether there is room where Linux may choose, at a multiple of an alignment. */
        boolean hasRoom(int id, int pages, long align) {
            long[] range = allowed.get(id);
            if (range == null) {
                return true;
            }
            TreeMap<Long, Area> areas = ioas.get(id);
            for (long first = range[0]; first + pages - 1 <= range[1]; first++) {
                boolean free = first * PAGE % align == 0;
                for (int i = 0; i < pages; i++) {
                    free &= at(areas, (first + i) * PAGE) < 0;
                }
                if (free) {
                    return true;
                }
            }
            return false;
        }

        /** Returns whether pages are where Linux may choose. */
        boolean allows(int id, long iova, int pages) {
            long[] range = allowed.get(id);
            return range == null || (iova >= range[0] * PAGE && iova + pages * PAGE <= (range[1] + 1) * PAGE);
        }

        boolean uses(int id) {
            return hwpts.containsValue(id) || attached.containsValue(id);
        }
    }

    /** What a driver has pinned through its access: the IOVA, and how many pages; null for nothing. */
    private record Pin(long iova, int pages) {}

    private final Model model = new Model();
    private String release = "";
    private CoherenceInvariants invariants;
    private Set<PciAddress> incapable = Set.of();
    private VirtualMachine vm;
    private KvmVfioDevice kvm;
    private final Set<VfioDeviceFile> kvmFiles = new LinkedHashSet<>();

    /** The HWPT of each device that is attached. */
    private final Map<PciAddress, Integer> hwptOf = new HashMap<>();

    private IommufdAccess access;
    private int accessed;
    private Pin pin;
    private int blocked;
    private Random random = new Random();
    private IommufdBench bench;
    private Iommufd iommufd;
    private Iommufd child;
    private final UserAccount childAccount = new UserAccount(1 << 20);
    private final Map<PciAddress, VfioDeviceFile> files = new HashMap<>();

    @ParameterizedTest
    @CsvSource({
        "intel-mixed, 6.6, LATE_PROMISE",
        "intel-mixed, 6.7, VOUCHED_WITHOUT_PROMISE",
        "intel-mixed, 6.12, VOUCHED_WITHOUT_PROMISE",
        "intel-mixed, 7.3, VOUCHED_WITHOUT_PROMISE",
        "first-stage, 7.3, VOUCHED_WITHOUT_PROMISE FIRST_STAGE_WITHOUT_SNOOP_CONTROL",
        "intel-sc, 6.6, ''",
        "amd, 6.12, ''",
        "amd, 7.3, ''"
    })
    void devicesReachWhatTheModelSays(String machine, String linux, String holes) {
        long seed = Long.getLong("iommu4j.seed", 20261130L);
        random = new Random(seed);
        release = linux;
        bench = new IommufdBench(
                machine.equals("first-stage")
                        ? IommufdHolesTest.snoopControlOfTheFirst(IommufdHolesTest.FIRST_STAGE)
                        : IommufdBench.named(machine),
                release,
                PAGES);
        iommufd = bench.open();
        child = iommufd.inheritedBy(new IommufdUser(bench.machine.newProcess(0, false), childAccount, Set.of()));
        files.put(IommufdBench.FIRST, bench.file(bench.first));
        files.put(IommufdBench.SECOND, bench.file(bench.second));
        incapable = bench.iommu.vendor().equals("intel")
                ? CoherenceInvariants.withoutSnoopControl(bench.machine, files.keySet())
                : Set.of();
        Set<Hole> expected = EnumSet.noneOf(Hole.class);
        if (!holes.isEmpty()) {
            for (String hole : holes.split(" ", -1)) {
                expected.add(Hole.valueOf(hole));
            }
        }
        invariants = new CoherenceInvariants(bench.machine, incapable, expected);
        vm = new VirtualMachine(
                bench.process, bench.machine.processors(), KvmOptions.DEFAULT.withRelease(LinuxRelease.of(release)));
        kvm = vm.createVfioDevice();
        access = iommufd.createAccess((iova, length) -> letGo(), true);
        Map<PciAddress, Integer> ids = new HashMap<>();
        files.forEach((address, file) -> ids.put(address, file.bind(iommufd)));
        for (int step = 0; step < STEPS; step++) {
            String what = step(ids);
            check(String.format("-Diommu4j.seed=%d step %d: %s", seed, step, what));
        }
        assertThat(invariants.excused().keySet()).as("holes that were met").isEqualTo(expected);
        // A replace that is refused blocks the device since 6.19, where VT-d's driver blocks first.
        assertThat(blocked > 0).isEqualTo(LinuxRelease.of(release).isAtLeast(6, 19) && machine.equals("intel-mixed"));
        kvm.close();
        vm.close();
        access.close();
        files.values().forEach(VfioDeviceFile::close);
        child.close();
        iommufd.close();
        assertThat(childAccount.charged()).isZero();
        assertThat(bench.process.pinned()).isZero();
        assertThat(bench.account.charged()).isZero();
        assertThat(iommufd.objects()).isZero();
    }

    private String step(Map<PciAddress, Integer> ids) {
        PciAddress device = random.nextBoolean() ? IommufdBench.FIRST : IommufdBench.SECOND;
        List<Integer> all = new ArrayList<>(model.ioas.keySet());
        if (all.isEmpty() || (all.size() < 3 && random.nextInt(20) == 0)) {
            int id = iommufd.ioasAlloc(0);
            model.ioas.put(id, new TreeMap<>());
            return "alloc IOAS " + id;
        }
        int ioas = all.get(random.nextInt(all.size()));
        return switch (random.nextInt(21)) {
            case 0, 1, 2, 3 -> map(ioas);
            case 4, 5 -> unmap(ioas);
            case 6 -> copy(all.get(random.nextInt(all.size())), ioas);
            case 7 -> attach(device, ioas, ioas);
            case 8 -> allocate(ids.get(device), ioas);
            case 9 -> attachHwpt(device);
            case 10 -> destroy();
            case 11 -> toggleFile(device);
            case 12 -> moveAccess(ioas);
            case 13, 14 -> pin();
            case 15 -> mapFile(ioas);
            case 16 -> compat(ioas);
            case 17 -> allow(ioas);
            case 18 -> cut(ioas);
            case 19 -> changeProcess();
            default -> {
                files.get(device).detach();
                model.attached.remove(device);
                hwptOf.remove(device);
                yield "detach " + device;
            }
        };
    }

    private String map(int ioas) {
        TreeMap<Long, Area> areas = model.ioas.get(ioas);
        int pages = 1 + random.nextInt(4);
        long memory = IommufdBench.MEMORY + random.nextInt(PAGES - 4) * PAGE;
        boolean fixed = random.nextInt(4) != 0;
        long iova = (1 + random.nextInt(IOVAS)) * PAGE;
        int flags = IoasMap.READABLE | IoasMap.WRITEABLE | (fixed ? IoasMap.FIXED_IOVA : 0);
        boolean free = true;
        for (int i = 0; i < pages; i++) {
            free &= Model.at(areas, iova + i * PAGE) < 0;
        }
        try {
            long at = iommufd.ioasMap(new IoasMap(flags, ioas, memory, pages * PAGE, iova));
            assertThat(!fixed || free).isTrue();
            assertThat(fixed || model.allows(ioas, at, pages)).isTrue();
            for (int i = 0; i < pages; i++) {
                assertThat(Model.at(areas, at + i * PAGE)).isNegative();
            }
            areas.put(at, new Area(pages, memory, false));
            return "map at " + Long.toHexString(at);
        } catch (IommuException refusal) {
            if (!fixed) {
                return noRoom(refusal, ioas, pages, memory);
            }
            assertThat(refusal.errno()).isEqualTo(Errno.EEXIST);
            assertThat(free).isFalse();
            return "map refused";
        }
    }

    /** Linux keeps the alignment of the memory, up to that of the pages together. */
    private String noRoom(IommuException refusal, int ioas, int pages, long memory) {
        long whole = Long.highestOneBit(2L * pages - 1) * PAGE;
        assertThat(refusal.errno()).isEqualTo(Errno.ENOSPC);
        assertThat(model.hasRoom(ioas, pages, Math.min(whole, Long.lowestOneBit(memory))))
                .isFalse();
        return "no room";
    }

    private String unmap(int ioas) {
        TreeMap<Long, Area> areas = model.ioas.get(ioas);
        long first = (1 + random.nextInt(IOVAS)) * PAGE;
        long last = first + (1 + random.nextInt(8)) * PAGE - 1;
        long bytes = 0;
        boolean cut = false;
        List<Long> gone = new ArrayList<>();
        for (Map.Entry<Long, Area> area : areas.entrySet()) {
            long end = area.getKey() + area.getValue().pages * PAGE - 1;
            if (end < first || area.getKey() > last) {
                continue;
            }
            if (area.getKey() < first || end > last) {
                cut = true;
                break;
            }
            gone.add(area.getKey());
            bytes += end - area.getKey() + 1;
        }
        try {
            assertThat(iommufd.ioasUnmap(ioas, first, last - first + 1)).isEqualTo(bytes);
            assertThat(cut).isFalse();
        } catch (IommuException refusal) {
            assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
            assertThat(cut || bytes == 0).isTrue();
        }
        gone.forEach(areas::remove);
        return "unmap " + Long.toHexString(first) + " to " + Long.toHexString(last);
    }

    private String copy(int from, int to) {
        TreeMap<Long, Area> source = model.ioas.get(from);
        if (source.isEmpty()) {
            return "nothing to copy";
        }
        List<Long> starts = new ArrayList<>(source.keySet());
        long start = starts.get(random.nextInt(starts.size()));
        Area area = source.get(start);
        try {
            long at = iommufd.ioasCopy(
                    new IoasCopy(IoasMap.READABLE | IoasMap.WRITEABLE, to, from, area.pages * PAGE, 0, start));
            assertThat(model.allows(to, at, area.pages)).isTrue();
            model.ioas.get(to).put(at, area);
            return "copy to " + Long.toHexString(at);
        } catch (IommuException refusal) {
            return noRoom(refusal, to, area.pages, area.memory);
        }
    }

    private String attach(PciAddress device, int to, int ioas) {
        try {
            hwptOf.put(device, files.get(device).attach(to));
            model.attached.put(device, ioas);
            return "attach " + device + " to " + to;
        } catch (IommuException refusal) {
            // A HWPT that promised refuses a device whose unit can't; since 6.19 that blocks it, as on hardware.
            assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
            assertThat(to).isNotEqualTo(ioas);
            Integer old = model.attached.remove(device);
            Integer promised = hwptOf.remove(device);
            if (old != null && !faults(device, promised)) {
                checkRefusedReplace(device, model.ioas.get(old));
            }
            files.get(device).detach();
            return "attach refused";
        }
    }

    private String attachHwpt(PciAddress device) {
        List<Integer> all = new ArrayList<>(model.hwpts.keySet());
        if (all.isEmpty()) {
            return "no HWPT";
        }
        int hwpt = all.get(random.nextInt(all.size()));
        return attach(device, hwpt, model.hwpts.get(hwpt));
    }

    private String allocate(int device, int ioas) {
        if (model.hwpts.size() > 4) {
            return "enough HWPTs";
        }
        int hwpt = iommufd.hwptAlloc(new HwptAlloc(0, device, ioas));
        model.hwpts.put(hwpt, ioas);
        return "HWPT " + hwpt;
    }

    private String destroy() {
        List<Integer> all = new ArrayList<>(model.ioas.keySet());
        all.addAll(model.hwpts.keySet());
        int id = all.get(random.nextInt(all.size()));
        try {
            iommufd.destroy(id);
            assertThat(model.uses(id) || id == accessed).isFalse();
            model.ioas.remove(id);
            model.allowed.remove(id);
            model.small.remove(id);
            model.hwpts.remove(id);
            return "destroy " + id;
        } catch (IommuException refusal) {
            assertThat(refusal.errno()).isEqualTo(Errno.EBUSY);
            return "destroy refused";
        }
    }

    /** A device that was refused by another HWPT is where it was, or blocked: the hole of a refused replace. */
    private void checkRefusedReplace(PciAddress device, NavigableMap<Long, Area> areas) {
        if (areas.isEmpty()) {
            return;
        }
        long iova = areas.firstKey();
        boolean blocks = LinuxRelease.of(release).isAtLeast(6, 19);
        blocked += blocks ? 1 : 0;
        assertThat(bench.read(device, iova)).isEqualTo(blocks ? -1 : areas.get(iova).memory);
    }

    private String toggleFile(PciAddress device) {
        VfioDeviceFile file = files.get(device);
        if (kvmFiles.remove(file)) {
            kvm.deleteFile(file);
        } else {
            kvmFiles.add(file);
            kvm.addFile(file);
        }
        invariants.filesChanged(
                kvmFiles.stream().map(VfioDeviceFile::enforcedCoherent).toList());
        return "KVM has " + kvmFiles.size() + " files";
    }

    private void letGo() {
        if (pin != null) {
            Pin going = pin;
            pin = null;
            access.unpinPages(going.iova, going.pages * PAGE, true);
        }
    }

    private String moveAccess(int ioas) {
        if (accessed == 0) {
            access.attach(ioas);
        } else {
            access.replace(ioas);
        }
        accessed = ioas;
        return "access to " + ioas;
    }

    /** A driver pins pages: all of them are mapped, or none is pinned. */
    private String pin() {
        if (accessed == 0) {
            return "no access";
        }
        letGo();
        TreeMap<Long, Area> areas = model.ioas.get(accessed);
        long iova = (1 + random.nextInt(IOVAS)) * PAGE;
        int pages = 1 + random.nextInt(3);
        long[] expected = new long[pages];
        boolean mapped = true;
        for (int i = 0; i < pages; i++) {
            long memory = Model.at(areas, iova + i * PAGE);
            mapped &= memory >= 0;
            expected[i] = memory < 0 ? -1 : bench.process.translate(memory);
        }
        try {
            assertThat(access.pinPages(iova, pages * PAGE, true)).isEqualTo(expected);
            assertThat(mapped).isTrue();
            pin = new Pin(iova, pages);
            return "pin";
        } catch (IommuException refusal) {
            assertThat(refusal.errno()).isEqualTo(Errno.ENOENT);
            assertThat(mapped).isFalse();
            return "pin refused";
        }
    }

    private String mapFile(int ioas) {
        boolean known = LinuxRelease.of(release).isAtLeast(6, 13);
        long memory = IommufdBench.MEMORY + random.nextInt(PAGES - 4) * PAGE;
        int pages = 1 + random.nextInt(3);
        try {
            long at = iommufd.ioasMapFile(new IoasMapFile(
                    IoasMap.READABLE | IoasMap.WRITEABLE, ioas, bench.process, memory, pages * PAGE, 0));
            assertThat(known).isTrue();
            assertThat(model.allows(ioas, at, pages)).isTrue();
            for (int i = 0; i < pages; i++) {
                assertThat(Model.at(model.ioas.get(ioas), at + i * PAGE)).isNegative();
            }
            model.ioas.get(ioas).put(at, new Area(pages, memory, true));
            return "map a file at " + Long.toHexString(at);
        } catch (IommuException refusal) {
            if (known) {
                return noRoom(refusal, ioas, pages, memory);
            }
            assertThat(refusal.errno()).isEqualTo(Errno.ENOTTY);
            return "no file is mapped";
        }
    }

    /** Linux chooses addresses among some pages, or among all. */
    private String allow(int ioas) {
        long first = 1 + random.nextInt(IOVAS - 12);
        long last = first + 7 + random.nextInt(40);
        if (random.nextInt(3) == 0) {
            iommufd.ioasAllowIovas(ioas);
            model.allowed.remove(ioas);
            return "allow all";
        }
        iommufd.ioasAllowIovas(ioas, first * PAGE, (last + 1) * PAGE - 1);
        model.allowed.put(ioas, new long[] {first, last});
        return "allow pages " + first + " to " + last;
    }

    /** VFIO's first type cuts mappings, where they are made page by page. */
    private String cut(int ioas) {
        TreeMap<Long, Area> areas = model.ioas.get(ioas);
        boolean makes = random.nextInt(3) == 0;
        if (makes) {
            boolean large = random.nextBoolean();
            boolean refused = !large && !model.small.contains(ioas) && model.uses(ioas) && !areas.isEmpty();
            try {
                iommufd.optionSet(Iommufd.OPTION_HUGE_PAGES, ioas, large ? 1 : 0);
                assertThat(refused).isFalse();
                if (large) {
                    model.small.remove(ioas);
                } else {
                    model.small.add(ioas);
                }
            } catch (IommuException refusal) {
                assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
                assertThat(refused).isTrue();
            }
            assertThat(iommufd.optionGet(Iommufd.OPTION_HUGE_PAGES, ioas))
                    .isEqualTo(model.small.contains(ioas) ? 0 : 1);
            return "large pages " + large;
        }
        if (!model.small.contains(ioas) || (accessed == ioas && pin != null)) {
            return "nothing to cut";
        }
        long first = (1 + random.nextInt(IOVAS)) * PAGE;
        int pages = 1 + random.nextInt(4);
        cutAt(areas, first);
        cutAt(areas, first + pages * PAGE);
        long bytes = 0;
        for (int i = 0; i < pages; i++) {
            Area gone = areas.remove(first + i * PAGE);
            bytes += gone == null ? 0 : gone.pages * PAGE;
        }
        iommufd.vfioIoasSet(ioas);
        CompatContainer.Unmapped unmapped = iommufd.vfioContainer().unmap(first, pages * PAGE, 0);
        iommufd.vfioIoasClear();
        assertThat(unmapped.failure()).isNull();
        assertThat(unmapped.bytes()).isEqualTo(bytes);
        return "cut " + pages + " pages at " + Long.toHexString(first);
    }

    private static void cutAt(TreeMap<Long, Area> areas, long iova) {
        Map.Entry<Long, Area> below = areas.lowerEntry(iova);
        if (below == null) {
            return;
        }
        Area area = below.getValue();
        int pages = (int) ((iova - below.getKey()) / PAGE);
        if (pages < area.pages) {
            areas.put(below.getKey(), new Area(pages, area.memory, area.file));
            areas.put(iova, new Area(area.pages - pages, area.memory + pages * PAGE, area.file));
        }
    }

    /** A child takes all over, when all is of files. */
    private String changeProcess() {
        boolean known = LinuxRelease.of(release).isAtLeast(6, 14);
        boolean files = model.ioas.values().stream()
                .allMatch(areas -> areas.values().stream().allMatch(Area::file));
        Iommufd next = random.nextBoolean() ? iommufd : child;
        try {
            next.ioasChangeProcess();
            assertThat(known && files).isTrue();
            assertThat((next == child ? bench.account : childAccount).charged()).isZero();
        } catch (IommuException refusal) {
            assertThat(refusal.errno()).isEqualTo(known ? Errno.EINVAL : Errno.ENOTTY);
            assertThat(known && files).isFalse();
        }
        return "change the process";
    }

    /** VFIO's calls on an IOAS: one page is mapped, or all are unmapped; and what it says of coherence. */
    private String compat(int ioas) {
        TreeMap<Long, Area> areas = model.ioas.get(ioas);
        iommufd.vfioIoasSet(ioas);
        CompatContainer container = iommufd.vfioContainer();
        CoherenceInvariants.checkAnswer(
                "through VFIO",
                container.checkExtension(4),
                attached().stream().filter(each -> each.space() == areas).toList());
        String what;
        if (random.nextInt(4) == 0) {
            long bytes =
                    areas.values().stream().mapToLong(each -> each.pages * PAGE).sum();
            assertThat(container.unmap(0, 0, CompatContainer.UNMAP_ALL).bytes()).isEqualTo(bytes);
            areas.clear();
            what = "unmap all through VFIO";
        } else {
            long iova = (1 + random.nextInt(IOVAS)) * PAGE;
            boolean free = Model.at(areas, iova) < 0;
            try {
                container.map(iova, IommufdBench.MEMORY, PAGE, 3);
                assertThat(free).isTrue();
                areas.put(iova, new Area(1, IommufdBench.MEMORY, false));
            } catch (IommuException refusal) {
                assertThat(refusal.errno()).isEqualTo(Errno.EEXIST);
                assertThat(free).isFalse();
            }
            what = "map through VFIO";
        }
        iommufd.vfioIoasClear();
        return what;
    }

    /** Returns whether a device's requests fault although it is attached: its unit takes the promise for an error. */
    private boolean faults(PciAddress device, Integer hwpt) {
        return incapable.contains(device) && iommufd.hwpt(hwpt).enforced();
    }

    /** Returns every HWPT with its devices. */
    private List<CoherenceInvariants.Attached> attached() {
        Set<Integer> all = new TreeSet<>(model.hwpts.keySet());
        all.addAll(hwptOf.values());
        List<CoherenceInvariants.Attached> attached = new ArrayList<>();
        for (int id : all) {
            HwptState state = iommufd.hwpt(id);
            TreeMap<Long, Area> areas = model.ioas.get(state.ioasId());
            attached.add(new CoherenceInvariants.Attached(
                    state.domain(),
                    areas,
                    state.enforced(),
                    hwptOf.entrySet().stream()
                            .filter(each -> each.getValue() == id)
                            .map(Map.Entry::getKey)
                            .toList(),
                    List.copyOf(areas.keySet())));
        }
        return attached;
    }

    private void checkInvariants(String when) {
        List<CoherenceInvariants.Attached> attached = attached();
        invariants.check(when, attached);
        for (CoherenceInvariants.Attached each : attached) {
            for (PciAddress device : each.devices()) {
                invariants.checkFile(when, files.get(device).enforcedCoherent(), each);
            }
        }
        invariants.checkKvm(when, kvm.noncoherent());
    }

    private void check(String when) {
        checkInvariants(when);
        assertThat(bench.account.charged() + childAccount.charged())
                .as("%s: every pin is charged", when)
                .isEqualTo(bench.process.pinned());
        files.forEach((address, file) -> {
            Integer ioas = model.attached.get(address);
            boolean faults = ioas != null && faults(address, hwptOf.get(address));
            for (int page = 1; page <= IOVAS + 8; page++) {
                long memory = ioas == null || faults ? -1 : Model.at(model.ioas.get(ioas), page * PAGE);
                assertThat(bench.read(address, page * PAGE))
                        .as("%s: %s at page %d", when, address, page)
                        .isEqualTo(memory);
            }
        });
    }
}
