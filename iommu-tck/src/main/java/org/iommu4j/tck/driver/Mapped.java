// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Requester;

/** What tests of mappings ask of a domain. */
final class Mapped {
    private Mapped() {}

    static boolean in(IommuDomain domain, long iova) {
        return Long.compareUnsigned(iova, domain.apertureEnd()) < 0;
    }

    /** Attaches the second device as well, and returns it; the first one where the domain does not suit the second. */
    static Requester attachSecond(Bench bench, IommuDomain domain) {
        bench.steps().note("attach(%s)", bench.second().id());
        return domain.attach(bench.second()).attached() ? bench.secondRequester() : bench.requester();
    }
}
