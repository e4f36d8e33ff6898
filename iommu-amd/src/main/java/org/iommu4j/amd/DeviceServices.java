// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.platform.ConfigSpace;

/**
 * What a PCI Express function brings for translation: an IOTLB of its own (ATS) and PASIDs.
 *
 * <p>Source: PCI Express Base Specification, sections 7.8.8 (PASID) and 10.5.1 (ATS); {@code pdev_enable_caps} of Linux. Page
 * requests (PRI) are {@link DevicePageRequests}.
 */
final class DeviceServices {
    private static final int ATS_CAPABILITY = 4;
    private static final int ATS_CONTROL = 6;
    private static final int ATS_QUEUE_DEPTH = 0x1f;
    private static final int ATS_ENABLE = 0x8000;

    private static final int PASID_CAPABILITY = 4;
    private static final int PASID_CONTROL = 6;
    private static final int PASID_ENABLE = 1;
    /** Whether requests carry execute or privileged mode, which nothing here asks for. */
    private static final int PASID_CONTROL_ALL = 7;

    private final ConfigSpace config;
    private final int ats;
    private final int pasid;
    private boolean enabled;

    /**
     * Looks at a function.
     *
     * @param atsAllowed whether the units let devices have IOTLBs
     */
    DeviceServices(ConfigSpace config, boolean atsAllowed) {
        this.config = config;
        this.ats = atsAllowed ? config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ATS) : 0;
        this.pasid = config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_PASID);
    }

    /** Returns the function's configuration space. */
    ConfigSpace config() {
        return config;
    }

    /** Returns whether the function may have an IOTLB. */
    boolean hasAts() {
        return ats != 0;
    }

    /** Returns how many invalidations its IOTLB queues, 0 meaning 32. */
    int queueDepth() {
        return config.read(ats + ATS_CAPABILITY, 2) & ATS_QUEUE_DEPTH;
    }

    /** Returns how many PASIDs the function knows, 0 when none. */
    int pasids() {
        return pasid == 0 ? 0 : 1 << Math.min(20, config.read(pasid + PASID_CAPABILITY, 2) >>> 8 & 0x1f);
    }

    /** Returns whether the function may hold translations now. */
    boolean atsEnabled() {
        return enabled && hasAts();
    }

    /** Lets the function ask for translations, and use PASIDs when it may; PASID goes first, it can't change under ATS. */
    void enable(boolean withPasids) {
        if (enabled) {
            return;
        }
        if (pasid != 0) {
            int control = config.read(pasid + PASID_CONTROL, 2) & ~PASID_CONTROL_ALL;
            config.write(pasid + PASID_CONTROL, 2, withPasids ? control | PASID_ENABLE : control);
        }
        if (hasAts()) {
            config.write(ats + ATS_CONTROL, 2, ATS_ENABLE);
        }
        enabled = true;
    }

    /**
     * Stops both. The function keeps to untranslated requests from then on, and drops what its IOTLB holds when ATS is turned on
     * again at the latest: no invalidation is sent in between. Source: PCI Express Base 6.2, 10.3.7; {@code detach_device}.
     */
    void disable() {
        if (!enabled) {
            return;
        }
        if (hasAts()) {
            config.write(ats + ATS_CONTROL, 2, 0);
        }
        if (pasid != 0) {
            config.write(pasid + PASID_CONTROL, 2, config.read(pasid + PASID_CONTROL, 2) & ~PASID_CONTROL_ALL);
        }
        enabled = false;
    }
}
