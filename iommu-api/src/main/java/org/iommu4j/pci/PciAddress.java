// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.pci;

import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.device.DeviceId;

/**
 * Where a PCI function is: segment, bus, device, function.
 *
 * @param segment 0 to 0xffff (Linux's domain number)
 * @param bus 0 to 0xff
 * @param device 0 to 0x1f
 * @param function 0 to 7
 */
public record PciAddress(int segment, int bus, int device, int function) implements DeviceId {
    private static final Pattern SYNTAX =
            Pattern.compile("(?:([0-9a-fA-F]{4}):)?([0-9a-fA-F]{2}):([0-9a-fA-F]{2})\\.([0-7])");

    /** Checks the ranges. */
    public PciAddress {
        if ((segment & ~0xffff) != 0 || (bus & ~0xff) != 0 || (device & ~0x1f) != 0 || (function & ~7) != 0) {
            throw new IllegalArgumentException("no such PCI address: segment " + segment + " bus " + bus + " device "
                    + device + " function " + function);
        }
    }

    /**
     * Reads {@code 0000:02:00.0} or {@code 02:00.0}.
     *
     * @throws IllegalArgumentException when the text is not such an address
     */
    public static PciAddress parse(String text) {
        Matcher matcher = SYNTAX.matcher(text);
        if (!matcher.matches() || Integer.parseInt(matcher.group(3), 16) > 0x1f) {
            throw new IllegalArgumentException("'" + text + "' is no PCI address, expected a form like 0000:02:00.0");
        }
        int segment = matcher.group(1) == null ? 0 : Integer.parseInt(matcher.group(1), 16);
        return new PciAddress(
                segment,
                Integer.parseInt(matcher.group(2), 16),
                Integer.parseInt(matcher.group(3), 16),
                Integer.parseInt(matcher.group(4), 16));
    }

    /** Makes the address of a requester id in a segment. */
    public static PciAddress of(int segment, int requesterId) {
        return new PciAddress(segment, (requesterId >> 8) & 0xff, (requesterId >> 3) & 0x1f, requesterId & 7);
    }

    /** Returns the requester id: bus 15:8, device 7:3, function 2:0. */
    public int requesterId() {
        return bus << 8 | device << 3 | function;
    }

    @Override
    public int compareTo(DeviceId other) {
        Objects.requireNonNull(other, "other");
        return other instanceof PciAddress pci
                ? Integer.compareUnsigned(segment << 16 | requesterId(), pci.segment << 16 | pci.requesterId())
                : -1;
    }

    @Override
    public String toString() {
        return String.format("%04x:%02x:%02x.%d", segment, bus, device, function);
    }
}
