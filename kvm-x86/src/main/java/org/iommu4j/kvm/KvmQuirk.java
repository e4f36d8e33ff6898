// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

/** A behaviour of KVM for old guests that a VMM can turn off. Source: {@code KVM_CAP_DISABLE_QUIRKS2}. */
public enum KvmQuirk {
    /**
     * CR0.CD and CR0.NW of a guest have no effect on memory. On VMX it matters up to 6.10 while DMA is non-coherent, on
     * SVM always. Source: KVM_X86_QUIRK_CD_NW_CLEARED.
     */
    CD_NW_CLEARED,
    /**
     * The guest's PAT is ignored while DMA is coherent. Only on VMX, since 6.16, and on CPUs with self-snoop can it be
     * turned off. Source: KVM_X86_QUIRK_IGNORE_GUEST_PAT.
     */
    IGNORE_GUEST_PAT
}
