// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.Objects;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;

/**
 * What KVM does with a guest's wishes about caches, for whoever asks before there is a virtual machine. Quirks are as
 * they are unless the VMM turns them off.
 *
 * @param wbinvdExecuted whether the guest's WBINVD flushes the host's caches; else it does nothing
 * @param memoryType what its memory gets in the second-stage table, where its MTRRs say write-back
 * @param guestMtrrs whether its MTRRs count as well
 */
public record GuestTreatment(boolean wbinvdExecuted, GuestMemoryType memoryType, boolean guestMtrrs) {
    /** Refuses what is missing. */
    public GuestTreatment {
        Objects.requireNonNull(memoryType, "memoryType");
    }

    /**
     * Answers for a guest.
     *
     * @param release the rules to follow
     * @param virtualization the processors' extension
     * @param noncoherentDma whether KVM counts a source of non-coherent DMA
     * @throws IllegalArgumentException when no rules are built for the release, or the processors have neither VMX nor
     *     SVM
     */
    public static GuestTreatment of(
            LinuxRelease release, HardwareVirtualization virtualization, boolean noncoherentDma) {
        Objects.requireNonNull(release, "release");
        Objects.requireNonNull(virtualization, "virtualization");
        if (virtualization == HardwareVirtualization.NONE) {
            throw new IllegalArgumentException("processors with neither VMX nor SVM run no guest");
        }
        KvmRules rules = KvmRules.of(release);
        return new GuestTreatment(
                noncoherentDma,
                rules.guestMemoryType(virtualization, KvmOptions.DEFAULT, false, noncoherentDma, false, MemoryType.WB),
                rules.dropsEntriesWhenMtrrsChange(virtualization, noncoherentDma));
    }
}
