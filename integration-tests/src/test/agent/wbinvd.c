// SPDX-License-Identifier: Apache-2.0
// Which CPUs an emulated WBINVD reaches. A guest of one vCPU runs on a host of three CPUs; its thread is moved or
// preempted, or its group comes late to kvm-vfio. Probes write down each load of a vCPU and each WBINVD of the host.
//
// Printed is, test by test, a title "-- NAME ..." and the lines "TRACE ..." of the kernel's trace, in the form of the
// transcripts of kvm_truth.c.
#define _GNU_SOURCE
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRACING "/sys/kernel/tracing/"
#define MEMORY 0x10000
#define CODE 0x1000   // the guest's program, in real mode
#define GO 0x5000     // a byte: the guest may leave the loop of this number
#define LOOPS 0x5002  // a word that the guest counts in its loops
#define AT 0x5004     // a byte: the number of the loop that the guest is in
#define DATA 0x6000   // what the guest writes
#define OWN_CPU 2     // of the thread that drives the others
#define PATIENCE 50.0 // seconds for anything to happen

struct guest {
    int machine, kvm_vfio, vcpu;
    size_t run_size;
    struct kvm_run *run;
    volatile uint8_t *memory;
    size_t assembled; // bytes of the program
    int real_time, cpu;
    volatile int thread; // its number in the system
    pthread_t handle;
};

// ---- the trace ------------------------------------------------------------------------------------------------------

static int try_put(const char *path, const char *text, int flags) {
    int fd = open(path, O_WRONLY | flags);
    ssize_t length = strlen(text);
    int done = fd >= 0 && write(fd, text, length) == length;
    close(fd);
    return done;
}

static int probe(const char *definition) {
    return try_put(TRACING "kprobe_events", definition, O_APPEND);
}

// Other probes are silent meanwhile: one of them is at the same functions.
static void start_trace(void) {
    put(TRACING "events/enable", "0");
    check(probe("p:wbinvd/vcpu_load kvm_arch_vcpu_load cpu=%si:s32\n"), "vcpu_load");
    check(probe("p:wbinvd/register kvm_arch_register_noncoherent_dma\n"), "register");
    check(probe("p:wbinvd/unregister kvm_arch_unregister_noncoherent_dma\n"), "unregister");
    check(probe("p:wbinvd/emulate_wbinvd kvm_emulate_wbinvd\n"), "emulate_wbinvd");
    // The function that takes the mask, and the one that runs on each of its CPUs: by older kernels and by newer ones.
    check(probe("p:wbinvd/cpus_mask wbinvd_on_cpus_mask mask=+0(%di):x64\n")
                  | probe("p:wbinvd/on_each_cpu on_each_cpu_cond_mask func=%si:symbol mask=+0(%r8):x64\n"),
            "mask");
    check(probe("p:wbinvd/ran wbinvd_ipi\n") | probe("p:wbinvd/ran2 __wbinvd\n"), "ran");
    check(probe("p:wbinvd/all_cpus wbinvd_on_all_cpus\n"), "all_cpus");
    probe("p:wbinvd/all_cpus2 wbnoinvd_on_all_cpus\n"); // newer kernels have it
    put(TRACING "events/wbinvd/enable", "1");
}

static void clear_trace(void) {
    check(try_put(TRACING "trace", "\n", O_TRUNC), "trace");
}

static void print_trace(void) {
    static char line[1024];
    FILE *trace = fopen(TRACING "trace", "r");
    check(trace != NULL, "trace");
    while (fgets(line, sizeof line, trace)) {
        int other_call = strstr(line, " on_each_cpu: ") && !strstr(line, "wbinvd_ipi");
        if (*line != '#' && strstr(line, ": (") && !other_call) {
            fprintf(answers, "TRACE %s", line);
        }
    }
    fclose(trace);
}

// ---- the guest's program --------------------------------------------------------------------------------------------

static void assemble(struct guest *guest, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        guest->memory[CODE + guest->assembled++] = bytes[i];
    }
}

#define ASSEMBLE(guest, ...) assemble(guest, (const uint8_t[]) {__VA_ARGS__}, sizeof((const uint8_t[]) {__VA_ARGS__}))

static void store(struct guest *guest, int at, int value) {
    ASSEMBLE(guest, 0xc6, 0x06, at & 255, at >> 8, value); // movb $value, at
}

static void write_back(struct guest *guest) {
    ASSEMBLE(guest, 0x0f, 0x09); // wbinvd
}

static void loop(struct guest *guest, int number) {
    store(guest, AT, number);
    // 1: incw LOOPS; cmpb $number, GO; jne 1b
    ASSEMBLE(guest, 0xff, 0x06, LOOPS & 255, LOOPS >> 8, 0x80, 0x3e, GO & 255, GO >> 8, number, 0x75, 0xf5);
}

static void end(struct guest *guest) {
    ASSEMBLE(guest, 0xe6, 0x10); // out %al, $0x10
}

// ---- virtual machines -----------------------------------------------------------------------------------------------

static void add_group(struct guest *guest, int group) {
    int32_t fd = group;
    struct kvm_device_attr request = {.group = KVM_FILE, .attr = KVM_FILE_ADD, .addr = (uintptr_t) &fd};
    check(ioctl(guest->kvm_vfio, KVM_SET_DEVICE_ATTR, &request) == 0, "KVM_SET_DEVICE_ATTR");
}

static void create(struct guest *guest) {
    struct kvm_create_device device = {.type = KVM_DEV_TYPE_VFIO};
    struct kvm_regs registers = {.rip = CODE, .rflags = 2};
    struct kvm_sregs system;
    int kvm = open("/dev/kvm", O_RDWR);
    check(kvm >= 0, "/dev/kvm");
    memset(guest, 0, sizeof *guest);
    guest->machine = ioctl(kvm, KVM_CREATE_VM, 0);
    guest->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(guest->machine >= 0 && guest->memory != MAP_FAILED, "KVM_CREATE_VM");
    struct kvm_userspace_memory_region memory = {.memory_size = MEMORY, .userspace_addr = (uintptr_t) guest->memory};
    check(ioctl(guest->machine, KVM_SET_USER_MEMORY_REGION, &memory) == 0, "KVM_SET_USER_MEMORY_REGION");
    guest->vcpu = ioctl(guest->machine, KVM_CREATE_VCPU, 0);
    check(guest->vcpu >= 0, "KVM_CREATE_VCPU");
    guest->run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    guest->run = mmap(NULL, guest->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->vcpu, 0);
    check(guest->run != MAP_FAILED && ioctl(guest->vcpu, KVM_GET_SREGS, &system) == 0, "vCPU");
    system.cs.base = 0;
    system.cs.selector = 0;
    check(ioctl(guest->vcpu, KVM_SET_SREGS, &system) == 0, "KVM_SET_SREGS");
    check(ioctl(guest->vcpu, KVM_SET_REGS, &registers) == 0, "KVM_SET_REGS");
    check(ioctl(guest->machine, KVM_CREATE_DEVICE, &device) == 0, "KVM_CREATE_DEVICE");
    guest->kvm_vfio = device.fd;
    close(kvm);
}

static void destroy(struct guest *guest) {
    munmap(guest->run, guest->run_size);
    munmap((void *) guest->memory, MEMORY);
    close(guest->kvm_vfio);
    close(guest->vcpu);
    close(guest->machine);
}

// ---- threads and CPUs -----------------------------------------------------------------------------------------------

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void pin(int thread, int cpu, int other) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    CPU_SET(other, &set);
    check(sched_setaffinity(thread, sizeof set, &set) == 0, "sched_setaffinity");
}

// The CPU on which a thread runs, or ran last: the 39th field of its status.
static int cpu_of(int thread) {
    char path[64], text[1024], *field;
    int fd;
    ssize_t length;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    fd = open(path, O_RDONLY);
    length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    check(length > 0, path);
    close(fd);
    text[length] = 0;
    field = strrchr(text, ')');
    for (int i = 2; i < 39 && field; i++) {
        field = strchr(field + 1, ' ');
    }
    check(field != NULL, path);
    return atoi(field);
}

static void set_real_time(int priority) {
    struct sched_param parameter = {.sched_priority = priority};
    check(sched_setscheduler(0, SCHED_FIFO, &parameter) == 0, "sched_setscheduler");
}

static void *run_vcpu(void *argument) {
    struct guest *guest = argument;
    pin(0, guest->cpu, guest->cpu);
    if (guest->real_time) {
        set_real_time(1);
    }
    guest->thread = syscall(SYS_gettid);
    check(ioctl(guest->vcpu, KVM_RUN, 0) == 0 && guest->run->exit_reason == KVM_EXIT_IO, "KVM_RUN");
    return NULL;
}

static void await_loop(struct guest *guest, int number) {
    double began = now();
    while (guest->memory[AT] != number) {
        errno = ETIMEDOUT;
        check(now() - began < PATIENCE, "the guest's loop");
        usleep(50);
    }
}

// Waits until the guest has executed something more.
static void await_progress(struct guest *guest) {
    volatile uint16_t *loops = (volatile uint16_t *) (guest->memory + LOOPS);
    uint16_t before = *loops;
    double began = now();
    while (*loops == before) {
        errno = ETIMEDOUT;
        check(now() - began < PATIENCE, "the guest's progress");
        usleep(100);
    }
}

static void start(struct guest *guest, int cpu) {
    guest->cpu = cpu;
    check(pthread_create(&guest->handle, NULL, run_vcpu, guest) == 0, "thread");
    await_loop(guest, 1);
}

static void move(struct guest *guest, int cpu) {
    pin(guest->thread, cpu, cpu);
    await_progress(guest);
}

static void finish(struct guest *guest) {
    guest->memory[GO] = 1;
    check(pthread_join(guest->handle, NULL) == 0, "thread");
}

struct hog {
    int cpu;
    double seconds;
    pthread_t handle;
};

// Takes a CPU from all other threads for a while.
static void *take_cpu(void *argument) {
    struct hog *hog = argument;
    double began;
    pin(0, hog->cpu, hog->cpu);
    set_real_time(10);
    for (began = now(); now() - began < hog->seconds;) {
    }
    return NULL;
}

static void start_hog(struct hog *hog) {
    check(pthread_create(&hog->handle, NULL, take_cpu, hog) == 0, "thread");
}

static void join_hog(struct hog *hog) {
    check(pthread_join(hog->handle, NULL) == 0, "thread");
}

// ---- the tests ------------------------------------------------------------------------------------------------------

// The guest stores, executes WBINVD, stores again, and loops on CPU 0; then executes WBINVD where it is.
static void two_write_backs(struct guest *guest) {
    store(guest, DATA, 1);
    write_back(guest);
    store(guest, DATA, 2);
    loop(guest, 1);
    write_back(guest);
    end(guest);
}

static void moved(int group, int real_time, int number) {
    struct guest guest;
    fprintf(answers, "-- T4%s.%d moved to CPU 1 behind a WBINVD and a store on CPU 0\n", real_time ? "-fifo" : "", number);
    create(&guest);
    add_group(&guest, group);
    two_write_backs(&guest);
    guest.real_time = real_time;
    clear_trace();
    start(&guest, 0);
    move(&guest, 1);
    finish(&guest);
    print_trace();
    destroy(&guest);
}

static void preempted(int group, int number) {
    struct guest guest;
    struct hog hog = {.cpu = 0, .seconds = 0.02};
    fprintf(answers, "-- T6.%d as T4, but preempted on CPU 0 before it is moved\n", number);
    create(&guest);
    add_group(&guest, group);
    two_write_backs(&guest);
    clear_trace();
    start(&guest, 0);
    start_hog(&hog);
    join_hog(&hog);
    await_progress(&guest);
    move(&guest, 1);
    finish(&guest);
    print_trace();
    destroy(&guest);
}

static void added_late(int group, int real_time, int number) {
    struct guest guest;
    fprintf(answers, "-- T7%s.%d the group is added behind a store on CPU 0; moved to CPU 1; WBINVD\n",
            real_time ? "-fifo" : "", number);
    create(&guest);
    store(&guest, DATA, 1);
    loop(&guest, 1);
    write_back(&guest);
    end(&guest);
    guest.real_time = real_time;
    clear_trace();
    start(&guest, 0);
    add_group(&guest, group);
    move(&guest, 1);
    finish(&guest);
    print_trace();
    destroy(&guest);
}

static void scheduled(int group, int number) {
    struct guest guest;
    struct hog hog = {.cpu = 0, .seconds = 0.3};
    double began;
    fprintf(answers, "-- T11.%d as T4, but nobody moves it: another thread takes CPU 0, the scheduler decides\n", number);
    create(&guest);
    add_group(&guest, group);
    two_write_backs(&guest);
    clear_trace();
    start(&guest, 0);
    pin(guest.thread, 0, 1);
    start_hog(&hog);
    for (began = now(); cpu_of(guest.thread) != 1 && now() - began < 2 * hog.seconds;) {
        usleep(100);
    }
    await_progress(&guest);
    finish(&guest);
    join_hog(&hog);
    print_trace();
    destroy(&guest);
}

static void tests(const char *function) {
    int container = open("/dev/vfio/vfio", O_RDWR), group = open_group_file(function);
    check(container >= 0 && group >= 0, "group");
    check(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0, "VFIO_GROUP_SET_CONTAINER");
    check(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0, "VFIO_SET_IOMMU");
    pin(0, OWN_CPU, OWN_CPU);
    start_trace();
    for (int number = 1; number <= 2; number++) {
        moved(group, 0, number);
        moved(group, 1, number);
        preempted(group, number);
        added_late(group, 0, number);
        added_late(group, 1, number);
        scheduled(group, number);
    }
    put(TRACING "events/wbinvd/enable", "0");
    put(TRACING "events/kprobes/enable", "1");
}

void wbinvd(const char *function) {
    int status;
    pid_t child;
    fflush(answers);
    child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        tests(function);
        fflush(answers);
        _exit(0);
    }
    check(waitpid(child, &status, 0) == child, "waitpid");
    fprintf(answers, "DONE %d\n", status);
    fflush(answers);
}
