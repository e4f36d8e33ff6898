// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.HardwareVirtualization;

/**
 * What of KVM's decisions depends on the release of Linux, all of it.
 *
 * <p>Release 7.1: MTRRs no longer matter to guest memory, and the guest's PAT is ignored on VMX only while DMA is
 * coherent and the quirk {@code KVM_X86_QUIRK_IGNORE_GUEST_PAT} is on.
 */
final class KvmRules {
    private static final LinuxRelease LINUX_7_1 = new LinuxRelease(7, 1);

    private KvmRules() {}

    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when none are built for it
     */
    static KvmRules of(LinuxRelease release) {
        if (!release.equals(LINUX_7_1)) {
            throw new IllegalArgumentException(
                    "no KVM rules for Linux release '" + release + "'; known: " + List.of(LINUX_7_1));
        }
        return new KvmRules();
    }

    /** Returns the type of a guest page. Source: {@code vmx_get_mt_mask}; {@code svm_x86_ops} has no such operation. */
    GuestMemoryType guestMemoryType(
            HardwareVirtualization virtualization,
            boolean deviceMemory,
            boolean noncoherentDma,
            boolean ignoreGuestPat) {
        if (virtualization == HardwareVirtualization.SVM) {
            return GuestMemoryType.GUEST_PAT;
        }
        if (deviceMemory) {
            return GuestMemoryType.UC;
        }
        return !noncoherentDma && ignoreGuestPat ? GuestMemoryType.WB_IPAT : GuestMemoryType.WB;
    }
}
