// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.bits.Hex;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;

/** The opened driver. Its monitor guards devices, domains and the device table; the unit's is taken inside. */
final class MinimalIommu implements Iommu {
    /** 2^7 frames have a word for each of 2^16 requester ids. */
    private static final int TABLE_ORDER = 7;

    final VendorContext context;
    final Unit unit;
    final boolean snoopControl;
    private final long deviceTable;
    private final List<MinimalDevice> devices = new ArrayList<>();
    private final Set<MinimalDomain> domains = new LinkedHashSet<>();
    private boolean closed;

    private MinimalIommu(VendorContext context, Unit unit, boolean snoopControl, long deviceTable) {
        this.context = context;
        this.unit = unit;
        this.snoopControl = snoopControl;
        this.deviceTable = deviceTable;
    }

    /** Opens; see {@link org.iommu4j.spi.IommuVendor#open}. */
    static MinimalIommu open(VendorContext context, long registerBase) {
        if (registerBase == 0 || (registerBase & (Unit.WINDOW_SIZE - 1)) != 0) {
            throw new IommuException(Errno.ENODEV, "open: there can't be registers at " + Hex.of(registerBase));
        }
        RegisterWindow window;
        try {
            window = context.registers().map(registerBase, Unit.WINDOW_SIZE);
        } catch (IommuException e) {
            Errno errno = e.errno() == Errno.EBUSY ? Errno.EBUSY : Errno.ENODEV;
            throw new IommuException(
                    errno, "open: nothing answers at " + Hex.of(registerBase) + ", or another driver", e);
        }
        try {
            return open(context, window);
        } catch (IommuException e) {
            window.release();
            throw e;
        }
    }

    private static MinimalIommu open(VendorContext context, RegisterWindow window) {
        long capability = window.read64(Unit.CAP);
        if (Unit.VERSION.get(capability) != 1) {
            throw new IommuException(Errno.ENODEV, "open: CAP is " + Hex.of(capability) + ", expected version 1");
        }
        long deviceTable = zeroed(context, TABLE_ORDER);
        Unit unit = new Unit(window, context.waiter());
        if (!unit.turnOn(deviceTable)) {
            if (unit.turnOff()) {
                context.frames().free(deviceTable, TABLE_ORDER);
            }
            throw new IommuException(Errno.ETIMEDOUT, "open: the unit does not answer");
        }
        return new MinimalIommu(context, unit, Unit.SC.isSet(capability), deviceTable);
    }

    /** Takes 2^order frames full of zeros, or throws ENOMEM. */
    static long zeroed(VendorContext context, int order) {
        long first = context.frames().allocate(order);
        for (long frame = first; frame != first + ((long) SystemMemory.FRAME_SIZE << order); ) {
            context.memory().storeRun(frame, 0, 0, SystemMemory.FRAME_WORDS);
            frame += SystemMemory.FRAME_SIZE;
        }
        return first;
    }

    @Override
    public String vendor() {
        return MinimalVendor.NAME;
    }

    @Override
    public LinuxRelease release() {
        return context.release();
    }

    @Override
    public List<String> units() {
        return List.of(MinimalVendor.UNIT);
    }

    // --- devices and domains ---

    @Override
    public synchronized Optional<IommuDevice> probe(PciFunction function, int... dmaAliases) {
        Objects.requireNonNull(dmaAliases, "dmaAliases");
        checkOpen();
        for (MinimalDevice device : devices) {
            if (device.id().equals(function.address())) {
                return Optional.of(device);
            }
        }
        if (function.address().segment() != 0) {
            return Optional.empty();
        }
        IntStream own = IntStream.of(function.address().requesterId());
        int[] ids = IntStream.concat(own, IntStream.of(dmaAliases)).distinct().toArray();
        MinimalDevice device = new MinimalDevice(this, function.address(), ids);
        devices.add(device);
        return Optional.of(device);
    }

    @Override
    public boolean capable(IommuDevice device, IommuCapability capability) {
        Objects.requireNonNull(capability, "capability");
        own(device);
        return capability == IommuCapability.CACHE_COHERENCY
                || (capability == IommuCapability.ENFORCE_CACHE_COHERENCY && snoopControl);
    }

    @Override
    public IommuDomain allocate(DomainType type, IommuDevice device) {
        return allocate(type, device, Set.of());
    }

    @Override
    public synchronized IommuDomain allocate(DomainType type, IommuDevice device, Set<DomainFlag> flags) {
        Objects.requireNonNull(type, "type");
        Objects.requireNonNull(flags, "flags");
        checkOpen();
        own(device);
        if (type == DomainType.NESTED || !flags.isEmpty()) {
            throw new IommuException(Errno.EOPNOTSUPP, "allocate: no domain of type " + type + " with " + flags);
        }
        MinimalDomain domain = type.isPaging() ? PagingDomain.allocate(this, type) : new StaticDomain(this, type);
        domains.add(domain);
        return domain;
    }

    private MinimalDevice own(IommuDevice device) {
        if (device instanceof MinimalDevice own && own.iommu() == this) {
            return own;
        }
        throw new IommuException(Errno.ENODEV, device.id() + " belongs to another driver");
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "the driver is closed");
        }
    }

    // --- moving a device ---

    synchronized void attach(IommuDevice given, MinimalDomain domain) {
        MinimalDevice device = own(given);
        domain.checkOpen();
        MinimalDomain old = device.domain;
        boolean wasBroken = unit.isBroken();
        if (old != domain && (wasBroken || !move(device, domain))) {
            if (!wasBroken) {
                move(device, old); // the unit may go on with either
                domain.leftBehind = true;
            }
            throw Unit.refusal(wasBroken, "attach " + device.id());
        }
    }

    synchronized void detach(IommuDevice given, MinimalDomain domain) {
        MinimalDevice device = own(given);
        domain.checkOpen();
        if (device.domain != domain) {
            throw new IommuException(Errno.EINVAL, "detach: " + device.id() + " is not attached to this domain");
        }
        boolean wasBroken = unit.isBroken();
        if (!move(device, null)) {
            domain.leftBehind = true;
            throw Unit.refusal(wasBroken, "detach " + device.id());
        }
    }

    /** Stores a device's entries, and has the unit forget the old ones and their domain's pages; returns if it did. */
    private boolean move(MinimalDevice device, @Nullable MinimalDomain to) {
        MinimalDomain from = device.domain;
        device.domain = to;
        boolean forgotten = true;
        for (int id : device.ids) {
            context.memory().store(deviceTable + (long) id * Long.BYTES, entry(device, id));
            forgotten &= unit.forgetDevice(id);
        }
        return (from == null || from.top() == 0 || unit.forgetPages(from.top(), 0, PagingDomain.LAST)) && forgotten;
    }

    /** Returns the entry of an id that a device has; if that blocks, the one of another device with that id. */
    private long entry(MinimalDevice device, int id) {
        long entry = device.domain == null ? 0 : device.domain.deviceTableEntry();
        for (int i = 0; entry == 0 && i < devices.size(); i++) {
            MinimalDevice other = devices.get(i);
            for (int otherId : other.ids) {
                entry = otherId == id && other.domain != null ? other.domain.deviceTableEntry() : entry;
            }
        }
        return entry;
    }

    // --- faults, quarantine, closing ---

    @Override
    public List<DmaFault> takeFaults() {
        return unit.takeFaults();
    }

    @Override
    public long faultOverflows() {
        return unit.faultOverflows();
    }

    @Override
    public long quarantinedFrames() {
        return unit.quarantined();
    }

    synchronized void close(MinimalDomain domain) {
        if (domains.contains(domain)) {
            checkEmpty(domain);
            domains.remove(domain);
            domain.closed = true;
            domain.free(!domain.leftBehind);
        }
    }

    private void checkEmpty(MinimalDomain domain) {
        for (MinimalDevice device : devices) {
            if (device.domain == domain) {
                throw new IommuException(Errno.EBUSY, "close: " + device.id() + " is attached");
            }
        }
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        domains.forEach(this::checkEmpty);
        closed = true;
        boolean off = unit.turnOff();
        List.copyOf(domains).forEach(this::close);
        if (off) {
            context.frames().free(deviceTable, TABLE_ORDER);
        } else {
            unit.quarantine(1L << TABLE_ORDER);
        }
    }
}
