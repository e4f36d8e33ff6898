// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.HashSet;
import java.util.Set;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.jspecify.annotations.Nullable;

/**
 * A slice of a unit that a guest sees as its IOMMU.
 *
 * <p>No driver here makes nested domains, invalidates or reports events through it: AMD's has the object alone. Under
 * the object table's monitor. Source: {@code struct iommufd_viommu}, {@code viommu.c}.
 */
final class VirtualIommu extends IommufdObject {
    private final PagingHwpt parent;
    private final String unit;
    private final Set<Long> numbers = new HashSet<>();
    private final Set<Integer> eventTypes = new HashSet<>();

    private VirtualIommu(PagingHwpt parent, String unit) {
        this.parent = parent;
        this.unit = unit;
        parent.users++;
    }

    /**
     * Makes one.
     *
     * @throws IommuException EOPNOTSUPP (the device's driver makes none), ENOENT (no such HWPT), EINVAL (it is not made
     *     to be a parent)
     */
    static VirtualIommu allocate(IommufdContext context, BoundDevice device, int hwptId) {
        String unit = unitOf(device);
        if (unit == null) {
            throw new IommuException(Errno.EOPNOTSUPP, device + " gets no virtual IOMMU");
        }
        PagingHwpt parent = context.table.get(hwptId, PagingHwpt.class);
        if (!parent.isNestParent()) {
            throw new IommuException(Errno.EINVAL, parent + " is not made to be a parent");
        }
        return context.table.add(new VirtualIommu(parent, unit));
    }

    private static @Nullable String unitOf(BoundDevice device) {
        return device.hasIommu() ? device.device().virtualIommuUnit().orElse(null) : null;
    }

    @Override
    String kind() {
        return "virtual IOMMU";
    }

    /**
     * Refuses a device that is behind another unit.
     *
     * @throws IommuException EINVAL
     */
    void checkUnit(BoundDevice device) {
        if (!unit.equals(unitOf(device))) {
            throw new IommuException(Errno.EINVAL, device + " is not behind " + unit);
        }
    }

    /**
     * Gives a device a number in the guest.
     *
     * @throws IommuException EINVAL (it is behind another unit), EEXIST (it has one, or the number is another's)
     */
    VirtualDevice add(IommufdContext context, BoundDevice device, long number) {
        checkUnit(device);
        if (device.virtualDevice() != null || numbers.contains(number)) {
            throw new IommuException(Errno.EEXIST, "virtual device 0x" + Long.toHexString(number) + " of " + device);
        }
        VirtualDevice virtual = context.table.add(new VirtualDevice(() -> {
            device.setVirtualDevice(null);
            numbers.remove(number);
            users--;
        }));
        device.setVirtualDevice(virtual);
        numbers.add(number);
        users++;
        return virtual;
    }

    /**
     * Makes a queue of events.
     *
     * @param depth for how many events it has room, unsigned
     * @throws IommuException EEXIST (it has one of the type)
     */
    EventQueue addQueue(IommufdContext context, int type, int depth) {
        if (!eventTypes.add(type)) {
            throw new IommuException(Errno.EEXIST, this + " has a queue of type " + type);
        }
        users++;
        context.hold();
        return context.table.add(new EventQueue(context.table, context.rules, depth, context::release, () -> {
            eventTypes.remove(type);
            users--;
        }));
    }

    @Override
    void destroy() {
        parent.users--;
    }
}
