// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.iommu4j.tck.driver.Places.frame;
import static org.iommu4j.tck.driver.Places.page;

import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Requester;

/** Four pages of a domain, which a device uses. */
final class UsedPages {
    private UsedPages() {}

    /** Returns a device's DMA. */
    static Requester requester(Bench bench, IommuDevice device) {
        return Requester.of(bench.machine(), device.id());
    }

    /** Maps pages 0 to 3 to the frames from {@code first} on, and has the device use each. */
    static void use(Bench bench, IommuDomain domain, IommuDevice device, int first) {
        for (int page = 0; page < 4; page++) {
            bench.map(domain, page(bench, page), frame(bench, first + page));
            bench.assertReaches(requester(bench, device), page(bench, page), frame(bench, first + page));
        }
    }

    /** Has the device use the pages that lead to the frames from 0 on. */
    static void useAgain(Bench bench, IommuDevice device) {
        for (int page = 0; page < 4; page++) {
            bench.assertReaches(requester(bench, device), page(bench, page), frame(bench, page));
        }
    }
}
