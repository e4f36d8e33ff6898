// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.EnumSet;
import java.util.Set;
import java.util.function.Consumer;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.vfio.support.Failures;
import org.jspecify.annotations.Nullable;

/**
 * Makes HWPTs on an IOAS, and nested ones.
 *
 * <p>Under the object table's monitor. Source: {@code hw_pagetable.c}.
 */
final class HwptAllocator {
    private HwptAllocator() {}

    /** How a new HWPT is used before it is filled: by the device that it is made for. */
    record Attachment(Consumer<PagingHwpt> attach, Consumer<PagingHwpt> detach) {}

    /**
     * Makes a HWPT for a device and maps the areas of the IOAS in its domain.
     *
     * <p>A device that can be enforced has the domain block no-snoop, before anything is mapped. Source: {@code
     * iommufd_hwpt_paging_alloc}.
     *
     * @param flags {@code IOMMU_HWPT_ALLOC_*}
     * @param attachment attaches the device before the areas are mapped, null to leave it
     * @throws IommuException EOPNOTSUPP, EINVAL, EADDRINUSE and as {@link Iommu#allocate} and {@link Ioas#addDomain};
     *     nothing is left
     */
    static PagingHwpt allocate(
            IommufdContext context,
            Ioas ioas,
            IommuDevice device,
            int flags,
            boolean automatic,
            @Nullable Attachment attachment) {
        checkFlags(context.rules, device, flags);
        IommuDomain domain = allocateDomain(context.rules, device, domainFlags(flags));
        PagingHwpt hwpt = context.table.add(new PagingHwpt(
                ioas, domain, automatic, (flags & HwptAlloc.NEST_PARENT) != 0, (flags & HwptAlloc.PASID) != 0));
        Attachment made = null;
        try {
            if (device.iommu().capable(device, IommuCapability.ENFORCE_CACHE_COHERENCY) && !hwpt.enforce()) {
                // The driver said that it could, and this domain is empty: a bug of the driver.
                throw new IommuException(Errno.EINVAL, "the new domain of " + device.id() + " does not block no-snoop");
            }
            if (attachment != null) {
                attachment.attach().accept(hwpt);
                made = attachment;
            }
            hwpt.fill();
        } catch (RuntimeException failure) {
            if (made != null) {
                Consumer<PagingHwpt> detach = made.detach();
                Failures.run(failure, () -> detach.accept(hwpt));
            }
            context.table.remove(hwpt);
            Failures.run(failure, hwpt::destroy);
            throw failure;
        }
        context.hwpts.add(hwpt);
        return hwpt;
    }

    private static void checkFlags(IommufdRules rules, IommuDevice device, int flags) {
        boolean refused = (flags & ~rules.pagingFlags().mask()) != 0
                || ((flags & HwptAlloc.DIRTY_TRACKING) != 0
                        && !device.iommu().capable(device, IommuCapability.DIRTY_TRACKING))
                || (flags & (HwptAlloc.FAULT_ID_VALID | HwptAlloc.NEST_PARENT))
                        == (HwptAlloc.FAULT_ID_VALID | HwptAlloc.NEST_PARENT);
        if (refused) {
            throw new IommuException(
                    Errno.EOPNOTSUPP, "HWPT of " + device.id() + " with flags 0x" + Integer.toHexString(flags));
        }
    }

    private static Set<DomainFlag> domainFlags(int flags) {
        Set<DomainFlag> set = EnumSet.noneOf(DomainFlag.class);
        if ((flags & HwptAlloc.NEST_PARENT) != 0) {
            set.add(DomainFlag.NEST_PARENT);
        }
        if ((flags & HwptAlloc.DIRTY_TRACKING) != 0) {
            set.add(DomainFlag.DIRTY_TRACKING);
        }
        if ((flags & HwptAlloc.PASID) != 0) {
            set.add(DomainFlag.PASID);
        }
        return set;
    }

    private static IommuDomain allocateDomain(IommufdRules rules, IommuDevice device, Set<DomainFlag> flags) {
        Iommu iommu = device.iommu();
        return rules.driverAllocatesForUsers()
                ? iommu.allocateForUser(device, flags)
                : iommu.allocate(DomainType.UNMANAGED, device, flags);
    }

    /**
     * Makes a nested HWPT on a parent.
     *
     * @param data the guest's table, null for none
     * @throws IommuException EOPNOTSUPP (flags, no data, a driver that does not nest), EINVAL (the parent is automatic,
     *     not made to be one, or another driver's), and as {@link org.iommu4j.capability.Nesting#allocateNested}
     */
    static NestedHwpt allocateNested(
            IommufdContext context, PagingHwpt parent, IommuDevice device, int flags, @Nullable GuestTable data) {
        int allowed = (context.rules.faultQueues() ? HwptAlloc.FAULT_ID_VALID : 0)
                | (context.rules.pagingFlags().mask() & HwptAlloc.PASID);
        boolean hasOp = context.rules.nestsByOwnOp() ? device.iommu().nests() : context.rules.driverAllocatesForUsers();
        if ((flags & ~allowed) != 0 || data == null || !hasOp) {
            throw new IommuException(Errno.EOPNOTSUPP, "nested HWPT of " + device.id() + " on " + parent);
        }
        if (parent.isAutomatic() || !parent.isNestParent() || parent.domain().iommu() != device.iommu()) {
            throw new IommuException(Errno.EINVAL, parent + " can't be the parent of " + device.id() + "'s tables");
        }
        IommuDomain domain = parent.domain()
                .nesting()
                .orElseThrow(() -> new IommuException(Errno.EOPNOTSUPP, parent + " can't be a parent"))
                .allocateNested(device, data);
        return context.table.add(new NestedHwpt(parent, domain, (flags & HwptAlloc.PASID) != 0));
    }
}
