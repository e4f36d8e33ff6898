// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.Objects;
import org.iommu4j.IommuDomain;

/**
 * A HWPT on an IOAS, for reports and tests. No call of Linux tells its coherence.
 *
 * @param domain its domain; callers only read it
 * @param ioasId the IOAS that it maps
 * @param automatic whether an attach to the IOAS made it
 * @param enforced whether it blocks no-snoop
 */
public record HwptState(IommuDomain domain, int ioasId, boolean automatic, boolean enforced) {
    /** Refuses null. */
    public HwptState {
        Objects.requireNonNull(domain, "domain");
    }
}
