// SPDX-License-Identifier: Apache-2.0

/**
 * A virtual machine as KVM on x86 keeps it coherent, or makes its guest keep itself coherent.
 *
 * <p>Read in this order: {@link org.iommu4j.kvm.VirtualMachine}, {@link org.iommu4j.kvm.KvmVfioDevice},
 * {@link org.iommu4j.kvm.Vcpu}, {@link org.iommu4j.kvm.GuestMemoryType}.
 *
 * <p>The question decided here: can a device of this guest write memory behind the CPU caches? If some file that the
 * VMM added to the kvm-vfio device does not vouch for the contrary, the guest's WBINVD is executed and its PAT is
 * honoured; otherwise WBINVD is a no-op and, on VMX, all its memory is write-back.
 *
 * <p>Models {@code virt/kvm/vfio.c} of Linux 5.15 to 7.1 (what differs is in {@code KvmRules}), and of
 * {@code arch/x86/kvm} the non-coherent DMA count, WBINVD and INVD exits, the mask of CPUs that a vCPU dirtied, and the
 * memory type that guest pages get and keep. Not modelled: page tables of the second stage (a guest's access is
 * translated slot by slot; of its entry there is the type alone), dirty logging, MMIO emulation, MTRRs that differ
 * between ranges or vCPUs and types other than UC and WB, nested guests, TDX and SEV.
 */
package org.iommu4j.kvm;
