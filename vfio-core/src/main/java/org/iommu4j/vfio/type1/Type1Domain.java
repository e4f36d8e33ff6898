// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.device.DeviceId;

/** One domain of a container and the groups in it. Source: {@code struct vfio_domain}. */
final class Type1Domain {
    final IommuDomain domain;
    final List<IommuGroup> groups = new ArrayList<>();

    /** {@link Prot} bits that every mapping has in this domain, besides those that the user requested. */
    int prot;

    private Enforcement enforcement = Enforcement.ABSENT;
    private boolean coherent;

    Type1Domain(IommuDomain domain) {
        this.domain = domain;
    }

    /** Returns the page sizes that all domains have; sizes below a page of the CPU are reported as one. */
    static long pageSizes(List<Type1Domain> domains) {
        long common = -1L;
        for (int i = 0; i < domains.size(); i++) {
            common &= domains.get(i).domain.pageSizes();
        }
        long whole = common & -PinnedPages.PAGE_SIZE;
        return common == whole ? common : whole | PinnedPages.PAGE_SIZE;
    }

    /** Asks the domain to block no-snoop, where that is possible. Call it once, while nothing is mapped. */
    void block(NoSnoopBlocking blocking, IommuDevice device) {
        switch (blocking) {
            case BY_DOMAIN -> {
                // Before the first mapping; earlier mappings would still let no-snoop through.
                enforce();
                prot = Prot.CACHE;
                coherent = enforcement == Enforcement.ENFORCED;
            }
            case BY_MAPPING -> {
                coherent = device.iommu().capable(device, IommuCapability.CACHE_COHERENCY);
                prot = coherent ? Prot.CACHE : 0;
            }
        }
    }

    private void enforce() {
        Optional<CacheCoherencyEnforcement> control = domain.cacheCoherencyEnforcement();
        if (control.isPresent()) {
            enforcement = control.get().enforce() ? Enforcement.ENFORCED : Enforcement.REFUSED;
        }
    }

    /** Returns whether VFIO reports to user space that devices in this domain are coherent. */
    boolean coherent() {
        return coherent;
    }

    /**
     * Returns whether a group in one domain could also be in the other: the same ops and the same answer about
     * no-snoop. An absent control is treated as one that refused.
     */
    boolean isLike(Type1Domain other) {
        return domain.iommu() == other.domain.iommu()
                && (domain.iommu().sharesOps() || domain.format().equals(other.domain.format()))
                && coherent == other.coherent;
    }

    DomainState state() {
        List<DeviceId> devices = new ArrayList<>();
        for (IommuGroup group : groups) {
            for (IommuDevice device : group.devices()) {
                devices.add(device.id());
            }
        }
        return new DomainState(domain, devices, enforcement);
    }
}
