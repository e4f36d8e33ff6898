// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.SystemMemory;
import org.jspecify.annotations.Nullable;

/**
 * The use of an IOAS by the driver of an emulated device, without a unit: it pins pages, or reads and writes them.
 *
 * <p>What it pins can't be unmapped; before an unmap it is asked to let go. Thread-safe. Source: {@code struct
 * iommufd_access}, {@code iommufd_access_pin_pages}, {@code iommufd_access_rw}.
 */
public final class IommufdAccess extends IommufdObject {
    /** The driver: it is asked to unpin a range that is about to be unmapped. */
    @FunctionalInterface
    public interface Owner {
        /**
         * Unpins all that it has pinned in a range, with {@link IommufdAccess#unpinPages}.
         *
         * @param iova first byte
         * @param length bytes
         */
        void unmap(long iova, long length);
    }

    private final IommufdContext context;
    private final Ioas.Unmapper unmapper;

    /** Where it pins; null also while it leaves. */
    private @Nullable Ioas ioas;

    /** Where it unpins: what it is about to leave, until the owner let go. */
    private @Nullable Ioas unpins;

    private IommufdAccess(IommufdContext context, Owner owner, boolean needsPages) {
        this.context = context;
        this.unmapper = new Ioas.Unmapper() {
            @Override
            public void unmap(long iova, long length) {
                owner.unmap(iova, length);
            }

            @Override
            public long alignment() {
                return needsPages ? AreaPages.PAGE_SIZE : 1;
            }
        };
        users = 1;
    }

    static IommufdAccess create(IommufdContext context, Owner owner, boolean needsPages) {
        Objects.requireNonNull(owner, "owner");
        synchronized (context.table) {
            context.hold();
            return context.table.add(new IommufdAccess(context, owner, needsPages));
        }
    }

    /** Returns its number in the object table. */
    public int id() {
        return id;
    }

    @Override
    String kind() {
        return "access";
    }

    /**
     * Attaches it to an IOAS.
     *
     * @throws IommuException EINVAL (it is attached), ENOENT, EADDRINUSE (a mapping is not aligned as it needs it)
     */
    public void attach(int ioasId) {
        synchronized (context.table) {
            if (ioas != null) {
                throw new IommuException(Errno.EINVAL, this + " is attached to " + ioas);
            }
            Ioas target = context.table.get(ioasId, Ioas.class);
            target.addAccess(unmapper);
            target.users++;
            ioas = target;
            unpins = target;
        }
    }

    /**
     * Moves it to another IOAS, after asking its owner to unpin everything.
     *
     * @throws IommuException ENOENT (not attached, or no such IOAS), and as {@link #attach}: it stays where it was
     */
    public void replace(int ioasId) {
        synchronized (context.table) {
            Ioas old = ioas;
            if (old == null) {
                throw new IommuException(Errno.ENOENT, this + " is not attached");
            }
            Ioas target = context.table.get(ioasId, Ioas.class);
            if (target == old) {
                return;
            }
            target.addAccess(unmapper);
            target.users++;
            leave(old);
            ioas = target;
            unpins = target;
        }
    }

    /**
     * Detaches it, after asking its owner to unpin everything.
     *
     * @throws IommuException EINVAL when it is not attached
     */
    public void detach() {
        synchronized (context.table) {
            Ioas old = ioas;
            if (old == null) {
                throw new IommuException(Errno.EINVAL, this + " is not attached");
            }
            leave(old);
        }
    }

    private void leave(Ioas old) {
        ioas = null;
        unmapper.unmap(0, -1L);
        unpins = null;
        old.removeAccess(unmapper);
        old.users--;
    }

    /** Detaches and destroys it. Source: {@code iommufd_access_destroy}. */
    public void close() {
        synchronized (context.table) {
            if (users == 0) {
                return;
            }
            if (ioas != null) {
                detach();
            }
            users = 0;
            context.table.remove(this);
            context.release();
        }
    }

    /**
     * Pins the pages of a range.
     *
     * @param write whether they will be written
     * @return the physical address of each page, in order
     * @throws IommuException EINVAL (length 0), EOVERFLOW (wraps around), ENOENT (not attached; a byte is not mapped,
     *     or another call maps or unmaps it), EINVAL (it is about to be unmapped, a dma-buf, a page that is mapped in
     *     part), EPERM (not writable, or to be read and not readable), EFAULT, ENOMEM; nothing is pinned
     */
    public long[] pinPages(long iova, long length, boolean write) {
        Ioas target = checked(iova, length);
        List<Long> frames = new ArrayList<>();
        for (Ioas.Piece piece : target.pinForAccess(iova, length, write)) {
            long end = piece.offset() + piece.length();
            for (long at = piece.offset() & -AreaPages.PAGE_SIZE; at < end; at += AreaPages.PAGE_SIZE) {
                frames.add(piece.pages().physicalAddress(at));
            }
        }
        return frames.stream().mapToLong(Long::longValue).toArray();
    }

    /**
     * Unpins the pages of a range that one call has pinned.
     *
     * @param dirty whether they may have been written
     * @throws IommuException ENOENT when it is not attached
     */
    public void unpinPages(long iova, long length, boolean dirty) {
        checkRange(iova, length);
        Ioas target;
        synchronized (context.table) {
            target = attached(unpins);
        }
        target.unpinForAccess(iova, length, dirty);
    }

    /**
     * Reads or writes words of 64 bits through the CPU.
     *
     * @param memory the memory as the driver's CPU sees it
     * @param iova aligned to 8
     * @param words what is written, or receives what is read
     * @throws IommuException EINVAL (misaligned), and as {@link #pinPages}
     */
    public void readWrite(SystemMemory memory, long iova, long[] words, boolean write) {
        Objects.requireNonNull(memory, "memory");
        if ((iova & (Long.BYTES - 1)) != 0) {
            throw new IommuException(Errno.EINVAL, "IOVA 0x" + Long.toHexString(iova) + ", expected a multiple of 8");
        }
        long length = (long) words.length * Long.BYTES;
        Ioas target = checked(iova, length);
        int next = 0;
        for (Ioas.Piece piece : target.pinForAccess(iova, length, write)) {
            for (long done = 0; done < piece.length(); done += Long.BYTES) {
                long at = piece.pages().physicalAddress(piece.offset() + done);
                if (write) {
                    memory.store(at, words[next]);
                } else {
                    words[next] = memory.load(at);
                }
                next++;
            }
        }
        target.unpinForAccess(iova, length, write);
    }

    private Ioas checked(long iova, long length) {
        checkRange(iova, length);
        synchronized (context.table) {
            return attached(ioas);
        }
    }

    private Ioas attached(@Nullable Ioas target) {
        if (target == null) {
            throw new IommuException(Errno.ENOENT, this + " is not attached");
        }
        return target;
    }

    private static void checkRange(long iova, long length) {
        if (length == 0) {
            throw new IommuException(Errno.EINVAL, "a range of 0 bytes");
        }
        if (Long.compareUnsigned(iova + (length - 1), iova) < 0) {
            throw new IommuException(Errno.EOVERFLOW, "the range wraps around");
        }
    }

    @Override
    void destroy() {
        throw new IllegalStateException("an access is closed by its driver");
    }
}
