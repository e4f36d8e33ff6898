// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
    private final Runnable release;
    private final List<Runnable> sources = new ArrayList<>();
    private final List<Waiting> unread = new ArrayList<>();
    private final Map<Integer, Waiting> read = new LinkedHashMap<>();
    private int nextCookie;
    private boolean closed;

    /**
     * Makes a queue whose file is open.
     *
     * @param release lets go of the iommufd, which is held
     */
    FaultQueue(ObjectTable table, Runnable release) {
        this.table = table;
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

    /**
     * Takes out the groups that came since the last call, each page a record, oldest group first.
     *
     * @throws IommuException EBADF (closed); ETIMEDOUT or EIO as {@link PageRequests#take}
     */
    public List<PageFault> read() {
        List<Runnable> asked;
        synchronized (this) {
            checkOpen();
            asked = List.copyOf(sources);
        }
        asked.forEach(Runnable::run);
        List<PageFault> faults = new ArrayList<>();
        synchronized (this) {
            for (Waiting waiting : unread) {
                int cookie = nextCookie++;
                read.put(cookie, waiting);
                List<PageRequest> pages = waiting.group().pages();
                for (int i = 0; i < pages.size(); i++) {
                    faults.add(new PageFault(
                            waiting.deviceId(),
                            waiting.group().pasid(),
                            waiting.group().index(),
                            pages.get(i),
                            i == pages.size() - 1,
                            cookie));
                }
            }
            unread.clear();
        }
        return faults;
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
            read.values().removeIf(waiting -> leaves.test(waiting) && leaving.add(waiting));
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
