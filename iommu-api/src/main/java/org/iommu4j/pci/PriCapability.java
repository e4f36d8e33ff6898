// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.pci;

import java.util.Objects;
import java.util.Optional;

/**
 * The Page Request capability: a function that asks for pages which are not mapped.
 *
 * <p>Source: PCI Express Base Specification 6.2, section 10.5.2; {@code pci_enable_pri} of Linux. Not thread-safe:
 * the function's driver serialises its writes.
 */
public final class PriCapability {
    private static final int CONTROL = 4;
    private static final int ENABLE = 1;
    private static final int RESET = 2;
    private static final int STATUS = 6;
    private static final int STOPPED = 0x100;
    private static final int RESPONSE_NEEDS_PASID = 0x8000;
    private static final int CAPACITY = 8;
    private static final int ALLOCATION = 12;

    private final ConfigSpace config;
    private final int offset;

    private PriCapability(ConfigSpace config, int offset) {
        this.config = config;
        this.offset = offset;
    }

    /** Finds the capability of a function, empty when it has none. */
    public static Optional<PriCapability> of(ConfigSpace config) {
        Objects.requireNonNull(config, "config");
        int offset = config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_PRI);
        return offset == 0 ? Optional.empty() : Optional.of(new PriCapability(config, offset));
    }

    /**
     * Returns whether the function wants the PASID in answers to requests that had one (PRG Response PASID Required).
     */
    public boolean answersCarryPasid() {
        return (status() & RESPONSE_NEEDS_PASID) != 0;
    }

    /** Returns the status register, 16 bits. */
    public int status() {
        return config.read(offset + STATUS, 2);
    }

    /**
     * Asks a function that is off to forget its requests.
     *
     * @return whether it has stopped: none of its earlier requests is unanswered
     */
    public boolean reset() {
        config.write(offset + CONTROL, 2, RESET);
        return (status() & STOPPED) != 0;
    }

    /**
     * Lets a function that has stopped ask for pages.
     *
     * @param mostOutstanding how many requests it may have unanswered, 1 or more; a function that is capable of fewer
     *     gets what it is capable of
     */
    public void enable(int mostOutstanding) {
        if (mostOutstanding < 1) {
            throw new IllegalArgumentException("a function that may have " + mostOutstanding + " page requests");
        }
        int capacity = config.read(offset + CAPACITY, 4);
        config.write(
                offset + ALLOCATION,
                4,
                Integer.compareUnsigned(capacity, mostOutstanding) < 0 ? capacity : mostOutstanding);
        config.write(offset + CONTROL, 2, ENABLE);
    }

    /** Keeps the function from asking for pages. */
    public void disable() {
        config.write(offset + CONTROL, 2, 0);
    }
}
