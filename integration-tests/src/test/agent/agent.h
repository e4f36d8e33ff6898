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

// Where all answers go: the second serial port.
extern FILE *answers;

// Says what failed, with errno, and powers the machine off.
_Noreturn void fail(const char *what);

// Fails unless done.
void check(int done, const char *what);

// Writes a text into a file that exists.
void put(const char *path, const char *text);

// Opens the file of a function's group; -1 where that is refused.
int open_group_file(const char *function);

// Runs a guest that executes WBINVD while its thread is moved, and prints what the kernel did (wbinvd.c). The function
// is alone in its group.
void wbinvd(const char *function);
