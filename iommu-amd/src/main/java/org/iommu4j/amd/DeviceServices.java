// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.pci.AtsCapability;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PasidCapability;
import org.jspecify.annotations.Nullable;

/**
 * A PCI Express function's services for translation: its own IOTLB (ATS) and PASIDs.
 *
 * <p>Source: {@code pdev_enable_caps} of Linux. Page requests (PRI) are {@link DevicePageRequests}.
 */
final class DeviceServices {
    private final ConfigSpace config;
    private final @Nullable AtsCapability ats;
    private final @Nullable PasidCapability pasid;
    private boolean enabled;

    /**
     * Probes a function.
     *
     * @param atsAllowed whether the units let devices have IOTLBs
     */
    DeviceServices(ConfigSpace config, boolean atsAllowed) {
        this.config = config;
        this.ats = atsAllowed ? AtsCapability.of(config).orElse(null) : null;
        this.pasid = PasidCapability.of(config).orElse(null);
    }

    /** Returns the function's configuration space. */
    ConfigSpace config() {
        return config;
    }

    /** Returns whether the function may have an IOTLB. */
    boolean hasAts() {
        return ats != null;
    }

    /** Returns how many invalidations its IOTLB queues; 0 means 32, or that it has no IOTLB. */
    int queueDepth() {
        return ats == null ? 0 : ats.invalidateQueueDepth();
    }

    /** Returns how many PASIDs the function supports, 0 when none. */
    int pasids() {
        return pasid == null ? 0 : 1 << pasid.width();
    }

    /** Returns whether the function may hold translations now. */
    boolean atsEnabled() {
        return enabled && hasAts();
    }

    /**
     * Permits the function to request translations, and to use PASIDs when allowed. PASID is enabled first, it can't
     * change under ATS.
     */
    void enable(boolean withPasids) {
        if (enabled) {
            return;
        }
        if (pasid != null) {
            if (withPasids) {
                pasid.enable();
            } else {
                pasid.disable();
            }
        }
        if (ats != null) {
            ats.enable();
        }
        enabled = true;
    }

    /**
     * Stops both. From then on the function sends only untranslated requests. It empties its IOTLB when ATS is turned
     * on again at the latest, so no invalidation is sent in between. Source: PCI Express Base 6.2, 10.3.7; {@code
     * detach_device}.
     */
    void disable() {
        if (!enabled) {
            return;
        }
        if (ats != null) {
            ats.disable();
        }
        if (pasid != null) {
            pasid.disable();
        }
        enabled = false;
    }
}
