// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.Objects;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;

/**
 * How KVM treats a guest's cache settings and flushes. For callers that ask before a virtual machine exists. Quirks
 * have their default, as when the VMM turns none off.
 *
 * @param wbinvdExecuted whether the guest's WBINVD flushes the host's caches; otherwise it does nothing
 * @param memoryType the type of its memory in the second-stage table, where its MTRRs state write-back
 * @param guestMtrrs whether its MTRRs have an effect too
 */
public record GuestTreatment(boolean wbinvdExecuted, GuestMemoryType memoryType, boolean guestMtrrs) {
    /** Refuses null. */
    public GuestTreatment {
        Objects.requireNonNull(memoryType, "memoryType");
    }

    /**
     * Returns the treatment of a guest.
     *
     * @param release the rules to follow
     * @param virtualization the processors' extension
     * @param noncoherentDma whether a source of non-coherent DMA is registered with KVM
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
