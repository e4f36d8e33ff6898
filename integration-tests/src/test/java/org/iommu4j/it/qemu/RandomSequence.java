// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.pci.PciAddress;

/**
 * A random walk over what a driver can be asked and what devices can do, the same on both machines.
 *
 * <p>Every random number comes from one seed. Target memory is coded: a read tells which word it reached. A device is
 * never let loose on what was unmapped and not yet invalidated, but for reads that may see either state.
 */
final class RandomSequence {
    private static final long PAGE = 4096;
    private static final long LARGE_PAGE = 2L << 20;
    private static final long HUGE_PAGE = 1L << 30;
    private static final int SMALL_SLOTS = 24;
    private static final long SMALL_IOVA = 0x4000_0000L;
    private static final int LARGE_SLOTS = 3;
    private static final long LARGE_IOVA = 0x8000_0000L;
    private static final long HUGE_IOVA = 0x1_0000_0000L;
    private static final int TARGET_FRAMES = 48;
    private static final long LARGE_TARGET = Rig.TARGET + LARGE_PAGE;
    /** Frames at the start of each large target that are coded and reached. */
    private static final int LARGE_FRAMES = 2;

    private static final int MOST_DOMAINS = 3;
    private static final int MOST_WORDS = 8;
    private static final int COMPARE_EVERY = 100;

    private final Pair pair;
    private final Random random;
    private final List<PciAddress> devices;
    private final int[] attached;
    private int domains;

    /** What {@link #lazyUnmap} left for a later sync, one domain at a time; -1 when nothing is. */
    private int lazyDomain = -1;

    private final IotlbGather qemuGather = new IotlbGather();
    private final IotlbGather simGather = new IotlbGather();

    /**
     * Prepares the walk.
     *
     * @param devices which devices take part
     */
    RandomSequence(Pair pair, long seed, List<PciAddress> devices) {
        this.pair = pair;
        this.random = new Random(seed);
        this.devices = devices;
        this.attached = new int[devices.size()];
        Arrays.fill(attached, -1);
        pair.doBoth("code", rig -> {
            rig.code(Rig.TARGET, TARGET_FRAMES);
            for (int i = 0; i < LARGE_SLOTS; i++) {
                rig.code(LARGE_TARGET + i * LARGE_PAGE, LARGE_FRAMES);
            }
        });
    }

    /**
     * Starts with every device in a domain, goes on until so many DMAs were compared, and compares all that devices
     * could reach.
     */
    void run(int checks) {
        newDomain();
        for (int index = 0; index < attached.length; index++) {
            attach(index, 0);
        }
        for (int step = 1; pair.checks() < checks; step++) {
            step();
            if (step % COMPARE_EVERY == 0) {
                compareTargets();
            }
        }
        sync();
        compareTargets();
    }

    private void step() {
        int dice = random.nextInt(100);
        if (dice < 2 && domains < MOST_DOMAINS) {
            newDomain();
        } else if (dice < 8) {
            attach();
        } else if (dice < 9) {
            detach();
        } else if (dice < 10) {
            int domain = domain();
            pair.both("enforce in domain " + domain, rig -> rig.enforce(domain));
        } else if (dice < 25) {
            map();
        } else if (dice < 32) {
            unmap();
        } else if (dice < 36) {
            lazyUnmap();
        } else if (dice < 38) {
            syncMap();
        } else {
            dma();
        }
    }

    private int domain() {
        return random.nextInt(domains);
    }

    private void newDomain() {
        PciAddress device = devices.get(random.nextInt(devices.size()));
        if (pair.doBoth("new domain " + domains + " for " + device, rig -> rig.newDomain(device))) {
            domains++;
        }
    }

    private void attach() {
        attach(random.nextInt(devices.size()), domain());
    }

    private void attach(int index, int domain) {
        PciAddress device = devices.get(index);
        Boolean done = pair.both("attach " + device + " to domain " + domain, rig -> rig.attach(domain, device));
        if (Boolean.TRUE.equals(done)) {
            attached[index] = domain;
        }
    }

    private void detach() {
        int index = random.nextInt(devices.size());
        PciAddress device = devices.get(index);
        pair.both("detach " + device, rig -> rig.detach(device));
        attached[index] = -1;
    }

    private void map() {
        int domain = domain();
        if (domain == lazyDomain) {
            sync();
        }
        int prot = 1 + random.nextInt(3);
        int kind = random.nextInt(20);
        if (kind == 0) {
            map(domain, HUGE_IOVA + random.nextInt(2) * HUGE_PAGE, 0, HUGE_PAGE, 1, prot);
        } else if (kind < 4) {
            map(
                    domain,
                    LARGE_IOVA + random.nextInt(LARGE_SLOTS) * LARGE_PAGE,
                    LARGE_TARGET + random.nextInt(LARGE_SLOTS) * LARGE_PAGE,
                    LARGE_PAGE,
                    1,
                    prot);
        } else if (kind == 4) {
            map(domain, LARGE_IOVA + random.nextInt(2) * PAGE, Rig.TARGET, PAGE, 1, prot);
        } else {
            int slot = random.nextInt(SMALL_SLOTS);
            int count = 1 + random.nextInt(Math.min(4, SMALL_SLOTS - slot));
            map(
                    domain,
                    SMALL_IOVA + slot * PAGE,
                    Rig.TARGET + random.nextInt(TARGET_FRAMES - count + 1) * PAGE,
                    PAGE,
                    count,
                    prot);
        }
    }

    private void map(int domain, long iova, long physicalAddress, long pageSize, int count, int prot) {
        pair.doBoth(
                String.format(
                        "map %d x 0x%x at 0x%x to 0x%x %s in domain %d",
                        count, pageSize, iova, physicalAddress, Prot.toString(prot), domain),
                rig -> rig.map(domain, iova, physicalAddress, pageSize, count, prot));
    }

    private void unmap() {
        int domain = domain();
        if (domain == lazyDomain) {
            sync();
        }
        Range range = range();
        pair.both("unmap " + range + " in domain " + domain, rig -> rig.unmap(domain, range.iova(), range.size()));
    }

    private void lazyUnmap() {
        sync();
        int domain = domain();
        Range range = range();
        Long unmapped = pair.both("unmap " + range + " in domain " + domain + " without invalidation", rig -> {
            return rig.domain(domain).unmap(range.iova(), range.size(), gather(rig));
        });
        lazyDomain = domain;
        if (unmapped != null && unmapped > 0) {
            readStale(domain, range.iova());
        }
    }

    private IotlbGather gather(Rig rig) {
        return rig == pair.qemu() ? qemuGather : simGather;
    }

    /** A read of what is not mapped any more, but not invalidated, is done or refused as the unit pleases. */
    private void readStale(int domain, long iova) {
        for (int i = 0; i < attached.length; i++) {
            if (attached[i] == domain) {
                PciAddress device = devices.get(i);
                pair.doBoth("read 1 word by " + device + " at stale 0x" + Long.toHexString(iova), rig -> {
                    rig.machine().device(device).read(iova, Rig.PATTERN_WORDS, 1);
                    rig.takeFaults();
                });
            }
        }
    }

    private void sync() {
        if (lazyDomain >= 0) {
            int domain = lazyDomain;
            pair.doBoth("invalidate domain " + domain, rig -> rig.domain(domain).sync(gather(rig)));
            lazyDomain = -1;
        }
    }

    private void syncMap() {
        int domain = domain();
        Range range = range();
        pair.doBoth(
                "sync the maps of " + range + " in domain " + domain,
                rig -> rig.domain(domain).syncMap(range.iova(), range.size()));
    }

    private Range range() {
        int kind = random.nextInt(10);
        if (kind == 0) {
            return new Range(HUGE_IOVA + random.nextInt(2) * HUGE_PAGE, HUGE_PAGE);
        }
        if (kind < 3) {
            return new Range(LARGE_IOVA + random.nextInt(LARGE_SLOTS) * LARGE_PAGE, LARGE_PAGE);
        }
        int slot = random.nextInt(SMALL_SLOTS);
        return new Range(SMALL_IOVA + slot * PAGE, (1 + random.nextInt(Math.min(3, SMALL_SLOTS - slot))) * PAGE);
    }

    private void dma() {
        sync();
        PciAddress device = devices.get(random.nextInt(devices.size()));
        int words = random.nextInt(4) == 0 ? 1 + random.nextInt(MOST_WORDS) : 1;
        long iova = dmaAddress();
        if (random.nextBoolean()) {
            pair.read(device, iova, words);
        } else {
            pair.write(
                    device, random.nextInt(Rig.PATTERN_WORDS - MOST_WORDS), iova, words, places(device, iova, words));
        }
    }

    private long dmaAddress() {
        int kind = random.nextInt(20);
        long inTarget = random.nextInt(TARGET_FRAMES) * PAGE + random.nextInt(512) * 8L;
        if (kind == 0) {
            return HUGE_IOVA + random.nextInt(2) * HUGE_PAGE + Rig.TARGET + inTarget;
        }
        if (kind < 4) {
            return LARGE_IOVA
                    + random.nextInt(LARGE_SLOTS) * LARGE_PAGE
                    + random.nextInt(LARGE_FRAMES) * PAGE
                    + random.nextInt(500) * 8L;
        }
        if (kind == 4) {
            return Rig.TARGET + inTarget;
        }
        // Near the end of a page sometimes, so that a transfer goes over to the next.
        int word = random.nextInt(4) == 0 ? 508 + random.nextInt(4) : random.nextInt(512);
        return SMALL_IOVA + random.nextInt(SMALL_SLOTS) * PAGE + word * 8L;
    }

    /** Returns where a write may arrive: what the driver says, and where it would be if nothing translated. */
    private List<Long> places(PciAddress device, long iova, int words) {
        TreeSet<Long> places = new TreeSet<>();
        for (long page : new long[] {iova, (iova + words * 8L - 1) & -PAGE}) {
            long physicalAddress = pair.sim().translate(device, page);
            if (physicalAddress != IommuDomain.UNMAPPED) {
                places.add(physicalAddress);
            }
            if (page >= Rig.TARGET && page < Hardware.MEMORY_BYTES) {
                places.add(page);
            }
        }
        return new ArrayList<>(places);
    }

    private void compareTargets() {
        for (int i = 0; i < TARGET_FRAMES; i++) {
            pair.compareFrame(Rig.TARGET + i * PAGE);
        }
        for (int i = 0; i < LARGE_SLOTS; i++) {
            for (int frame = 0; frame < LARGE_FRAMES; frame++) {
                pair.compareFrame(LARGE_TARGET + i * LARGE_PAGE + frame * PAGE);
            }
        }
    }

    private record Range(long iova, long size) {
        @Override
        public String toString() {
            return "0x" + Long.toHexString(size) + " at 0x" + Long.toHexString(iova);
        }
    }
}
