// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import org.iommu4j.LinuxRelease;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.kvm.GuestTreatment;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.vfio.VfioGroup;
import org.jspecify.annotations.Nullable;

/**
 * The rules of VFIO and KVM that differ between releases, in the words of a report.
 *
 * @param release the release
 * @param virtualization the processors' extension, null where no vendor states it
 * @param asksDevices whether KVM follows the capabilities of a group's devices and not the container's answer
 * @param asksBridges whether a driver that is bound to a bridge of a group makes the group not viable
 * @param keepsDirectDevices whether Linux's core refuses every device with a DIRECT region; earlier, each driver
 *     decided
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

    /** Returns the function of Linux that refuses a group because of a driver of the host. */
    String driverSource() {
        return asksBridges ? "Linux iommu_device_use_default_domain" : "Linux vfio_dev_viable (until 5.18)";
    }

    /** Returns the function of Linux, and its condition, from which KVM learns of non-coherent DMA. */
    String kvmSource() {
        return asksDevices
                ? "vfio_file_enforced_coherent (6.2): every device of the group that is bound to VFIO must be capable"
                : "vfio_file_enforced_coherent (until 6.1): the container's VFIO_DMA_CC_IOMMU";
    }

    /** Returns the cost of an answer for the guest. */
    String cost(Guest guest) {
        if (virtualization == HardwareVirtualization.NONE && guest != Guest.UNKNOWN) {
            return "KVM does nothing about caches on such processors, whose guests maintain them by themselves";
        }
        return switch (guest) {
            case COHERENT -> "the guest's WBINVD does nothing" + memory(false);
            case NONCOHERENT -> "the guest's WBINVD flushes the host's caches" + memory(true);
            case UNKNOWN -> "depends on unknown facts";
        };
    }

    private String memory(boolean noncoherent) {
        if (virtualization == null) {
            return "";
        }
        GuestTreatment treatment = GuestTreatment.of(release, virtualization, noncoherent);
        if (noncoherent) {
            return treatment.guestMtrrs()
                    ? "; guest PAT and MTRRs are honoured (slow)"
                    : "; guest PAT is honoured (slow)";
        }
        return treatment.memoryType().honoursGuestPat()
                ? "; guest PAT is honoured, as in every guest on such processors"
                : "; guest memory is write-back regardless of guest PAT";
    }
}
