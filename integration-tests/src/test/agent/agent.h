// SPDX-License-Identifier: Apache-2.0
// What the agent's files share.
#pragma once
#include <stdint.h>
#include <stdio.h>

typedef uint64_t u64;
typedef uint32_t u32;

#define PAGE 4096ULL

// A group of attributes of the kvm-vfio device, and what to do with a file: names that old headers lack.
#define KVM_FILE 1
#define KVM_FILE_ADD 1
#define KVM_FILE_DELETE 2

// Where all answers go: the port that the kernel's option names.
extern FILE *answers;

// Says what failed, with errno, and powers the machine off.
_Noreturn void fail(const char *what);

// Fails unless done.
void check(int done, const char *what);

// Writes a text into a file that exists.
void put(const char *path, const char *text);

// Opens the file of a function's group; -1 where that is refused.
int open_group_file(const char *function);

// The functions that the kernel's option names.
#define FUNCTIONS 16
extern char *functions[FUNCTIONS];

// A function as the calls of a sequence have it open.
struct device {
    int fd;
    u64 config, size;
    volatile char *registers; // NULL until it can do DMA
};
extern struct device devices[FUNCTIONS];

#define MISSING 1023 // a number that no file has

// Numbers of files that are none of the sequence's.
#define NO_FILE 8
#define OTHER_FILE 9

// Makes an open device do DMA, and prints what its command register was.
void start_device(struct device *device);

// Prints the answer of a call up to its outputs, which the caller adds, and returns the call's value.
int result(int value);

// Answers that no call was made.
void skipped(void);

// Prints an output.
void field(const char *name, u64 value);

// The process's file of memory, which is mapped as an area.
extern int memory_file;

#define BITMAP_WORDS 64

// Prints the words of a bitmap that are not 0.
void print_bitmap(const u64 *bitmap, u64 bytes);

// Returns where an offset of an area of memory is.
u64 address(u64 area, u64 offset);

// Runs a guest that executes WBINVD while its thread is moved, and prints what the kernel did (wbinvd.c). The function
// is alone in its group.
void wbinvd(const char *function);

// The calls to iommufd and to the devices' own files (iommufd.c); agent.c's table has their arguments.
int has_iommufd(void);
void prepare_iommufd(void);
void open_iommufd(const u64 *a);
void close_iommufd(const u64 *a);
void ioas_alloc(const u64 *a);
void destroy_object(const u64 *a);
void ioas_map(const u64 *a);
void ioas_unmap(const u64 *a);
void ioas_copy(const u64 *a);
void ioas_iova_ranges(const u64 *a);
void ioas_allow_iovas(const u64 *a);
void iommufd_option(const u64 *a);
void vfio_ioas(const u64 *a);
void hwpt_alloc(const u64 *a);
void hwpt_invalidate(const u64 *a);
void fault_queue_alloc(const u64 *a);
void event_queue_alloc(const u64 *a);
void close_queue(const u64 *a);
void viommu_alloc(const u64 *a);
void vdevice_alloc(const u64 *a);
void hw_queue_alloc(const u64 *a);
void hw_info(const u64 *a);
void set_dirty_tracking(const u64 *a);
void get_dirty_bitmap(const u64 *a);
void ioas_map_file(const u64 *a);
void open_device_file(const u64 *a);
void bind_iommufd(const u64 *a);
void attach_iommufd(const u64 *a);
void detach_iommufd(const u64 *a);
void attach_pasid(const u64 *a);
void detach_pasid(const u64 *a);
