// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.iommu4j.it.kernel.SequenceDraft.LARGE;
import static org.iommu4j.it.kernel.SequenceDraft.PAGE;

import org.iommu4j.intel.nesting.FirstStageInvalidation;
import org.iommu4j.it.kernel.SequenceDraft.Range;
import org.iommu4j.it.kernel.VfioCall.Kind;
import org.iommu4j.vfio.iommufd.HwptAlloc;

/** Random calls to iommufd, to the devices' own files, and to kvm-vfio: mostly around few objects. */
final class RandomIommufdCalls implements RandomCalls {
    /** Addresses at which something begins or ends. */
    static final long[] ODD_IOVAS = {
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

    private static final int ALL_FLAGS = 7;
    private static final int FIXED = 1;
    private static final int MANY_OBJECTS = 8;

    private final SequenceDraft draft;

    /**
     * Makes calls.
     *
     * @param draft gets them
     */
    RandomIommufdCalls(SequenceDraft draft) {
        this.draft = draft;
    }

    /**
     * Object 1 is an IOAS; mostly object 2 is a device, and 3 the HWPT that it is attached to. Where the unit nests, 3
     * may be a parent and 4 a guest's table above it.
     */
    @Override
    public void begin() {
        draft.add(Kind.OPEN_IOMMUFD, 0);
        if (draft.chance(10)) {
            draft.add(Kind.IOMMUFD_OPTION, 0, 0, 0, 0, 1);
        }
        draft.add(Kind.IOAS_ALLOC, 0, 0);
        if (draft.chance(80)) {
            draft.add(Kind.OPEN_DEVICE_FILE, draft.mainFunction());
            draft.add(Kind.BIND_IOMMUFD, draft.mainFunction(), 0);
            int made = draft.below(100);
            if (made < 15) {
                addHwpt(0, 2, 1, 0);
            } else if (made < 50) {
                beginNesting();
            }
            if (draft.chance(80)) {
                draft.add(Kind.ATTACH_IOMMUFD, draft.mainFunction(), draft.chance(80) ? 1 : 3);
            }
        }
        if (draft.chance(30)) {
            draft.add(Kind.IOAS_ALLOC, 0, 0);
        }
        if (draft.chance(25)) {
            draft.add(Kind.FAULT_QUEUE_ALLOC, 0, 0, 0);
        }
        if (draft.chance(25)) {
            int second = draft.function();
            draft.add(Kind.OPEN_DEVICE_FILE, second);
            draft.add(Kind.BIND_IOMMUFD, second, 0);
            draft.add(Kind.ATTACH_IOMMUFD, second, object());
        }
        if (draft.chance(30)) {
            draft.add(Kind.OPEN_MACHINE, 0);
            draft.add(Kind.CREATE_KVM_VFIO, 0);
            draft.add(Kind.ADD_DEVICE_FILE, 0, draft.mainFunction());
        }
    }

    private void beginNesting() {
        boolean tracks = draft.coin();
        addHwpt(HwptAlloc.NEST_PARENT | (tracks ? HwptAlloc.DIRTY_TRACKING : 0), 2, 1, 0);
        if (tracks) {
            draft.add(Kind.SET_DIRTY_TRACKING, 0, 3, 1);
        }
        addHwpt(0, 2, 3, HwptAlloc.DATA_VTD_S1);
        draft.add(Kind.ATTACH_IOMMUFD, draft.mainFunction(), draft.chance(70) ? 4 : 3);
    }

    @Override
    public void add() {
        int kind = draft.below(100);
        if (kind < 24) {
            addMap();
        } else if (kind < 36) {
            addUnmap();
        } else if (kind < 43) {
            Range from = draft.remembers() && draft.chance(85) ? draft.remembered() : draft.range();
            draft.add(Kind.IOAS_COPY, file(), mapFlags(), object(), object(), from.length(), draft.iova(), from.iova());
        } else if (kind < 50) {
            draft.addDma();
        } else if (kind < 60) {
            addOfObject();
        } else if (kind < 66) {
            addOfHardware();
        } else if (kind < 76) {
            addOfGuest();
        } else if (kind < 90) {
            addOfDevice();
        } else if (kind < 95) {
            addOfMemory();
        } else {
            addOfKvm();
        }
    }

    private void addMap() {
        Range range = draft.range();
        int flags = mapFlags();
        if ((flags & FIXED) != 0) {
            draft.remember(range);
        }
        if (draft.chance(80)) {
            draft.add(
                    Kind.IOAS_MAP, file(), object(), flags, draft.area(), draft.offset(), range.length(), range.iova());
        } else {
            draft.add(
                    Kind.IOAS_MAP_FILE,
                    file(),
                    object(),
                    flags,
                    mappedFile(),
                    fileOffset(),
                    range.length(),
                    range.iova());
        }
    }

    private void addUnmap() {
        if (draft.chance(5)) {
            draft.add(Kind.IOAS_UNMAP, file(), object(), 0, -1);
        } else if (draft.chance(60) && draft.remembers()) {
            Range range = draft.remembered();
            draft.add(Kind.IOAS_UNMAP, file(), object(), range.iova(), range.length());
        } else {
            draft.add(Kind.IOAS_UNMAP, file(), object(), draft.iova(), draft.length());
        }
    }

    private void addOfObject() {
        switch (draft.below(12)) {
            case 0 -> draft.add(Kind.OPEN_IOMMUFD, draft.below(2));
            case 1 -> draft.add(Kind.CLOSE_IOMMUFD, draft.below(2));
            case 2, 3 -> draft.add(Kind.IOAS_ALLOC, file(), draft.chance(95) ? 0 : 1);
            case 4, 5 -> draft.add(Kind.DESTROY_OBJECT, file(), object());
            case 6, 7 -> draft.add(Kind.IOAS_IOVA_RANGES, file(), object(), draft.below(10));
            case 8 ->
                draft.add(Kind.IOAS_ALLOW_IOVAS, file(), object(), draft.iova(), draft.iova() + draft.length() - 1);
            case 9 -> draft.add(Kind.VFIO_IOAS, file(), draft.below(3), object());
            case 10 ->
                draft.add(Kind.IOMMUFD_OPTION, file(), 0, draft.below(2), draft.chance(90) ? 0 : 1, draft.below(3));
            default -> draft.add(Kind.IOMMUFD_OPTION, file(), 1, draft.below(2), object(), draft.below(3));
        }
    }

    private void addOfHardware() {
        switch (draft.below(4)) {
            case 0, 1 ->
                draft.add(
                        Kind.HW_INFO,
                        file(),
                        draft.rarely(4),
                        deviceObject(),
                        draft.chance(70) ? 0 : draft.below(3),
                        infoRoom());
            case 2 -> draft.add(Kind.SET_DIRTY_TRACKING, file(), hwptObject(), draft.chance(90) ? draft.below(2) : 2);
            default ->
                draft.add(
                        Kind.GET_DIRTY_BITMAP,
                        file(),
                        hwptObject(),
                        draft.rarely(4),
                        draft.iova(),
                        bitmapLength(),
                        bitmapPage());
        }
    }

    private void addOfDevice() {
        int device = draft.function();
        switch (draft.below(13)) {
            case 0, 1 -> draft.add(Kind.OPEN_DEVICE_FILE, device);
            case 2 -> draft.add(Kind.CLOSE_DEVICE, device);
            case 3, 4 -> draft.add(Kind.BIND_IOMMUFD, device, file());
            case 5, 6, 7 -> draft.add(Kind.ATTACH_IOMMUFD, device, object());
            case 8 -> draft.add(Kind.DETACH_IOMMUFD, device);
            case 9 -> draft.add(Kind.BUS_MASTER, device, draft.below(2));
            case 10 -> {
                if (draft.chance(70)) {
                    draft.add(Kind.ATTACH_PASID, device, object(), pasid());
                } else {
                    draft.add(Kind.DETACH_PASID, device, pasid());
                }
            }
            default ->
                addHwpt(
                        draft.chance(60) ? 0 : draft.below(draft.chance(95) ? 16 : 32),
                        deviceObject(),
                        object(),
                        draft.chance(95) ? 0 : draft.below(3));
        }
    }

    /** What a VMM asks for a guest that has an IOMMU. */
    private void addOfGuest() {
        switch (draft.below(12)) {
            case 0, 1, 2 ->
                addHwpt(
                        draft.rarely(16),
                        deviceObject(),
                        hwptObject(),
                        draft.chance(85) ? HwptAlloc.DATA_VTD_S1 : draft.below(10));
            case 3, 4 ->
                draft.add(
                        Kind.HWPT_INVALIDATE,
                        file(),
                        draft.chance(60) ? 4 : object(),
                        draft.below(3),
                        draft.below(2),
                        guestAddress(),
                        pages(),
                        guestAddress(),
                        pages());
            case 5 -> draft.add(Kind.FAULT_QUEUE_ALLOC, file(), draft.rarely(2), draft.rarely(2));
            case 6 -> draft.add(Kind.CLOSE_QUEUE, draft.rarely(2));
            case 7 ->
                draft.add(Kind.VIOMMU_ALLOC, file(), draft.rarely(2), draft.below(4), deviceObject(), hwptObject());
            case 8 -> draft.add(Kind.VDEVICE_ALLOC, file(), object(), deviceObject(), draft.below(4));
            case 9 ->
                draft.add(
                        Kind.EVENT_QUEUE_ALLOC,
                        file(),
                        draft.rarely(2),
                        object(),
                        draft.below(3),
                        draft.chance(80) ? 16 : draft.oneOf(0, 1 << 19, (1 << 19) + 1, 0xffffffffL),
                        draft.below(2));
            case 10 ->
                draft.add(
                        Kind.HW_QUEUE_ALLOC,
                        file(),
                        draft.rarely(2),
                        object(),
                        draft.below(3),
                        draft.iova(),
                        draft.length());
            default -> draft.add(Kind.ATTACH_IOMMUFD, draft.function(), draft.chance(80) ? 4 : object());
        }
    }

    /** A guest's table matters only with a type. */
    private void addHwpt(int flags, long device, long parent, int type) {
        draft.add(
                Kind.HWPT_ALLOC,
                file(),
                flags,
                device,
                parent,
                type,
                type == 0 ? 0 : guestAddress(),
                type == 0 ? 0 : draft.chance(80) ? 48 : draft.oneOf(0, 39, 57, 64),
                type == 0 ? 0 : draft.rarely(16),
                (flags & HwptAlloc.FAULT_ID_VALID) == 0 ? 0 : draft.chance(90) ? 3 + draft.below(4) : object());
    }

    private long guestAddress() {
        return draft.chance(90) ? 0x2000000 + draft.below(16) * PAGE : draft.iova();
    }

    private long pages() {
        return draft.chance(90) ? 1 + draft.below(8) : draft.oneOf(FirstStageInvalidation.ALL_PAGES, 512, 1L << 40);
    }

    private void addOfMemory() {
        int page = draft.below(60);
        switch (draft.below(4)) {
            case 0 -> draft.add(Kind.UNMAP_MEMORY, 0, page, 1 + draft.below(4));
            case 1 -> draft.add(Kind.MAP_MEMORY, 0, page, 1 + draft.below(4), draft.chance(80) ? 2 : 1);
            case 2 -> draft.add(Kind.LOCKED);
            default -> draft.add(Kind.PINNED);
        }
    }

    private void addOfKvm() {
        switch (draft.below(6)) {
            case 0 -> draft.add(Kind.OPEN_MACHINE, 0);
            case 1 -> draft.add(Kind.CREATE_KVM_VFIO, 0);
            case 2, 3 -> draft.add(Kind.ADD_DEVICE_FILE, 0, draft.function());
            case 4 -> draft.add(Kind.DELETE_DEVICE_FILE, 0, draft.function());
            default -> draft.add(Kind.NONCOHERENT);
        }
    }

    private int file() {
        return draft.chance(97) ? 0 : 1;
    }

    /** The first IOAS most often, then any object, or none. */
    private long object() {
        return draft.chance(75) ? 1 : draft.chance(95) ? 1 + draft.below(MANY_OBJECTS) : draft.below(2) * 9999L;
    }

    /** A device's object, as often as not. */
    private long deviceObject() {
        return draft.chance(60) ? 2 : object();
    }

    /** A HWPT's object, as often as not. */
    private long hwptObject() {
        return draft.chance(60) ? 3 : object();
    }

    private int infoRoom() {
        return draft.chance(80) ? 64 : 4 * draft.below(16);
    }

    /** As many bytes as fit into the agent's bitmap, and none. */
    private long bitmapLength() {
        return draft.chance(90) ? (1 + draft.below(6)) * PAGE : draft.oneOf(0, 8, 0x1800, -1);
    }

    private long bitmapPage() {
        return draft.chance(90) ? PAGE : draft.oneOf(0, 1, 0x800, 0x1800, LARGE);
    }

    private long pasid() {
        return draft.chance(80) ? 1 : draft.oneOf(0, 1 << 19, 1 << 20, -1);
    }

    private int mappedFile() {
        return draft.chance(95) ? VfioCall.MEMORY_FILE : VfioCall.NO_FILE + draft.below(2);
    }

    /** Within the file mostly, or behind its end. */
    private long fileOffset() {
        return draft.chance(90)
                ? draft.below(5) * PAGE
                : draft.chance(50) ? draft.below(512) * 8L : -PAGE * draft.below(3);
    }

    private int mapFlags() {
        return draft.chance(70) ? ALL_FLAGS : draft.chance(80) ? FIXED + 2 * (1 + draft.below(2)) : draft.below(16);
    }
}
