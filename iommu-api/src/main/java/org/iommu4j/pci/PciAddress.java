// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.pci;

import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.device.DeviceId;

/**
 * Where a PCI function is: segment, bus, device, function.
 *
 * @param segment 0 to 0x7fffffff (Linux's domain number, an {@code int}); firmware's have 16 bits, and those above are
 *     of host bridges that a driver makes, such as that of an Intel VMD
 * @param bus 0 to 0xff
 * @param device 0 to 0x1f
 * @param function 0 to 7
 */
public record PciAddress(int segment, int bus, int device, int function) implements DeviceId {
    private static final Pattern SYNTAX =
            Pattern.compile("(?:([0-9a-fA-F]{4}|[1-7]?[0-9a-fA-F]{5,7}):)?([0-9a-fA-F]{2}):([0-9a-fA-F]{2})\\.([0-7])");

    /** The highest segment of firmware; MCFG and DMAR have 16 bits for it. */
    private static final int LAST_OF_FIRMWARE = 0xffff;

    /** Checks the ranges. */
    public PciAddress {
        if (segment < 0 || (bus & ~0xff) != 0 || (device & ~0x1f) != 0 || (function & ~7) != 0) {
            throw new IllegalArgumentException("no such PCI address: segment " + segment + " bus " + bus + " device "
                    + device + " function " + function);
        }
    }

    /**
     * Reads {@code 0000:02:00.0}, {@code 02:00.0} or {@code 10000:e1:00.0}.
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

    /**
     * Returns whether its requests carry its own requester id. Those of functions below an Intel VMD carry the VMD's;
     * Linux numbers their domains from 0x10000. Source: {@code vmd.c}, {@code pci_real_dma_dev}.
     */
    public boolean hasOwnRequesterId() {
        return segment <= LAST_OF_FIRMWARE;
    }

    @Override
    public int compareTo(DeviceId other) {
        Objects.requireNonNull(other, "other");
        if (!(other instanceof PciAddress pci)) {
            return -1;
        }
        int bySegment = Integer.compare(segment, pci.segment);
        return bySegment != 0 ? bySegment : Integer.compare(requesterId(), pci.requesterId());
    }

    @Override
    public String toString() {
        return String.format("%04x:%02x:%02x.%d", segment, bus, device, function);
    }
}
