// SPDX-License-Identifier: Apache-2.0

/**
 * Intel VT-d's translation unit as silicon, in legacy mode.
 *
 * <p>Written from the "Intel Virtualization Technology for Directed I/O" architecture specification (section numbers as in
 * revision 4), with QEMU's measured answers as a second witness, and not from any driver. {@link
 * org.iommu4j.sim.vtd.VtdUnitProvider} builds units with any pair of CAP and ECAP. Read then {@code VtdUnit} (registers,
 * commands, the way of a request), {@code TableWalker} (root, context and second-stage entries with their reserved bits),
 * {@code ContextCache} and {@code Iotlb} over {@code SetAssociativeCache}, {@code InvalidationQueue} and {@code FaultLog}.
 *
 * <p>Modelled: root and context tables; TT 0, 1 and 2; second-stage tables of 3, 4 and 5 levels with 4K, 2M and 1G leaves;
 * snoop control; a context cache and an IOTLB whose entries stay until an invalidation covers them; caching of refusals
 * where CAP.CM is set; queued and register-based invalidation; primary fault logging. ECAP.C decides whether walks are
 * snooped; descriptors and status writes always are. Commands written to registers act in {@code step()}. A request that
 * hits an entry with too few rights is blocked without a new walk. IQA takes effect when the queue is enabled.
 * Invalidation through registers while the queue is enabled is refused in CAIG and IAIG. Writes and reads in the interrupt
 * address range pass untranslated.
 *
 * <p>Not modelled:
 *
 * <ul>
 *   <li>Scalable mode, also where ECAP.SMTS claims it: with RTADDR.TTM other than 0 every request is blocked for reason
 *       0x30, a queue of 256-bit descriptors stops with IQEI 5, and PASID descriptors are of unknown type. A request
 *       with PASID in legacy mode is blocked for reason 0x31.
 *   <li>Paging-structure caches: invalidating a page drops its translation whatever the hint IH says.
 *   <li>Interrupt remapping: its commands are acknowledged and its descriptors accepted, and nothing else.
 *   <li>Device TLBs: their descriptors are accepted; no request is translated beforehand, so reason 0xd never arises.
 *   <li>Zero-length reads (CAP.ZLR): requests here have a length.
 *   <li>Protected memory regions: PMEN.PRS follows EPM and nothing is protected.
 *   <li>Delivery of the fault and invalidation events: their mask and pending bits are kept, no message is sent.
 *   <li>Advanced fault logging, page requests, performance monitoring, write buffers (GCMD.WBF is done at once), draining
 *       of requests (a translation that an invalidation overtakes starts anew).
 *   <li>Collapsing of faults of one requester, which the manual allows.
 * </ul>
 */
package org.iommu4j.sim.vtd;
