// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.testvendor;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.device.DeviceId;

/** A device's page requests, of which a test makes as many as it likes. Its driver answers none by itself. */
public final class TestPageRequests implements PageRequests {
    private final List<PageRequestGroup> waiting = new ArrayList<>();

    /** The answers, by the group's index. */
    public final Map<Integer, PageResponse> answers = new LinkedHashMap<>();

    /** The device asks for a page without a PASID. */
    public void ask(DeviceId device, int index) {
        ask(device, index, 1);
    }

    /** The device asks for pages together, without a PASID. */
    public void ask(DeviceId device, int index, int pages) {
        List<PageRequest> requests = new ArrayList<>();
        for (int page = 1; page <= pages; page++) {
            requests.add(new PageRequest(page * 0x1000L, true, false, false, false));
        }
        waiting.add(new PageRequestGroup(device, 0, index, requests));
    }

    @Override
    public void enable() {
        // It may always ask.
    }

    @Override
    public void disable() {
        // It may still ask.
    }

    @Override
    public List<PageRequestGroup> take() {
        List<PageRequestGroup> taken = List.copyOf(waiting);
        waiting.clear();
        return taken;
    }

    @Override
    public void respond(PageRequestGroup group, PageResponse response) {
        if (answers.putIfAbsent(group.index(), response) != null) {
            throw new IommuException(Errno.EINVAL, group + " is answered");
        }
    }

    @Override
    public long overflows() {
        return 0;
    }
}
