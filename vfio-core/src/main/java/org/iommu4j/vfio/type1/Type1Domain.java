// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.platform.PciAddress;

/** One domain of a container and the groups in it. Source: {@code struct vfio_domain}. */
final class Type1Domain {
    final IommuDomain domain;
    final List<IommuGroup> groups = new ArrayList<>();
    private Enforcement enforcement = Enforcement.ABSENT;

    Type1Domain(IommuDomain domain) {
        this.domain = domain;
    }

    /** Asks the domain to block no-snoop. To be called once, while nothing is mapped. */
    void enforce() {
        Optional<CacheCoherencyEnforcement> control = domain.cacheCoherencyEnforcement();
        if (control.isPresent()) {
            enforcement = control.get().enforce() ? Enforcement.ENFORCED : Enforcement.REFUSED;
        }
    }

    boolean enforced() {
        return enforcement == Enforcement.ENFORCED;
    }

    /**
     * Returns whether a group in one domain could as well be in the other: the same ops and the same answer about
     * no-snoop. For this question an absent control is as good as one that refused.
     */
    boolean isLike(Type1Domain other) {
        return domain.iommu() == other.domain.iommu()
                && domain.format().equals(other.domain.format())
                && enforced() == other.enforced();
    }

    DomainState state() {
        List<PciAddress> devices = new ArrayList<>();
        for (IommuGroup group : groups) {
            for (IommuDevice device : group.devices()) {
                devices.add(device.address());
            }
        }
        return new DomainState(domain, devices, enforcement);
    }
}
