// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.List;
import java.util.Objects;
import org.iommu4j.IommuDomain;
import org.iommu4j.device.DeviceId;

/**
 * One domain of a container, for reports and tests.
 *
 * @param domain the domain; callers only read it
 * @param devices the devices attached to it, in the order of their groups
 * @param enforcement whether it blocks no-snoop
 */
public record DomainState(IommuDomain domain, List<DeviceId> devices, Enforcement enforcement) {
    /** Copies the list. */
    public DomainState {
        Objects.requireNonNull(domain, "domain");
        Objects.requireNonNull(enforcement, "enforcement");
        devices = List.copyOf(devices);
    }
}
