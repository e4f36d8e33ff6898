// SPDX-License-Identifier: Apache-2.0
// The first process of a guest whose kernel is a witness: it performs sequences of calls and says what was answered.
//
// It loads the modules in /modules, binds the functions that the kernel's option "functions" names to vfio-pci, and
// writes what it finds in sysfs as a tar archive to the disk. Then it takes commands from the port that the option
// "answers" names, a line each, and prints its answers there:
//
//   run       reads the disk's first bytes up to a zero: sequences of calls. Each sequence runs in a process of its
//             own. An answer is a line "ANSWER sequence step result errno outputs".
//   wbinvd    a guest executes WBINVD while its thread is moved: see wbinvd.c. The machine has three CPUs.
//   quit      powers the machine off.
//
// A sequence begins with a line "sequence number=N limit=BYTES lock=0|1": its number, the limit of locked memory, and
// whether the process has CAP_IPC_LOCK. A line each follows for the calls: a name, and arguments "name=number" in a
// fixed order. Files are numbered slots; the number of a function is its place in the option. An address of memory is
// an area and an offset. See calls[] for the calls, and areas[] for the memory.
#define _GNU_SOURCE
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define SEQUENCES_SIZE (16 << 20) // of the disk; the archive follows
#define ARCHIVE_SIZE (16 << 20)

FILE *answers;

void fail(const char *what) {
    fprintf(answers, "FAILED %s: %s\n", what, strerror(errno));
    fflush(answers);
    sync();
    reboot(RB_POWER_OFF);
    _exit(1);
}

void check(int done, const char *what) {
    if (!done) {
        fail(what);
    }
}

void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY);
    check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text), path);
    close(fd);
}

// ---- the archive of sysfs -------------------------------------------------------------------------------------------

static char *archive;
static size_t archived;

static void append(const char *name, char type, const char *target, const void *data, size_t size) {
    char *header = archive + archived;
    unsigned sum = 0;
    check(strlen(name) < 100 && strlen(target) < 100, name);
    check(archived + size + 2048 < ARCHIVE_SIZE, "archive");
    memset(header, 0, 512);
    strcpy(header, name);
    sprintf(header + 100, "%07o", type == '2' ? 0777 : 0644);
    sprintf(header + 108, "%07o", 0);
    sprintf(header + 116, "%07o", 0);
    sprintf(header + 124, "%011zo", size);
    sprintf(header + 136, "%011o", 0);
    memset(header + 148, ' ', 8);
    header[156] = type;
    strcpy(header + 157, target);
    memcpy(header + 257, "ustar\00000", 8);
    for (int i = 0; i < 512; i++) {
        sum += (unsigned char) header[i];
    }
    sprintf(header + 148, "%06o", sum);
    memcpy(header + 512, data, size);
    archived += 512 + (size + 511) / 512 * 512;
}

// Archives a file or a link under the path that its directory really has.
static void archive_path(const char *path) {
    static char data[4 << 20];
    char directory[PATH_MAX], name[PATH_MAX + 256], target[PATH_MAX];
    struct stat status;
    const char *slash = strrchr(path, '/');
    char *parent = strndup(path, slash - path);
    int resolved = realpath(*parent ? parent : "/", directory) != NULL;
    free(parent);
    if (!resolved || lstat(path, &status)) {
        return;
    }
    snprintf(name, sizeof name, "%s%s", directory, slash);
    if (S_ISLNK(status.st_mode)) {
        ssize_t length = readlink(path, target, sizeof target - 1);
        check(length >= 0, path);
        target[length] = 0;
        append(name + 1, '2', target, "", 0);
    } else if (S_ISREG(status.st_mode)) {
        size_t size = 0;
        ssize_t got;
        int fd = open(path, O_RDONLY);
        if (fd < 0) {
            return; // write-only
        }
        while (size < sizeof data && (got = read(fd, data + size, sizeof data - size)) > 0) {
            size += got;
        }
        close(fd);
        append(name + 1, '0', "", data, size);
    }
}

static size_t archive_host(void) {
    static const char *const patterns[] = {
        "/proc/{cmdline,version,iomem}",
        "/sys/firmware/acpi/tables/*",
        "/sys/class/iommu/*",
        "/sys/class/iommu/*/{intel-iommu,amd-iommu}/*",
        "/sys/class/iommu/*/devices/*",
        "/sys/kernel/iommu_groups/*/{type,reserved_regions}",
        "/sys/kernel/iommu_groups/*/devices/*",
        "/sys/bus/pci/devices/*",
        "/sys/bus/pci/devices/*/{vendor,device,subsystem_vendor,subsystem_device,class,revision,config,resource}",
        "/sys/bus/pci/devices/*/{enable,numa_node,dma_mask_bits,reset_method,secondary_bus_number,ari_enabled}",
        "/sys/bus/pci/devices/*/{iommu,iommu_group,driver,subsystem,physfn}",
        "/sys/bus/pci/drivers/*/0000:*",
        "/sys/module/vfio_iommu_type1/parameters/*",
    };
    static char messages[1 << 20];
    int length;
    archive = mmap(NULL, ARCHIVE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(archive != MAP_FAILED, "archive"); // aligned, as O_DIRECT wants it
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        glob_t found;
        if (glob(patterns[i], GLOB_BRACE | GLOB_NOSORT, NULL, &found) == 0) {
            for (size_t k = 0; k < found.gl_pathc; k++) {
                archive_path(found.gl_pathv[k]);
            }
        }
        globfree(&found);
    }
    length = klogctl(3, messages, sizeof messages);
    check(length > 0, "kernel log");
    append("dmesg.txt", '0', "", messages, length);
    return archived + 1024;
}

// ---- functions ------------------------------------------------------------------------------------------------------

char *functions[FUNCTIONS];

// Returns the value of a kernel's option, to be freed.
static char *option(const char *name) {
    char line[4096];
    int fd = open("/proc/cmdline", O_RDONLY);
    ssize_t length = read(fd, line, sizeof line - 1);
    char *value;
    check(length > 0, "/proc/cmdline");
    line[length] = 0;
    close(fd);
    value = strstr(line, name);
    check(value != NULL, name);
    value += strlen(name);
    return strndup(value, strcspn(value, " \n"));
}

static void read_functions(void) {
    int n = 0;
    for (char *name = strtok(option(" functions="), ","); name && n < FUNCTIONS; name = strtok(NULL, ",")) {
        functions[n++] = name;
    }
}

static void bind_function(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/driver_override", name);
    put(path, "vfio-pci");
    put("/sys/bus/pci/drivers_probe", name);
    snprintf(path, sizeof path, "/sys/bus/pci/drivers/vfio-pci/%s", name);
    check(access(path, F_OK) == 0, path);
}

int open_group_file(const char *function) {
    char path[128], target[256];
    ssize_t length;
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/iommu_group", function);
    length = readlink(path, target, sizeof target - 1);
    check(length > 0, path);
    target[length] = 0;
    snprintf(path, sizeof path, "/dev/vfio%s", strrchr(target, '/'));
    return open(path, O_RDWR);
}

// ---- memory of a sequence -------------------------------------------------------------------------------------------

enum { NONE, READ, READ_WRITE };

#define AREAS 5
#define FILE_AREA 4
#define AREA_PAGES 512
#define ABSOLUTE 15
#define WORDS 64 // of each page that are watched; DMA stays within them

// At (number + 1) << 44: memory to write, to read, with a hole behind, a huge page, and a file of memory.
static const struct {
    int pages, protection;
} areas[AREAS] = {{64, READ_WRITE}, {4, READ}, {2, READ_WRITE}, {512, READ_WRITE}, {8, READ_WRITE}};

int memory_file;

static char protection[AREAS][AREA_PAGES];
static u64 seen[AREAS][AREA_PAGES][WORDS];

u64 address(u64 area, u64 offset) {
    return area == ABSOLUTE ? offset : ((area + 1) << 44) + offset;
}

static int map_pages(u64 area, u64 page, u64 count, int wanted) {
    u64 *words = (u64 *) address(area, page * PAGE);
    int flags = MAP_FIXED | (area == FILE_AREA ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
    int file = area == FILE_AREA ? memory_file : -1;
    if (mmap(words, count * PAGE, PROT_READ | PROT_WRITE, flags, file, area == FILE_AREA ? page * PAGE : 0) != words) {
        return -1;
    }
    if (count == AREA_PAGES) {
        madvise(words, count * PAGE, MADV_HUGEPAGE);
    }
    for (u64 i = page; i < page + count; i++) {
        u64 *at = (u64 *) address(area, i * PAGE);
        for (u64 word = 0; word < WORDS; word++) {
            at[word] = seen[area][i][word] = (area + 1) << 48 | i << 16 | word;
        }
        protection[area][i] = wanted;
    }
    return wanted == READ_WRITE ? 0 : mprotect(words, count * PAGE, PROT_READ);
}

// Prints each watched word that has another value than when last seen.
static void print_changes(void) {
    for (u64 area = 0; area < AREAS; area++) {
        for (u64 page = 0; page < AREA_PAGES; page++) {
            volatile u64 *at = (u64 *) address(area, page * PAGE);
            for (u64 word = 0; protection[area][page] != NONE && word < WORDS; word++) {
                u64 value = at[word];
                if (value != seen[area][page][word]) {
                    fprintf(answers, " %llu+%#llx=%#llx", (unsigned long long) area,
                            (unsigned long long) (page * PAGE + word * 8), (unsigned long long) value);
                    seen[area][page][word] = value;
                }
            }
        }
    }
}

// ---- calls ----------------------------------------------------------------------------------------------------------

#define CONTAINERS 4

#define MACHINES 2

#define MOST_ARGUMENTS 10

struct machine {
    int fd, vfio;
};

static struct machine machines[MACHINES];
static int containers[CONTAINERS];
static int groups[FUNCTIONS];
struct device devices[FUNCTIONS];
static unsigned sequence, step;

int result(int value) {
    int error = value < 0 ? errno : 0;
    fprintf(answers, "ANSWER %u %u %d %s", sequence, step, value, error ? strerrorname_np(error) : "0");
    return value;
}

void skipped(void) {
    fprintf(answers, "ANSWER %u %u skipped", sequence, step);
}

void field(const char *name, u64 value) {
    fprintf(answers, " %s=%#llx", name, (unsigned long long) value);
}

static int close_slot(int *slot) {
    int fd = *slot;
    *slot = -1;
    return close(fd);
}

static void open_container(const u64 *a) {
    if (containers[a[0]] >= 0) {
        skipped();
        return;
    }
    containers[a[0]] = open("/dev/vfio/vfio", O_RDWR);
    result(containers[a[0]] < 0 ? -1 : 0);
}

static void close_container(const u64 *a) {
    result(close_slot(&containers[a[0]]));
}

static void open_group(const u64 *a) {
    int fd = open_group_file(functions[a[0]]);
    result(fd < 0 ? -1 : 0);
    if (fd >= 0 && groups[a[0]] >= 0) {
        close(fd);
    } else if (fd >= 0) {
        groups[a[0]] = fd;
    }
}

static void close_group(const u64 *a) {
    result(close_slot(&groups[a[0]]));
}

static void set_container(const u64 *a) {
    int other = a[1] == OTHER_FILE ? open("/dev/null", O_RDWR) : -1;
    int fd = a[1] < CONTAINERS && containers[a[1]] >= 0 ? containers[a[1]] : other >= 0 ? other : MISSING;
    result(ioctl(groups[a[0]], VFIO_GROUP_SET_CONTAINER, &fd));
    if (other >= 0) {
        close(other);
    }
}

static void unset_container(const u64 *a) {
    result(ioctl(groups[a[0]], VFIO_GROUP_UNSET_CONTAINER));
}

static void group_status(const u64 *a) {
    struct vfio_group_status status = {.argsz = sizeof status};
    if (result(ioctl(groups[a[0]], VFIO_GROUP_GET_STATUS, &status)) == 0) {
        field("flags", status.flags);
    }
}

void start_device(struct device *device) {
    struct vfio_region_info region = {.argsz = sizeof region, .index = VFIO_PCI_CONFIG_REGION_INDEX};
    uint16_t command;
    check(ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, &region) == 0, "configuration space");
    device->config = region.offset;
    check(pread(device->fd, &command, 2, device->config + 4) == 2, "command");
    field("command", command);
    command |= 6;
    check(pwrite(device->fd, &command, 2, device->config + 4) == 2, "command");
    region.index = VFIO_PCI_BAR0_REGION_INDEX;
    check(ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, &region) == 0, "registers");
    device->size = region.size;
    device->registers = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, device->fd, region.offset);
    check(device->registers != MAP_FAILED, "registers");
}

static void open_device(const u64 *a) {
    struct device *device = &devices[a[1]];
    if (device->fd >= 0) {
        skipped();
        return;
    }
    device->fd = ioctl(groups[a[0]], VFIO_GROUP_GET_DEVICE_FD, functions[a[1]]);
    if (result(device->fd < 0 ? -1 : 0) == 0) {
        start_device(device);
    }
}

static void close_device(const u64 *a) {
    struct device *device = &devices[a[0]];
    if (device->registers) {
        munmap((void *) device->registers, device->size);
        device->registers = NULL;
    }
    result(close_slot(&device->fd));
}

static void api_version(const u64 *a) {
    result(ioctl(containers[a[0]], VFIO_GET_API_VERSION));
}

static void check_extension(const u64 *a) {
    result(ioctl(containers[a[0]], VFIO_CHECK_EXTENSION, a[1]));
}

static void set_iommu(const u64 *a) {
    result(ioctl(containers[a[0]], VFIO_SET_IOMMU, a[1]));
}

static void iommu_info(const u64 *a) {
    static char buffer[4096];
    struct vfio_iommu_type1_info *info = (void *) buffer;
    memset(buffer, 0, sizeof buffer);
    info->argsz = a[1];
    if (result(ioctl(containers[a[0]], VFIO_IOMMU_GET_INFO, info)) < 0) {
        return;
    }
    field("argsz", info->argsz);
    field("flags", info->flags);
    field("page_sizes", info->iova_pgsizes);
    field("capabilities", a[1] < sizeof *info ? 0 : info->cap_offset);
    if (a[1] < sizeof buffer) {
        return;
    }
    for (u32 at = info->cap_offset; at; at = ((struct vfio_info_cap_header *) (buffer + at))->next) {
        struct vfio_info_cap_header *header = (void *) (buffer + at);
        if (header->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) {
            struct vfio_iommu_type1_info_cap_iova_range *ranges = (void *) header;
            for (u32 i = 0; i < ranges->nr_iovas; i++) {
                fprintf(answers, " range=%#llx-%#llx", (unsigned long long) ranges->iova_ranges[i].start,
                        (unsigned long long) ranges->iova_ranges[i].end);
            }
        } else if (header->id == VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION) {
            struct vfio_iommu_type1_info_cap_migration *migration = (void *) header;
            field("dirty_page_sizes", migration->pgsize_bitmap);
            field("dirty_bitmap_bytes", migration->max_dirty_bitmap_size);
        } else if (header->id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL) {
            field("available", ((struct vfio_iommu_type1_info_dma_avail *) header)->avail);
        } else {
            field("capability", header->id);
        }
    }
}

static void map_dma(const u64 *a) {
    struct vfio_iommu_type1_dma_map map = {
        .argsz = a[6], .flags = a[5], .vaddr = address(a[1], a[2]), .iova = a[3], .size = a[4]};
    result(ioctl(containers[a[0]], VFIO_IOMMU_MAP_DMA, &map));
}

void print_bitmap(const u64 *bitmap, u64 bytes) {
    for (u64 i = 0; i < bytes / 8 && i < BITMAP_WORDS; i++) {
        if (bitmap[i]) {
            fprintf(answers, " bitmap[%llu]=%#llx", (unsigned long long) i, (unsigned long long) bitmap[i]);
        }
    }
}

static void unmap_dma(const u64 *a) {
    u64 bitmap[BITMAP_WORDS] = {0};
    struct {
        struct vfio_iommu_type1_dma_unmap unmap;
        struct vfio_bitmap bitmap;
    } argument = {{.argsz = a[4], .flags = a[3], .iova = a[1], .size = a[2]},
                  {.pgsize = a[5], .size = a[6], .data = (void *) bitmap}};
    if (result(ioctl(containers[a[0]], VFIO_IOMMU_UNMAP_DMA, &argument)) == 0) {
        field("size", argument.unmap.size);
        print_bitmap(bitmap, a[6]);
    }
}

static void dirty_pages(const u64 *a) {
    u64 bitmap[BITMAP_WORDS] = {0};
    struct {
        struct vfio_iommu_type1_dirty_bitmap dirty;
        struct vfio_iommu_type1_dirty_bitmap_get get;
    } argument = {{.argsz = sizeof argument, .flags = a[1]},
                  {.iova = a[2], .size = a[3], .bitmap = {.pgsize = a[4], .size = a[5], .data = (void *) bitmap}}};
    if (result(ioctl(containers[a[0]], VFIO_IOMMU_DIRTY_PAGES, &argument)) == 0) {
        print_bitmap(bitmap, a[5]);
    }
}

static void device_info(const u64 *a) {
    struct vfio_device_info info = {.argsz = a[1]};
    if (result(ioctl(devices[a[0]].fd, VFIO_DEVICE_GET_INFO, &info)) == 0) {
        field("flags", info.flags);
        field("regions", info.num_regions);
        field("interrupts", info.num_irqs);
    }
}

static void reset_device(const u64 *a) {
    result(ioctl(devices[a[0]].fd, VFIO_DEVICE_RESET));
}

// Turns bus mastering on or off and says what the command register is then.
static void bus_master(const u64 *a) {
    struct device *device = &devices[a[0]];
    uint16_t command = 2 | (a[1] ? 4 : 0);
    if (!device->registers) {
        skipped();
        return;
    }
    check(pwrite(device->fd, &command, 2, device->config + 4) == 2, "command");
    check(pread(device->fd, &command, 2, device->config + 4) == 2, "command");
    result(0);
    field("command", command);
}

// The device EDU copies 16 bytes to the buffer at 0x40000 of its own (command 1), or from there (command 3).
static void edu(struct device *device, u64 source, u64 destination, u64 command) {
    volatile char *registers = device->registers;
    *(volatile u64 *) (registers + 0x80) = source;
    *(volatile u64 *) (registers + 0x88) = destination;
    *(volatile u64 *) (registers + 0x90) = 16;
    *(volatile u64 *) (registers + 0x98) = command;
    for (int tries = 0; *(volatile u64 *) (registers + 0x98) & 1; tries++) {
        check(tries < 20000, "device");
        usleep(1000);
    }
}

static void dma(const u64 *a) {
    struct device *device = &devices[a[0]];
    if (!device->registers) {
        skipped();
        return;
    }
    edu(device, a[1], 0x40000, 1);
    edu(device, 0x40000, a[2], 3);
    result(0);
    print_changes();
}

static void map_memory(const u64 *a) {
    result(map_pages(a[0], a[1], a[2], a[3]));
}

static void unmap_memory(const u64 *a) {
    result(munmap((void *) address(a[0], a[1] * PAGE), a[2] * PAGE));
    memset(&protection[a[0]][a[1]], NONE, a[2]);
}

// Prints how many pages a line of the process's status counts.
static void count_pages(const char *name) {
    static char text[8192];
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t length = read(fd, text, sizeof text - 1);
    char *line;
    check(length > 0, "/proc/self/status");
    text[length] = 0;
    close(fd);
    line = strstr(text, name);
    check(line != NULL, name);
    result(0);
    field("pages", strtoull(line + strlen(name), NULL, 10) / 4);
}

// How many pages are charged as locked.
static void locked(const u64 *a) {
    (void) a;
    count_pages("VmLck:");
}

// How many pages are counted as pinned, which iommufd does and VFIO does not.
static void pinned(const u64 *a) {
    (void) a;
    count_pages("VmPin:");
}

static void open_machine(const u64 *a) {
    struct machine *machine = &machines[a[0]];
    int kvm;
    if (machine->fd >= 0) {
        skipped();
        return;
    }
    kvm = open("/dev/kvm", O_RDWR);
    check(kvm >= 0, "/dev/kvm");
    machine->fd = ioctl(kvm, KVM_CREATE_VM, 0);
    close(kvm);
    result(machine->fd < 0 ? -1 : 0);
}

static void create_kvm_vfio(const u64 *a) {
    struct machine *machine = &machines[a[0]];
    struct kvm_create_device create = {.type = KVM_DEV_TYPE_VFIO};
    if (result(ioctl(machine->fd, KVM_CREATE_DEVICE, &create)) == 0) {
        machine->vfio = create.fd;
    }
}

static void close_kvm_vfio(const u64 *a) {
    result(close_slot(&machines[a[0]].vfio));
}

static void set_file(const u64 *a, int file, u64 attribute) {
    int32_t fd = file >= 0 ? file : MISSING;
    struct kvm_device_attr request = {.group = KVM_FILE, .attr = attribute, .addr = (uintptr_t) &fd};
    result(ioctl(machines[a[0]].vfio, KVM_SET_DEVICE_ATTR, &request));
}

static void add_file(const u64 *a) {
    set_file(a, groups[a[1]], KVM_FILE_ADD);
}

static void delete_file(const u64 *a) {
    set_file(a, groups[a[1]], KVM_FILE_DELETE);
}

static void add_device_file(const u64 *a) {
    set_file(a, devices[a[1]].fd, KVM_FILE_ADD);
}

static void delete_device_file(const u64 *a) {
    set_file(a, devices[a[1]].fd, KVM_FILE_DELETE);
}

// How often non-coherent DMA was registered so far, less how often it was unregistered: what two probes counted.
static long noncoherent_count(void) {
    char text[512] = "";
    long count = 0;
    int fd = open("/sys/kernel/tracing/kprobe_profile", O_RDONLY);
    check(fd >= 0 && read(fd, text, sizeof text - 1) > 0, "kprobe_profile");
    close(fd);
    for (char *rest, *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char name[64];
        long hits;
        check(sscanf(line, "%63s %ld", name, &hits) == 2, line);
        count += strcmp(name, "registered") ? -hits : hits;
    }
    return count;
}

static long noncoherent_before;

static void noncoherent(const u64 *a) {
    (void) a;
    result(0);
    field("count", noncoherent_count() - noncoherent_before);
}

static const struct {
    const char *name;
    int arguments;
    void (*perform)(const u64 *);
} calls[] = {
    {"open_container", 1, open_container},   // container
    {"close_container", 1, close_container}, // container
    {"open_group", 1, open_group},           // group: of a function
    {"close_group", 1, close_group},         // group
    {"set_container", 2, set_container},     // group, container: also NO_FILE, OTHER_FILE
    {"unset_container", 1, unset_container}, // group
    {"group_status", 1, group_status},       // group
    {"open_device", 2, open_device},         // group, device: a function
    {"close_device", 1, close_device},       // device
    {"api_version", 1, api_version},         // container
    {"check_extension", 2, check_extension}, // container, extension
    {"set_iommu", 2, set_iommu},             // container, type
    {"iommu_info", 2, iommu_info},           // container, argsz
    {"map_dma", 7, map_dma},                 // container, area: also ABSOLUTE, offset, iova, size, flags, argsz
    {"unmap_dma", 7, unmap_dma},             // container, iova, size, flags, argsz, page size and bytes of bitmap
    {"dirty_pages", 6, dirty_pages},         // container, flags, iova, size, page size and bytes of bitmap
    {"device_info", 2, device_info},         // device, argsz
    {"reset_device", 1, reset_device},       // device
    {"bus_master", 2, bus_master},           // device, 0 or 1
    {"dma", 3, dma},                         // device, iova to read 16 bytes from, iova to write them to
    {"map_memory", 4, map_memory},           // area, page, count, protection: 1 to read, 2 to write also
    {"unmap_memory", 3, unmap_memory},       // area, page, count
    {"locked", 0, locked},
    {"pinned", 0, pinned},
    {"open_machine", 1, open_machine},       // machine
    {"create_kvm_vfio", 1, create_kvm_vfio}, // machine
    {"close_kvm_vfio", 1, close_kvm_vfio},   // machine
    {"add_file", 2, add_file},               // machine, group
    {"delete_file", 2, delete_file},         // machine, group
    {"add_device_file", 2, add_device_file},       // machine, device
    {"delete_device_file", 2, delete_device_file}, // machine, device
    {"noncoherent", 0, noncoherent},
    {"open_iommufd", 1, open_iommufd},             // iommufd
    {"close_iommufd", 1, close_iommufd},           // iommufd
    {"ioas_alloc", 2, ioas_alloc},                 // iommufd, flags
    {"destroy_object", 2, destroy_object},         // iommufd, object
    {"ioas_map", 7, ioas_map},                     // iommufd, ioas, flags, area, offset, length, iova
    {"ioas_unmap", 4, ioas_unmap},                 // iommufd, ioas, iova, length
    {"ioas_copy", 7, ioas_copy},                   // iommufd, flags, destination, source, length, iova, iova of source
    {"ioas_iova_ranges", 3, ioas_iova_ranges},     // iommufd, ioas, room
    {"ioas_allow_iovas", 4, ioas_allow_iovas},     // iommufd, ioas, first and last address
    {"iommufd_option", 5, iommufd_option},         // iommufd, option, operation, object, value
    {"vfio_ioas", 3, vfio_ioas},                   // iommufd, operation, ioas
    // iommufd, flags, object of a device, parent, type of data, address, width and flags of a table, fault queue
    {"hwpt_alloc", 9, hwpt_alloc},
    {"hwpt_invalidate", 8, hwpt_invalidate},     // iommufd, hwpt, 0 to 2 ranges, flags, address, pages; again
    {"fault_queue_alloc", 3, fault_queue_alloc}, // iommufd, flags, slot
    {"event_queue_alloc", 6, event_queue_alloc}, // iommufd, flags, virtual IOMMU, type, depth, slot
    {"close_queue", 1, close_queue},             // slot
    {"viommu_alloc", 5, viommu_alloc},           // iommufd, flags, type, object of a device, parent
    {"vdevice_alloc", 4, vdevice_alloc},         // iommufd, virtual IOMMU, object of a device, number
    {"hw_queue_alloc", 6, hw_queue_alloc},       // iommufd, flags, virtual IOMMU, type, iova, length
    {"open_device_file", 1, open_device_file},     // device: a function
    {"bind_iommufd", 2, bind_iommufd},             // device, iommufd
    {"attach_iommufd", 2, attach_iommufd},         // device, object
    {"detach_iommufd", 1, detach_iommufd},         // device
    {"hw_info", 5, hw_info},                       // iommufd, flags, object of a device, type, bytes of room
    {"set_dirty_tracking", 3, set_dirty_tracking}, // iommufd, hwpt, flags
    {"get_dirty_bitmap", 6, get_dirty_bitmap},     // iommufd, hwpt, flags, iova, length, page size
    {"ioas_map_file", 7, ioas_map_file},           // iommufd, ioas, flags, file: 0 is memory; start, length, iova
    {"attach_pasid", 3, attach_pasid},             // device, object, PASID
    {"detach_pasid", 2, detach_pasid},             // device, PASID
};

// Reads the numbers of a line's "name=number"s.
static int numbers(char *line, u64 *into, int most) {
    int n = 0;
    for (char *at = strchr(line, '='); at && n < most; at = strchr(at + 1, '=')) {
        into[n++] = strtoull(at + 1, NULL, 0);
    }
    return n;
}

static void perform(char *line) {
    u64 arguments[MOST_ARGUMENTS];
    size_t length = strcspn(line, " ");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (strlen(calls[i].name) == length && !strncmp(calls[i].name, line, length)) {
            errno = EINVAL;
            check(numbers(line, arguments, MOST_ARGUMENTS) == calls[i].arguments, line);
            calls[i].perform(arguments);
            fprintf(answers, "\n");
            return;
        }
    }
    errno = ENOSYS;
    fail(line);
}

static void drop_ipc_lock(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    check(syscall(SYS_capget, &header, data) == 0, "capget");
    data[0].effective &= ~(1U << CAP_IPC_LOCK);
    data[0].permitted &= ~(1U << CAP_IPC_LOCK);
    check(syscall(SYS_capset, &header, data) == 0, "capset");
}

static void prepare(const u64 *header) {
    struct rlimit limit = {header[1], header[1]};
    sequence = header[0];
    memset(containers, -1, sizeof containers);
    memset(groups, -1, sizeof groups);
    memset(machines, -1, sizeof machines);
    noncoherent_before = noncoherent_count();
    for (int i = 0; i < FUNCTIONS; i++) {
        devices[i].fd = -1;
    }
    prepare_iommufd();
    check(setrlimit(RLIMIT_MEMLOCK, &limit) == 0, "RLIMIT_MEMLOCK");
    if (!header[2]) {
        drop_ipc_lock();
    }
    memory_file = memfd_create("memory", 0);
    check(memory_file >= 0 && ftruncate(memory_file, areas[FILE_AREA].pages * PAGE) == 0, "memory file");
    for (int area = 0; area < AREAS; area++) {
        check(map_pages(area, 0, areas[area].pages, areas[area].protection) == 0, "memory");
    }
}

// Runs the lines of one sequence, its header first, and returns those after it.
static char *run_sequence(char *lines) {
    u64 header[3];
    char *end = strstr(lines, "\nsequence ");
    int status;
    pid_t child;
    if (end) {
        *end++ = 0;
    }
    errno = EINVAL;
    check(numbers(lines, header, 3) == 3, lines);
    fflush(answers);
    child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        char *rest, *line = strtok_r(lines, "\n", &rest);
        prepare(header);
        while ((line = strtok_r(NULL, "\n", &rest))) {
            perform(line);
            step++;
        }
        fflush(answers);
        _exit(0);
    }
    check(waitpid(child, &status, 0) == child, "waitpid");
    fprintf(answers, "END %llu %d\n", (unsigned long long) header[0], status);
    return end;
}

static void run(int disk) {
    static char *text;
    if (!text) {
        text = mmap(NULL, SEQUENCES_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(text != MAP_FAILED, "memory");
    }
    for (size_t done = 0; done < SEQUENCES_SIZE - PAGE;) {
        ssize_t got = pread(disk, text + done, 256 << 10, done);
        check(got > 0, "disk");
        if (memchr(text + done, 0, got)) {
            break;
        }
        done += got;
    }
    for (char *next = text; next && *next;) {
        next = run_sequence(next);
    }
    fprintf(answers, "DONE\n");
    fflush(answers);
}

static void load_modules(void) {
    glob_t found;
    check(glob("/modules/*.ko", 0, NULL, &found) == 0, "/modules");
    for (size_t i = 0; i < found.gl_pathc; i++) {
        int fd = open(found.gl_pathv[i], O_RDONLY);
        check(fd >= 0 && (syscall(SYS_finit_module, fd, "", 0) == 0 || errno == ENODEV || errno == EEXIST
                          || errno == EOPNOTSUPP),
                found.gl_pathv[i]);
        close(fd);
    }
}

static void add_probe(const char *definition) {
    int fd = open("/sys/kernel/tracing/kprobe_events", O_WRONLY | O_APPEND);
    check(fd >= 0 && write(fd, definition, strlen(definition)) > 0, definition);
    close(fd);
}

// The stable kernel that the running one was made from: Ubuntu's own name of it does not say, a file does.
static void read_stable_release(char *into, size_t size) {
    struct utsname kernel;
    FILE *signature = fopen("/proc/version_signature", "r");
    check(uname(&kernel) == 0, "uname");
    snprintf(into, size, "%s", kernel.release);
    if (signature) {
        char stable[64];
        check(fscanf(signature, "%*s %*s %63s", stable) == 1, "/proc/version_signature");
        fclose(signature);
        snprintf(into, size, "%s", stable);
    }
}

// Opens the port that commands and answers go over: a serial port, or one of virtio.
static int open_port(void) {
    struct termios settings;
    char *path = option(" answers=");
    int port = open(path, O_RDWR | O_NOCTTY);
    for (int tries = 0; port < 0 && errno == ENOENT && tries < 5000; tries++) {
        usleep(1000); // virtio asks its device for ports behind the driver's back
        port = open(path, O_RDWR | O_NOCTTY);
    }
    check(port >= 0, path);
    if (isatty(port)) {
        check(tcgetattr(port, &settings) == 0, path);
        cfmakeraw(&settings);
        cfsetspeed(&settings, B115200);
        check(tcsetattr(port, TCSANOW, &settings) == 0, path);
    }
    free(path);
    return port;
}

int main(void) {
    struct utsname kernel;
    char line[64], release[128];
    int port, disk;
    FILE *commands;
    size_t size;
    answers = stdout;
    check(mount("proc", "/proc", "proc", 0, NULL) == 0, "/proc");
    check(mount("sys", "/sys", "sysfs", 0, NULL) == 0, "/sys");
    check(mount("trace", "/sys/kernel/tracing", "tracefs", 0, NULL) == 0, "/sys/kernel/tracing");
    check(mount("dev", "/dev", "devtmpfs", 0, NULL) == 0 || errno == EBUSY, "/dev");
    answers = fopen("/dev/console", "w");
    check(answers != NULL, "/dev/console");
    load_modules();
    port = open_port();
    answers = fdopen(port, "w");
    commands = fdopen(dup(port), "r");
    check(answers && commands, "port");
    add_probe("p:registered kvm_arch_register_noncoherent_dma");
    add_probe("p:unregistered kvm_arch_unregister_noncoherent_dma");
    put("/sys/kernel/tracing/events/kprobes/enable", "1");
    read_functions();
    for (int i = 0; i < FUNCTIONS && functions[i]; i++) {
        bind_function(functions[i]);
    }
    disk = open("/dev/vda", O_RDWR | O_DIRECT);
    check(disk >= 0, "/dev/vda");
    size = archive_host();
    check(pwrite(disk, archive, ARCHIVE_SIZE, SEQUENCES_SIZE) == ARCHIVE_SIZE && fsync(disk) == 0, "archive");
    check(uname(&kernel) == 0, "uname");
    read_stable_release(release, sizeof release);
    fprintf(answers, "READY %zu %d %s %s\n", size, has_iommufd(), release, kernel.version);
    fflush(answers);
    while (fgets(line, sizeof line, commands)) {
        if (!strcmp(line, "run\n")) {
            run(disk);
        } else if (!strcmp(line, "wbinvd\n")) {
            wbinvd(functions[0]);
        } else if (!strcmp(line, "quit\n")) {
            break;
        }
    }
    sync();
    reboot(RB_POWER_OFF);
    return 1;
}
