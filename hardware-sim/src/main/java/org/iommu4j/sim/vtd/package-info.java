// SPDX-License-Identifier: Apache-2.0

/**
 * Intel VT-d's translation unit as silicon, in legacy and in scalable mode.
 *
 * <p>{@link org.iommu4j.sim.vtd.VtdUnitProvider} builds units with any pair of CAP and ECAP.
 *
 * <h2>Source</h2>
 *
 * <p>The "Intel Virtualization Technology for Directed I/O" architecture specification, section numbers as in revision
 * 4, with QEMU's measured answers as a second witness. It follows no driver. Each refusal names its reason in the
 * table of fault conditions (7.1.3), with the manual's short name where scalable mode has one.
 *
 * <h2>Reading order</h2>
 *
 * <ul>
 *   <li>{@code VtdUnit}: registers and commands.
 *   <li>{@code Remapper}, {@code LegacyTranslation} and {@code ScalableTranslation}: the path of a request.
 *   <li>{@code VtdLegacyTables} and {@code VtdScalableTables}: root, context and PASID entries.
 *   <li>{@code SecondStageWalker} and {@code FirstStageWalker}, which start from a {@code SecondStageWalk} or a {@code
 *       FirstStageWalk}; {@code SecondStage} and {@code FirstStage} have the entries with their reserved bits.
 *   <li>The caches: {@code ContextCache}, {@code Iotlb} and {@code PagingCache}; {@code ScalableCaches}.
 *   <li>{@code VtdInvalidationQueue}, {@code VtdFaultLog} with its {@code MemoryFaultLog}, {@code VtdPageRequestQueue}.
 *   <li>{@code VtdTableReader}, which reads the tables of a memory image with the same classes.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <ul>
 *   <li>Legacy mode: root and context tables, TT 0, 1 and 2.
 *   <li>Scalable mode: root and context entries, PASID directory and table, PGTT 1 to 4, RID_PASID, requests with
 *       PASID.
 *   <li>First stage of 4 and 5 levels, second stage of 3, 4 and 5, each with 4K, 2M and 1G leaves; nested translation.
 *   <li>Snoop control by SNP and PGSNP; snooping of walks by ECAP.C and PWSNP. Descriptors, status writes and fault
 *       records in memory are always snooped.
 *   <li>Accessed and dirty flags, set atomically; refused where walks are not snooped.
 *   <li>Caches of contexts, PASID entries, translations and tables, whose entries stay until an invalidation covers
 *       them. Refusals are cached where CAP.CM is set, but not the first stage's. Each walk caches its lowest entry
 *       that points to a table, and no other: hardware may keep more. A request that hits an entry with too few rights
 *       is blocked without a new walk.
 *   <li>Queued invalidation with both widths of descriptor; IQA takes effect when the queue is enabled. Invalidation
 *       through registers in legacy mode; while the queue is enabled, or in scalable mode, it is refused in CAIG and
 *       IAIG.
 *   <li>Device TLBs: translation requests, translated requests, invalidations and their time-out.
 *   <li>Page requests: their queue, overflow, event and answers, and draining by a wait descriptor.
 *   <li>Primary fault logging, and advanced fault logging where CAP.AFL is set.
 *   <li>Protected memory regions, where CAP.PLMR and CAP.PHMR are set.
 *   <li>Commands written to registers, which take effect in {@code step()}. Registers of features that CAP and ECAP
 *       lack stay 0, such as the invalidation queue's without QI and IRTA without IR.
 *   <li>Requests without PASID in the interrupt address range, which pass untranslated.
 * </ul>
 *
 * <h2>Doubtful readings</h2>
 *
 * <p>The manual is not precise about these.
 *
 * <p>Entries and reasons:
 *
 * <ul>
 *   <li>Reason 0x79 means that the second stage maps nothing; 0x85 and 0x86 that it maps with the other permission.
 *   <li>PGSNP, and PWSNP, are reserved without ECAP.SC, and ECAP.SMPWC. PGSNP decides for the first stage and nested
 *       translation, SNP for the second stage alone, and neither for pass-through.
 *   <li>XD is ignored whether or not NXE is set. The memory type bits of a PASID entry are ignored. AW of a PASID entry
 *       that passes through is not checked.
 *   <li>Reasons 0x50 and 0x58 are recorded whatever FPD is.
 * </ul>
 *
 * <p>Invalidation:
 *
 * <ul>
 *   <li>Descriptors that name a PASID must have 256 bits: otherwise their type is unknown. In legacy mode they stop the
 *       queue with IQEI 7.
 *   <li>A page-selective invalidation of the second stage drops all nested translations of its domain; a context-cache
 *       invalidation of a domain drops all contexts of scalable mode.
 *   <li>In caching mode a refused PASID belongs to no domain: an invalidation drops it when it names the PASID, with
 *       any domain, or when it is for domain 0. The manual reserves domain 0 for it; Linux names the next entry's
 *       domain, and QEMU compares with that one.
 * </ul>
 *
 * <p>Page requests:
 *
 * <ul>
 *   <li>A page request in legacy mode, or one that the context entry does not allow, is answered as an invalid request.
 *       A request that is lost because the queue is full is answered with success if it is its group's last. PRO of PRS
 *       reports it, not PRO of FSTS as in revision 2. PASID entries are not read. Entries that the earlier translation
 *       request left in the caches stay.
 *   <li>Page group responses need 256 bits, scalable mode and a response code that PCI Express defines; their third and
 *       fourth word are ignored.
 * </ul>
 *
 * <p>Protection and logging:
 *
 * <ul>
 *   <li>No device reaches a protected region, not even with its own translation, which the manual leaves open. Such a
 *       request gets our own code, 0xff, and no record. Regions have whole MiB, and take effect when EPM is set.
 *   <li>Advanced logging sets APF with the first record of a log and no other. A full log overflows with the next fault
 *       and stays full until SFL; bit 127 of a record, F of a register, is 0.
 * </ul>
 *
 * <h2>Not modelled</h2>
 *
 * <ul>
 *   <li>Supervisors' and execute requests, and therefore SRE, WPE, SMEP, ERE and reasons 0x5c, 0x5d and 0x82; atomic
 *       operations.
 *   <li>Abort-DMA mode: with RTADDR.TTM of 2 or 3 every request is blocked with reason 0x30.
 *   <li>Interrupt remapping: where ECAP.IR is set, its commands are acknowledged and its descriptors accepted, without
 *       further effect.
 *   <li>Stop markers and private data of page requests; page requests for execution or with privilege.
 *   <li>The G bit of a PASID-based device-TLB invalidation, which is refused as reserved.
 *   <li>Zero-length reads (CAP.ZLR): requests here have a length.
 *   <li>Delivery of the fault, invalidation and page request events: their mask and pending bits are kept, no message
 *       is sent.
 *   <li>Performance monitoring; enhanced commands; write buffers (GCMD.WBF is done at once); draining of requests (a
 *       translation that an invalidation overtakes is restarted).
 *   <li>Collapsing of faults of one requester, which the manual allows.
 * </ul>
 */
package org.iommu4j.sim.vtd;
