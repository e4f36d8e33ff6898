// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Requester;
import org.iommu4j.tck.Traits.Enforcement;
import org.jspecify.annotations.Nullable;

/**
 * Domains are made, mapped, unmapped, closed; devices come, go, move and make requests. An oracle, which is an interval
 * map for each domain and knows nothing of tables, says of each request what must become of it.
 *
 * <p>{@code -Diommu4j.tck.steps=N} sets the number of steps, {@code -Diommu4j.seed=N} replays a history.
 */
final class RandomHistory {
    private static final int STEPS = Integer.getInteger("iommu4j.tck.steps", 10_000);
    private static final int DOMAINS = 4;
    private static final int PAGES = 640;
    private static final int LINE = 64;

    private final Bench bench;
    private final SpoiltFrames.Maker maker = new SpoiltFrames.Maker();
    private final Random random;
    private final long page;
    private final long base;
    private final List<Device> devices = new ArrayList<>();
    private final List<Space> spaces = new ArrayList<>();
    private long token = 0x1000;

    RandomHistory(Bench whole) {
        random = whole.random();
        bench = maker.like(whole);
        page = bench.granule();
        // Half of the pages are before the end of a table, half behind.
        base = bench.iova() + bench.tableSpan() - PAGES / 2 * page;
        devices.add(new Device(bench.device(), bench.requester()));
        devices.add(new Device(bench.second(), bench.secondRequester()));
        for (int i = 0; i < DOMAINS; i++) {
            spaces.add(new Space(devices.get(i % 2).device));
        }
    }

    /**
     * A run of pages of one size that was mapped.
     *
     * @param blocks whether it was mapped where no-snoop was blocked already; since 6.19 Linux's VT-d driver promises
     *     it of a domain that has other mappings, too
     */
    private record Run(long physical, long pageSize, long size, int prot, boolean blocks) {
        Run part(long from, long bytes) {
            return new Run(physical + from, pageSize, bytes, prot, blocks);
        }
    }

    /** A device, and which space it is in. */
    private static final class Device {
        private final IommuDevice device;
        private final Requester requester;
        private @Nullable Space space;

        Device(IommuDevice device, Requester requester) {
            this.device = device;
            this.requester = requester;
        }
    }

    /** A domain, and what the oracle knows of it. */
    private final class Space {
        private final IommuDevice madeFor;
        private final IotlbGather gather = new IotlbGather();
        private IommuDomain domain;
        private final TreeMap<Long, Run> runs = new TreeMap<>();

        /** What was unmapped and waits for a sync: devices may reach it or not. */
        private final List<long[]> waiting = new ArrayList<>();

        private boolean enforced;

        Space(IommuDevice madeFor) {
            this.madeFor = madeFor;
            domain = bench.iommu().allocate(DomainType.UNMANAGED, madeFor);
        }

        /** Returns the run that an IOVA is in. */
        Map.@Nullable Entry<Long, Run> at(long iova) {
            Map.Entry<Long, Run> run = runs.floorEntry(iova);
            return run != null && iova - run.getKey() < run.getValue().size() ? run : null;
        }

        boolean isFree(long iova, long size) {
            Map.Entry<Long, Run> last = runs.floorEntry(iova + size - 1);
            return last == null || last.getKey() + last.getValue().size() <= iova;
        }

        boolean waits(long iova) {
            return waiting.stream().anyMatch(range -> iova >= range[0] && iova < range[1]);
        }
    }

    void run() {
        for (int step = 0; step < STEPS; step++) {
            Space space = spaces.get(random.nextInt(DOMAINS));
            Device device = devices.get(random.nextInt(devices.size()));
            switch (random.nextInt(20)) {
                case 0, 1, 2, 3 -> map(space);
                case 4, 5, 6 -> unmap(space);
                case 7 -> sync(space);
                case 8 -> attach(space, device);
                case 9 -> detach(device);
                case 10 -> renew(space);
                case 11 -> enforce(space);
                default -> request(device);
            }
        }
        for (Device device : devices) {
            detach(device);
        }
        for (Space space : spaces) {
            sync(space);
            space.domain.close();
        }
        maker.assertUntouched();
    }

    private void map(Space space) {
        List<Long> sizes = bench.pageSizes(space.domain);
        long size = sizes.get(random.nextInt(3) == 0 ? random.nextInt(Math.min(3, sizes.size())) : 0);
        long iova = base + random.nextInt(PAGES) * page & -size;
        long physical = bench.scratch() + random.nextInt(256) * page & -size;
        int count = 1 + random.nextInt(random.nextInt(8) == 0 ? 300 : 6);
        int prot = random.nextInt(4) == 0 ? Prot.READ | Prot.CACHE : Bench.READ_WRITE;
        if (size > 64 * page) {
            count = 1;
        }
        long all = size * count;
        if (!space.isFree(iova, all)) {
            int pages = count;
            bench.steps().note("map(0x%x, 0x%x x %d), which is in use", iova, size, pages);
            assertRefused(Errno.EADDRINUSE, () -> space.domain.map(iova, physical, size, pages, prot));
            return;
        }
        if (space.waiting.stream().anyMatch(range -> range[0] < iova + all && iova < range[1])) {
            // A new page where hardware may hold the old one: a caller syncs first.
            sync(space);
        }
        bench.map(space.domain, iova, physical, size, count, prot);
        boolean blocks = space.enforced || bench.traits().enforcement() == Enforcement.UNCONDITIONAL;
        space.runs.put(iova, new Run(physical, size, all, prot, blocks));
    }

    private void unmap(Space space) {
        long iova = base + random.nextInt(PAGES) * page;
        long wanted = (1 + random.nextInt(random.nextInt(4) == 0 ? PAGES : 12)) * page;
        long at = iova;
        List<long[]> gone = new ArrayList<>();
        while (at < iova + wanted) {
            Map.Entry<Long, Run> entry = space.at(at);
            if (entry == null || (at - entry.getKey()) % entry.getValue().pageSize() != 0) {
                break;
            }
            Run run = entry.getValue();
            long start = entry.getKey();
            long end = Math.min(start + run.size(), at + roundUp(iova + wanted - at, run.pageSize()));
            space.runs.remove(start);
            if (at > start) {
                space.runs.put(start, run.part(0, at - start));
            }
            if (end < start + run.size()) {
                space.runs.put(end, run.part(end - start, start + run.size() - end));
            }
            gone.add(new long[] {at, end});
            at = end;
        }
        assertThat(bench.unmap(space.domain, iova, wanted, space.gather))
                .as("bytes unmapped")
                .isEqualTo(at - iova);
        space.waiting.addAll(gone);
        if (random.nextInt(3) != 0) {
            sync(space);
        }
    }

    private static long roundUp(long bytes, long pageSize) {
        return bytes + pageSize - 1 & -pageSize;
    }

    private void sync(Space space) {
        bench.sync(space.domain, space.gather);
        space.waiting.clear();
    }

    private void attach(Space space, Device device) {
        if (device.space != null && random.nextBoolean()) {
            detach(device);
        }
        bench.steps().note("attach(%s) to domain %d", device.device.id(), spaces.indexOf(space));
        boolean capable = bench.iommu().capable(device.device, IommuCapability.ENFORCE_CACHE_COHERENCY);
        AttachResult result = space.domain.attach(device.device);
        assertThat(result).isNotNull();
        if (result.attached()) {
            assertThat(!space.enforced
                            || capable
                            || !bench.traits().enforcement().isKept())
                    .as("a device that can't block no-snoop is in a domain that does")
                    .isTrue();
            device.space = space;
        } else if (bench.iommu().blocksBeforeAttach()) {
            device.space = null;
        }
    }

    private void detach(Device device) {
        if (device.space != null) {
            bench.detach(device.space.domain, device.device);
            device.space = null;
        }
    }

    /** Closes a domain, if none is in it, and makes another. */
    private void renew(Space space) {
        if (devices.stream().anyMatch(device -> device.space == space) || random.nextInt(3) != 0) {
            return;
        }
        sync(space);
        bench.steps().note("close domain %d, and make another", spaces.indexOf(space));
        space.domain.close();
        space.runs.clear();
        space.enforced = false;
        space.domain = bench.iommu().allocate(DomainType.UNMANAGED, space.madeFor);
    }

    private void enforce(Space space) {
        if (random.nextInt(8) != 0 || !bench.traits().has(Ability.ENFORCEMENT)) {
            return;
        }
        bench.steps().note("domain %d is asked to block no-snoop", spaces.indexOf(space));
        space.enforced |= space.domain.cacheCoherencyEnforcement().orElseThrow().enforce();
    }

    private static String kind(boolean noSnoop, boolean blocked) {
        return !noSnoop ? "" : blocked ? ", no-snoop, which is to be blocked" : ", no-snoop, which may pass";
    }

    /** Reads and writes a word, and compares with what the oracle says. */
    private void request(Device device) {
        long iova = base + random.nextInt(PAGES + 8) * page + random.nextInt((int) (page / 8)) * 8L;
        if (random.nextInt(3) != 0 && device.space != null && !device.space.runs.isEmpty()) {
            // Mostly where something is, or was until just now.
            Map.Entry<Long, Run> near = device.space.runs.floorEntry(iova);
            near = near == null ? device.space.runs.firstEntry() : near;
            iova = near.getKey() + random.nextLong(near.getValue().size() / 8) * 8L;
        }
        Space space = device.space;
        if (space != null && space.waits(iova)) {
            return;
        }
        Map.Entry<Long, Run> found = space == null ? null : space.at(iova);
        bench.steps().note("%s reads and writes at 0x%x", device.device.id(), iova);
        if (found == null) {
            if (space != null) {
                assertThat(space.domain.translate(iova)).isEqualTo(IommuDomain.UNMAPPED);
            }
            bench.assertBlocked(device.requester, iova);
            return;
        }
        Run run = found.getValue();
        long physical = run.physical() + iova - found.getKey();
        assertThat(space.domain.translate(iova)).as("translation of 0x%x", iova).isEqualTo(physical);
        boolean isScratch = physical >= bench.scratch()
                && physical < bench.subject().machine().memoryBytes();
        if (!isScratch) {
            device.requester.read(iova, false);
            assertThat(device.requester.status()).isNotEqualTo(RequestStatus.TRANSLATION_FAULT);
            return;
        }
        boolean noSnoop = device.requester.marksNoSnoop() && random.nextInt(4) == 0;
        boolean blocked =
                run.blocks() && space.enforced && bench.traits().enforcement().isKept();
        bench.store(physical, ++token);
        if (noSnoop && !blocked && bench.subject().caches()) {
            // It may pass the caches by: what it is to find there is written back first.
            bench.machine().memory(0).writeBack(physical & -LINE, LINE);
        }
        assertThat(device.requester.read(iova, noSnoop))
                .as(
                        "%s reads at 0x%x, which leads to 0x%x%s",
                        device.device.id(), iova, physical, kind(noSnoop, blocked))
                .isEqualTo(token);
        boolean written = device.requester.write(iova, ++token, noSnoop);
        assertThat(written).as("%s writes at 0x%x", device.device.id(), iova).isEqualTo((run.prot() & Prot.WRITE) != 0);
        if (noSnoop && !blocked) {
            bench.machine().drainCaches();
            return;
        }
        assertThat(bench.load(physical))
                .as("what is in memory at 0x%x%s", physical, noSnoop ? " after a no-snoop write" : "")
                .isEqualTo(written ? token : token - 1);
    }
}
