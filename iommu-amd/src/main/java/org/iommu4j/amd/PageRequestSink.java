// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.PageRequest;

/** Receives the page requests of one requester from a log. Called under the locks of attacher and unit. */
interface PageRequestSink {
    /** Returns whether answers to requests with a PASID carry it. */
    boolean answersCarryPasid();

    /**
     * Receives a request.
     *
     * @param group the page request group index
     * @param last whether the group is complete
     * @return false when the PASID is not attached to a domain: the request is not accepted
     */
    boolean deliver(int pasid, int group, PageRequest page, boolean last);

    /** Drops the groups whose last request may be lost. */
    void discardPartial();
}
