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
 * a domain; all others are answered {@link PageResponse#INVALID}. So is what is not answered yet when a PASID is
 * detached or moved to another domain, or when the device is stopped. Thread-safe.
 *
 * <p>Source: {@code iopf_queue_add_device}, {@code iommu_report_device_fault}, {@code page_response} in {@code struct
 * iommu_ops}.
 */
public interface PageRequests {
    /**
     * Lets the device ask. Harmless when it may already.
     *
     * @throws org.iommu4j.IommuException EBUSY when the device has not stopped after an earlier time, ENODEV when the
     *     driver is closed
     */
    void enable();

    /**
     * Has the device stop asking. Harmless when it has already.
     *
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO when the unit did not pass on an answer; the device is
     *     stopped all the same
     */
    void disable();

    /**
     * Takes out the groups that came whole since the last call, oldest first, each to be answered. Waits for nothing:
     * what is still on its way to the unit's queue comes with a later call.
     *
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO when the unit did not pass on the answer to a request that is
     *     not handed out
     */
    List<PageRequestGroup> take();

    /**
     * Answers a group.
     *
     * @param group as {@link #take} returned it; an equal one is another group
     * @throws org.iommu4j.IommuException EINVAL when it was answered already, also by the driver; ENODEV when the
     *     driver is closed; ETIMEDOUT or EIO when the unit did
     *     not pass the answer on
     */
    void respond(PageRequestGroup group, PageResponse response);

    /** Returns how often the device's unit said that it had no room for requests. */
    long overflows();
}
