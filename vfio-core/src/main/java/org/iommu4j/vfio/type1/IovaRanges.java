// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.ReservedRegion;

/**
 * The ranges that a container can map: those that every domain can express, without those that a device reserves.
 *
 * <p>Immutable. Source: {@code vfio_iommu_aper_resize} and {@code vfio_iommu_resv_exclude}.
 */
final class IovaRanges {
    static final IovaRanges NONE = new IovaRanges(List.of());
    static final IovaRanges ALL = new IovaRanges(List.of(new IovaRange(0, -1L)));

    private final List<IovaRange> ranges;

    private IovaRanges(List<IovaRange> ranges) {
        this.ranges = List.copyOf(ranges);
    }

    /** Returns these ranges without what lies outside {@code [start, end]}. */
    IovaRanges within(long start, long end) {
        IovaRanges above = start == 0 ? this : without(0, start - 1);
        return end == -1L ? above : above.without(end + 1, -1L);
    }

    /** Returns these ranges without a reserved region; a region that the device gives up on assignment stays. */
    IovaRanges without(ReservedRegion region) {
        return region.type() == ReservedRegion.Type.DIRECT_RELAXABLE ? this : without(region.start(), region.end());
    }

    private IovaRanges without(long first, long last) {
        List<IovaRange> left = new ArrayList<>(ranges.size() + 1);
        for (IovaRange range : ranges) {
            if (Long.compareUnsigned(last, range.start()) < 0 || Long.compareUnsigned(range.end(), first) < 0) {
                left.add(range);
                continue;
            }
            if (Long.compareUnsigned(range.start(), first) < 0) {
                left.add(new IovaRange(range.start(), first - 1));
            }
            if (Long.compareUnsigned(last, range.end()) < 0) {
                left.add(new IovaRange(last + 1, range.end()));
            }
        }
        return new IovaRanges(left);
    }

    /** Returns whether one range contains all of {@code [first, last]}. */
    boolean contain(long first, long last) {
        for (int i = 0; i < ranges.size(); i++) {
            if (ranges.get(i).contains(first, last)) {
                return true;
            }
        }
        return false;
    }

    List<IovaRange> list() {
        return ranges;
    }

    @Override
    public String toString() {
        return ranges.toString();
    }
}
