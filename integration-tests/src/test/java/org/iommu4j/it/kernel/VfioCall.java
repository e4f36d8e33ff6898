// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * One call of a sequence, with numbers for its arguments.
 *
 * @param kind what is called
 * @param arguments as many numbers as the kind has parameters
 */
record VfioCall(Kind kind, List<Long> arguments) {
    /** A number that no file has. */
    static final int NO_FILE = 8;

    /** A number that names a file of another kind. */
    static final int OTHER_FILE = 9;

    /** The number of the process's file of memory, for IOAS_MAP_FILE. */
    static final int MEMORY_FILE = 0;

    /** The area whose offsets are addresses. */
    static final int ABSOLUTE = 15;

    /** What can be called; the agent knows them by their names in small letters. */
    enum Kind {
        OPEN_CONTAINER("container"),
        CLOSE_CONTAINER("container"),
        OPEN_GROUP("group"),
        CLOSE_GROUP("group"),
        SET_CONTAINER("group", "container"),
        UNSET_CONTAINER("group"),
        GROUP_STATUS("group"),
        OPEN_DEVICE("group", "device"),
        CLOSE_DEVICE("device"),
        API_VERSION("container"),
        CHECK_EXTENSION("container", "extension"),
        SET_IOMMU("container", "type"),
        IOMMU_INFO("container", "argsz"),
        MAP_DMA("container", "area", "offset", "iova", "size", "flags", "argsz"),
        UNMAP_DMA("container", "iova", "size", "flags", "argsz", "page_size", "bitmap_bytes"),
        DIRTY_PAGES("container", "flags", "iova", "size", "page_size", "bitmap_bytes"),
        DEVICE_INFO("device", "argsz"),
        RESET_DEVICE("device"),
        BUS_MASTER("device", "on"),
        DMA("device", "from", "to"),
        MAP_MEMORY("area", "page", "count", "protection"),
        UNMAP_MEMORY("area", "page", "count"),
        LOCKED,
        PINNED,
        OPEN_MACHINE("machine"),
        CREATE_KVM_VFIO("machine"),
        CLOSE_KVM_VFIO("machine"),
        ADD_FILE("machine", "group"),
        DELETE_FILE("machine", "group"),
        ADD_DEVICE_FILE("machine", "device"),
        DELETE_DEVICE_FILE("machine", "device"),
        NONCOHERENT,
        OPEN_IOMMUFD("iommufd"),
        CLOSE_IOMMUFD("iommufd"),
        IOAS_ALLOC("iommufd", "flags"),
        DESTROY_OBJECT("iommufd", "object"),
        IOAS_MAP("iommufd", "ioas", "flags", "area", "offset", "length", "iova"),
        IOAS_UNMAP("iommufd", "ioas", "iova", "length"),
        IOAS_COPY("iommufd", "flags", "destination", "source", "length", "iova", "from"),
        IOAS_IOVA_RANGES("iommufd", "ioas", "room"),
        IOAS_ALLOW_IOVAS("iommufd", "ioas", "first", "last"),
        IOMMUFD_OPTION("iommufd", "option", "operation", "object", "value"),
        VFIO_IOAS("iommufd", "operation", "ioas"),
        HWPT_ALLOC("iommufd", "flags", "device", "parent", "type", "address", "width", "table_flags", "queue"),
        HWPT_INVALIDATE("iommufd", "hwpt", "ranges", "leaf", "address", "pages", "second_address", "second_pages"),
        FAULT_QUEUE_ALLOC("iommufd", "flags", "slot"),
        EVENT_QUEUE_ALLOC("iommufd", "flags", "viommu", "type", "depth", "slot"),
        CLOSE_QUEUE("slot"),
        VIOMMU_ALLOC("iommufd", "flags", "type", "device", "parent"),
        VDEVICE_ALLOC("iommufd", "viommu", "device", "number"),
        HW_QUEUE_ALLOC("iommufd", "flags", "viommu", "type", "iova", "length"),
        OPEN_DEVICE_FILE("device"),
        BIND_IOMMUFD("device", "iommufd"),
        ATTACH_IOMMUFD("device", "object"),
        DETACH_IOMMUFD("device"),
        HW_INFO("iommufd", "flags", "device", "type", "room"),
        SET_DIRTY_TRACKING("iommufd", "hwpt", "flags"),
        GET_DIRTY_BITMAP("iommufd", "hwpt", "flags", "iova", "length", "page_size"),
        IOAS_MAP_FILE("iommufd", "ioas", "flags", "file", "start", "length", "iova"),
        ATTACH_PASID("device", "object", "pasid"),
        DETACH_PASID("device", "pasid");

        @SuppressWarnings("ImmutableEnumChecker") // the list is
        private final List<String> parameters;

        Kind(String... parameters) {
            this.parameters = List.of(parameters);
        }
    }

    VfioCall {
        arguments = List.copyOf(arguments);
        if (arguments.size() != kind.parameters.size()) {
            throw new IllegalArgumentException(kind + " has the parameters " + kind.parameters);
        }
    }

    static VfioCall of(Kind kind, long... arguments) {
        return new VfioCall(kind, Arrays.stream(arguments).boxed().toList());
    }

    /** Returns the address of an offset into an area of a sequence's memory. */
    static long address(long area, long offset) {
        return area == ABSOLUTE ? offset : ((area + 1) << 44) + offset;
    }

    /** Returns an argument. */
    long argument(int index) {
        return arguments.get(index);
    }

    /** Returns an argument that is small. */
    int number(int index) {
        return (int) argument(index);
    }

    /** Returns the line that the agent reads. */
    @Override
    public String toString() {
        StringBuilder line = new StringBuilder(kind.name().toLowerCase(Locale.ROOT));
        for (int i = 0; i < arguments.size(); i++) {
            line.append(' ').append(kind.parameters.get(i)).append('=').append(Replay.hex(arguments.get(i)));
        }
        return line.toString();
    }
}
