// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;

/**
 * A PCI function of a machine.
 *
 * @param address where it is
 * @param upstreamBridge the bridge directly above, empty on a root bus
 * @param config its configuration space at power-on: 64, 256 or 4096 bytes
 * @param unit the name of the translation unit that its requests pass, empty when they pass none
 * @param externalFacing whether firmware marked it as a port to the outside
 * @param barSizes the bytes behind base address registers 0 to 5 and the expansion ROM's, in that order, each a power
 *     of 2; 0 for a register that opens nothing, as for all that are left out at the end
 */
@SuppressWarnings("ArrayRecordComponent") // copied on the way in and on the way out
public record FunctionDescription(
        PciAddress address,
        Optional<PciAddress> upstreamBridge,
        byte[] config,
        Optional<String> unit,
        boolean externalFacing,
        List<Long> barSizes) {
    /** Base address registers of a function, the expansion ROM's included. */
    public static final int MAX_BARS = 7;

    private static final int SMALLEST_BAR = 4;

    /**
     * Copies the configuration space.
     *
     * @throws IllegalArgumentException when a size is no power of 2 from 4 on, or there are more than {@link #MAX_BARS}
     */
    public FunctionDescription {
        Objects.requireNonNull(address, "address");
        Objects.requireNonNull(upstreamBridge, "upstreamBridge");
        Objects.requireNonNull(config, "config");
        Objects.requireNonNull(unit, "unit");
        config = config.clone();
        barSizes = List.copyOf(barSizes);
        if (barSizes.size() > MAX_BARS) {
            throw new IllegalArgumentException(
                    barSizes.size() + " base address registers of " + address + ", expected at most " + MAX_BARS);
        }
        for (long size : barSizes) {
            if (size != 0 && (Long.bitCount(size) != 1 || Long.compareUnsigned(size, SMALLEST_BAR) < 0)) {
                throw new IllegalArgumentException("a base address register of " + address + " opens "
                        + Long.toUnsignedString(size) + " bytes, expected a power of 2 from " + SMALLEST_BAR + " on");
            }
        }
    }

    /** Describes a function whose base address registers open nothing. */
    public FunctionDescription(
            PciAddress address,
            Optional<PciAddress> upstreamBridge,
            byte[] config,
            Optional<String> unit,
            boolean externalFacing) {
        this(address, upstreamBridge, config, unit, externalFacing, List.of());
    }

    /** Returns the same function with base address registers of these sizes. */
    public FunctionDescription withBarSizes(List<Long> sizes) {
        return new FunctionDescription(address, upstreamBridge, config, unit, externalFacing, sizes);
    }

    @Override
    public byte[] config() {
        return config.clone();
    }
}
