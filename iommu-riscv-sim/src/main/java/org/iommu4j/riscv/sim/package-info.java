// SPDX-License-Identifier: Apache-2.0

/**
 * The RISC-V IOMMU as silicon.
 *
 * <p>{@link org.iommu4j.riscv.sim.RiscvSilicon} builds units with any capabilities and reads the tables of a memory
 * image.
 *
 * <h2>Source</h2>
 *
 * <p>The "manual" is the "RISC-V IOMMU Architecture Specification", version 1.0 with the ratified extensions QOSID, NL,
 * S and Svrsw60t59b. Page tables are those of the "RISC-V Privileged Architecture", MSI tables and memory-resident
 * interrupt files (MRIF) those of the "RISC-V Advanced Interrupt Architecture". Faults have the manual's causes ({@code
 * Cause}).
 *
 * <h2>Reading order</h2>
 *
 * <ul>
 *   <li>{@code Translator}: the path of a request; {@code Request}: the request with its answer.
 *   <li>{@code DeviceDirectory}, {@code ProcessDirectory}: which tables; {@code FirstStage}, {@code SecondStage},
 *       {@code MsiTable}: the walks; {@code Pte}: their entries.
 *   <li>{@code Caches}, of {@code EntryCache} and {@code ContextCache}: what is remembered, and until when.
 *   <li>{@code RiscvUnit}: registers and events; {@code MemoryQueue} and its kinds {@code CommandQueue}, {@code
 *       FaultQueue}, {@code PageRequestQueue}; {@code Command}; {@code Interrupts}; {@code DebugTranslation}.
 *   <li>{@code RiscvMachine}, {@code RimtWriter} and {@code DeviceTreeWriter}: built-in machines; {@code RimtReader}
 *       and {@code DeviceTreeReader}: firmware of captured hosts.
 *   <li>{@code RiscvTableReader} and {@code StageLister}, which list what the walks would find.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>All accesses to structures in memory are snooped, and go to addresses below 2^PAS. An address beyond, also that
 *       of a translated request's page, is an access fault.
 *   <li>The unit never blocks no-snoop. PBMT gives a request another memory type: NC and IO are not snooped.
 *   <li>The caches hold valid device and process contexts, the entries that lead to them, pages and tables of both
 *       stages, and MSI pages, until commands invalidate them. A page whose entry must be marked accessed or dirty
 *       first is walked again. Contexts are separate from pages: IOTINVAL does not reach them.
 *   <li>Pages of both stages are cached apart, so IOTINVAL.GVMA reaches no first-stage page. Global pages survive an
 *       IOTINVAL.VMA with PSCV, and none other.
 * </ul>
 *
 * <h2>Choices where the manual leaves one</h2>
 *
 * <ul>
 *   <li>{@code ddtp} and the queues' control registers are busy until the next step.
 *   <li>A register's page number keeps only bits of physical addresses. A mode that does not exist leaves {@code ddtp}
 *       as it is. A queue's base can't be changed while it is on, {@code fctl} not while the unit or a queue is.
 *   <li>Where no stage translates, the range of an address is 1 GiB. A range ends before the next interrupt file.
 *   <li>An MSI PTE for custom use is misconfigured, custom bits of contexts are ignored. An MSI page table without a
 *       second stage is misconfigured.
 *   <li>A translation request that may write is refused entirely where D is 0 and can't be set. One that may not write
 *       is granted writes only where D is 1.
 *   <li>ATS.INVAL and ATS.PRGR name a function by its requester id and segment, the unit's own where DSV is 0. A page
 *       request's record has the device id, as a fault's.
 *   <li>A device that does not answer an invalidation request has timed out; the next fence says so. A message that
 *       memory does not take is a fault, but not a notice of an MRIF.
 *   <li>Reads of an MRIF's page are aborted, without a record. MRIFs are updated atomically also without AMO_MRIF.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Sv32 and Sv32x4, performance counters: a unit's capabilities must not have them.
 *   <li>QoS ids are checked, and have no effect. Ordering by PR and PW: requests are done before the next command.
 *   <li>Devices of CXL; the global bit of an ATS invalidation; ATS answers' sizes, which devices do not use here.
 * </ul>
 */
package org.iommu4j.riscv.sim;
