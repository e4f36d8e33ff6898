// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.vfio.support.Failures;

/**
 * A queue of the page requests of all devices in its HWPTs, and their answers: the object, and its open file.
 *
 * <p>While the file is open, and while a HWPT delivers to it, the object can't be destroyed; the open file keeps the
 * objects of a closed iommufd. Thread-safe. Source: {@code drivers/iommu/iommufd/eventq.c}, {@code struct
 * iommufd_fault}.
 */
public final class FaultQueue extends IommufdObject implements AutoCloseable {
    /** How many bytes a page takes in the buffer of a reader. Source: {@code struct iommu_hwpt_pgfault}. */
    public static final int RECORD_SIZE = 40;

    /** Room for all that can ever wait. */
    private static final long ANY_SIZE = (long) Integer.MAX_VALUE * RECORD_SIZE;

    /**
     * A group without an answer.
     *
     * @param left whether its device was moved away, and it stayed ({@link #leave})
     */
    private record Waiting(int deviceId, PageRequests device, PageRequestGroup group, boolean left) {
        Waiting leaving() {
            return new Waiting(deviceId, device, group, true);
        }
    }

    private final ObjectTable table;
    private final boolean refusesShortReads;
    private final Runnable release;
    private final List<Runnable> sources = new ArrayList<>();
    private final List<Waiting> unread = new ArrayList<>();
    private final Map<Integer, Waiting> read = new TreeMap<>();
    private final BitSet cookies = new BitSet();
    private boolean closed;

    /**
     * Makes a queue whose file is open.
     *
     * @param release lets go of the iommufd, which is held
     */
    FaultQueue(ObjectTable table, IommufdRules rules, Runnable release) {
        this.table = table;
        this.refusesShortReads = rules.refusesShortReads();
        this.release = release;
        users = 1;
    }

    /** Returns its number in the object table. */
    public int id() {
        return id;
    }

    @Override
    String kind() {
        return "fault queue";
    }

    /** Takes out all groups that came since the last call, each page a record, oldest group first. */
    public List<PageFault> read() {
        return read(ANY_SIZE, ANY_SIZE);
    }

    /**
     * Takes out groups that came since the last call, each page a record, oldest group first, as many as the reader has
     * room for. A group's cookie is the lowest that is free, from 1.
     *
     * <p>Since 7.2 and in three stable series, the reader gets whole groups. Before, where a group does not fit into
     * what can be written, its first records may be handed out while it stays; their cookie answers nothing. Where it
     * would fit a second time, Linux tries forever then; here it is as since. Source: {@code iommufd_fault_fops_read}.
     *
     * @param count bytes of the reader's buffer, not negative
     * @param writable how many of them can be written, from the first on
     * @return the records in the buffer
     * @throws IommuException EBADF (closed); ESPIPE (the bytes are no whole number of records); ETIMEDOUT or EIO as
     *     {@link PageRequests#take}; EINVAL (no room for the first group; before, no records), EFAULT (the first group
     *     can't be written)
     */
    public List<PageFault> read(long count, long writable) {
        List<Runnable> asked;
        synchronized (this) {
            checkOpen();
            asked = List.copyOf(sources);
        }
        if (count % RECORD_SIZE != 0) {
            throw new IommuException(
                    Errno.ESPIPE, "reading " + count + " bytes, expected a multiple of " + RECORD_SIZE);
        }
        asked.forEach(Runnable::run);
        synchronized (this) {
            return takeOut(count / RECORD_SIZE, Math.min(count, writable) / RECORD_SIZE);
        }
    }

    /** Takes out groups for a reader with room for so many records, so many of which can be written. */
    private List<PageFault> takeOut(long room, long writable) {
        List<PageFault> faults = new ArrayList<>();
        int taken = 0;
        for (Waiting waiting : unread) {
            int pages = waiting.group().pages().size();
            if (pages > room - faults.size()) {
                if (taken == 0 && refusesShortReads) {
                    throw new IommuException(Errno.EINVAL, "no room for the " + pages + " pages of the first group");
                }
                break;
            }
            int cookie = cookies.nextClearBit(1);
            long written = Math.max(0, writable - faults.size());
            if (written < pages) {
                if (!refusesShortReads && written > 0 && pages > room - faults.size() - written) {
                    faults.addAll(records(waiting, cookie).subList(0, (int) written));
                } else if (taken == 0) {
                    throw new IommuException(Errno.EFAULT, "the first group can't be written to the reader's buffer");
                }
                break;
            }
            faults.addAll(records(waiting, cookie));
            cookies.set(cookie);
            read.put(cookie, waiting);
            taken++;
        }
        unread.subList(0, taken).clear();
        return faults;
    }

    private static List<PageFault> records(Waiting waiting, int cookie) {
        List<PageFault> records = new ArrayList<>();
        List<PageRequest> pages = waiting.group().pages();
        for (int i = 0; i < pages.size(); i++) {
            records.add(new PageFault(
                    waiting.deviceId(),
                    waiting.group().pasid(),
                    waiting.group().index(),
                    pages.get(i),
                    i == pages.size() - 1,
                    cookie));
        }
        return records;
    }

    /**
     * Answers a group.
     *
     * @param code 0 for success, 1 for invalid
     * @throws IommuException EINVAL (another code, no group waits under the cookie, or it was answered when its device
     *     left the HWPT), EBADF (closed); ETIMEDOUT or EIO as {@link PageRequests#respond}
     */
    public void write(int cookie, int code) {
        Waiting answered;
        synchronized (this) {
            checkOpen();
            if (code != PageResponse.SUCCESS.code() && code != PageResponse.INVALID.code()) {
                throw new IommuException(Errno.EINVAL, "response " + code + ", expected 0 or 1");
            }
            answered = read.remove(cookie);
            if (answered != null) {
                cookies.clear(cookie);
            }
        }
        if (answered == null) {
            throw new IommuException(Errno.EINVAL, "no group waits under the cookie " + cookie);
        }
        PageResponse response = code == PageResponse.SUCCESS.code() ? PageResponse.SUCCESS : PageResponse.INVALID;
        if (answered.left()) {
            respondUnlessAnswered(answered, response);
        } else {
            answered.device().respond(answered.group(), response);
        }
    }

    /**
     * Closes the file. What nobody answered waits until its PASID leaves its HWPT, or the object is destroyed.
     *
     * @throws IommuException as {@link Iommufd#close} when it was the last user of a closed iommufd
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
        refuse(waiting -> true);
    }

    /** Asks a device for its requests whenever the queue is read. */
    synchronized void addSource(Runnable source) {
        sources.add(source);
    }

    synchronized void removeSource(Runnable source) {
        sources.remove(source);
    }

    /** Queues a group. */
    synchronized void deliver(int deviceId, PageRequests device, PageRequestGroup group) {
        unread.add(new Waiting(deviceId, device, group, false));
    }

    /**
     * Answers the groups of a PASID as invalid: it leaves, or changes to another HWPT. Source: {@code
     * iommufd_auto_response_faults}.
     *
     * @throws IommuException ETIMEDOUT or EIO as {@link PageRequests#respond}; the others are answered nevertheless
     */
    void refuse(PageRequests device, int pasid) {
        refuse(waiting -> isOf(waiting, device, pasid));
    }

    /**
     * Has the groups of a PASID wait on, though it left for a HWPT of another queue. They can be read and answered as
     * long as the queue is there. Linux reads them then through memory that it freed.
     */
    synchronized void leave(PageRequests device, int pasid) {
        unread.replaceAll(waiting -> isOf(waiting, device, pasid) ? waiting.leaving() : waiting);
        read.replaceAll((cookie, waiting) -> isOf(waiting, device, pasid) ? waiting.leaving() : waiting);
    }

    private static boolean isOf(Waiting waiting, PageRequests device, int pasid) {
        return !waiting.left() && waiting.device() == device && waiting.group().pasid() == pasid;
    }

    private void refuse(Predicate<Waiting> leaves) {
        List<Waiting> leaving = new ArrayList<>();
        synchronized (this) {
            unread.removeIf(waiting -> leaves.test(waiting) && leaving.add(waiting));
            read.entrySet().removeIf(each -> {
                boolean left = leaves.test(each.getValue()) && leaving.add(each.getValue());
                if (left) {
                    cookies.clear(each.getKey());
                }
                return left;
            });
        }
        RuntimeException failure = null;
        for (Waiting waiting : leaving) {
            failure = Failures.run(failure, () -> respondUnlessAnswered(waiting, PageResponse.INVALID));
        }
        if (failure != null) {
            throw failure;
        }
    }

    private static void respondUnlessAnswered(Waiting waiting, PageResponse response) {
        try {
            waiting.device().respond(waiting.group(), response);
        } catch (IommuException refusal) {
            if (refusal.errno() != Errno.EINVAL && refusal.errno() != Errno.ENODEV) {
                throw refusal;
            }
            // The driver has answered it already.
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.EBADF, "the fault queue's file is closed");
        }
    }
}
