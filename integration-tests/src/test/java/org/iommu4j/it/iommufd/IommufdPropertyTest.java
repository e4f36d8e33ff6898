// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.iommufd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.IoasCopy;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Random calls beside a simple model; after each, both devices read through the silicon what the model says. */
class IommufdPropertyTest {
    private static final long PAGE = IommufdBench.PAGE;
    private static final int PAGES = 64;
    private static final int STEPS = 400;

    /** IOVA pages that are used, from 1. */
    private static final int IOVAS = 48;

    /** Pages of a mapping, and the address of the first one's memory. */
    private record Area(int pages, long memory) {}

    /** What the model knows: the areas of each IOAS by their first IOVA, the IOAS of each HWPT, where devices are. */
    private static final class Model {
        final Map<Integer, TreeMap<Long, Area>> ioas = new HashMap<>();
        final Map<Integer, Integer> hwpts = new HashMap<>();
        final Map<PciAddress, Integer> attached = new HashMap<>();

        /** Returns the memory at an IOVA, or -1. */
        static long at(NavigableMap<Long, Area> areas, long iova) {
            Map.Entry<Long, Area> below = areas.floorEntry(iova);
            return below == null || iova >= below.getKey() + below.getValue().pages * PAGE
                    ? -1
                    : below.getValue().memory + (iova - below.getKey());
        }

        boolean uses(int id) {
            return hwpts.containsValue(id) || attached.containsValue(id);
        }
    }

    private final Model model = new Model();
    private Random random = new Random();
    private IommufdBench bench;
    private Iommufd iommufd;
    private final Map<PciAddress, VfioDeviceFile> files = new HashMap<>();

    @ParameterizedTest
    @CsvSource({"intel-mixed, 6.7", "intel-mixed, 6.12", "intel-mixed, 7.3", "intel-sc, 6.6", "amd, 6.12", "amd, 7.3"})
    void devicesReachWhatTheModelSays(String machine, String release) {
        long seed = Long.getLong("iommu4j.seed", 20261130L);
        random = new Random(seed);
        bench = new IommufdBench(IommufdBench.named(machine), release, PAGES);
        iommufd = bench.open();
        files.put(IommufdBench.FIRST, bench.file(bench.first));
        files.put(IommufdBench.SECOND, bench.file(bench.second));
        Map<PciAddress, Integer> ids = new HashMap<>();
        files.forEach((address, file) -> ids.put(address, file.bind(iommufd)));
        for (int step = 0; step < STEPS; step++) {
            String what = step(ids);
            check(String.format("-Diommu4j.seed=%d step %d: %s", seed, step, what));
        }
        files.values().forEach(VfioDeviceFile::close);
        iommufd.close();
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
        return switch (random.nextInt(12)) {
            case 0, 1, 2, 3 -> map(ioas);
            case 4, 5 -> unmap(ioas);
            case 6 -> copy(all.get(random.nextInt(all.size())), ioas);
            case 7 -> attach(device, ioas, ioas);
            case 8 -> allocate(ids.get(device), ioas);
            case 9 -> attachHwpt(device);
            case 10 -> destroy();
            default -> {
                files.get(device).detach();
                model.attached.remove(device);
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
            for (int i = 0; i < pages; i++) {
                assertThat(Model.at(areas, at + i * PAGE)).isNegative();
            }
            areas.put(at, new Area(pages, memory));
            return "map at " + Long.toHexString(at);
        } catch (IommuException refusal) {
            assertThat(refusal.errno()).isEqualTo(Errno.EEXIST);
            assertThat(fixed && !free).isTrue();
            return "map refused";
        }
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
        long at = iommufd.ioasCopy(
                new IoasCopy(IoasMap.READABLE | IoasMap.WRITEABLE, to, from, area.pages * PAGE, 0, start));
        model.ioas.get(to).put(at, area);
        return "copy to " + Long.toHexString(at);
    }

    private String attach(PciAddress device, int to, int ioas) {
        try {
            files.get(device).attach(to);
            model.attached.put(device, ioas);
            return "attach " + device + " to " + to;
        } catch (IommuException refusal) {
            // A HWPT that promised refuses a device whose unit can't; since 6.19 that blocks it, as on hardware.
            assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
            assertThat(to).isNotEqualTo(ioas);
            files.get(device).detach();
            model.attached.remove(device);
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
            assertThat(model.uses(id)).isFalse();
            model.ioas.remove(id);
            model.hwpts.remove(id);
            return "destroy " + id;
        } catch (IommuException refusal) {
            assertThat(refusal.errno()).isEqualTo(Errno.EBUSY);
            return "destroy refused";
        }
    }

    private void check(String when) {
        files.forEach((address, file) -> {
            Integer ioas = model.attached.get(address);
            for (int page = 1; page <= IOVAS + 8; page++) {
                long memory = ioas == null ? -1 : Model.at(model.ioas.get(ioas), page * PAGE);
                assertThat(bench.read(address, page * PAGE))
                        .as("%s: %s at page %d", when, address, page)
                        .isEqualTo(memory);
            }
        });
    }
}
