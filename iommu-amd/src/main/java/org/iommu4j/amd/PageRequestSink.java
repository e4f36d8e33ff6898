// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.PageRequest;

/** Where a log of page requests delivers those of one requester. Called under the locks of attacher and unit. */
interface PageRequestSink {
    /** Returns whether answers to requests with a PASID carry it. */
    boolean answersCarryPasid();

    /**
     * Takes a request.
     *
     * @param group the page request group index
     * @param last whether the group is complete
     * @return false when the PASID is not attached to a domain: the request is not taken
     */
    boolean deliver(int pasid, int group, PageRequest page, boolean last);

    /** Forgets groups of which the last request may be lost. */
    void discardPartial();
}
