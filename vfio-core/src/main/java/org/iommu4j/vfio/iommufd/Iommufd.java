// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import org.iommu4j.DecisionSource;
import org.iommu4j.Errno;
import org.iommu4j.HardwareInfo;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.capability.GuestInvalidation;
import org.iommu4j.capability.GuestInvalidationRequest;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.device.DeviceId;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.vfio.support.Failures;
import org.iommu4j.vfio.type1.IovaRange;

/**
 * An open {@code /dev/iommu}, as one process calls it.
 *
 * <p>Each method is an ioctl; its errnos come in the order in which Linux looks. What a release does not know is
 * ENOTTY. Objects have ids, from 1; a wrong id, and one of another kind of object, is ENOENT unless a method says
 * otherwise. Thread-safe. After {@link #close()} calls are refused with EBADF, while devices that are still bound keep
 * the objects. Source: {@code drivers/iommu/iommufd/main.c}, {@code include/uapi/linux/iommufd.h}.
 */
public final class Iommufd implements AutoCloseable {
    private static final long NO_ADDRESS = -1L;

    private final IommufdContext context;
    private final IommufdUser user;
    private boolean closed;

    private Iommufd(IommufdContext context, IommufdUser user) {
        this.context = context;
        this.user = user;
    }

    /**
     * Opens {@code /dev/iommu}.
     *
     * @throws IllegalArgumentException when no rules are built for the release
     * @throws IommuException ENOENT when the release has none
     */
    public static Iommufd open(IommufdOptions options, IommufdUser user) {
        Objects.requireNonNull(user, "user");
        return new Iommufd(new IommufdContext(options, Accounting.USER), user);
    }

    /**
     * Opens {@code /dev/vfio/vfio} of a kernel in which iommufd provides it: processes are charged, not their users.
     *
     * @throws IllegalArgumentException when no rules are built for the release
     * @throws IommuException ENOENT when the release has no iommufd
     */
    public static Iommufd openVfioContainer(IommufdOptions options, IommufdUser user) {
        Objects.requireNonNull(user, "user");
        return new Iommufd(new IommufdContext(options, Accounting.PROCESS), user);
    }

    /** Returns whether a release has device files, which are bound to an iommufd. */
    public static boolean hasDeviceFiles(LinuxRelease release) {
        return IommufdRules.of(release).deviceFiles();
    }

    /**
     * Returns whether a device without an IOMMU has a file, too.
     *
     * @throws IllegalArgumentException as {@link #open}
     */
    public static boolean hasDevicesWithoutIommu(LinuxRelease release) {
        return IommufdRules.of(release).devicesWithoutIommu();
    }

    /**
     * Returns whether a device may be bound with its physical function's token.
     *
     * @throws IllegalArgumentException as {@link #open}
     */
    public static boolean bindsByToken(LinuxRelease release) {
        return IommufdRules.of(release).bindsByToken();
    }

    /**
     * Returns whether a PASID of a device can be attached.
     *
     * @throws IllegalArgumentException as {@link #open}
     */
    public static boolean attachesPasids(LinuxRelease release) {
        return IommufdRules.of(release).attachesPasids();
    }

    /** Returns what iommufd does differently from release to release. */
    public static List<ReleaseRule<?>> releaseRules() {
        return IommufdRules.RULES;
    }

    /** Returns where Linux decides whether a HWPT is asked to block no-snoop. */
    public DecisionSource enforcementSource() {
        return context.rules.enforcementSource();
    }

    /** Returns the same open file in another process: a child has inherited it. */
    public Iommufd inheritedBy(IommufdUser other) {
        Objects.requireNonNull(other, "other");
        context.hold();
        return new Iommufd(context, other);
    }

    /** Returns the file as a VFIO container. */
    public CompatContainer vfioContainer() {
        return new CompatContainer(this::checkOpen, context, user);
    }

    /** Returns how many objects there are. */
    public int objects() {
        return context.table.size();
    }

    /** Returns how many pages an IOAS keeps pinned for good because an invalidation did not complete. */
    public long quarantinedPages(int ioasId) {
        return ioas(ioasId).quarantined();
    }

    /**
     * Returns the state of a HWPT on an IOAS, for reports and tests.
     *
     * @throws IommuException ENOENT
     */
    public HwptState hwpt(int id) {
        PagingHwpt hwpt = context.table.get(id, PagingHwpt.class);
        return new HwptState(hwpt.domain(), hwpt.ioas().id, hwpt.isAutomatic(), hwpt.isEnforced());
    }

    /**
     * Binds a device for its driver, such as VFIO.
     *
     * <p>Source: {@code iommufd_device_bind}.
     *
     * @throws IommuException EBADF (closed), EINVAL (its ordinary DMA is not coherent, or firmware demands direct
     *     mappings), EPERM (its interrupts are not isolated, or another user or a kernel driver has its group), EBUSY,
     *     and as {@link IommuGroup#deviceClaimDmaOwner}
     */
    public BoundDevice bind(IommuGroup group, IommuDevice device) {
        checkOpen();
        return BoundDevice.bind(context, group, device);
    }

    /**
     * Binds a device without an IOMMU for its driver; such a device reaches all memory.
     *
     * <p>Its HWPTs are tables that no hardware reads: {@link #ioasNoIommuGetPa} tells what they say.
     *
     * @throws IommuException EBADF (closed), EINVAL (before 7.3, or the kernel is built without)
     */
    public BoundDevice bindWithoutIommu(DeviceId id) {
        checkOpen();
        return BoundDevice.bindWithoutIommu(context, id);
    }

    /**
     * Makes an access for the driver of an emulated device, which uses memory without a unit.
     *
     * <p>Source: {@code iommufd_access_create}.
     */
    public IommufdAccess createAccess(IommufdAccess.Owner owner, boolean needsPages) {
        checkOpen();
        return IommufdAccess.create(context, owner, needsPages);
    }

    /**
     * Closes the file. What is not bound is freed, leaf to root, with its last user.
     *
     * @throws IommuException ETIMEDOUT or EIO when an invalidation did not complete: it is closed nevertheless
     */
    @Override
    public void close() {
        synchronized (context.table) {
            if (closed) {
                return;
            }
            closed = true;
            context.release();
        }
    }

    // ---- any object ------------------------------------------------------------------------------------------------

    /**
     * IOMMU_DESTROY: destroys an object.
     *
     * @throws IommuException ENOENT, EBUSY (another object, a device, an open file or a call that is under way needs
     *     it)
     */
    public void destroy(int id) {
        checkOpen();
        synchronized (context.table) {
            try {
                context.table.destroy(id);
            } finally {
                Ioas compat = context.compat;
                if (compat != null && !context.table.has(compat)) {
                    context.compat = null;
                }
            }
        }
    }

    // ---- IOAS ------------------------------------------------------------------------------------------------------

    /**
     * IOMMU_IOAS_ALLOC: makes an IOAS.
     *
     * @param flags 0
     * @throws IommuException EOPNOTSUPP (a flag)
     */
    public int ioasAlloc(int flags) {
        checkOpen();
        checkFlags(flags, 0);
        return context.table.add(new Ioas()).id;
    }

    /**
     * IOMMU_IOAS_ALLOW_IOVAS: replaces the ranges in which Linux chooses addresses; none allows all.
     *
     * @param bounds first and last byte of each range, in turn
     * @throws IommuException ENOENT, EINVAL (a range does not end behind its start, or overlaps another), EADDRINUSE (a
     *     range meets what a device or a domain reserves)
     */
    public void ioasAllowIovas(int ioasId, long... bounds) {
        Objects.requireNonNull(bounds, "bounds");
        Ioas ioas = ioas(ioasId);
        List<IovaRange> ranges = new ArrayList<>();
        for (int i = 0; i < bounds.length; i += 2) {
            if (Long.compareUnsigned(bounds[i], bounds[i + 1]) >= 0) {
                throw new IommuException(
                        Errno.EINVAL,
                        "allowed range from 0x" + Long.toHexString(bounds[i]) + " to 0x"
                                + Long.toHexString(bounds[i + 1]));
            }
            ranges.add(new IovaRange(bounds[i], bounds[i + 1]));
        }
        ioas.allow(ranges);
    }

    /**
     * IOMMU_IOAS_IOVA_RANGES: returns what can be mapped: what no attached device and no domain reserves.
     *
     * @param room for how many ranges the caller has room; Linux answers EMSGSIZE where that is too few
     * @throws IommuException ENOENT
     */
    public IoasRanges ioasIovaRanges(int ioasId, int room) {
        Ioas ioas = ioas(ioasId);
        List<IovaRange> ranges = ioas.ranges();
        return new IoasRanges(ranges.size(), ioas.alignment(), ranges.subList(0, Math.min(room, ranges.size())));
    }

    /**
     * IOMMU_IOAS_MAP: maps memory of the process.
     *
     * @return the IOVA
     * @throws IommuException EOPNOTSUPP (an unknown flag); EOVERFLOW (IOVA or length is 2^64 - 1); EINVAL (neither
     *     readable nor writeable); ENOENT; EOVERFLOW (the memory wraps around, or ends with the last byte of all
     *     addresses); EINVAL (length 0; too long, before 6.13 ahead of EOVERFLOW; misaligned); with FIXED_IOVA EINVAL
     *     (misaligned), EOVERFLOW (wraps around), EINVAL (reserved), EEXIST (mapped), else ENOSPC; EINVAL (the memory
     *     is misaligned). Only where a device is attached: EFAULT, as {@link org.iommu4j.core.IommuMapper#map}, ENOMEM
     *     (the limit)
     */
    public long ioasMap(IoasMap map) {
        checkOpen();
        checkFlags(map.flags(), IoasMap.FLAGS);
        checkRange(map.iova(), map.length());
        int prot = prot(map.flags());
        return using(map.ioasId(), Ioas.class, ioas -> {
            Ioas.Piece memory = memoryOf(user, map.userAddress(), map.length(), prot);
            return place(ioas, map.flags(), map.iova(), List.of(memory), prot);
        });
    }

    private Ioas.Piece memoryOf(IommufdUser process, long address, long length, int prot) {
        return CompatContainer.memoryOf(context, process, address, length, prot);
    }

    /**
     * IOMMU_IOAS_MAP_FILE: maps a file's memory.
     *
     * @return the IOVA
     * @throws IommuException ENOTTY (before 6.13); EOPNOTSUPP, EOVERFLOW, EINVAL and ENOENT as {@link #ioasMap}; EINVAL
     *     (length 0), EOVERFLOW (the range of the file wraps around), EBADF (a bad file; before 6.19 ahead of both);
     *     EINVAL (too long); then as {@link #ioasMap}, but EINVAL instead of EFAULT (the range is not all in the file,
     *     or the file is no memory)
     */
    public long ioasMapFile(IoasMapFile map) {
        return mapFile(map.flags(), map.ioasId(), map.start(), map.length(), map.iova(), writable -> {
            if (map.file() == null) {
                throw new IommuException(Errno.EBADF, "no file to map");
            }
            return filePages(map.file(), map.start(), writable);
        });
    }

    /**
     * IOMMU_IOAS_MAP_FILE of a dma-buf: maps another device's memory.
     *
     * <p>Nothing is pinned or charged, and what is mapped is no RAM ({@link Prot#MMIO}). When the exporter takes the
     * buffer away it is unmapped everywhere, for good; the IOAS has the area until it is unmapped. An area of it can't
     * be cut, and drivers of emulated devices can't use it. Source: {@code iopt_alloc_dmabuf_pages}.
     *
     * @return the IOVA
     * @throws IommuException as {@link #ioasMapFile(IoasMapFile)}, but in place of EBADF: EINVAL (the buffer ends
     *     before), ENODEV (its exporter has revoked it), EOPNOTSUPP (it has several ranges). Before 6.19 a buffer is a
     *     file without memory: EINVAL where a device is attached
     */
    public long ioasMapFile(IoasMapDmaBuf map) {
        return mapFile(
                map.flags(),
                map.ioasId(),
                map.start(),
                map.length(),
                map.iova(),
                writable -> context.rules.mapsDmaBufs()
                        ? map.buffer().part(map.start(), map.length(), writable)
                        : filePages(new NotMemfd(), map.start(), writable));
    }

    private long mapFile(
            int flags, int ioasId, long start, long length, long iova, Function<Boolean, AreaPages> pages) {
        checkKnows(0x8f);
        checkFlags(flags, IoasMap.FLAGS);
        checkRange(iova, length);
        int prot = prot(flags);
        return using(ioasId, Ioas.class, ioas -> {
            AreaPages found = filePages(start, length, prot, pages);
            long offset = start & (AreaPages.PAGE_SIZE - 1);
            return place(ioas, flags, iova, List.of(new Ioas.Piece(found, offset, length)), prot);
        });
    }

    private AreaPages filePages(long start, long length, int prot, Function<Boolean, AreaPages> pages) {
        AreaPages found;
        if (context.rules.mapsDmaBufs()) {
            checkFileRange(start, length);
            found = pages.apply((prot & Prot.WRITE) != 0);
        } else {
            found = pages.apply((prot & Prot.WRITE) != 0);
            checkFileRange(start, length);
        }
        if (Long.compareUnsigned(length, AreaPages.LONGEST) > 0) {
            throw new IommuException(Errno.EINVAL, Long.toUnsignedString(length) + " bytes of a file");
        }
        return found;
    }

    private static void checkFileRange(long start, long length) {
        if (length == 0) {
            throw new IommuException(Errno.EINVAL, "mapping 0 bytes of a file");
        }
        if (Long.compareUnsigned(start + (length - 1), start) < 0) {
            throw new IommuException(Errno.EOVERFLOW, "the range of the file wraps around");
        }
    }

    private UserPages filePages(ProcessMemory file, long start, boolean writable) {
        return new UserPages(file, user, context.accounting.of(user), start, writable, true);
    }

    /**
     * IOMMU_IOAS_COPY: maps memory of one IOAS once more, in another or the same. The pages are pinned once.
     *
     * @return the IOVA in the destination
     * @throws IommuException EOPNOTSUPP (an unknown flag); EOVERFLOW (a number of 2^64 - 1); EINVAL (neither readable
     *     nor writeable); ENOENT (no such source); EINVAL (length 0), EOVERFLOW (the source wraps around), ENOENT (not
     *     all of it is mapped, or no such destination); as {@link #ioasMap}; EPERM (writeable, but the memory was
     *     mapped to be read)
     */
    public long ioasCopy(IoasCopy copy) {
        checkOpen();
        checkFlags(copy.flags(), IoasMap.FLAGS);
        checkRange(copy.destinationIova(), copy.length());
        checkRange(copy.sourceIova(), copy.length());
        int prot = prot(copy.flags());
        List<Ioas.Piece> pieces = using(copy.sourceId(), Ioas.class, source -> {
            if (copy.length() == 0) {
                throw new IommuException(Errno.EINVAL, "copying 0 bytes");
            }
            if (Long.compareUnsigned(copy.sourceIova() + (copy.length() - 1), copy.sourceIova()) < 0) {
                throw new IommuException(Errno.EOVERFLOW, "the source wraps around");
            }
            return source.pieces(copy.sourceIova(), copy.length());
        });
        return using(
                copy.destinationId(),
                Ioas.class,
                destination -> place(destination, copy.flags(), copy.destinationIova(), pieces, prot));
    }

    private static long place(Ioas ioas, int flags, long iova, List<Ioas.Piece> pieces, int prot) {
        if ((flags & IoasMap.FIXED_IOVA) == 0) {
            return ioas.mapAnywhere(pieces, prot);
        }
        ioas.mapAt(iova, pieces, prot);
        return iova;
    }

    /**
     * IOMMU_IOAS_UNMAP: unmaps whole areas; 0 and 2^64 - 1 unmap everything, also when there is nothing.
     *
     * @return bytes unmapped
     * @throws IommuException ENOENT (no such IOAS); EOVERFLOW (IOVA or length is 2^64 - 1), EINVAL (length 0),
     *     EOVERFLOW (wraps around); EBUSY (another call maps or unmaps an area of the range), EDEADLK (an access does
     *     not let go), ENOENT (an area is in the range with a part only): what is below is unmapped; ENOENT (nothing is
     *     there). ETIMEDOUT or EIO when an invalidation did not complete: all is unmapped, and the pages stay pinned
     */
    public long ioasUnmap(int ioasId, long iova, long length) {
        checkOpen();
        return using(ioasId, Ioas.class, ioas -> unmap(ioas, iova, length));
    }

    private static long unmap(Ioas ioas, long iova, long length) {
        Ioas.Unmapped result;
        if (iova == 0 && length == -1L) {
            result = ioas.unmapAll();
        } else {
            checkRange(iova, length);
            result = ioas.unmap(iova, length);
            if (result.failure() == null && result.bytes() == 0) {
                throw new IommuException(Errno.ENOENT, "nothing is mapped at IOVA 0x" + Long.toHexString(iova));
            }
        }
        if (result.failure() != null) {
            throw result.failure();
        }
        return result.bytes();
    }

    /** IOMMU_OPTION_RLIMIT_MODE: who is charged for pinned pages, 0 the user, 1 the process. */
    public static final int OPTION_RLIMIT_MODE = 0;
    /** IOMMU_OPTION_HUGE_PAGES: whether an IOAS maps contiguous pages at once, 0 or 1. */
    public static final int OPTION_HUGE_PAGES = 1;

    /**
     * IOMMU_OPTION with the operation GET.
     *
     * @throws IommuException EOPNOTSUPP (an unknown option, or an object where there must be none), ENOENT
     */
    public long optionGet(int option, int objectId) {
        checkOpen();
        return switch (option) {
            case OPTION_RLIMIT_MODE -> {
                checkNoObject(objectId);
                yield context.accounting == Accounting.PROCESS ? 1 : 0;
            }
            case OPTION_HUGE_PAGES -> ioas(objectId).largePages() ? 1 : 0;
            default -> throw new IommuException(Errno.EOPNOTSUPP, "no option " + option);
        };
    }

    /**
     * IOMMU_OPTION with the operation SET.
     *
     * @throws IommuException EOPNOTSUPP (an unknown option, or an object where there must be none); of RLIMIT_MODE
     *     EPERM (no CAP_SYS_RESOURCE), EBUSY (there is an object), EINVAL; of HUGE_PAGES ENOENT, EINVAL (neither 0 nor
     *     1, or there are domains and mappings), EADDRINUSE (a mapping is not aligned to a page)
     */
    public void optionSet(int option, int objectId, long value) {
        checkOpen();
        switch (option) {
            case OPTION_RLIMIT_MODE -> setAccounting(objectId, value);
            case OPTION_HUGE_PAGES -> {
                Ioas ioas = ioas(objectId);
                if (value == 0) {
                    ioas.disableLargePages();
                } else if (value == 1) {
                    ioas.enableLargePages();
                } else {
                    throw new IommuException(Errno.EINVAL, "huge pages " + value + ", expected 0 or 1");
                }
            }
            default -> throw new IommuException(Errno.EOPNOTSUPP, "no option " + option);
        }
    }

    private void setAccounting(int objectId, long value) {
        checkNoObject(objectId);
        if (!user.may(IommufdUser.Capability.SYS_RESOURCE)) {
            throw new IommuException(Errno.EPERM, "the process lacks CAP_SYS_RESOURCE");
        }
        synchronized (context.table) {
            if (!context.table.isEmpty()) {
                throw new IommuException(Errno.EBUSY, "there are objects already");
            }
            if (value != 0 && value != 1) {
                throw new IommuException(Errno.EINVAL, "rlimit mode " + value + ", expected 0 or 1");
            }
            context.accounting = value == 0 ? Accounting.USER : Accounting.PROCESS;
        }
    }

    private static void checkNoObject(int objectId) {
        if (objectId != 0) {
            throw new IommuException(Errno.EOPNOTSUPP, "the option is of the file, not of object " + objectId);
        }
    }

    /**
     * IOMMU_VFIO_IOAS with the operation GET: returns the IOAS of VFIO's calls.
     *
     * @throws IommuException ENODEV when there is none
     */
    public int vfioIoasGet() {
        checkOpen();
        synchronized (context.table) {
            Ioas compat = context.compat;
            if (compat == null) {
                throw new IommuException(Errno.ENODEV, "no IOAS is set for VFIO's calls");
            }
            return compat.id;
        }
    }

    /**
     * IOMMU_VFIO_IOAS with the operation SET.
     *
     * @throws IommuException ENOENT
     */
    public void vfioIoasSet(int ioasId) {
        synchronized (context.table) {
            context.compat = ioas(ioasId);
        }
    }

    /** IOMMU_VFIO_IOAS with the operation CLEAR. */
    public void vfioIoasClear() {
        checkOpen();
        synchronized (context.table) {
            context.compat = null;
        }
    }

    /**
     * IOMMU_IOAS_CHANGE_PROCESS: charges the calling process for all mappings, which must be of files.
     *
     * <p>Before 7.2 Linux does not look whether another call maps or unmaps meanwhile, and follows a null pointer.
     *
     * @throws IommuException ENOTTY (before 6.14), EBUSY (another call maps or unmaps), EINVAL (a mapping of other
     *     memory), ENOMEM; nothing has changed
     */
    public void ioasChangeProcess() {
        checkKnows(0x92);
        synchronized (context.table) {
            List<UserPages> all = new ArrayList<>();
            for (Ioas ioas : context.table.all(Ioas.class)) {
                for (AreaPages pages : ioas.memory()) {
                    if (!(pages instanceof UserPages memory) || !memory.isFile()) {
                        throw new IommuException(Errno.EINVAL, "what is no file's memory can't be taken over");
                    }
                    all.add(memory);
                }
            }
            int moved = 0;
            List<IommufdUser> before = new ArrayList<>();
            try {
                for (; moved < all.size(); moved++) {
                    before.add(all.get(moved).moveTo(user));
                }
            } catch (IommuException refusal) {
                while (moved-- > 0) {
                    all.get(moved).moveTo(before.get(moved));
                }
                throw refusal;
            }
        }
    }

    // ---- HWPT ------------------------------------------------------------------------------------------------------

    /**
     * IOMMU_HWPT_ALLOC: makes a HWPT for a device.
     *
     * @return its id
     * @throws IommuException ENOTTY (before 6.6); EINVAL (a data type without data, or data without); ENOENT (no such
     *     device); EINVAL (no such object to make it on, or one of another kind). On an IOAS: EOPNOTSUPP (data, flags
     *     that the release or the unit does not support), EINVAL, EADDRINUSE and as {@link Ioas#addDomain}. On a HWPT:
     *     EOPNOTSUPP (flags, no data, a vendor without nesting), EINVAL (not made to be a parent), as {@link
     *     org.iommu4j.capability.Nesting#allocateNested}. ENOENT (no such fault queue)
     */
    public int hwptAlloc(HwptAlloc alloc) {
        checkKnows(0x89);
        synchronized (context.table) {
            if ((alloc.dataType() == HwptAlloc.DATA_NONE) != (alloc.data() == null)) {
                throw new IommuException(Errno.EINVAL, "data of type " + alloc.dataType() + ": " + alloc.data());
            }
            BoundDevice bound = context.table.get(alloc.deviceId(), BoundDevice.class);
            if (!bound.hasIommu() && (alloc.flags() != 0 || alloc.data() != null)) {
                throw new IommuException(Errno.EOPNOTSUPP, bound + " has no IOMMU");
            }
            IommuDevice device = bound.device();
            Hwpt hwpt = allocateOn(target(alloc.parentId()), device, alloc);
            if ((alloc.flags() & HwptAlloc.FAULT_ID_VALID) != 0) {
                try {
                    hwpt.deliverTo(context.table.get(alloc.faultId(), FaultQueue.class));
                } catch (IommuException refusal) {
                    Failures.run(refusal, () -> context.table.destroy(hwpt.id));
                    throw refusal;
                }
            }
            return hwpt.id;
        }
    }

    private IommufdObject target(int id) {
        try {
            return context.table.get(id);
        } catch (IommuException refusal) {
            throw new IommuException(Errno.EINVAL, "nothing to make a HWPT on", refusal);
        }
    }

    private Hwpt allocateOn(IommufdObject target, IommuDevice device, HwptAlloc alloc) {
        if (target instanceof Ioas ioas) {
            if (alloc.data() != null) {
                throw new IommuException(Errno.EOPNOTSUPP, "a HWPT on an IOAS takes no data");
            }
            return HwptAllocator.allocate(context, ioas, device, alloc.flags(), false, null);
        }
        if (target instanceof PagingHwpt parent) {
            return HwptAllocator.allocateNested(context, parent, device, alloc.flags(), alloc.data());
        }
        if (target instanceof VirtualIommu virtual) {
            virtual.checkUnit(context.table.get(alloc.deviceId(), BoundDevice.class));
            throw new IommuException(Errno.EOPNOTSUPP, virtual + " makes no nested HWPTs");
        }
        throw new IommuException(Errno.EINVAL, "no HWPT can be made on " + target);
    }

    /** IOMMU_HW_INFO_FLAG_INPUT_TYPE: the type is asked for. */
    public static final int HW_INFO_INPUT_TYPE = 1;

    /**
     * IOMMU_GET_HW_INFO: tells what hardware is behind a device.
     *
     * @param flags 0 or {@link #HW_INFO_INPUT_TYPE}
     * @param type the type that is asked for, 0 for the default
     * @throws IommuException ENOTTY (before 6.6), EOPNOTSUPP (an unknown flag; a type that the vendor does not have),
     *     ENOENT; EOPNOTSUPP (the device has no IOMMU)
     */
    public HwInfo getHwInfo(int deviceId, int flags, int type) {
        checkKnows(0x8a);
        checkFlags(flags, context.rules.hardwareInfoOfType() ? HW_INFO_INPUT_TYPE : 0);
        BoundDevice bound = context.table.get(deviceId, BoundDevice.class);
        if (!bound.hasIommu()) {
            throw new IommuException(Errno.EOPNOTSUPP, bound + " has no IOMMU");
        }
        IommuDevice device = bound.device();
        HardwareInfo hardware = device.hardwareInfo();
        // A driver that tells nothing is not asked for the type.
        if ((flags & HW_INFO_INPUT_TYPE) != 0
                && type != 0
                && type != hardware.type()
                && !hardware.equals(HardwareInfo.NONE)) {
            throw new IommuException(Errno.EOPNOTSUPP, "no hardware information of type " + type);
        }
        long capabilities = 0;
        if (context.rules.driverAllocatesForUsers() && device.iommu().capable(device, IommuCapability.DIRTY_TRACKING)) {
            capabilities |= HwInfo.DIRTY_TRACKING;
        }
        if (context.rules.tellsAts() && !device.iommu().capable(device, IommuCapability.PCI_ATS_SUPPORTED)) {
            capabilities |= HwInfo.ATS_NOT_SUPPORTED;
        }
        int pasids = context.rules.tellsPasids() && device.maxPasids() > 0
                ? Integer.numberOfTrailingZeros(device.maxPasids())
                : 0;
        return new HwInfo(hardware, pasids, capabilities);
    }

    /** IOMMU_HWPT_DIRTY_TRACKING_ENABLE. */
    public static final int DIRTY_TRACKING_ENABLE = 1;

    /**
     * IOMMU_HWPT_SET_DIRTY_TRACKING: starts or stops recording written pages; a start forgets what was recorded.
     *
     * @param flags {@link #DIRTY_TRACKING_ENABLE} or 0
     * @throws IommuException ENOTTY (before 6.7), EOPNOTSUPP (an unknown flag), ENOENT, EOPNOTSUPP (the HWPT can't),
     *     and as {@link org.iommu4j.capability.DirtyTracking#setDirtyTracking}
     */
    public void hwptSetDirtyTracking(int hwptId, int flags) {
        checkKnows(0x8b);
        checkFlags(flags, DIRTY_TRACKING_ENABLE);
        using(hwptId, PagingHwpt.class, hwpt -> {
            DirtyPages.of(hwpt).set((flags & DIRTY_TRACKING_ENABLE) != 0);
            return hwpt;
        });
    }

    /**
     * Calls with an object that can't be destroyed meanwhile, nor the file end: {@link IommufdContext#using}.
     *
     * @throws IommuException ENOENT
     */
    private <T extends IommufdObject, R> R using(int id, Class<T> type, Function<T, R> call) {
        return context.using(() -> context.table.get(id, type), call);
    }

    /**
     * IOMMU_HWPT_GET_DIRTY_BITMAP: returns which pages devices wrote, and clears the record unless NO_CLEAR is set.
     *
     * <p>Where nothing is mapped, or nothing is recorded, no bit is set, and Linux does not say so.
     *
     * @return one bit a page, lowest page first
     * @throws IommuException ENOTTY (before 6.7), EOPNOTSUPP (an unknown flag), ENOENT, EINVAL (length 0, since 7.3),
     *     EOVERFLOW (wraps around; before 7.3 also length 0), EINVAL (misaligned), EOPNOTSUPP (the HWPT can't);
     *     ETIMEDOUT or EIO when an invalidation did not complete
     */
    public long[] hwptGetDirtyBitmap(DirtyRange range) {
        checkKnows(0x8c);
        checkFlags(range.flags(), DirtyRange.NO_CLEAR);
        return using(range.hwptId(), PagingHwpt.class, hwpt -> {
            DirtyPages.check(range, hwpt.ioas().alignment(), context.rules.emptyDirtyRangeIsInvalid());
            return DirtyPages.of(hwpt).read(range);
        });
    }

    /** The longest entry of an array of invalidations, since 7.2. */
    private static final int LONGEST_INVALIDATION = 4096;

    /** The most entries of an array of invalidations, since 7.2. */
    private static final int MOST_INVALIDATIONS = 1 << 19;

    /**
     * IOMMU_HWPT_INVALIDATE: passes a guest's invalidations on, in order, to the first that fails.
     *
     * @param entryLength bytes of an entry, for its bounds only
     * @param requests the entries, in records of the vendor
     * @throws IommuException ENOTTY (before 6.8), EINVAL (entries of no bytes; since 7.2 too long or too many), ENOENT,
     *     EOPNOTSUPP (a virtual IOMMU), EINVAL (not a nested HWPT)
     */
    public Invalidated hwptInvalidate(int hwptId, int entryLength, List<? extends GuestInvalidationRequest> requests) {
        Objects.requireNonNull(requests, "requests");
        checkKnows(0x8d);
        boolean tooMuch = context.rules.boundsInvalidations()
                && (entryLength > LONGEST_INVALIDATION || requests.size() > MOST_INVALIDATIONS);
        if ((entryLength == 0 && !requests.isEmpty()) || tooMuch) {
            throw new IommuException(
                    Errno.EINVAL, requests.size() + " invalidations of " + entryLength + " bytes each");
        }
        return using(hwptId, IommufdObject.class, object -> invalidate(object, requests));
    }

    private static Invalidated invalidate(IommufdObject object, List<? extends GuestInvalidationRequest> requests) {
        if (object instanceof VirtualIommu) {
            throw new IommuException(Errno.EOPNOTSUPP, object + " has no caches to invalidate");
        }
        if (!(object instanceof NestedHwpt nested)) {
            throw new IommuException(Errno.EINVAL, object + " is no nested HWPT");
        }
        GuestInvalidation invalidation = nested.domain()
                .guestInvalidation()
                .orElseThrow(() -> new IommuException(Errno.EOPNOTSUPP, nested + " has no caches to invalidate"));
        int done = 0;
        for (GuestInvalidationRequest request : requests) {
            try {
                invalidation.invalidate(request);
            } catch (IommuException failure) {
                return new Invalidated(done, failure);
            }
            done++;
        }
        return new Invalidated(done, null);
    }

    /**
     * IOMMU_FAULT_QUEUE_ALLOC: makes a queue of page requests, whose file is open.
     *
     * @param flags 0
     * @throws IommuException ENOTTY (before 6.11), EOPNOTSUPP (a flag)
     */
    public FaultQueue faultQueueAlloc(int flags) {
        checkKnows(0x8e);
        checkFlags(flags, 0);
        context.hold();
        return context.table.add(new FaultQueue(context.table, context.rules, context::release));
    }

    // ---- virtual IOMMUs --------------------------------------------------------------------------------------------

    /**
     * IOMMU_VIOMMU_ALLOC: makes a slice of a device's unit for a guest.
     *
     * @param flags 0
     * @param type the vendor's, not 0; AMD's driver takes any
     * @return its id
     * @throws IommuException ENOTTY (before 6.13), EOPNOTSUPP (a flag, type 0), ENOENT (no such device), EOPNOTSUPP
     *     (its driver makes none), ENOENT (no such HWPT), EINVAL (it is not made to be a parent)
     */
    public int viommuAlloc(int flags, int type, int deviceId, int hwptId) {
        checkKnows(0x90);
        checkTyped(flags, type);
        synchronized (context.table) {
            return VirtualIommu.allocate(context, context.table.get(deviceId, BoundDevice.class), hwptId).id;
        }
    }

    /**
     * IOMMU_VDEVICE_ALLOC: tells as what a guest knows a device. It goes when the device is unbound, and its id is not
     * used again.
     *
     * @param number the guest's number of the device
     * @return the virtual device's id
     * @throws IommuException ENOTTY (before 6.13), ENOENT (no such virtual IOMMU or device), EINVAL (the device is
     *     behind another unit), EEXIST (the device is known already, or the number is another's)
     */
    public int vdeviceAlloc(int viommuId, int deviceId, long number) {
        checkKnows(0x91);
        synchronized (context.table) {
            VirtualIommu virtual = context.table.get(viommuId, VirtualIommu.class);
            return virtual.add(context, context.table.get(deviceId, BoundDevice.class), number).id;
        }
    }

    /** The most events that a queue may have room for, since 7.2. */
    private static final int MOST_EVENTS = 1 << 19;

    /**
     * IOMMU_VEVENTQ_ALLOC: makes a queue of a virtual IOMMU's events, whose file is open.
     *
     * @param flags 0
     * @param type the vendor's, not 0
     * @param depth for how many events it has room, unsigned
     * @throws IommuException ENOTTY (before 6.15), EOPNOTSUPP (a flag, type 0), EINVAL (depth 0; since 7.2 too deep),
     *     ENOENT, EEXIST (there is one of the type)
     */
    public EventQueue veventqAlloc(int flags, int viommuId, int type, int depth) {
        checkKnows(0x93);
        checkTyped(flags, type);
        if (depth == 0 || (context.rules.boundsInvalidations() && Integer.compareUnsigned(depth, MOST_EVENTS) > 0)) {
            throw new IommuException(Errno.EINVAL, "a queue of " + Integer.toUnsignedString(depth) + " events");
        }
        synchronized (context.table) {
            return context.table.get(viommuId, VirtualIommu.class).addQueue(context, type, depth);
        }
    }

    /**
     * IOMMU_HW_QUEUE_ALLOC: would make a queue that a guest shares with its unit; no driver here can.
     *
     * @param flags 0
     * @param type the vendor's, not 0
     * @param iova where the guest has the queue
     * @throws IommuException always: ENOTTY (before 6.17), EOPNOTSUPP (a flag, type 0), EINVAL (length 0), EOVERFLOW
     *     (it wraps around), ENOENT (no such virtual IOMMU), EOPNOTSUPP
     */
    public void hwQueueAlloc(int flags, int viommuId, int type, long iova, long length) {
        checkKnows(0x94);
        checkTyped(flags, type);
        if (length == 0) {
            throw new IommuException(Errno.EINVAL, "a queue of 0 bytes");
        }
        if (Long.compareUnsigned(iova + (length - 1), iova) < 0) {
            throw new IommuException(Errno.EOVERFLOW, "the queue wraps around");
        }
        throw new IommuException(
                Errno.EOPNOTSUPP, context.table.get(viommuId, VirtualIommu.class) + " has no hardware queues");
    }

    private static void checkTyped(int flags, int type) {
        checkFlags(flags, 0);
        if (type == 0) {
            throw new IommuException(Errno.EOPNOTSUPP, "no type");
        }
    }

    // ---- devices without an IOMMU ----------------------------------------------------------------------------------

    /**
     * IOMMU_IOAS_NOIOMMU_GET_PA: tells where an IOVA is in memory, of an IOAS with a device without an IOMMU.
     *
     * @throws IommuException ENOTTY (before 7.3), EOPNOTSUPP (the kernel is built without), EPERM (no CAP_SYS_RAWIO),
     *     EINVAL (length 0), EOVERFLOW (the IOVA is 2^64 - 1), ENOENT (no such IOAS, or nothing is mapped there),
     *     EINVAL (a dma-buf that was revoked), EOPNOTSUPP (the first HWPT of the IOAS is an IOMMU's, or there is none)
     */
    public NoIommuAddress ioasNoIommuGetPa(int ioasId, long iova, long length) {
        checkKnows(0x95);
        if (!context.options.noIommu()) {
            throw new IommuException(Errno.EOPNOTSUPP, "the kernel is built for devices with an IOMMU only");
        }
        if (!user.may(IommufdUser.Capability.SYS_RAWIO)) {
            throw new IommuException(Errno.EPERM, "the process lacks CAP_SYS_RAWIO");
        }
        if (length == 0) {
            throw new IommuException(Errno.EINVAL, "asking for 0 bytes");
        }
        checkRange(iova, 0);
        Ioas ioas = ioas(ioasId);
        long end = ioas.endOfArea(iova);
        List<IommuDomain> domains = ioas.domains();
        if (domains.isEmpty() || domains.get(0).iommu() != context.noIommu) {
            throw new IommuException(Errno.EOPNOTSUPP, ioas + " has an IOMMU's tables");
        }
        IommuDomain table = domains.get(0);
        long first = table.translate(iova);
        long most = Long.compareUnsigned(end - iova, length - 1) < 0 ? end - iova + 1 : length;
        long size = Math.min(AreaPages.PAGE_SIZE - (iova & (AreaPages.PAGE_SIZE - 1)), most);
        while (size < most && table.translate(iova + size) == first + size) {
            size = Math.min(size + AreaPages.PAGE_SIZE, most);
        }
        return new NoIommuAddress(first, size);
    }

    // ---- checks ----------------------------------------------------------------------------------------------------

    private Ioas ioas(int id) {
        checkOpen();
        return context.table.get(id, Ioas.class);
    }

    private void checkKnows(int number) {
        checkOpen();
        context.rules.checkKnows(number);
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.EBADF, "the iommufd is closed");
        }
    }

    private static void checkFlags(int flags, int known) {
        if ((flags & ~known) != 0) {
            throw new IommuException(Errno.EOPNOTSUPP, "flags 0x" + Integer.toHexString(flags));
        }
    }

    private static void checkRange(long iova, long length) {
        if (iova == NO_ADDRESS || length == NO_ADDRESS) {
            throw new IommuException(Errno.EOVERFLOW, "an address or a length of 2^64 - 1");
        }
    }

    private static int prot(int flags) {
        int prot =
                ((flags & IoasMap.READABLE) != 0 ? Prot.READ : 0) | ((flags & IoasMap.WRITEABLE) != 0 ? Prot.WRITE : 0);
        if (prot == 0) {
            throw new IommuException(Errno.EINVAL, "a mapping that is neither readable nor writeable");
        }
        return prot;
    }
}
