// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.IommuDomain;

/** An attachment as its device keeps it: of the device's ordinary requests, or of one PASID, to a domain. */
interface AttachmentState {
    /** Returns the domain. */
    IommuDomain domain();

    /** Returns whether requests go through tables, so that the device may cache what comes of it. */
    boolean translates();

    /** Counts the device out of the domain, after its entry was changed or cleared. Never allocates. */
    void leave();
}
