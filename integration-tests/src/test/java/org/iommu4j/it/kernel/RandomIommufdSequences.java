// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.iommu4j.it.kernel.VfioCall.Kind;

/**
 * Makes sequences of calls to iommufd, all random numbers of one generator: mostly such as a program makes, around few
 * addresses and objects, so that they meet; now and then any.
 */
final class RandomIommufdSequences {
    private static final long PAGE = 4096;
    private static final long LARGE = 2L << 20;
    private static final int ALL_FLAGS = 7;
    private static final int FIXED = 1;
    private static final long[] LIMITS = {0, 4 * PAGE, 16 * PAGE, 64 * PAGE, 8 << 20};
    private static final long[] ODD_IOVAS = {
        0,
        PAGE,
        0x100800,
        0x200000,
        0xfedff000L,
        0xfee00000L,
        0xfef00000L,
        1L << 32,
        (1L << 39) - PAGE,
        1L << 39,
        1L << 48,
        1L << 58,
        -2 * PAGE,
        -PAGE,
        -1
    };
    private static final long[] ODD_LENGTHS = {0, 8, 0x800, 0x1800, LARGE, 1 << 30, 1L << 39, -PAGE, -1};
    private static final long[] ODD_ADDRESSES = {0, PAGE, (1L << 47) - PAGE, 1L << 47, 0xffff888000000000L, -PAGE};
    private static final int MANY_OBJECTS = 8;

    private final Random random;
    private final int functions;
    private final int functionsForDma;
    private final List<VfioCall> calls = new ArrayList<>();

    /** Addresses and lengths of the mappings that were asked for. */
    private final List<long[]> mapped = new ArrayList<>();

    private int main;

    /**
     * Makes sequences.
     *
     * @param functions how many functions the agent has
     * @param functionsForDma how many of them, from the first on, do DMA
     */
    RandomIommufdSequences(Random random, int functions, int functionsForDma) {
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

    /** Object 1 is an IOAS; mostly object 2 is a device, and 3 the HWPT that it is attached to. */
    private void begin() {
        add(Kind.OPEN_IOMMUFD, 0);
        if (chance(10)) {
            add(Kind.IOMMUFD_OPTION, 0, 0, 0, 0, 1);
        }
        add(Kind.IOAS_ALLOC, 0, 0);
        if (chance(80)) {
            add(Kind.OPEN_DEVICE_FILE, main);
            add(Kind.BIND_IOMMUFD, main, 0);
            if (chance(20)) {
                add(Kind.HWPT_ALLOC, 0, 0, 2, 1);
            }
            if (chance(80)) {
                add(Kind.ATTACH_IOMMUFD, main, chance(80) ? 1 : 3);
            }
        }
        if (chance(30)) {
            add(Kind.IOAS_ALLOC, 0, 0);
        }
        if (chance(25)) {
            int second = device();
            add(Kind.OPEN_DEVICE_FILE, second);
            add(Kind.BIND_IOMMUFD, second, 0);
            add(Kind.ATTACH_IOMMUFD, second, object());
        }
        if (chance(30)) {
            add(Kind.OPEN_MACHINE, 0);
            add(Kind.CREATE_KVM_VFIO, 0);
            add(Kind.ADD_DEVICE_FILE, 0, main);
        }
    }

    private void addCall() {
        int kind = random.nextInt(100);
        if (kind < 28) {
            addMap();
        } else if (kind < 43) {
            addUnmap();
        } else if (kind < 51) {
            long[] from = !mapped.isEmpty() && chance(85) ? mapped.get(random.nextInt(mapped.size())) : range();
            add(Kind.IOAS_COPY, file(), mapFlags(), object(), object(), from[1], iova(), from[0]);
        } else if (kind < 60) {
            int device = device();
            if (device < functionsForDma) {
                add(Kind.DMA, device, dmaAddress(), dmaAddress());
            }
        } else if (kind < 70) {
            addOfObject();
        } else if (kind < 74) {
            addOfHardware();
        } else if (kind < 90) {
            addOfDevice();
        } else if (kind < 95) {
            addOfMemory();
        } else {
            addOfKvm();
        }
    }

    private void addMap() {
        long[] range = range();
        int flags = mapFlags();
        if ((flags & FIXED) != 0) {
            mapped.add(range);
        }
        if (chance(80)) {
            add(Kind.IOAS_MAP, file(), object(), flags, area(), offset(), range[1], range[0]);
        } else {
            add(Kind.IOAS_MAP_FILE, file(), object(), flags, mappedFile(), fileOffset(), range[1], range[0]);
        }
    }

    private void addUnmap() {
        if (chance(5)) {
            add(Kind.IOAS_UNMAP, file(), object(), 0, -1);
        } else if (chance(60) && !mapped.isEmpty()) {
            long[] range = mapped.get(random.nextInt(mapped.size()));
            add(Kind.IOAS_UNMAP, file(), object(), range[0], range[1]);
        } else {
            add(Kind.IOAS_UNMAP, file(), object(), iova(), length());
        }
    }

    private void addOfObject() {
        switch (random.nextInt(12)) {
            case 0 -> add(Kind.OPEN_IOMMUFD, random.nextInt(2));
            case 1 -> add(Kind.CLOSE_IOMMUFD, random.nextInt(2));
            case 2, 3 -> add(Kind.IOAS_ALLOC, file(), chance(95) ? 0 : 1);
            case 4, 5 -> add(Kind.DESTROY_OBJECT, file(), object());
            case 6, 7 -> add(Kind.IOAS_IOVA_RANGES, file(), object(), random.nextInt(10));
            case 8 -> add(Kind.IOAS_ALLOW_IOVAS, file(), object(), iova(), iova() + length() - 1);
            case 9 -> add(Kind.VFIO_IOAS, file(), random.nextInt(3), object());
            case 10 -> add(Kind.IOMMUFD_OPTION, file(), 0, random.nextInt(2), chance(90) ? 0 : 1, random.nextInt(3));
            default -> add(Kind.IOMMUFD_OPTION, file(), 1, random.nextInt(2), object(), random.nextInt(3));
        }
    }

    private void addOfHardware() {
        switch (random.nextInt(4)) {
            case 0, 1 ->
                add(Kind.HW_INFO, file(), rarely(4), deviceObject(), chance(70) ? 0 : random.nextInt(3), infoRoom());
            case 2 -> add(Kind.SET_DIRTY_TRACKING, file(), hwptObject(), chance(90) ? random.nextInt(2) : 2);
            default ->
                add(Kind.GET_DIRTY_BITMAP, file(), hwptObject(), rarely(4), iova(), bitmapLength(), bitmapPage());
        }
    }

    private void addOfDevice() {
        int device = device();
        switch (random.nextInt(13)) {
            case 0, 1 -> add(Kind.OPEN_DEVICE_FILE, device);
            case 2 -> add(Kind.CLOSE_DEVICE, device);
            case 3, 4 -> add(Kind.BIND_IOMMUFD, device, file());
            case 5, 6, 7 -> add(Kind.ATTACH_IOMMUFD, device, object());
            case 8 -> add(Kind.DETACH_IOMMUFD, device);
            case 9 -> add(Kind.BUS_MASTER, device, random.nextInt(2));
            case 10 -> {
                if (chance(70)) {
                    add(Kind.ATTACH_PASID, device, object(), pasid());
                } else {
                    add(Kind.DETACH_PASID, device, pasid());
                }
            }
            default -> add(Kind.HWPT_ALLOC, file(), chance(90) ? 0 : random.nextInt(16), object(), object());
        }
    }

    private void addOfMemory() {
        int page = random.nextInt(60);
        switch (random.nextInt(4)) {
            case 0 -> add(Kind.UNMAP_MEMORY, 0, page, 1 + random.nextInt(4));
            case 1 -> add(Kind.MAP_MEMORY, 0, page, 1 + random.nextInt(4), chance(80) ? 2 : 1);
            case 2 -> add(Kind.LOCKED);
            default -> add(Kind.PINNED);
        }
    }

    private void addOfKvm() {
        switch (random.nextInt(6)) {
            case 0 -> add(Kind.OPEN_MACHINE, 0);
            case 1 -> add(Kind.CREATE_KVM_VFIO, 0);
            case 2, 3 -> add(Kind.ADD_DEVICE_FILE, 0, device());
            case 4 -> add(Kind.DELETE_DEVICE_FILE, 0, device());
            default -> add(Kind.NONCOHERENT);
        }
    }

    private void add(Kind kind, long... arguments) {
        calls.add(VfioCall.of(kind, arguments));
    }

    private boolean chance(int percent) {
        return random.nextInt(100) < percent;
    }

    private int file() {
        return chance(97) ? 0 : 1;
    }

    private int device() {
        return chance(75) ? main : random.nextInt(functions);
    }

    /** The first IOAS most often, then any object, or none. */
    private long object() {
        return chance(75) ? 1 : chance(95) ? 1 + random.nextInt(MANY_OBJECTS) : random.nextInt(2) * 9999L;
    }

    /** A device's object, as often as not. */
    private long deviceObject() {
        return chance(60) ? 2 : object();
    }

    /** A HWPT's object, as often as not. */
    private long hwptObject() {
        return chance(60) ? 3 : object();
    }

    private int rarely(int bound) {
        return chance(90) ? 0 : random.nextInt(bound);
    }

    private int infoRoom() {
        return chance(80) ? 64 : 4 * random.nextInt(16);
    }

    /** As many bytes as fit into the agent's bitmap, and none. */
    private long bitmapLength() {
        return chance(90) ? (1 + random.nextInt(6)) * PAGE : new long[] {0, 8, 0x1800, -1}[random.nextInt(4)];
    }

    private long bitmapPage() {
        return chance(90) ? PAGE : new long[] {0, 1, 0x800, 0x1800, LARGE}[random.nextInt(5)];
    }

    private int pasid() {
        return chance(80) ? 1 : new int[] {0, 1 << 19, 1 << 20, -1}[random.nextInt(4)];
    }

    private int mappedFile() {
        return chance(95) ? VfioCall.MEMORY_FILE : VfioCall.NO_FILE + random.nextInt(2);
    }

    /** Within the file mostly, or behind its end. */
    private long fileOffset() {
        return chance(90)
                ? random.nextInt(5) * PAGE
                : chance(50) ? random.nextInt(512) * 8L : -PAGE * random.nextInt(3);
    }

    private int mapFlags() {
        return chance(70) ? ALL_FLAGS : chance(80) ? FIXED + 2 * (1 + random.nextInt(2)) : random.nextInt(16);
    }

    private long[] range() {
        return new long[] {iova(), length()};
    }

    private long area() {
        int of100 = random.nextInt(100);
        return of100 < 80 ? 0 : of100 < 85 ? 1 : of100 < 90 ? 2 : of100 < 97 ? 3 : VfioCall.ABSOLUTE;
    }

    private long offset() {
        if (chance(93)) {
            return random.nextInt(20) * PAGE;
        }
        return chance(50) ? random.nextInt(512) * 8L : ODD_ADDRESSES[random.nextInt(ODD_ADDRESSES.length)];
    }

    private long iova() {
        return chance(93) ? 0x100000 + random.nextInt(16) * PAGE : ODD_IOVAS[random.nextInt(ODD_IOVAS.length)];
    }

    private long length() {
        return chance(93) ? (1 + random.nextInt(6)) * PAGE : ODD_LENGTHS[random.nextInt(ODD_LENGTHS.length)];
    }

    private long dmaAddress() {
        long page = iova() & -PAGE;
        if (chance(75) && !mapped.isEmpty()) {
            page = (mapped.get(random.nextInt(mapped.size()))[0] & -PAGE) + (chance(70) ? 0 : random.nextInt(4) * PAGE);
        }
        return page + random.nextInt(16) * 16L;
    }
}
