// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.capability;

import java.util.List;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;

/**
 * A device's requests for pages that its domains do not map (PCIe PRI), and their answers.
 *
 * <p>The device asks after its unit granted it no translation, and waits. Software maps the pages, or does not, and
 * answers the group; the device then tries again, or gives up. Handed out are requests with a PASID that is attached to
 * a domain; the driver answers all others {@link PageResponse#INVALID} [page-requests-1]. It answers likewise for
 * groups without an answer when a PASID is detached or moved to another domain, and when the device is stopped
 * [page-requests-2]. Thread-safe [page-requests-3].
 *
 * <p>Source: {@code iopf_queue_add_device}, {@code iommu_report_device_fault}, {@code page_response} in {@code struct
 * iommu_ops}.
 */
public interface PageRequests {
    /**
     * Lets the device ask; changes nothing when it may already [enable-1].
     *
     * @throws org.iommu4j.IommuException EBUSY when the device has not stopped after an earlier time [enable-2]; ENODEV
     *     when the driver is closed [enable-3]
     */
    void enable();

    /**
     * Has the device stop asking; changes nothing when it has stopped already [disable-1].
     *
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO when the unit did not pass on an answer; the device is
     *     stopped all the same [disable-2]
     */
    void disable();

    /**
     * Takes out the groups that came whole since the last call, oldest first, each once and each to be answered
     * [take-1].
     *
     * <p>Waits for nothing: requests that are on their way to the unit's queue come with a later call [take-2].
     *
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO when the unit did not pass on the answer to a request that is
     *     not handed out [take-3]
     */
    List<PageRequestGroup> take();

    /**
     * Answers a group: the device gets the response with the group's index and PASID [respond-1].
     *
     * @param group the object that {@link #take} returned; an equal one is another group [respond-2]
     * @throws org.iommu4j.IommuException EINVAL when it was answered already, also by the driver [respond-3]; ENODEV
     *     when the driver is closed [respond-4]; ETIMEDOUT or EIO when the unit did not pass the answer on [respond-5]
     */
    void respond(PageRequestGroup group, PageResponse response);

    /**
     * Returns how often the device's unit said that it had no room for requests; it never falls [overflows-1].
     *
     * <p>The parts of groups that the driver had then are forgotten, since the rest may be lost [overflows-2].
     */
    long overflows();
}
