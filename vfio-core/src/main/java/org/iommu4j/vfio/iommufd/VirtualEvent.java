// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.List;

/**
 * An event of a virtual IOMMU, as a queue hands it out.
 *
 * <p>Source: {@code struct iommufd_vevent_header}, and the vendor's structure behind it.
 *
 * @param flags 0 or {@link #LOST_EVENTS}
 * @param sequence the event's number in its queue, from 0 to 2^31 - 1 and then from 0 again
 * @param words the vendor's structure in words of 64 bits; none says that events were lost, or that only the header
 *     could be read
 */
public record VirtualEvent(int flags, int sequence, List<Long> words) {
    /** IOMMU_VEVENTQ_FLAG_LOST_EVENTS: events were lost, the last of them has the number. */
    public static final int LOST_EVENTS = 1;

    /** Size of the header in a reader's buffer, in bytes. */
    public static final int HEADER_SIZE = 8;

    /** Copies the list. */
    public VirtualEvent {
        words = List.copyOf(words);
    }

    /** Returns its size in a reader's buffer, in bytes. */
    public int size() {
        return HEADER_SIZE + words.size() * Long.BYTES;
    }

    /** Returns whether it says that events were lost. */
    public boolean saysLost() {
        return (flags & LOST_EVENTS) != 0;
    }
}
