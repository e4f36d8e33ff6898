// SPDX-License-Identifier: Apache-2.0

/**
 * A virtual machine on x86: KVM keeps its memory coherent, or lets the guest do so.
 *
 * <p>Read in this order: {@link org.iommu4j.kvm.VirtualMachine}, {@link org.iommu4j.kvm.KvmVfioDevice},
 * {@link org.iommu4j.kvm.Vcpu}, {@link org.iommu4j.kvm.GuestMemoryType}, {@link org.iommu4j.kvm.GuestMtrrs}.
 *
 * <p>The question decided here: can a device of this guest write memory past the CPU caches? It can if a file that the
 * VMM added to the kvm-vfio device does not exclude it. Then the guest's WBINVD is executed and its PAT is honoured.
 * Otherwise WBINVD is a no-op and, on VMX, all guest memory is write-back.
 *
 * <p>Models {@code virt/kvm/vfio.c} of Linux 5.15 to 7.3 ({@code KvmRules} holds the differences). Of {@code
 * arch/x86/kvm} it models the non-coherent DMA count, WBINVD and INVD exits, the mask of CPUs that a vCPU dirtied, and
 * the memory types of guest pages. Not modelled: page tables of the second stage (a guest's access is translated slot
 * by slot; only the type of its entry exists), dirty logging, MMIO emulation, MTRRs that differ between vCPUs, nested
 * guests, TDX and SEV.
 *
 * <p>On SVM the guest's PAT type is combined with the host's before the MTRR's. KVM leaves the host's write-back. The
 * table (AMD APM volume 2, section 15.25.8) is no witness here: no text of it was at hand, and three of its cells
 * are known from others. Guest WC on host WB is WC+, which looks into the caches of all CPUs (KVM's maintainers, when
 * the guest's PAT became honoured on VMX); with an MTRR of WB, WT or WP it stays WC+; guest UC- with an MTRR of WC is
 * uncacheable (SimpleSvm, on its nested page tables). The last one does not arise: RAM of the host is write-back.
 * Firmware that runs a guest sets all host types to write-back for that table's sake (AmdIntelEmu). No other
 * transcription of the table was found.
 */
package org.iommu4j.kvm;
