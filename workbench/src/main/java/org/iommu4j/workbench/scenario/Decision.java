// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import org.iommu4j.kvm.GuestMemoryType;
import org.iommu4j.kvm.VirtualMachine;
import org.jspecify.annotations.Nullable;

/**
 * The decisions about the case's device and its virtual machine.
 *
 * @param enforceCacheCoherency whether its domain blocks no-snoop
 * @param dmaCcIommu VFIO_DMA_CC_IOMMU, null without VFIO
 * @param kvmNoncoherentDma whether the virtual machine has non-coherent DMA in KVM, null without a virtual machine
 * @param wbinvd the effect of a guest's WBINVD, null without a virtual machine
 * @param guestMemoryType the memory type of guest RAM, null without a virtual machine
 */
public record Decision(
        Enforcement enforceCacheCoherency,
        @Nullable Boolean dmaCcIommu,
        @Nullable Boolean kvmNoncoherentDma,
        @Nullable Wbinvd wbinvd,
        @Nullable GuestMemoryType guestMemoryType) {
    /** Returns the decisions of KVM for a virtual machine, with those that were made before. */
    static Decision of(Enforcement enforcement, @Nullable Boolean dmaCcIommu, VirtualMachine vm) {
        return new Decision(
                enforcement,
                dmaCcIommu,
                vm.noncoherentDma(),
                vm.needEmulateWbinvd() ? Wbinvd.EXECUTED : Wbinvd.NOP,
                vm.guestMemoryType());
    }
}
