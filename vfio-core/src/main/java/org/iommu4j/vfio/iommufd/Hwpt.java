// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.IommuDomain;
import org.iommu4j.vfio.support.Failures;
import org.jspecify.annotations.Nullable;

/** A hardware page table: a domain that devices are attached to. Source: {@code struct iommufd_hw_pagetable}. */
abstract class Hwpt extends IommufdObject {
    private final IommuDomain domain;
    private @Nullable FaultQueue fault;

    /** Whether devices that use PASIDs may be attached to it, and PASIDs of devices. */
    final boolean pasidCompatible;

    Hwpt(IommuDomain domain, boolean pasidCompatible) {
        this.domain = domain;
        this.pasidCompatible = pasidCompatible;
    }

    final IommuDomain domain() {
        return domain;
    }

    /** Returns the queue of its devices' page requests, or null. */
    final @Nullable FaultQueue fault() {
        return fault;
    }

    /** Gives it a queue, once, before a device is attached. */
    final void deliverTo(FaultQueue queue) {
        fault = queue;
        queue.users++;
    }

    /** Returns the IOAS in which its addresses end: its own, or its parent's. */
    abstract Ioas ioas();

    /**
     * Asks the domain, or the parent's, to block no-snoop. Source: {@code iommufd_hwpt_paging_enforce_cc}.
     *
     * @return whether it does
     */
    abstract boolean enforce();

    /** Returns whether the domain, or the parent's, blocks no-snoop for good. */
    abstract boolean isEnforced();

    /** Frees the domain, and lets go of the queue. */
    final @Nullable RuntimeException free(@Nullable RuntimeException earlier) {
        RuntimeException failure = Failures.run(earlier, domain::close);
        if (fault != null) {
            fault.users--;
        }
        return failure;
    }
}
