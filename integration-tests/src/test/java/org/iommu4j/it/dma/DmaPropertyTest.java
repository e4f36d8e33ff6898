// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.dma;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.dma.CoherentBuffer;
import org.iommu4j.dma.DmaDevice;
import org.iommu4j.dma.DmaDirection;
import org.iommu4j.dma.DmaParameters;
import org.iommu4j.dma.ScatterList;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Random use of the DMA API against a map from device pages to memory pages, asked of the silicon.
 *
 * <p>{@code iommu4j.dma.steps} makes it longer, {@code iommu4j.seed} repeats a run.
 */
class DmaPropertyTest {
    private static final long PAGE = DmaBench.PAGE;
    private static final int PAGES = 1024;
    private static final List<DmaDirection> DIRECTIONS = List.of(DmaDirection.values());
    private static final int STEPS = Integer.getInteger("iommu4j.dma.steps", 1500);

    /** What the driver holds: how it is given back, and the device pages that it covers. */
    private record Held(Runnable release, Map<Long, Long> pages) {}

    private DmaBench bench;
    private DmaDevice gpu;
    private Random random;
    private long memory;

    /** Device pages that reach memory, with the page of memory and the rights. */
    private final Map<Long, Long> reached = new TreeMap<>();

    private final Map<Long, DmaDirection> rights = new TreeMap<>();
    private final List<Held> held = new ArrayList<>();

    /** Device pages that were unmapped and may be reached until the next flush, with the memory behind them. */
    private final Map<Long, Long> waiting = new TreeMap<>();

    @ParameterizedTest
    @CsvSource({
        "intel-sc, 7.3, DMA",
        "intel-sc, 7.3, DMA_FQ",
        "intel-nosc, 5.15, DMA_FQ",
        "amd, 7.3, DMA",
        "amd, 7.3, DMA_FQ",
        "amd, 5.15, DMA_FQ",
        "riscv, 7.3, DMA",
        "riscv, 7.3, DMA_FQ"
    })
    void theDeviceReachesWhatIsMappedAndNothingElse(String machine, String release, DefaultDomainPolicy policy) {
        long seed = Long.getLong("iommu4j.seed", 20261201L);
        random = new Random(seed);
        bench = DmaBench.flat(machine, release, policy);
        gpu = bench.dma.bind(DmaBench.GPU, DmaParameters.DEFAULT.withSegments(0x8000, 0xffff));
        memory = bench.buffer(10);
        for (long page = 0; page < PAGES; page++) {
            bench.store(memory + page * PAGE, page);
        }
        long frames = bench.machine.frames().inUse();
        for (int step = 0; step < STEPS; step++) {
            String where = "seed " + seed + " step " + step;
            act(where);
            check(where, policy == DefaultDomainPolicy.DMA_FQ);
        }
        while (!held.isEmpty()) {
            release(held.remove(held.size() - 1));
        }
        gpu.close();
        bench.dma.advance(10);
        bench.dma.close();
        bench.core.close();
        assertThat(bench.machine.frames().inUse()).as("seed %d", seed).isLessThanOrEqualTo(frames);
        bench.iommu.close();
        assertThat(bench.machine.frames().inUse()).as("seed %d", seed).isZero();
        assertThat(bench.iommu.quarantinedFrames()).isZero();
    }

    private void act(String where) {
        int choice = random.nextInt(100);
        if (choice < 30) {
            mapOne(where);
        } else if (choice < 45) {
            mapList(where);
        } else if (choice < 50) {
            allocate(where);
        } else if (choice < 95) {
            if (!held.isEmpty()) {
                release(held.remove(random.nextInt(held.size())));
            }
        } else {
            bench.dma.advance(random.nextInt(12));
            waiting.keySet().removeIf(page -> bench.dma.waitingForFlush() == 0);
        }
    }

    private void mapOne(String where) {
        long first = random.nextInt(PAGES - 40);
        boolean whole = random.nextBoolean();
        long start = memory + first * PAGE + (whole ? 0 : random.nextInt((int) PAGE));
        long size = whole ? PAGE * (1 + random.nextInt(40)) : 1 + random.nextInt(9000);
        DmaDirection direction = DIRECTIONS.get(random.nextInt(3));
        long iova = gpu.map(start, size, direction);
        Map<Long, Long> pages = new TreeMap<>();
        cover(pages, iova, start, size);
        hold(where, pages, direction, () -> gpu.unmap(iova, size, direction));
    }

    private void mapList(String where) {
        ScatterList list = new ScatterList();
        int count = 1 + random.nextInt(8);
        for (int i = 0; i < count; i++) {
            boolean whole = random.nextInt(3) != 0;
            long start = memory + random.nextInt(PAGES - 40) * PAGE + (whole ? 0 : random.nextInt((int) PAGE));
            list.add(start, whole ? PAGE * (1 + random.nextInt(6)) : 1 + random.nextInt(5000));
        }
        DmaDirection direction = DIRECTIONS.get(random.nextInt(3));
        gpu.mapScatter(list, direction);
        NavigableMap<Long, Long> pages = new TreeMap<>();
        int segment = 0;
        long done = 0;
        for (int i = 0; i < count; i++) {
            if (done == list.dmaLength(segment)) {
                segment++;
                done = 0;
            }
            cover(pages, list.dmaAddress(segment) + done, list.physicalAddress(i), list.size(i));
            done += list.size(i);
        }
        assertThat(segment).as(where).isEqualTo(list.segments() - 1);
        addPadding(pages);
        hold(where, pages, direction, () -> gpu.unmapScatter(list, direction));
    }

    /** A piece that ends before a boundary, so that the next begins after it, is followed by the memory behind it. */
    private static void addPadding(NavigableMap<Long, Long> pages) {
        for (long page = pages.firstKey(); page < pages.lastKey(); page += PAGE) {
            pages.putIfAbsent(page + PAGE, pages.get(page) + PAGE);
        }
    }

    private void allocate(String where) {
        long size = 1L + random.nextInt(30_000);
        CoherentBuffer buffer = random.nextBoolean() ? gpu.allocateCoherent(size) : gpu.allocateCoherentAtomic(size);
        Map<Long, Long> pages = new TreeMap<>();
        for (long offset = 0; offset < size; offset += PAGE) {
            pages.put(buffer.dmaAddress() + offset, buffer.physicalAddress(offset));
        }
        hold(where, pages, DmaDirection.BIDIRECTIONAL, () -> gpu.freeCoherent(buffer));
    }

    private static void cover(Map<Long, Long> pages, long iova, long start, long size) {
        long first = iova & -PAGE;
        long last = (iova + size - 1) & -PAGE;
        for (long page = first; page <= last; page += PAGE) {
            pages.put(page, (start & -PAGE) + (page - first));
        }
    }

    /** No device page is given out twice, nor one that still waits. */
    private void hold(String where, Map<Long, Long> pages, DmaDirection direction, Runnable release) {
        assertThat(Collections.disjoint(pages.keySet(), reached.keySet()))
                .as("%s: %s are in use", where, pages.keySet())
                .isTrue();
        assertThat(Collections.disjoint(pages.keySet(), waiting.keySet()))
                .as("%s: %s wait", where, pages.keySet())
                .isTrue();
        reached.putAll(pages);
        pages.keySet().forEach(page -> rights.put(page, direction));
        held.add(new Held(release, pages));
    }

    private void release(Held gone) {
        gone.release().run();
        int left = bench.dma.waitingForFlush();
        gone.pages().keySet().forEach(page -> {
            reached.remove(page);
            rights.remove(page);
        });
        if (left == 0) {
            waiting.clear();
        } else if (left == 1) {
            // The queue was full: all others are flushed.
            waiting.clear();
            waiting.putAll(gone.pages());
        } else {
            waiting.putAll(gone.pages());
        }
    }

    private void check(String where, boolean lazy) {
        List<Long> pages = new ArrayList<>(reached.keySet());
        for (int i = 0; i < 6 && !pages.isEmpty(); i++) {
            long page = pages.get(random.nextInt(pages.size()));
            long target = reached.get(page);
            DmaDirection direction = rights.get(page);
            Optional<Long> read = bench.read(page);
            if (direction != DmaDirection.FROM_DEVICE) {
                assertThat(read).as("%s, read of 0x%x", where, page).contains(bench.load(target));
            }
            boolean written = bench.write(page, bench.load(target));
            assertThat(written).as("%s, write of 0x%x", where, page).isEqualTo(direction != DmaDirection.TO_DEVICE);
        }
        assertThat(lazy || waiting.isEmpty()).as(where).isTrue();
        for (int i = 0; i < 6; i++) {
            long page = 0xffff_f000L - random.nextInt(2048) * PAGE;
            if (!reached.containsKey(page) && !waiting.containsKey(page)) {
                assertThat(bench.read(page))
                        .as("%s, 0x%x is not mapped", where, page)
                        .isEmpty();
            }
        }
        for (Map.Entry<Long, Long> page : waiting.entrySet()) {
            if (random.nextInt(20) == 0) {
                bench.read(page.getKey())
                        .ifPresent(value -> assertThat(value)
                                .as("%s, 0x%x waits", where, page.getKey())
                                .isEqualTo(bench.load(page.getValue())));
            }
        }
    }
}
