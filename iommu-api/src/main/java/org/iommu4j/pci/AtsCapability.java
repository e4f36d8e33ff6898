// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.pci;

import java.util.Objects;
import java.util.Optional;

/**
 * The Address Translation Services capability: a function that caches translations itself.
 *
 * <p>Source: PCI Express Base Specification 6.2, section 10.5.1; {@code pci_enable_ats} of Linux. Not thread-safe:
 * the function's driver serialises its writes.
 */
public final class AtsCapability {
    private static final int CAPABILITY = 4;
    private static final int CONTROL = 6;
    private static final int QUEUE_DEPTH = 0x1f;
    private static final int ENABLE = 0x8000;

    private final ConfigSpace config;
    private final int offset;

    private AtsCapability(ConfigSpace config, int offset) {
        this.config = config;
        this.offset = offset;
    }

    /** Finds the capability of a function, empty when it has none. */
    public static Optional<AtsCapability> of(ConfigSpace config) {
        Objects.requireNonNull(config, "config");
        int offset = config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ATS);
        return offset == 0 ? Optional.empty() : Optional.of(new AtsCapability(config, offset));
    }

    /** Returns how many invalidations the function queues: 1 to 31, or 0, which stands for 32. */
    public int invalidateQueueDepth() {
        return config.read(offset + CAPABILITY, 2) & QUEUE_DEPTH;
    }

    /** Returns whether the function may ask for translations now. */
    public boolean isEnabled() {
        return (config.read(offset + CONTROL, 2) & ENABLE) != 0;
    }

    /** Lets the function ask for translations of 4 KiB and more (Smallest Translation Unit 0). */
    public void enable() {
        config.write(offset + CONTROL, 2, ENABLE);
    }

    /** Keeps the function to untranslated requests. */
    public void disable() {
        config.write(offset + CONTROL, 2, 0);
    }
}
