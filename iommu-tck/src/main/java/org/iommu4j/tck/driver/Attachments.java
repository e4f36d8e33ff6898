// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.device.DeviceId;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;

/** How many devices can be attached at once. */
final class Attachments {
    private Attachments() {}

    /** Returns how many devices can be in a domain of their own at the same time. */
    static int capacity(Bench bench) {
        List<IommuDevice> devices = new ArrayList<>();
        List<IommuDomain> domains = new ArrayList<>();
        for (DeviceId id : bench.ids()) {
            IommuDevice device = bench.probe(id);
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            Optional<Errno> errno = Errnos.of(() -> bench.attach(domain, device));
            if (errno.isPresent()) {
                assertThat(errno).contains(Errno.ENOSPC);
                domain.close();
                break;
            }
            devices.add(device);
            domains.add(domain);
        }
        for (int i = 0; i < devices.size(); i++) {
            domains.get(i).detach(devices.get(i));
            domains.get(i).close();
        }
        return devices.size();
    }
}
