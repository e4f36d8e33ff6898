// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.device.NamedDevice;

/**
 * A device of a machine that makes requests and is not on PCI.
 *
 * @param id its name in firmware's tables
 * @param unit the name of the translation unit that its requests pass, empty when they pass none
 * @param sourceIds the source ids that its requests may carry, at least one, each unsigned 32 bits
 * @param coherent whether its requests are snooped; if not, they are where the unit forces it or gives write-back
 */
public record PlatformDeviceDescription(
        NamedDevice id, Optional<String> unit, List<Integer> sourceIds, boolean coherent) {
    /**
     * Copies the list.
     *
     * @throws IllegalArgumentException when there is no source id
     */
    public PlatformDeviceDescription {
        Objects.requireNonNull(id, "id");
        Objects.requireNonNull(unit, "unit");
        sourceIds = List.copyOf(sourceIds);
        if (sourceIds.isEmpty()) {
            throw new IllegalArgumentException("device " + id + " has no source id, expected at least one");
        }
    }
}
