// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.IommuDomain;

/** An attachment to a domain, as its device records it: of its ordinary requests, or of one PASID. */
interface AttachmentState {
    /** Returns the domain. */
    IommuDomain domain();

    /** Returns whether requests go through tables, so that the device may cache the translations. */
    boolean translates();

    /** Removes the device from the domain, after its entry was changed or cleared. Never allocates. */
    void leave();
}
