// SPDX-License-Identifier: Apache-2.0

/**
 * A driver of the RISC-V IOMMU that follows Linux's, release by release.
 *
 * <p>Start at {@link org.iommu4j.riscv.RiscvVendor}. The rest is not public: {@code RiscvIommu} (devices and domains),
 * {@code UnitMap} (firmware's units and ids), {@code RiscvUnit} with {@code UnitStart}, {@code DeviceDirectory}, {@code
 * CommandQueue} and {@code FaultQueue}, {@code PagingDomain} with {@code PageTable}, {@code PageMapper} and {@code
 * PageUnmapper}; {@code RiscvRules} has what changed between releases.
 *
 * <h2>Sources</h2>
 *
 * <ul>
 *   <li>RISC-V IOMMU Architecture Specification 1.0 with the extensions NL and S; the RISC-V privileged architecture for
 *       first-stage entries.
 *   <li>Linux {@code drivers/iommu/riscv}, {@code drivers/iommu/generic_pt/fmt/riscv.h} and {@code
 *       drivers/acpi/riscv/rimt.c}, 6.13 to 7.2.
 * </ul>
 *
 * <h2>Where it differs from Linux, because of this project's contract</h2>
 *
 * <ul>
 *   <li>Linux goes on after an invalidation that did not complete. Here the call is refused, the unit is broken, and
 *       frames that it may still use are kept.
 *   <li>A unit that does not answer when it is turned on is ETIMEDOUT, in Linux EBUSY. Where frames for a queue are
 *       missing, opening ends with ENOMEM, and Linux tries a smaller queue.
 *   <li>A kernel that runs after a crash (command line with {@code elfcorehdr}) takes over a unit that is on, by way of
 *       Off; Linux by way of Bare, which the manual leaves undefined. Other kernels refuse it, EBUSY, as in Linux.
 *   <li>A device that is blocked leaves an id that it shares with one that is not.
 *   <li>Unmapping frees empty tables in every release, Linux's since 7.1.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Machines with a device tree, which are the only ones that 6.13 to 6.17 have the driver for.
 *   <li>Interrupts: queues are read when the driver is asked. The vectors are assigned as in Linux.
 *   <li>Directories and queues at an address of the unit's own.
 *   <li>What Linux up to 7.2 does not use: second stage, PASIDs, MSI tables, ATS, page requests.
 * </ul>
 */
package org.iommu4j.riscv;
