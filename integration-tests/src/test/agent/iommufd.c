// SPDX-License-Identifier: Apache-2.0
// The calls of a sequence to iommufd, and to the devices' own files. Objects are named by the numbers that the kernel
// gave them. Headers of older systems know none of these calls: structures and numbers are written out.
#define _GNU_SOURCE
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CALL(number) _IO(VFIO_TYPE, number)
#define DESTROY CALL(0x80)
#define IOAS_ALLOC CALL(0x81)
#define IOAS_ALLOW_IOVAS CALL(0x82)
#define IOAS_COPY CALL(0x83)
#define IOAS_IOVA_RANGES CALL(0x84)
#define IOAS_MAP CALL(0x85)
#define IOAS_UNMAP CALL(0x86)
#define OPTION CALL(0x87)
#define VFIO_IOAS CALL(0x88)
#define HWPT_ALLOC CALL(0x89)
#define GET_HW_INFO CALL(0x8a)
#define SET_DIRTY_TRACKING CALL(0x8b)
#define GET_DIRTY_BITMAP CALL(0x8c)
#define HWPT_INVALIDATE CALL(0x8d)
#define FAULT_QUEUE_ALLOC CALL(0x8e)
#define IOAS_MAP_FILE CALL(0x8f)
#define VIOMMU_ALLOC CALL(0x90)
#define VDEVICE_ALLOC CALL(0x91)
#define VEVENTQ_ALLOC CALL(0x93)
#define HW_QUEUE_ALLOC CALL(0x94)
#define BIND_IOMMUFD CALL(VFIO_BASE + 18)
#define ATTACH_IOMMUFD_PT CALL(VFIO_BASE + 19)
#define DETACH_IOMMUFD_PT CALL(VFIO_BASE + 20)

#define WITH_PASID 1

// Bytes of the first form of HWPT_ALLOC's argument that has data, and no fault queue.
#define WITHOUT_QUEUE 40

#define FILES 2
#define QUEUES 2
#define RANGES 16
#define INFO_WORDS 16

static int files[FILES];
static int queues[QUEUES];

int has_iommufd(void) {
    return access("/dev/iommu", F_OK) == 0;
}

void prepare_iommufd(void) {
    memset(files, -1, sizeof files);
    memset(queues, -1, sizeof queues);
}

void open_iommufd(const u64 *a) {
    if (files[a[0]] >= 0) {
        skipped();
        return;
    }
    files[a[0]] = open("/dev/iommu", O_RDWR);
    result(files[a[0]] < 0 ? -1 : 0);
}

void close_iommufd(const u64 *a) {
    int fd = files[a[0]];
    files[a[0]] = -1;
    result(close(fd));
}

void ioas_alloc(const u64 *a) {
    struct {
        u32 size, flags, id;
    } alloc = {sizeof alloc, a[1], 0};
    if (result(ioctl(files[a[0]], IOAS_ALLOC, &alloc)) == 0) {
        field("id", alloc.id);
    }
}

void destroy_object(const u64 *a) {
    struct {
        u32 size, id;
    } argument = {sizeof argument, a[1]};
    result(ioctl(files[a[0]], DESTROY, &argument));
}

void ioas_map(const u64 *a) {
    struct {
        u32 size, flags, ioas, reserved;
        u64 address, length, iova;
    } map = {sizeof map, a[2], a[1], 0, address(a[3], a[4]), a[5], a[6]};
    if (result(ioctl(files[a[0]], IOAS_MAP, &map)) == 0) {
        field("iova", map.iova);
    }
}

void ioas_unmap(const u64 *a) {
    struct {
        u32 size, ioas;
        u64 iova, length;
    } unmap = {sizeof unmap, a[1], a[2], a[3]};
    if (result(ioctl(files[a[0]], IOAS_UNMAP, &unmap)) == 0) {
        field("length", unmap.length);
    }
}

void ioas_copy(const u64 *a) {
    struct {
        u32 size, flags, destination, source;
        u64 length, iova, from;
    } copy = {sizeof copy, a[1], a[2], a[3], a[4], a[5], a[6]};
    if (result(ioctl(files[a[0]], IOAS_COPY, &copy)) == 0) {
        field("iova", copy.iova);
    }
}

void ioas_iova_ranges(const u64 *a) {
    u64 bounds[2 * RANGES];
    struct {
        u32 size, ioas, count, reserved;
        u64 bounds, alignment;
    } ranges = {sizeof ranges, a[1], a[2], 0, (uintptr_t) bounds, 0};
    int value;
    check(a[2] <= RANGES, "room for ranges");
    value = result(ioctl(files[a[0]], IOAS_IOVA_RANGES, &ranges));
    if (value == 0) {
        field("alignment", ranges.alignment);
        for (u32 i = 0; i < ranges.count; i++) {
            fprintf(answers, " range=%#llx-%#llx", (unsigned long long) bounds[2 * i],
                    (unsigned long long) bounds[2 * i + 1]);
        }
    }
}

void ioas_allow_iovas(const u64 *a) {
    u64 bounds[2] = {a[2], a[3]};
    struct {
        u32 size, ioas, count, reserved;
        u64 bounds;
    } allow = {sizeof allow, a[1], 1, 0, (uintptr_t) bounds};
    result(ioctl(files[a[0]], IOAS_ALLOW_IOVAS, &allow));
}

// Operation 0 sets, 1 gets.
void iommufd_option(const u64 *a) {
    struct {
        u32 size, option;
        uint16_t operation, reserved;
        u32 object;
        u64 value;
    } option = {sizeof option, a[1], a[2], 0, a[3], a[4]};
    if (result(ioctl(files[a[0]], OPTION, &option)) == 0) {
        field("value", option.value);
    }
}

// Operation 0 gets, 1 sets, 2 clears.
void vfio_ioas(const u64 *a) {
    struct {
        u32 size, ioas;
        uint16_t operation, reserved;
    } argument = {sizeof argument, a[2], a[1], 0};
    if (result(ioctl(files[a[0]], VFIO_IOAS, &argument)) == 0 && a[1] == 0) {
        field("id", argument.ioas);
    }
}

// Data of type 0 is none; of any other it has the form of VT-d's first stage.
void hwpt_alloc(const u64 *a) {
    struct {
        u64 flags, address;
        u32 width, reserved;
    } table = {a[7], a[5], a[6], 0};
    struct {
        u32 size, flags, device, parent, id, reserved, type, length;
        u64 data;
        u32 queue, reserved2;
    } alloc = {.size = a[8] ? sizeof alloc : WITHOUT_QUEUE, .flags = a[1], .device = a[2], .parent = a[3],
               .type = a[4], .queue = a[8]};
    if (a[4]) {
        alloc.length = sizeof table;
        alloc.data = (uintptr_t) &table;
    }
    if (result(ioctl(files[a[0]], HWPT_ALLOC, &alloc)) == 0) {
        field("id", alloc.id);
    }
}

// Up to two ranges of VT-d's first stage.
void hwpt_invalidate(const u64 *a) {
    struct {
        u64 address, pages;
        u32 flags, reserved;
    } ranges[] = {{a[4], a[5], a[3], 0}, {a[6], a[7], a[3], 0}};
    struct {
        u32 size, hwpt;
        u64 data;
        u32 type, length, count, reserved;
    } invalidate = {.size = sizeof invalidate, .hwpt = a[1], .data = (uintptr_t) ranges, .length = sizeof *ranges,
                    .count = a[2]};
    int value, known;
    check(a[2] <= sizeof ranges / sizeof *ranges, "room for ranges");
    value = ioctl(files[a[0]], HWPT_INVALIDATE, &invalidate);
    known = value == 0 || (errno != EBADF && errno != ENOTTY);
    result(value);
    if (known) {
        field("done", invalidate.count); // also where a range was refused
    }
}

static int queue_taken(u64 queue) {
    if (queues[queue] < 0) {
        return 0;
    }
    skipped();
    return 1;
}

void fault_queue_alloc(const u64 *a) {
    struct {
        u32 size, flags, id;
        int32_t file;
    } alloc = {.size = sizeof alloc, .flags = a[1]};
    if (!queue_taken(a[2]) && result(ioctl(files[a[0]], FAULT_QUEUE_ALLOC, &alloc)) == 0) {
        queues[a[2]] = alloc.file;
        field("id", alloc.id);
    }
}

void event_queue_alloc(const u64 *a) {
    struct {
        u32 size, flags, viommu, type, depth, id;
        int32_t file;
        u32 reserved;
    } alloc = {.size = sizeof alloc, .flags = a[1], .viommu = a[2], .type = a[3], .depth = a[4]};
    if (!queue_taken(a[5]) && result(ioctl(files[a[0]], VEVENTQ_ALLOC, &alloc)) == 0) {
        queues[a[5]] = alloc.file;
        field("id", alloc.id);
    }
}

void close_queue(const u64 *a) {
    int fd = queues[a[0]];
    queues[a[0]] = -1;
    result(close(fd));
}

void viommu_alloc(const u64 *a) {
    struct {
        u32 size, flags, type, device, hwpt, id;
    } alloc = {.size = sizeof alloc, .flags = a[1], .type = a[2], .device = a[3], .hwpt = a[4]};
    if (result(ioctl(files[a[0]], VIOMMU_ALLOC, &alloc)) == 0) {
        field("id", alloc.id);
    }
}

void vdevice_alloc(const u64 *a) {
    struct {
        u32 size, viommu, device, id;
        u64 number;
    } alloc = {.size = sizeof alloc, .viommu = a[1], .device = a[2], .number = a[3]};
    if (result(ioctl(files[a[0]], VDEVICE_ALLOC, &alloc)) == 0) {
        field("id", alloc.id);
    }
}

void hw_queue_alloc(const u64 *a) {
    struct {
        u32 size, flags, viommu, type, index, id;
        u64 iova, length;
    } alloc = {.size = sizeof alloc, .flags = a[1], .viommu = a[2], .type = a[3], .iova = a[4], .length = a[5]};
    if (result(ioctl(files[a[0]], HW_QUEUE_ALLOC, &alloc)) == 0) {
        field("id", alloc.id);
    }
}

void hw_info(const u64 *a) {
    u32 words[INFO_WORDS];
    struct {
        u32 size, flags, device, length;
        u64 words;
        u32 type;
        uint8_t pasids, reserved[3];
        u64 capabilities;
    } info = {.size = sizeof info, .flags = a[1], .device = a[2], .length = a[4], .words = (uintptr_t) words,
              .type = a[3]};
    check(a[4] <= sizeof words, "room for words");
    memset(words, 0xff, sizeof words);
    if (result(ioctl(files[a[0]], GET_HW_INFO, &info)) == 0) {
        field("type", info.type);
        field("length", info.length);
        field("pasids", info.pasids);
        field("capabilities", info.capabilities);
        for (u64 i = 0; i < a[4] / 4; i++) {
            if (words[i]) {
                fprintf(answers, " word[%llu]=%#x", (unsigned long long) i, words[i]);
            }
        }
    }
}

void set_dirty_tracking(const u64 *a) {
    struct {
        u32 size, flags, hwpt, reserved;
    } argument = {sizeof argument, a[2], a[1], 0};
    result(ioctl(files[a[0]], SET_DIRTY_TRACKING, &argument));
}

void get_dirty_bitmap(const u64 *a) {
    u64 bitmap[BITMAP_WORDS] = {0};
    struct {
        u32 size, hwpt, flags, reserved;
        u64 iova, length, page_size, bitmap;
    } get = {sizeof get, a[1], a[2], 0, a[3], a[4], a[5], (uintptr_t) bitmap};
    if (result(ioctl(files[a[0]], GET_DIRTY_BITMAP, &get)) == 0) {
        print_bitmap(bitmap, sizeof bitmap);
    }
}

void ioas_map_file(const u64 *a) {
    int other = a[3] == OTHER_FILE ? open("/dev/null", O_RDWR) : -1;
    struct {
        u32 size, flags, ioas;
        int32_t file;
        u64 start, length, iova;
    } map = {sizeof map, a[2], a[1], a[3] == 0 ? memory_file : other >= 0 ? other : MISSING, a[4], a[5], a[6]};
    if (result(ioctl(files[a[0]], IOAS_MAP_FILE, &map)) == 0) {
        field("iova", map.iova);
    }
    if (other >= 0) {
        close(other);
    }
}

// ---- the devices' own files -----------------------------------------------------------------------------------------

void open_device_file(const u64 *a) {
    struct device *device = &devices[a[0]];
    char pattern[128];
    glob_t found;
    if (device->fd >= 0) {
        skipped();
        return;
    }
    snprintf(pattern, sizeof pattern, "/sys/bus/pci/devices/%s/vfio-dev/vfio*", functions[a[0]]);
    errno = ENOENT;
    if (glob(pattern, 0, NULL, &found) == 0) {
        snprintf(pattern, sizeof pattern, "/dev/vfio/devices%s", strrchr(found.gl_pathv[0], '/'));
        device->fd = open(pattern, O_RDWR);
        globfree(&found);
    }
    result(device->fd < 0 ? -1 : 0);
}

void bind_iommufd(const u64 *a) {
    struct device *device = &devices[a[0]];
    struct {
        u32 size, flags;
        int32_t file;
        u32 id;
    } bind = {sizeof bind, 0, files[a[1]] >= 0 ? files[a[1]] : MISSING, 0};
    if (result(ioctl(device->fd, BIND_IOMMUFD, &bind)) == 0) {
        field("id", bind.id);
        start_device(device);
    }
}

void attach_iommufd(const u64 *a) {
    struct {
        u32 size, flags, object;
    } attach = {sizeof attach, 0, a[1]};
    if (result(ioctl(devices[a[0]].fd, ATTACH_IOMMUFD_PT, &attach)) == 0) {
        field("id", attach.object);
    }
}

void detach_iommufd(const u64 *a) {
    struct {
        u32 size, flags;
    } detach = {sizeof detach, 0};
    result(ioctl(devices[a[0]].fd, DETACH_IOMMUFD_PT, &detach));
}

void attach_pasid(const u64 *a) {
    struct {
        u32 size, flags, object, pasid;
    } attach = {sizeof attach, WITH_PASID, a[1], a[2]};
    if (result(ioctl(devices[a[0]].fd, ATTACH_IOMMUFD_PT, &attach)) == 0) {
        field("id", attach.object);
    }
}

void detach_pasid(const u64 *a) {
    struct {
        u32 size, flags, pasid;
    } detach = {sizeof detach, WITH_PASID, a[1]};
    result(ioctl(devices[a[0]].fd, DETACH_IOMMUFD_PT, &detach));
}
