// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.IntPredicate;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.device.DeviceId;

/**
 * One device's page requests, as a driver keeps them: groups of which a part has come, whole groups that were not taken
 * yet, and taken groups that were not answered yet.
 *
 * <p>Sends nothing: the caller answers the groups that are returned. Thread-safe. Source:
 * {@code struct iommu_fault_param} and {@code drivers/iommu/io-pgfault.c}.
 */
public final class PageRequestGroups {
    private final DeviceId device;
    private final List<PageRequestGroup> partial = new ArrayList<>();
    private final List<PageRequestGroup> waiting = new ArrayList<>();
    private final List<PageRequestGroup> taken = new ArrayList<>();

    /** Makes the groups of a device that has asked for nothing yet. */
    public PageRequestGroups(DeviceId device) {
        Objects.requireNonNull(device, "device");
        this.device = device;
    }

    /**
     * Adds a request.
     *
     * @param last whether it is its group's last, which makes the group whole
     */
    public synchronized void add(int pasid, int index, PageRequest request, boolean last) {
        Objects.requireNonNull(request, "request");
        List<PageRequest> pages = new ArrayList<>();
        for (int i = 0; i < partial.size(); i++) {
            PageRequestGroup group = partial.get(i);
            if (group.pasid() == pasid && group.index() == index) {
                pages.addAll(group.pages());
                partial.remove(i);
                break;
            }
        }
        pages.add(request);
        (last ? waiting : partial).add(new PageRequestGroup(device, pasid, index, pages));
    }

    /** Forgets groups of which a part has come: hardware may have lost, and answered, the last of them. */
    public synchronized void discardPartial() {
        partial.clear();
    }

    /** Takes out the whole groups, oldest first; each is remembered until {@link #claim}. */
    public synchronized List<PageRequestGroup> take() {
        List<PageRequestGroup> all = List.copyOf(waiting);
        taken.addAll(all);
        waiting.clear();
        return all;
    }

    /** Returns whether a taken group, this very object, is not answered yet; from now on it is. */
    @SuppressWarnings("ReferenceEquality") // an equal group is another time that the device asked
    public synchronized boolean claim(PageRequestGroup group) {
        Objects.requireNonNull(group, "group");
        for (int i = 0; i < taken.size(); i++) {
            if (taken.get(i) == group) {
                taken.remove(i);
                return true;
            }
        }
        return false;
    }

    /**
     * Forgets everything of some PASIDs.
     *
     * @return the whole groups that were not answered, oldest first
     */
    public synchronized List<PageRequestGroup> withdraw(IntPredicate pasids) {
        Objects.requireNonNull(pasids, "pasids");
        List<PageRequestGroup> unanswered = new ArrayList<>();
        partial.removeIf(group -> pasids.test(group.pasid()));
        for (List<PageRequestGroup> groups : List.of(taken, waiting)) {
            groups.removeIf(group -> pasids.test(group.pasid()) && unanswered.add(group));
        }
        return unanswered;
    }
}
