// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import org.iommu4j.LinuxRelease;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.kvm.GuestTreatment;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.vfio.VfioGroup;
import org.jspecify.annotations.Nullable;

/**
 * What VFIO and KVM do differently from release to release, in the words of a report.
 *
 * @param release the release
 * @param virtualization the processors' extension, null where no vendor says
 * @param asksDevices whether KVM is told by the capabilities of a group's devices and not by the container
 * @param asksBridges whether a driver that is bound to a bridge of a group can stand against it
 * @param keepsDirectDevices whether Linux's core refuses every device with a DIRECT region; before it was a driver's
 *     affair
 */
record AuditRules(
        LinuxRelease release,
        @Nullable HardwareVirtualization virtualization,
        boolean asksDevices,
        boolean asksBridges,
        boolean keepsDirectDevices) {
    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when none are built for it
     */
    static AuditRules of(LinuxRelease release, @Nullable HardwareVirtualization virtualization) {
        return new AuditRules(
                release,
                virtualization,
                VfioGroup.asksDevices(release),
                VfioGroup.asksBridges(release),
                IommuGroup.keepsDirectDevices(release));
    }

    /** Returns who finds that a driver of the host stands against a group. */
    String driverSource() {
        return asksBridges ? "Linux iommu_device_use_default_domain" : "Linux vfio_dev_viable (until 5.18)";
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
            case COHERENT -> "WBINVD does nothing in the guest" + memory(false);
            case NONCOHERENT -> "WBINVD flushes the host's caches" + memory(true);
            case UNKNOWN -> "depends on what is not known";
        };
    }

    private String memory(boolean noncoherent) {
        if (virtualization == null || virtualization == HardwareVirtualization.NONE) {
            return "";
        }
        GuestTreatment treatment = GuestTreatment.of(release, virtualization, noncoherent);
        if (noncoherent) {
            return treatment.guestMtrrs()
                    ? ", guest PAT and MTRRs are honoured (slow)"
                    : ", guest PAT is honoured (slow)";
        }
        return treatment.memoryType().honoursGuestPat()
                ? "; its PAT is honoured, as in every guest on such processors"
                : "; its memory is write-back whatever its PAT says";
    }
}
