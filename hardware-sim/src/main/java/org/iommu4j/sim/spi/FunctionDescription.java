// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

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
 */
@SuppressWarnings("ArrayRecordComponent") // copied on the way in and on the way out
public record FunctionDescription(
        PciAddress address,
        Optional<PciAddress> upstreamBridge,
        byte[] config,
        Optional<String> unit,
        boolean externalFacing) {
    /** Copies the configuration space. */
    public FunctionDescription {
        Objects.requireNonNull(address, "address");
        Objects.requireNonNull(upstreamBridge, "upstreamBridge");
        Objects.requireNonNull(config, "config");
        Objects.requireNonNull(unit, "unit");
        config = config.clone();
    }

    @Override
    public byte[] config() {
        return config.clone();
    }
}
