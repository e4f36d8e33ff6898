// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.pci;

import java.util.Objects;
import java.util.Optional;

/**
 * The Process Address Space ID capability: a function that names an address space in its requests.
 *
 * <p>PASIDs are turned on before ATS and off after it, since a function may not change them in between. Source: PCI
 * Express Base Specification 6.2, section 7.8.9; {@code pci_enable_pasid} of Linux. Not thread-safe: the
 * function's driver serialises its writes.
 */
public final class PasidCapability {
    private static final int CAPABILITY = 4;
    private static final int CONTROL = 6;
    private static final int MAX_WIDTH = 20;
    private static final int ENABLE = 1;
    /** With execute and privileged mode, which nothing here asks for. */
    private static final int ALL_ENABLES = 7;

    private final ConfigSpace config;
    private final int offset;

    private PasidCapability(ConfigSpace config, int offset) {
        this.config = config;
        this.offset = offset;
    }

    /** Finds the capability of a function, empty when it has none. */
    public static Optional<PasidCapability> of(ConfigSpace config) {
        Objects.requireNonNull(config, "config");
        int offset = config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_PASID);
        return offset == 0 ? Optional.empty() : Optional.of(new PasidCapability(config, offset));
    }

    /** Returns the width of the function's PASIDs in bits, 0 to 20; larger values are reserved and read as 20. */
    public int width() {
        return Math.min(MAX_WIDTH, config.read(offset + CAPABILITY, 2) >>> 8 & 0x1f);
    }

    /** Returns whether the function may send PASIDs now. */
    public boolean isEnabled() {
        return (config.read(offset + CONTROL, 2) & ENABLE) != 0;
    }

    /** Lets the function send PASIDs, but ask for neither execute permission nor privileged mode. */
    public void enable() {
        config.write(offset + CONTROL, 2, (config.read(offset + CONTROL, 2) & ~ALL_ENABLES) | ENABLE);
    }

    /** Keeps the function to requests without a PASID. */
    public void disable() {
        config.write(offset + CONTROL, 2, config.read(offset + CONTROL, 2) & ~ALL_ENABLES);
    }
}
