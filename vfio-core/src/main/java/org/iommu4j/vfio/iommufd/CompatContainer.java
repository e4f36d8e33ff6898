// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.List;
import org.iommu4j.DecisionSource;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.bits.Hex;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.vfio.type1.IovaRange;
import org.jspecify.annotations.Nullable;

/**
 * An iommufd as a VFIO container: VFIO's calls on its compatibility IOAS.
 *
 * <p>Each call without such an IOAS is refused with ENODEV, and its user's calls after the file was closed with EBADF.
 * A group's devices are attached to the IOAS while they are open. Source: {@code drivers/iommu/iommufd/vfio_compat.c}.
 */
public final class CompatContainer {
    private static final int TYPE1 = 1;
    private static final int TYPE1V2 = 3;
    private static final int DMA_CC = 4;
    private static final int NOIOMMU = 8;
    private static final int UNMAP_ALL_EXTENSION = 9;

    /** The device may read. Source: {@code VFIO_DMA_MAP_FLAG_READ}. */
    public static final int MAP_READ = 1;
    /** The device may write. Source: {@code VFIO_DMA_MAP_FLAG_WRITE}. */
    public static final int MAP_WRITE = 2;
    /** Unmap everything; address and size must be 0. Source: {@code VFIO_DMA_UNMAP_FLAG_ALL}. */
    public static final int UNMAP_ALL = 2;

    /**
     * What an unmap did.
     *
     * @param bytes what Linux writes as the size, also with a failure; -1 where it writes nothing
     * @param failure why it was refused, null when it was not
     */
    public record Unmapped(long bytes, @Nullable RuntimeException failure) {}

    /** The least size of the argument of a map, in bytes. */
    public static final int MAP_SIZE = 32;
    /** The least size of the argument of an unmap. */
    public static final int UNMAP_SIZE = 24;
    /** The least size of the argument of GET_INFO, which has the page sizes but no capabilities. */
    public static final int INFO_SIZE = 16;

    private static final int INFO_CAPABILITIES_AT = 24;
    private static final int CAPABILITY_HEADER = 8;
    private static final int RANGE_SIZE = 16;
    private static final int HAS_PAGE_SIZES = 1;
    private static final int HAS_CAPABILITIES = 2;

    /**
     * What can be mapped. Source: {@code VFIO_IOMMU_GET_INFO}.
     *
     * @param argsz bytes that the whole answer needs
     * @param flags which parts there are
     * @param pageSizes a bitmap
     * @param capabilityOffset where the capabilities begin, 0 where the caller has no room for them
     * @param ranges of IOVA, a capability
     * @param availableMappings always 2^32 - 1, a capability: the number of mappings has no limit of its own
     */
    public record Info(
            int argsz,
            int flags,
            long pageSizes,
            int capabilityOffset,
            List<IovaRange> ranges,
            long availableMappings) {
        /** Copies the list. */
        public Info {
            ranges = List.copyOf(ranges);
        }
    }

    private final Runnable checkOpen;
    private final IommufdContext context;
    private final IommufdUser user;

    CompatContainer(Runnable checkOpen, IommufdContext context, IommufdUser user) {
        this.checkOpen = checkOpen;
        this.context = context;
        this.user = user;
    }

    /**
     * A group enters: makes the IOAS when there is none, and keeps the iommufd alive.
     *
     * <p>Source: {@code iommufd_vfio_compat_ioas_create}.
     *
     * @throws IommuException EINVAL (a group without an IOMMU has entered, ever)
     */
    public void enter() {
        checkOpen.run();
        synchronized (context.table) {
            if (context.withoutIommu) {
                throw new IommuException(Errno.EINVAL, "the iommufd serves groups without an IOMMU");
            }
            if (context.compat == null) {
                context.compat = context.table.add(new Ioas());
            }
            context.hold();
        }
    }

    /**
     * A group without an IOMMU enters; no other kind can from then on. Before 6.3 it enters as any other.
     *
     * <p>Source: {@code iommufd_vfio_compat_set_no_iommu}.
     *
     * @throws IommuException EINVAL (there is an IOAS for VFIO's calls)
     */
    public void enterWithoutIommu() {
        checkOpen.run();
        if (!servesNoIommu()) {
            enter();
            return;
        }
        synchronized (context.table) {
            if (context.compat != null) {
                throw new IommuException(Errno.EINVAL, "the iommufd serves groups with an IOMMU");
            }
            context.withoutIommu = true;
            context.hold();
        }
    }

    /**
     * A device without an IOMMU is opened: its user must not expect translation.
     *
     * <p>Source: {@code vfio_df_group_open}.
     *
     * @throws IommuException EINVAL (before 6.3), EPERM (no CAP_SYS_RAWIO, or there is an IOAS for VFIO's calls)
     */
    public void openWithoutIommu() {
        if (!servesNoIommu()) {
            throw new IommuException(Errno.EINVAL, "a device without an IOMMU can't be bound");
        }
        synchronized (context.table) {
            if (!user.may(IommufdUser.Capability.SYS_RAWIO) || context.compat != null) {
                throw new IommuException(Errno.EPERM, "no CAP_SYS_RAWIO, or an IOAS for VFIO's calls");
            }
        }
    }

    private boolean servesNoIommu() {
        return context.options.noIommu() && context.rules.compatWithoutIommu();
    }

    /**
     * An emulated device is opened: makes its access and attaches it.
     *
     * <p>Source: {@code vfio_iommufd_emulated_bind}, {@code vfio_iommufd_emulated_attach_ioas}.
     *
     * @param driver is asked to unpin what is about to be unmapped
     * @throws IommuException ENODEV, and as {@link IommufdAccess#attach}; there is no access then
     */
    public IommufdAccess openEmulated(IommufdAccess.Owner driver) {
        IommufdAccess access = IommufdAccess.create(context, driver, true);
        boolean attached = false;
        try {
            access.attach(ioasId());
            attached = true;
            return access;
        } finally {
            if (!attached) {
                access.close();
            }
        }
    }

    /**
     * A group leaves; the IOAS stays, with its mappings.
     *
     * @throws IommuException ETIMEDOUT or EIO when it was the last user of a closed file, and an invalidation did not
     *     complete
     */
    public void leave() {
        context.release();
    }

    /**
     * Binds a device of a group that has entered.
     *
     * @throws IommuException as {@code Iommufd.bind}, also after the file was closed
     */
    public BoundDevice bind(IommuGroup group, IommuDevice device) {
        return BoundDevice.bind(context, group, device);
    }

    /**
     * Returns the number of the IOAS.
     *
     * @throws IommuException ENODEV
     */
    public int ioasId() {
        return ioas().id;
    }

    /**
     * Answers whether it has an extension, by its number.
     *
     * <p>VFIO_DMA_CC_IOMMU is 1 if and only if every HWPT of the IOAS blocks no-snoop, so also when there is none.
     *
     * @return 1 or 0
     * @throws IommuException ENODEV, of VFIO_DMA_CC_IOMMU alone
     */
    public int checkExtension(int extension) {
        checkOpen.run();
        return switch (extension) {
            case TYPE1, TYPE1V2, UNMAP_ALL_EXTENSION -> 1;
            case NOIOMMU -> servesNoIommu() ? 1 : 0;
            case DMA_CC -> {
                synchronized (context.table) {
                    yield context.hwpts.allEnforced(ioas()) ? 1 : 0;
                }
            }
            default -> 0;
        };
    }

    /** Returns where Linux decides what VFIO_DMA_CC_IOMMU is. */
    public DecisionSource coherencySource() {
        return DecisionSource.of("iommufd", "iommufd_vfio_cc_iommu", "upgradesAtAttach");
    }

    /**
     * Sets the type, as often as the user likes; type 1 allows mappings to be cut, and so has no large pages.
     *
     * @throws IommuException EPERM (for groups without an IOMMU: no CAP_SYS_RAWIO), EINVAL (another type, a type that
     *     the groups do not have, or the IOAS has mappings with large pages), ENODEV
     */
    public void setIommu(int type) {
        checkOpen.run();
        boolean withoutIommu;
        synchronized (context.table) {
            withoutIommu = context.withoutIommu;
        }
        if (withoutIommu && type == NOIOMMU) {
            if (!user.may(IommufdUser.Capability.SYS_RAWIO)) {
                throw new IommuException(Errno.EPERM, "the process lacks CAP_SYS_RAWIO");
            }
            return;
        }
        if (withoutIommu || (type != TYPE1 && type != TYPE1V2)) {
            throw new IommuException(Errno.EINVAL, "no IOMMU of type " + type);
        }
        Ioas ioas = ioas();
        if (type == TYPE1) {
            ioas.disableLargePages();
        }
    }

    /** Returns the version of VFIO's interface, 0. Source: {@code VFIO_GET_API_VERSION}. */
    public int apiVersion() {
        checkOpen.run();
        return 0;
    }

    /**
     * VFIO_IOMMU_DIRTY_PAGES, which iommufd does not know.
     *
     * @throws IommuException ENOTTY, always
     */
    @SuppressWarnings("DoNotCallSuggester") // a call that user space makes, and Linux refuses
    public void dirtyPages() {
        checkOpen.run();
        throw new IommuException(Errno.ENOTTY, "an iommufd does not record written pages for VFIO's calls");
    }

    /** Maps memory of the process, with an argument of the usual size. */
    public void map(long iova, long virtualAddress, long size, int flags) {
        map(MAP_SIZE, iova, virtualAddress, size, flags);
    }

    /**
     * Maps memory of the process.
     *
     * @param argsz bytes of the argument
     * @throws IommuException EINVAL (the argument is too small, an unknown flag), ENODEV, and as
     *     {@code Iommufd.ioasMap} from there on; EINVAL of the domain for neither READ nor WRITE
     */
    public void map(int argsz, long iova, long virtualAddress, long size, int flags) {
        checkOpen.run();
        checkSize(argsz, MAP_SIZE);
        if ((flags & ~(MAP_READ | MAP_WRITE)) != 0) {
            throw new IommuException(Errno.EINVAL, "flags 0x" + Integer.toHexString(flags));
        }
        int prot = ((flags & MAP_READ) != 0 ? Prot.READ : 0) | ((flags & MAP_WRITE) != 0 ? Prot.WRITE : 0);
        context.using(this::ioas, ioas -> {
            ioas.mapAt(iova, List.of(memoryOf(context, user, virtualAddress, size, prot)), prot);
            return ioas;
        });
    }

    /**
     * Makes memory of a process to map.
     *
     * @throws IommuException EOVERFLOW (it wraps around, or ends with the last byte of all addresses), EINVAL (no
     *     bytes, or too many; before 6.13 ahead of EOVERFLOW)
     */
    static Ioas.Piece memoryOf(IommufdContext context, IommufdUser user, long address, long length, int prot) {
        boolean wraps = length != 0 && Long.compareUnsigned(address + length, address) < 0;
        boolean fits = length != 0 && Long.compareUnsigned(length, AreaPages.LONGEST) <= 0;
        if (wraps && (fits || context.rules.wrapsAheadOfLength())) {
            throw new IommuException(Errno.EOVERFLOW, "the memory wraps around");
        }
        if (!fits) {
            throw new IommuException(Errno.EINVAL, "memory of 0x" + Long.toHexString(length) + " bytes");
        }
        UserPages pages = new UserPages(
                user.memory(), user, context.accounting.of(user), address, (prot & Prot.WRITE) != 0, false);
        return new Ioas.Piece(pages, address & (AreaPages.PAGE_SIZE - 1), length);
    }

    /** Unmaps a range, with an argument of the usual size. */
    public Unmapped unmap(long iova, long size, int flags) {
        return unmap(UNMAP_SIZE, iova, size, flags);
    }

    /**
     * Unmaps a range: whole mappings, and as type 1 parts of them.
     *
     * @param argsz bytes of the argument
     * @return the bytes; a refusal is a part of it, since Linux writes the bytes with some of them: EINVAL (the
     *     argument is too small; an unknown flag; with {@link #UNMAP_ALL} an address or a size), ENODEV, EINVAL (size
     *     0, a cut that is misaligned), EOVERFLOW (wraps around), EBUSY (another call maps or unmaps there), ENOENT (a
     *     mapping would be cut; up to 6.17 nothing is mapped in the range)
     */
    public Unmapped unmap(int argsz, long iova, long size, int flags) {
        Ioas.Unmapped result;
        try {
            checkOpen.run();
            checkSize(argsz, UNMAP_SIZE);
            if ((flags & ~UNMAP_ALL) != 0) {
                throw new IommuException(Errno.EINVAL, "flags 0x" + Integer.toHexString(flags));
            }
            result = context.using(this::ioas, ioas -> unmap(ioas, iova, size, flags));
        } catch (IommuException refusal) {
            return new Unmapped(-1, refusal);
        }
        return new Unmapped(result.bytes(), result.failure());
    }

    private Ioas.Unmapped unmap(Ioas ioas, long iova, long size, int flags) {
        if ((flags & UNMAP_ALL) != 0) {
            if (iova != 0 || size != 0) {
                throw new IommuException(Errno.EINVAL, "unmap all with an address or a size");
            }
            return ioas.unmapAll();
        }
        if (!ioas.largePages()) {
            ioas.cutAfter(iova + size - 1);
            if (iova != 0) {
                ioas.cutAfter(iova - 1);
            }
        }
        return unmapRange(ioas, iova, size);
    }

    private Ioas.Unmapped unmapRange(Ioas ioas, long iova, long size) {
        try {
            Ioas.Unmapped result = ioas.unmap(iova, size);
            if (result.bytes() == 0 && result.failure() == null && !context.rules.compatUnmapsNothing()) {
                throw new IommuException(Errno.ENOENT, "nothing is mapped from IOVA " + Hex.of(iova) + " on");
            }
            return result;
        } catch (IommuException refusal) {
            return new Ioas.Unmapped(0, refusal);
        }
    }

    /**
     * Returns what can be mapped.
     *
     * @param argsz bytes that the caller has for the answer
     * @throws IommuException EINVAL (too few bytes), ENODEV
     */
    public Info info(int argsz) {
        checkOpen.run();
        checkSize(argsz, INFO_SIZE);
        Ioas ioas = ioas();
        long sizes = -1L;
        for (IommuDomain domain : ioas.domains()) {
            sizes &= domain.pageSizes();
        }
        long whole = sizes & -AreaPages.PAGE_SIZE;
        List<IovaRange> ranges = ioas.ranges();
        // Two capabilities, each at a multiple of 8: how many mappings there may be, and the ranges.
        int needed = INFO_CAPABILITIES_AT
                + CAPABILITY_HEADER
                + Long.BYTES
                + CAPABILITY_HEADER
                + Long.BYTES
                + RANGE_SIZE * ranges.size();
        return new Info(
                needed,
                HAS_PAGE_SIZES | HAS_CAPABILITIES,
                sizes == whole ? sizes : whole | AreaPages.PAGE_SIZE,
                Integer.compareUnsigned(argsz, needed) < 0 ? 0 : INFO_CAPABILITIES_AT,
                ranges,
                0xffffffffL);
    }

    private static void checkSize(int argsz, int least) {
        if (Integer.compareUnsigned(argsz, least) < 0) {
            throw new IommuException(Errno.EINVAL, "an argument of " + argsz + " bytes, expected " + least);
        }
    }

    private Ioas ioas() {
        synchronized (context.table) {
            Ioas compat = context.compat;
            if (compat == null) {
                throw new IommuException(Errno.ENODEV, "no IOAS is set for VFIO's calls");
            }
            return compat;
        }
    }
}
