// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.iommu4j.it.kernel.SequenceDraft.LARGE;
import static org.iommu4j.it.kernel.SequenceDraft.PAGE;

import org.iommu4j.it.kernel.SequenceDraft.Range;
import org.iommu4j.it.kernel.VfioCall.Kind;

/** Random calls to containers, groups, their devices, and kvm-vfio. */
final class RandomVfioCalls implements RandomCalls {
    /** Addresses at which something begins or ends. */
    static final long[] ODD_IOVAS = {
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

    private static final int CONTAINERS = 3;

    private final SequenceDraft draft;

    /**
     * Makes calls.
     *
     * @param draft gets them
     */
    RandomVfioCalls(SequenceDraft draft) {
        this.draft = draft;
    }

    /** Opens a container with a group and a device, as most programs do. */
    @Override
    public void begin() {
        int group = draft.mainFunction();
        draft.add(Kind.OPEN_CONTAINER, 0);
        draft.add(Kind.OPEN_GROUP, group);
        draft.add(Kind.SET_CONTAINER, group, 0);
        draft.add(Kind.SET_IOMMU, 0, draft.chance(80) ? 3 : 1);
        if (draft.chance(70)) {
            draft.add(Kind.OPEN_DEVICE, group, group);
        }
        if (draft.chance(30)) {
            int second = draft.function();
            draft.add(Kind.OPEN_GROUP, second);
            draft.add(Kind.SET_CONTAINER, second, 0);
        }
        if (draft.chance(40)) {
            draft.add(Kind.OPEN_MACHINE, 0);
            draft.add(Kind.CREATE_KVM_VFIO, 0);
            draft.add(Kind.ADD_FILE, 0, group);
        }
    }

    @Override
    public void add() {
        int kind = draft.below(100);
        if (kind < 32) {
            Range range = draft.range();
            draft.remember(range);
            draft.add(
                    Kind.MAP_DMA,
                    container(),
                    draft.area(),
                    draft.offset(),
                    range.iova(),
                    range.length(),
                    mapFlags(),
                    argumentSize(32));
        } else if (kind < 52) {
            addUnmap();
        } else if (kind < 62) {
            draft.addDma();
        } else if (kind < 67) {
            int flags = draft.chance(90) ? 1 << draft.below(3) : draft.below(8);
            draft.add(Kind.DIRTY_PAGES, container(), flags, draft.iova(), draft.length(), bitmapPage(), bitmapBytes());
        } else if (kind < 72) {
            addMemory();
        } else if (kind < 75) {
            draft.add(Kind.LOCKED);
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
        if (draft.chance(40) && draft.remembers()) {
            Range range = draft.remembered();
            draft.add(Kind.UNMAP_DMA, container(), range.iova(), range.length(), draft.chance(80) ? 0 : 1, 48, PAGE, 8);
        } else if (draft.chance(80)) {
            draft.add(Kind.UNMAP_DMA, container(), draft.iova(), draft.length(), 0, argumentSize(24), PAGE, 8);
        } else if (draft.chance(30)) {
            draft.add(Kind.UNMAP_DMA, container(), 0, 0, 2, 24, PAGE, 8);
        } else {
            int flags = draft.below(draft.chance(90) ? 8 : 16);
            draft.add(
                    Kind.UNMAP_DMA,
                    container(),
                    draft.iova(),
                    draft.length(),
                    flags,
                    draft.chance(70) ? 48 : 24,
                    bitmapPage(),
                    bitmapBytes());
        }
    }

    private void addMemory() {
        int page = draft.below(60);
        if (draft.chance(50)) {
            draft.add(Kind.UNMAP_MEMORY, 0, page, 1 + draft.below(4));
        } else {
            draft.add(Kind.MAP_MEMORY, 0, page, 1 + draft.below(4), draft.chance(80) ? 2 : 1);
        }
    }

    private void addOfContainer() {
        switch (draft.below(8)) {
            case 0 -> draft.add(Kind.OPEN_CONTAINER, draft.below(CONTAINERS));
            case 1 -> draft.add(Kind.CLOSE_CONTAINER, draft.below(CONTAINERS));
            case 2 -> draft.add(Kind.API_VERSION, container());
            case 3, 4 -> draft.add(Kind.CHECK_EXTENSION, container(), draft.below(12));
            case 5 -> draft.add(Kind.SET_IOMMU, container(), draft.chance(80) ? 3 : draft.below(12));
            default -> draft.add(Kind.IOMMU_INFO, container(), draft.chance(60) ? 4096 : draft.below(160));
        }
    }

    private void addOfGroup() {
        int group = draft.function();
        switch (draft.below(7)) {
            case 0, 1 -> draft.add(Kind.OPEN_GROUP, group);
            case 2 -> draft.add(Kind.CLOSE_GROUP, group);
            case 3, 4 ->
                draft.add(
                        Kind.SET_CONTAINER, group, draft.chance(90) ? container() : VfioCall.NO_FILE + draft.below(2));
            case 5 -> draft.add(Kind.UNSET_CONTAINER, group);
            default -> draft.add(Kind.GROUP_STATUS, group);
        }
    }

    private void addOfKvm() {
        int machine = draft.chance(80) ? 0 : 1;
        switch (draft.below(16)) {
            case 0 -> draft.add(Kind.OPEN_MACHINE, machine);
            case 1, 2 -> {
                draft.add(Kind.OPEN_MACHINE, machine);
                draft.add(Kind.CREATE_KVM_VFIO, machine);
            }
            case 3 -> draft.add(Kind.CLOSE_KVM_VFIO, machine);
            case 4, 5, 6, 7, 8 -> draft.add(Kind.ADD_FILE, machine, draft.function());
            case 9, 10, 11 -> draft.add(Kind.DELETE_FILE, machine, draft.function());
            default -> draft.add(Kind.NONCOHERENT);
        }
    }

    private void addOfDevice() {
        int device = draft.function();
        switch (draft.below(7)) {
            case 0, 1, 2 -> draft.add(Kind.OPEN_DEVICE, draft.chance(80) ? device : draft.function(), device);
            case 3 -> draft.add(Kind.CLOSE_DEVICE, device);
            case 4 -> draft.add(Kind.DEVICE_INFO, device, draft.chance(70) ? 32 : draft.below(24));
            case 5 -> draft.add(Kind.RESET_DEVICE, device);
            default -> draft.add(Kind.BUS_MASTER, device, draft.below(2));
        }
    }

    private int container() {
        return draft.chance(90) ? 0 : draft.below(CONTAINERS);
    }

    private long mapFlags() {
        return draft.chance(75) ? 3 : draft.chance(80) ? 1 + draft.below(2) : draft.below(16);
    }

    /** A structure's size, or nearly. */
    private long argumentSize(int usual) {
        return draft.chance(97) ? usual : draft.below(2 * usual);
    }

    private long bitmapPage() {
        return draft.chance(95) ? PAGE : draft.oneOf(0, 1, 0x1800, 8192, LARGE);
    }

    private long bitmapBytes() {
        return draft.chance(80) ? 8 : 8L * draft.below(64);
    }
}
