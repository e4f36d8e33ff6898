// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.Errno;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PriCapability;
import org.iommu4j.vfio.support.Failures;
import org.jspecify.annotations.Nullable;

/**
 * A device that is bound to an iommufd: nobody else owns its DMA, and it can be attached.
 *
 * <p>Its driver, such as VFIO, makes it and unbinds it; {@code IOMMU_DESTROY} can't. Thread-safe. Source: {@code
 * drivers/iommu/iommufd/device.c}, {@code struct iommufd_device}.
 */
public final class BoundDevice extends IommufdObject {
    private final IommufdContext context;
    private final DeviceGroup group;
    private final IommuDevice device;
    private final Optional<PciFunction> physicalFunction;
    private final Runnable faultSource = this::collectFaults;
    private @Nullable VirtualDevice virtualDevice;
    private boolean bound = true;

    private BoundDevice(
            IommufdContext context, DeviceGroup group, IommuDevice device, Optional<PciFunction> physicalFunction) {
        this.context = context;
        this.group = group;
        this.device = device;
        this.physicalFunction = physicalFunction;
        // The driver's own use.
        users = 1;
    }

    /**
     * Binds a device.
     *
     * <p>Source: {@code iommufd_device_bind}.
     *
     * @throws IommuException as {@code Iommufd.bind}
     */
    static BoundDevice bind(IommufdContext context, IommuGroup group, IommuDevice device) {
        Objects.requireNonNull(group, "group");
        Objects.requireNonNull(device, "device");
        if (!device.iommu().capable(device, IommuCapability.CACHE_COHERENCY)) {
            throw new IommuException(Errno.EINVAL, "DMA of " + device.id() + " is not coherent");
        }
        if (!context.options.allowUnsafeInterrupts() && !group.isolatedMsi()) {
            throw new IommuException(Errno.EPERM, group + " can forge interrupts");
        }
        synchronized (context.table) {
            group.deviceClaimDmaOwner(device, context);
            context.hold();
            return context.table.add(
                    new BoundDevice(context, context.group(group), device, group.physicalFunction(device)));
        }
    }

    /**
     * Binds a device without an IOMMU, of which nothing is asked.
     *
     * @throws IommuException EINVAL (the release binds none)
     */
    static BoundDevice bindWithoutIommu(IommufdContext context, DeviceId id) {
        Objects.requireNonNull(id, "id");
        if (!context.rules.devicesWithoutIommu() || !context.options.noIommu()) {
            throw new IommuException(Errno.EINVAL, id + " has no IOMMU");
        }
        synchronized (context.table) {
            NoIommu.Device device = new NoIommu.Device(id, context.noIommu);
            context.hold();
            return context.table.add(new BoundDevice(context, new DeviceGroup(device), device, Optional.empty()));
        }
    }

    /** Returns whether it has an IOMMU. */
    boolean hasIommu() {
        return !(device instanceof NoIommu.Device);
    }

    /** Returns what a guest knows it as, null for nothing; under the object table's monitor. */
    @Nullable
    VirtualDevice virtualDevice() {
        return virtualDevice;
    }

    void setVirtualDevice(@Nullable VirtualDevice virtual) {
        virtualDevice = virtual;
    }

    /** Returns its number in the object table. */
    public int id() {
        return id;
    }

    /** Returns the device. */
    public IommuDevice device() {
        return device;
    }

    @Override
    String kind() {
        return "device";
    }

    /** Returns the HWPT that its ordinary requests use, 0 for none. */
    public int hwptId() {
        synchronized (context.table) {
            Hwpt hwpt = group.hwptOf(device, DeviceGroup.NO_PASID);
            return hwpt == null ? 0 : hwpt.id;
        }
    }

    /**
     * Attaches its ordinary requests, or moves them.
     *
     * @param pageTableId a HWPT, or an IOAS: then the first automatic HWPT that fits is used, or a new one is made
     * @return the HWPT
     * @throws IommuException ENOENT (no such object), EINVAL (an object of another kind, the group is elsewhere, a
     *     virtual function and a HWPT with a fault queue, or the device does not fit), EADDRINUSE (the IOAS has
     *     mappings that the device or its domain can't have), EBUSY, and as {@link IommuGroup#attach}, {@link
     *     Ioas#addDomain} and {@link org.iommu4j.Iommu#allocate}. The device is where it was; but a release may leave
     *     it blocked ({@link IommuGroup#replace})
     */
    public int attach(int pageTableId) {
        return attach(DeviceGroup.NO_PASID, pageTableId, true);
    }

    /**
     * Attaches one of its PASIDs, or moves it. PASID 0 is the ordinary requests, which are attached but not moved.
     *
     * @param pasid from 0
     * @return the HWPT
     * @throws IommuException EINVAL (negative; also: the HWPT, or that of the ordinary requests, was not made for
     *     PASIDs), EOPNOTSUPP (its domain takes no PASIDs), EBUSY (PASID 0 is attached), and as {@link #attach(int)}
     */
    public int attachPasid(int pasid, int pageTableId) {
        if (pasid < DeviceGroup.NO_PASID) {
            throw new IommuException(Errno.EINVAL, "PASID " + pasid + ", expected at least 0");
        }
        return attach(pasid, pageTableId, pasid != DeviceGroup.NO_PASID);
    }

    private int attach(int pasid, int pageTableId, boolean moves) {
        synchronized (context.table) {
            checkBound();
            IommufdObject target = context.table.get(pageTableId);
            if (!moves && (target instanceof Hwpt || target instanceof Ioas) && group.hwptOf(device, pasid) != null) {
                throw new IommuException(Errno.EBUSY, device.id() + " is attached already");
            }
            if (target instanceof Hwpt hwpt) {
                moveTo(pasid, hwpt);
                return hwpt.id;
            }
            if (target instanceof Ioas ioas) {
                return moveToAutomatic(pasid, ioas).id;
            }
            throw new IommuException(Errno.EINVAL, "a device can't be attached to " + target);
        }
    }

    /** Finds a HWPT that takes the device, oldest first, or makes one: {@code iommufd_device_auto_get_domain}. */
    private Hwpt moveToAutomatic(int pasid, Ioas ioas) {
        for (PagingHwpt hwpt : context.hwpts.of(ioas)) {
            if (!hwpt.isAutomatic()) {
                continue;
            }
            try {
                moveTo(pasid, hwpt);
                return hwpt;
            } catch (IommuException refusal) {
                if (refusal.errno() != Errno.EINVAL) {
                    throw refusal;
                }
                // It does not fit the device; the next one may.
            }
        }
        if (group.hwptOf(device, pasid) == null) {
            return HwptAllocator.allocate(
                    context,
                    ioas,
                    device,
                    0,
                    true,
                    new HwptAllocator.Attachment(hwpt -> moveTo(pasid, hwpt), hwpt -> leave(pasid)));
        }
        PagingHwpt made = HwptAllocator.allocate(context, ioas, device, 0, true, null);
        try {
            moveTo(pasid, made);
        } catch (RuntimeException failure) {
            Failures.run(failure, () -> context.table.destroy(made.id));
            throw failure;
        }
        return made;
    }

    private void moveTo(int pasid, Hwpt hwpt) {
        Hwpt old = group.hwptOf(device, pasid);
        if (old == hwpt) {
            return;
        }
        if (old == null && group.hwpt(pasid) != null && group.hwpt(pasid) != hwpt) {
            throw new IommuException(Errno.EINVAL, group.group() + " is attached to " + group.hwpt(pasid));
        }
        checkEnforcement(hwpt);
        DeviceGroup.Faults faults = new DeviceGroup.Faults(() -> startFaults(hwpt), () -> stopFaults(hwpt));
        if (old == null) {
            group.attach(device, pasid, hwpt, faults);
        } else {
            group.replace(pasid, hwpt, faults);
            endFaults(pasid, old, context.rules.answersWhatWaits() || hwpt.fault() == old.fault());
            RuntimeException failure = collect(old, null);
            if (failure != null) {
                throw failure;
            }
        }
    }

    /**
     * Until 6.6, a device that can be enforced makes a HWPT block no-snoop, or does not join it. Since, it joins what
     * lets no-snoop pass.
     */
    private void checkEnforcement(Hwpt hwpt) {
        if (!device.iommu().capable(device, IommuCapability.ENFORCE_CACHE_COHERENCY)) {
            return;
        }
        boolean refused = context.rules.upgradesAtAttach()
                ? !hwpt.enforce()
                : context.rules.keepsEnforceableApart() && !hwpt.isEnforced();
        if (refused) {
            throw new IommuException(Errno.EINVAL, hwpt + " does not block no-snoop, " + device.id() + " can");
        }
    }

    /**
     * Detaches its ordinary requests, which are blocked from then on; does nothing when they are not attached.
     *
     * @throws IommuException ETIMEDOUT or EIO when an invalidation did not complete: it is detached nevertheless
     */
    public void detach() {
        detachOf(DeviceGroup.NO_PASID);
    }

    /** Detaches a PASID like {@link #detach()}. */
    public void detachPasid(int pasid) {
        detachOf(pasid);
    }

    private void detachOf(int pasid) {
        synchronized (context.table) {
            if (group.hwptOf(device, pasid) != null) {
                leave(pasid);
            }
        }
    }

    private void leave(int pasid) {
        DeviceGroup.Left left = group.detach(device, pasid);
        RuntimeException failure = left.failure();
        failure = Failures.run(failure, () -> endFaults(pasid, left.hwpt(), true));
        failure = collect(left.hwpt(), failure);
        if (failure != null) {
            throw failure;
        }
    }

    /** Destroys an automatic HWPT without devices, unless its maker is about to. */
    private @Nullable RuntimeException collect(Hwpt hwpt, @Nullable RuntimeException earlier) {
        if (hwpt instanceof PagingHwpt paging
                && paging.isAutomatic()
                && paging.users == 0
                && context.hwpts.of(paging.ioas()).contains(paging)) {
            return Failures.run(earlier, () -> context.table.destroy(paging.id));
        }
        return earlier;
    }

    /**
     * Detaches and unbinds the device; its group returns to the kernel with its last device.
     *
     * @throws IommuException ETIMEDOUT or EIO when an invalidation did not complete, and as {@link
     *     IommuGroup#deviceReleaseDmaOwner}: it is unbound nevertheless
     */
    public void unbind() {
        RuntimeException failure = null;
        synchronized (context.table) {
            if (!bound) {
                return;
            }
            bound = false;
            for (int pasid : group.pasidsOf(device)) {
                failure = Failures.run(failure, () -> leave(pasid));
            }
            VirtualDevice virtual = virtualDevice;
            if (virtual != null) {
                context.table.removeForGood(virtual);
                virtual.destroy();
            }
            context.table.remove(this);
            failure = Failures.run(failure, () -> group.group().release(device));
            failure = Failures.run(failure, context::release);
        }
        if (failure != null) {
            throw failure;
        }
    }

    @Override
    void destroy() {
        throw new IllegalStateException("a bound device is unbound by its driver");
    }

    private void checkBound() {
        if (!bound) {
            throw new IommuException(Errno.EINVAL, device.id() + " is not bound");
        }
    }

    // ---- page requests ---------------------------------------------------------------------------------------------

    /**
     * Has the device ask for pages, if the HWPT has a queue. Virtual functions share what answers them, and so a
     * refused page of one would stop the others. Source: {@code iommufd_fault_iopf_enable}, {@code
     * iommufd_hwpt_compatible_device}.
     */
    private void startFaults(Hwpt hwpt) {
        FaultQueue queue = hwpt.fault();
        if (queue == null) {
            return;
        }
        if (physicalFunction.isPresent()
                && (context.rules.refusesAllVirtualFunctions()
                        || PriCapability.of(physicalFunction.get().config()).isPresent())) {
            throw new IommuException(Errno.EINVAL, device.id() + " is a virtual function, which gets no fault queue");
        }
        PageRequests requests = device.pageRequests()
                .orElseThrow(() -> new IommuException(Errno.ENODEV, device.id() + " asks for no pages"));
        requests.enable();
        queue.addSource(faultSource);
    }

    /** What waits of a PASID that has left a HWPT is answered, or left there. */
    private void endFaults(int pasid, Hwpt left, boolean answered) {
        FaultQueue queue = left.fault();
        if (queue == null) {
            return;
        }
        PageRequests requests = device.pageRequests().orElseThrow();
        RuntimeException failure = null;
        if (answered) {
            failure = Failures.run(null, () -> queue.refuse(requests, pasid));
        } else {
            queue.leave(requests, pasid);
        }
        failure = Failures.run(failure, () -> stopFaults(left));
        if (failure != null) {
            throw failure;
        }
    }

    /** A device that delivers to no queue any more stops asking. */
    private void stopFaults(Hwpt hwpt) {
        FaultQueue queue = hwpt.fault();
        if (queue == null) {
            return;
        }
        PageRequests requests = device.pageRequests().orElseThrow();
        queue.removeSource(faultSource);
        for (int pasid : group.pasidsOf(device)) {
            Hwpt other = group.hwptOf(device, pasid);
            if (other != null && other.fault() != null) {
                return;
            }
        }
        requests.disable();
    }

    /** Brings the device's requests to the queues of the HWPTs that they are for. */
    private void collectFaults() {
        PageRequests requests = device.pageRequests().orElseThrow();
        synchronized (context.table) {
            List<PageRequestGroup> groups = requests.take();
            for (PageRequestGroup request : groups) {
                Hwpt hwpt = group.hwptOf(device, request.pasid());
                FaultQueue queue = hwpt == null ? null : hwpt.fault();
                if (queue == null) {
                    requests.respond(request, PageResponse.INVALID);
                } else {
                    queue.deliver(id, requests, request);
                }
            }
        }
    }
}
