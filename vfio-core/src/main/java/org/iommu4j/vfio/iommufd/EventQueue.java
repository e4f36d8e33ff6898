// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/**
 * A queue of a virtual IOMMU's events of one type: the object, and its open file.
 *
 * <p>The unit's driver {@linkplain #report reports} events; the drivers of this project have none to report. While the
 * file is open the object can't be destroyed, and the objects of a closed iommufd stay. Thread-safe. Source: {@code
 * struct iommufd_veventq}.
 */
public final class EventQueue extends IommufdObject implements AutoCloseable {
    private final ObjectTable table;
    private final Runnable release;
    private final Runnable forget;
    private final boolean refusesShortReads;
    private final long depth;

    /** Oldest first; what says that events were lost is the last, or not there. */
    private final Deque<VirtualEvent> unread = new ArrayDeque<>();

    private long events;
    private int sequence;
    private boolean closed;

    /**
     * Makes a queue whose file is open.
     *
     * @param release lets go of the iommufd, which is held
     * @param forget runs when it is destroyed
     * @param depth for how many events it has room, unsigned
     */
    EventQueue(ObjectTable table, IommufdRules rules, int depth, Runnable release, Runnable forget) {
        this.table = table;
        this.refusesShortReads = rules.refusesShortReads();
        this.depth = Integer.toUnsignedLong(depth);
        this.release = release;
        this.forget = forget;
        users = 1;
    }

    /** Returns its number in the object table. */
    public int id() {
        return id;
    }

    @Override
    String kind() {
        return "event queue";
    }

    /**
     * Reports an event: the unit's driver calls it. Where there is no room, the last to be read says that events were
     * lost, until another event takes its place. Source: {@code iommufd_viommu_report_event}.
     *
     * @param words the vendor's structure, at least one word
     */
    public synchronized void report(List<Long> words) {
        if (words.isEmpty()) {
            throw new IllegalArgumentException("an event without data");
        }
        if (!unread.isEmpty() && unread.getLast().saysLost()) {
            unread.removeLast();
        }
        if (events == depth) {
            unread.addLast(new VirtualEvent(VirtualEvent.LOST_EVENTS, sequence, List.of()));
        } else {
            unread.addLast(new VirtualEvent(0, sequence, words));
            events++;
        }
        sequence = (sequence + 1) & Integer.MAX_VALUE;
    }

    /**
     * Takes out events, oldest first, as many as the reader has room for.
     *
     * <p>Before 7.2, and its back-ports, a reader whose buffer ends in the middle of an event may get its header alone;
     * the event stays. Source: {@code iommufd_veventq_fops_read}.
     *
     * @param count bytes of the reader's buffer, not negative
     * @param writable how many of them can be written, from the first on
     * @return what is in the buffer
     * @throws IommuException EBADF (closed), EINVAL (no room for the first event; before, no events), EFAULT (the first
     *     event can't be written)
     */
    public synchronized List<VirtualEvent> read(long count, long writable) {
        if (closed) {
            throw new IommuException(Errno.EBADF, "the event queue's file is closed");
        }
        List<VirtualEvent> read = new ArrayList<>();
        long done = 0;
        while (!unread.isEmpty()) {
            VirtualEvent next = unread.getFirst();
            if (next.size() > count - done) {
                if (read.isEmpty() && refusesShortReads) {
                    throw new IommuException(Errno.EINVAL, "no room for the " + next.size() + " bytes of an event");
                }
                break;
            }
            if (next.size() > writable - done) {
                if (!refusesShortReads && VirtualEvent.HEADER_SIZE <= writable - done) {
                    read.add(new VirtualEvent(next.flags(), next.sequence(), List.of()));
                } else if (read.isEmpty()) {
                    throw new IommuException(Errno.EFAULT, "the first event can't be written to the reader's buffer");
                }
                break;
            }
            read.add(next);
            done += next.size();
            unread.removeFirst();
            events -= next.saysLost() ? 0 : 1;
        }
        return read;
    }

    /**
     * Closes the file; the object stays until it is destroyed.
     *
     * @throws org.iommu4j.IommuException as {@link Iommufd#close} when it was the last user of a closed iommufd
     */
    @Override
    public void close() {
        synchronized (table) {
            synchronized (this) {
                if (closed) {
                    return;
                }
                closed = true;
            }
            users--;
            release.run();
        }
    }

    @Override
    void destroy() {
        forget.run();
    }
}
