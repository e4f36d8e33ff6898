// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.device;

import java.util.Objects;

/**
 * A device that is not on PCI, known by the name that firmware gives it.
 *
 * <p>Such devices are named components of an IORT table, platform devices of a RIMT table and MMIO endpoints of a VIOT
 * table, or nodes of a device tree. Which source ids their requests carry, firmware says too.
 *
 * @param name an ACPI path such as {@code \_SB.GPU0}, or the name of Linux's platform device such as {@code
 *     10000000.dma-controller}: 1 to 255 characters of printable ASCII, no spaces
 */
public record NamedDevice(String name) implements DeviceId {
    private static final int MAX_LENGTH = 255;

    /**
     * Checks the name.
     *
     * @throws IllegalArgumentException when the name is empty, too long, or has other characters
     */
    public NamedDevice {
        Objects.requireNonNull(name, "name");
        if (name.isEmpty() || name.length() > MAX_LENGTH || !name.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
            throw new IllegalArgumentException("a device's name of " + name.length()
                    + " characters: expected 1 to 255 characters of printable ASCII, no spaces");
        }
    }

    @Override
    public int compareTo(DeviceId other) {
        Objects.requireNonNull(other, "other");
        return other instanceof NamedDevice named ? name.compareTo(named.name) : 1;
    }

    @Override
    public String toString() {
        return name;
    }
}
