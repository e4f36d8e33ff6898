// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.DomainType;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.device.DeviceId;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Requester;

/** A device is probed that was not before. */
record Probing(Bench bench, DeviceId id) implements NthFailure.Operation {
    @Override
    public void run() {
        bench.probe(id);
    }

    /** The device works, in a domain that is closed again. */
    @Override
    public void assertDone() {
        IommuDevice device = bench.probe(id);
        assertThat(device.id()).isEqualTo(id);
        Requester requester = Requester.of(bench.machine(), id);
        IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
        bench.attach(domain, device);
        bench.map(domain, bench.iova(), bench.scratch());
        bench.assertReaches(requester, bench.iova(), bench.scratch());
        bench.detach(domain, device);
        bench.assertBlocked(requester, bench.iova());
        domain.close();
    }

    @Override
    public void assertNotDone(boolean broken) {
        if (!broken) {
            bench.assertBlocked(Requester.of(bench.machine(), id), bench.iova());
        }
    }

    /** A table of the unit for each half of a bus. */
    @Override
    public long spareFrames() {
        return 2;
    }

    @Override
    public void close() {
        // Nothing is attached, and the driver frees what a device has.
    }
}
