// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.List;
import org.iommu4j.device.DeviceId;

/**
 * A domain of the case and what it blocks.
 *
 * @param devices the devices attached to it
 * @param enforceCacheCoherency whether it blocks no-snoop
 */
public record DomainOutcome(List<DeviceId> devices, Enforcement enforceCacheCoherency) {
    /** Copies the list. */
    public DomainOutcome {
        devices = List.copyOf(devices);
    }
}
