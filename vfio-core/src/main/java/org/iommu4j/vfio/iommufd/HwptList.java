// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The HWPTs of each IOAS, oldest first.
 *
 * <p>Under the object table's monitor. Source: {@code hwpt_list} of {@code struct iommufd_ioas}.
 */
final class HwptList {
    private final Map<Ioas, List<PagingHwpt>> lists = new HashMap<>();

    void add(PagingHwpt hwpt) {
        lists.computeIfAbsent(hwpt.ioas(), unused -> new ArrayList<>()).add(hwpt);
    }

    /** Returns the HWPTs of an IOAS that were not destroyed. */
    List<PagingHwpt> of(Ioas ioas) {
        List<PagingHwpt> list = lists.get(ioas);
        if (list == null) {
            return List.of();
        }
        list.removeIf(PagingHwpt::isGone);
        if (list.isEmpty()) {
            lists.remove(ioas);
        }
        return List.copyOf(list);
    }

    /** Returns whether all HWPTs of an IOAS block no-snoop; true when there is none. */
    boolean allEnforced(Ioas ioas) {
        for (PagingHwpt hwpt : of(ioas)) {
            if (!hwpt.isEnforced()) {
                return false;
            }
        }
        return true;
    }
}
