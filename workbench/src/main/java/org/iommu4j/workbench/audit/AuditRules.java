// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import org.iommu4j.LinuxRelease;

/**
 * What VFIO and KVM do differently from release to release, in the words of a report.
 *
 * @param asksDevices whether KVM is told by the capabilities of a group's devices (from 6.2) and not by the container
 * @param guestMtrr whether KVM honours the guest's MTRRs too under non-coherent DMA (until 6.10)
 */
record AuditRules(boolean asksDevices, boolean guestMtrr) {
    static AuditRules of(LinuxRelease release) {
        return new AuditRules(release.isAtLeast(6, 2), !release.isAtLeast(6, 11));
    }

    /** Returns who tells KVM. */
    String kvmSource() {
        return asksDevices
                ? "vfio_file_enforced_coherent (6.2): every device of the group that VFIO has must be capable"
                : "vfio_file_enforced_coherent (until 6.1): the container's VFIO_DMA_CC_IOMMU";
    }

    /** Returns what a guest pays. */
    String cost(Guest guest) {
        return switch (guest) {
            case COHERENT -> "WBINVD does nothing in the guest; its memory is write-back whatever its PAT says";
            case NONCOHERENT ->
                guestMtrr
                        ? "WBINVD flushes the host's caches, guest PAT and MTRRs are honoured (slow)"
                        : "WBINVD flushes the host's caches, guest PAT is honoured (slow)";
            case UNKNOWN -> "depends on what is not known";
        };
    }
}
