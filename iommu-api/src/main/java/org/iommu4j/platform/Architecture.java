// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

/** The instruction set of a machine's CPUs. */
public enum Architecture {
    /** AMD64 and Intel 64. */
    X86_64,
    /** AArch64 of Arm. */
    ARM64,
    /** RISC-V with registers of 64 bits. */
    RISCV64
}
