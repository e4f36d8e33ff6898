// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

/** One use of a domain: a device's ordinary requests, or its requests with one PASID. Equal to itself only. */
final class Attachment {
    /** Requests without a PASID; guest tables translate them as PASID 0. */
    static final int ORDINARY = 0;

    private final AmdDevice device;
    private final AmdDomain domain;
    private final int pasid;

    /**
     * Notes a use.
     *
     * @param pasid 1 and up, or {@link #ORDINARY}
     */
    Attachment(AmdDevice device, AmdDomain domain, int pasid) {
        this.device = device;
        this.domain = domain;
        this.pasid = pasid;
    }

    AmdDevice device() {
        return device;
    }

    AmdDomain domain() {
        return domain;
    }

    int pasid() {
        return pasid;
    }

    @Override
    public String toString() {
        return pasid == ORDINARY ? device.toString() : device + " with PASID " + pasid;
    }
}
