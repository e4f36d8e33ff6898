// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.iommu4j.it.kernel.VfioCall.Kind;

/**
 * Makes sequences of calls, all random numbers of one generator: mostly such as a program makes, around few addresses,
 * so that they meet; now and then any.
 */
final class RandomVfioSequences {
    private static final long PAGE = 4096;
    private static final long LARGE = 2L << 20;
    private static final int CONTAINERS = 3;
    private static final long[] LIMITS = {0, 4 * PAGE, 16 * PAGE, 64 * PAGE, 8 << 20};
    private static final long[] ODD_IOVAS = {
        0,
        PAGE,
        0x100800,
        0x200000,
        0x40000000,
        0xfedff000L,
        0xfee00000L,
        0xfeeff000L,
        0xfef00000L,
        1L << 32,
        1L << 38,
        (1L << 39) - PAGE,
        1L << 39,
        (1L << 47) - PAGE,
        (1L << 48) - PAGE,
        1L << 48,
        1L << 57,
        -2 * PAGE,
        -PAGE
    };
    private static final long[] ODD_SIZES = {0, 8, 0x800, 0x1800, LARGE, 1 << 30, 1L << 39, -PAGE, -1};
    private static final long[] ODD_ADDRESSES = {0, PAGE, (1L << 47) - PAGE, 1L << 47, 0xffff888000000000L, -PAGE};

    private final Random random;
    private final int functions;
    private final int functionsForDma;
    private final List<VfioCall> calls = new ArrayList<>();

    /** Addresses and sizes of the mappings that were asked for. */
    private final List<long[]> mapped = new ArrayList<>();

    private int main;

    /**
     * Makes sequences.
     *
     * @param functions how many functions the agent has
     * @param functionsForDma how many of them, from the first on, do DMA
     */
    RandomVfioSequences(Random random, int functions, int functionsForDma) {
        this.random = random;
        this.functions = functions;
        this.functionsForDma = functionsForDma;
    }

    /** Returns the next sequence, of up to {@code most} calls. */
    VfioSequence next(int most) {
        calls.clear();
        mapped.clear();
        main = random.nextInt(functions);
        if (chance(90)) {
            begin();
        }
        int length = calls.size() + 1 + random.nextInt(most);
        while (calls.size() < length) {
            addCall();
        }
        return new VfioSequence(LIMITS[random.nextInt(LIMITS.length)], random.nextBoolean(), calls);
    }

    /** Opens a container with a group and a device, as most programs do. */
    private void begin() {
        int group = main;
        add(Kind.OPEN_CONTAINER, 0);
        add(Kind.OPEN_GROUP, group);
        add(Kind.SET_CONTAINER, group, 0);
        add(Kind.SET_IOMMU, 0, chance(80) ? 3 : 1);
        if (chance(70)) {
            add(Kind.OPEN_DEVICE, group, group);
        }
        if (chance(30)) {
            int second = group();
            add(Kind.OPEN_GROUP, second);
            add(Kind.SET_CONTAINER, second, 0);
        }
        if (chance(40)) {
            add(Kind.OPEN_MACHINE, 0);
            add(Kind.CREATE_KVM_VFIO, 0);
            add(Kind.ADD_FILE, 0, group);
        }
    }

    private void addCall() {
        int kind = random.nextInt(100);
        if (kind < 32) {
            long iova = iova();
            long size = size();
            mapped.add(new long[] {iova, size});
            add(Kind.MAP_DMA, container(), area(), offset(), iova, size, mapFlags(), size(32));
        } else if (kind < 52) {
            addUnmap();
        } else if (kind < 62) {
            int device = device();
            if (device < functionsForDma) {
                add(Kind.DMA, device, dmaAddress(), dmaAddress());
            }
        } else if (kind < 67) {
            int flags = chance(90) ? 1 << random.nextInt(3) : random.nextInt(8);
            add(Kind.DIRTY_PAGES, container(), flags, iova(), size(), bitmapPage(), bitmapBytes());
        } else if (kind < 72) {
            addMemory();
        } else if (kind < 75) {
            add(Kind.LOCKED);
        } else if (kind < 79) {
            addOfContainer();
        } else if (kind < 86) {
            addOfKvm();
        } else if (kind < 94) {
            addOfGroup();
        } else {
            addOfDevice();
        }
    }

    private void addUnmap() {
        if (chance(40) && !mapped.isEmpty()) {
            long[] range = mapped.get(random.nextInt(mapped.size()));
            add(Kind.UNMAP_DMA, container(), range[0], range[1], chance(80) ? 0 : 1, 48, PAGE, 8);
        } else if (chance(80)) {
            add(Kind.UNMAP_DMA, container(), iova(), size(), 0, size(24), PAGE, 8);
        } else if (chance(30)) {
            add(Kind.UNMAP_DMA, container(), 0, 0, 2, 24, PAGE, 8);
        } else {
            int flags = random.nextInt(chance(90) ? 8 : 16);
            add(Kind.UNMAP_DMA, container(), iova(), size(), flags, chance(70) ? 48 : 24, bitmapPage(), bitmapBytes());
        }
    }

    private void addMemory() {
        int page = random.nextInt(60);
        if (chance(50)) {
            add(Kind.UNMAP_MEMORY, 0, page, 1 + random.nextInt(4));
        } else {
            add(Kind.MAP_MEMORY, 0, page, 1 + random.nextInt(4), chance(80) ? 2 : 1);
        }
    }

    private void addOfContainer() {
        switch (random.nextInt(8)) {
            case 0 -> add(Kind.OPEN_CONTAINER, random.nextInt(CONTAINERS));
            case 1 -> add(Kind.CLOSE_CONTAINER, random.nextInt(CONTAINERS));
            case 2 -> add(Kind.API_VERSION, container());
            case 3, 4 -> add(Kind.CHECK_EXTENSION, container(), random.nextInt(12));
            case 5 -> add(Kind.SET_IOMMU, container(), chance(80) ? 3 : random.nextInt(12));
            default -> add(Kind.IOMMU_INFO, container(), chance(60) ? 4096 : random.nextInt(160));
        }
    }

    private void addOfGroup() {
        int group = group();
        switch (random.nextInt(7)) {
            case 0, 1 -> add(Kind.OPEN_GROUP, group);
            case 2 -> add(Kind.CLOSE_GROUP, group);
            case 3, 4 ->
                add(Kind.SET_CONTAINER, group, chance(90) ? container() : VfioCall.NO_FILE + random.nextInt(2));
            case 5 -> add(Kind.UNSET_CONTAINER, group);
            default -> add(Kind.GROUP_STATUS, group);
        }
    }

    private void addOfKvm() {
        int machine = chance(80) ? 0 : 1;
        switch (random.nextInt(16)) {
            case 0 -> add(Kind.OPEN_MACHINE, machine);
            case 1, 2 -> {
                add(Kind.OPEN_MACHINE, machine);
                add(Kind.CREATE_KVM_VFIO, machine);
            }
            case 3 -> add(Kind.CLOSE_KVM_VFIO, machine);
            case 4, 5, 6, 7, 8 -> add(Kind.ADD_FILE, machine, group());
            case 9, 10, 11 -> add(Kind.DELETE_FILE, machine, group());
            default -> add(Kind.NONCOHERENT);
        }
    }

    private void addOfDevice() {
        int device = device();
        switch (random.nextInt(7)) {
            case 0, 1, 2 -> add(Kind.OPEN_DEVICE, chance(80) ? device : group(), device);
            case 3 -> add(Kind.CLOSE_DEVICE, device);
            case 4 -> add(Kind.DEVICE_INFO, device, chance(70) ? 32 : random.nextInt(24));
            case 5 -> add(Kind.RESET_DEVICE, device);
            default -> add(Kind.BUS_MASTER, device, random.nextInt(2));
        }
    }

    private void add(Kind kind, long... arguments) {
        calls.add(VfioCall.of(kind, arguments));
    }

    private boolean chance(int percent) {
        return random.nextInt(100) < percent;
    }

    private int container() {
        return chance(90) ? 0 : random.nextInt(CONTAINERS);
    }

    /** One group more often than others, and one device likewise. */
    private int group() {
        return chance(75) ? main : random.nextInt(functions);
    }

    private int device() {
        return group();
    }

    private long area() {
        int of100 = random.nextInt(100);
        return of100 < 80 ? 0 : of100 < 85 ? 1 : of100 < 90 ? 2 : of100 < 97 ? 3 : VfioCall.ABSOLUTE;
    }

    private long offset() {
        if (calls.isEmpty() || chance(95)) {
            return random.nextInt(20) * PAGE;
        }
        return chance(50) ? random.nextInt(512) * 8L : ODD_ADDRESSES[random.nextInt(ODD_ADDRESSES.length)];
    }

    private long iova() {
        return chance(93) ? 0x100000 + random.nextInt(16) * PAGE : ODD_IOVAS[random.nextInt(ODD_IOVAS.length)];
    }

    private long size() {
        return chance(93) ? (1 + random.nextInt(6)) * PAGE : ODD_SIZES[random.nextInt(ODD_SIZES.length)];
    }

    private long mapFlags() {
        return chance(75) ? 3 : chance(80) ? 1 + random.nextInt(2) : random.nextInt(16);
    }

    /** A structure's size, or nearly. */
    private long size(int usual) {
        return chance(97) ? usual : random.nextInt(2 * usual);
    }

    private long bitmapPage() {
        return chance(95) ? PAGE : new long[] {0, 1, 0x1800, 8192, LARGE}[random.nextInt(5)];
    }

    private long bitmapBytes() {
        return chance(80) ? 8 : 8L * random.nextInt(64);
    }

    private long dmaAddress() {
        long page = iova() & -PAGE;
        if (chance(75) && !mapped.isEmpty()) {
            page = (mapped.get(random.nextInt(mapped.size()))[0] & -PAGE) + (chance(70) ? 0 : random.nextInt(4) * PAGE);
        }
        return page + random.nextInt(16) * 16L;
    }
}
