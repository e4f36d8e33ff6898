// SPDX-License-Identifier: Apache-2.0

/**
 * The RISC-V IOMMU as Linux drives it.
 *
 * <p>It can be read bottom-up: each class needs only classes above it in this list, and those of {@code fmt}, {@code
 * reg}, {@code acpi} and {@code dt}. {@link org.iommu4j.riscv.RiscvVendor} is the only public class.
 *
 * <ul>
 *   <li>Names and rules: {@code RiscvNames}; {@code RiscvRules}, the only place for differences between releases of
 *       Linux; {@code Tags}, the PSCIDs.
 *   <li>Page tables: {@code PageTable}; {@code Retirement}, {@code PageMapper}, {@code
 *       PageUnmapper}.
 *   <li>Unit: {@code FunctionRegisters}; {@code UnitPlace}, {@code UnitIds}, {@code UnitMap}: the units and ids as
 *   firmware describes them, with {@code RimtMap} and {@code DeviceTreeMap}, of which {@code Firmware} makes the one
 *   that counts; {@code DeviceDirectory}; {@code QueueMemory}, {@code CommandQueue}, {@code FaultQueue}; {@code
 *   UnitStart}, which turns a unit on and off; {@code RiscvUnit}.
 *   <li>Device and domain: {@code DomainState}, {@code RiscvDevice}; {@code DriverState}; {@code Attacher}, which moves
 *       devices by device contexts; {@code RiscvDomain}, {@code StaticDomain}, {@code PagingDomain}.
 *   <li>Driver: {@code RiscvIommu}, the opened driver; {@code RiscvDescription} and {@code RiscvKernelLog}, which
 *       answer without opening the driver; {@code RiscvVendor}.
 * </ul>
 *
 * <h2>Source</h2>
 *
 * <ul>
 *   <li>RISC-V IOMMU Architecture Specification 1.0 with the extensions NL and S; the RISC-V privileged architecture
 *       for first-stage entries.
 *   <li>Linux {@code drivers/iommu/riscv}, {@code drivers/iommu/generic_pt/fmt/riscv.h} and {@code
 *       drivers/acpi/riscv/rimt.c}, 6.13 to 7.2; {@code drivers/iommu/of_iommu.c} and {@code drivers/of}.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Units that are platform devices (ACPI id RSCV0004) or PCI functions (QEMU's, Rivos's), found by RIMT
 *       (since 6.18) or by a device tree.
 *   <li>Device directories of 1 to 3 levels, with contexts of both sizes; first stages of Sv39, Sv48 and Sv57 with
 *       pages of every size, 64 KiB by Svnapot among them, and memory types by Svpbmt.
 *   <li>Command queue and fault queue; invalidation by page, by range (S), of tables (NL), by PSCID.
 *   <li>No-snoop passes always, and VFIO takes no device: Linux's driver has neither {@code enforce_cache_coherency}
 *       nor {@code capable}.
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
 *   <li>The choice between RIMT and a device tree by {@code acpi=} on the command line.
 *   <li>Interrupts: queues are read when the driver is asked. The vectors are assigned as in Linux.
 *   <li>Directories and queues at an address of the unit's own.
 *   <li>What Linux up to 7.2 does not use: second stage, PASIDs, MSI tables, ATS, page requests.
 * </ul>
 */
package org.iommu4j.riscv;
