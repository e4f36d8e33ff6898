// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.bits.Hex;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;

/** The opened driver. Its monitor guards devices, domains and the device table; the unit's is taken inside. */
final class MinimalIommu implements Iommu {
    /** Writes to these addresses are interrupt requests of x86 before any translation. */
    static final List<ReservedRegion> RESERVED_REGIONS =
            List.of(new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI));

    private static final int TABLE_ORDER = 7; // 2^7 frames have a word for each of 2^16 requester ids

    final VendorContext context;
    final Unit unit;
    final boolean snoopControl;
    private final long deviceTable;
    private final Map<PciAddress, Device> devices = new HashMap<>();
    private final Set<MinimalDomain> domains = new LinkedHashSet<>();
    private final Map<Device, MinimalDomain> attached = new LinkedHashMap<>(); // in the order of moves
    private final AtomicLong quarantined = new AtomicLong();
    private boolean closed;

    private record Device(MinimalIommu iommu, PciAddress id, List<Integer> requesterIds) implements IommuDevice {
        @Override
        public List<ReservedRegion> reservedRegions() {
            return RESERVED_REGIONS;
        }

        @Override
        public boolean isolatedMsi() {
            return true;
        }
    }

    private MinimalIommu(VendorContext context, RegisterWindow window) {
        long capability = window.read64(Unit.CAP);
        if (Unit.VERSION.get(capability) != 1) {
            throw new IommuException(Errno.ENODEV, "open: CAP is " + Hex.of(capability) + ", expected version 1");
        }
        this.context = context;
        snoopControl = Unit.SC.isSet(capability);
        deviceTable = zeroed(context, TABLE_ORDER);
        unit = new Unit(window, context.waiter());
        if (!unit.turnOn(deviceTable)) {
            turnOff();
            throw new IommuException(Errno.ETIMEDOUT, "open: the unit does not answer");
        }
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
            throw new IommuException(errno, "open: another driver has the registers, or nothing answers", e);
        }
        try {
            return new MinimalIommu(context, window);
        } catch (IommuException e) {
            window.release();
            throw e;
        }
    }

    /** Takes 2^order frames full of zeros, or throws ENOMEM. */
    static long zeroed(VendorContext context, int order) {
        long first = context.frames().allocate(order);
        for (int i = 0; i < 1 << order; i++) {
            context.memory().storeRun(first + (long) i * SystemMemory.FRAME_SIZE, 0, 0, SystemMemory.FRAME_WORDS);
        }
        return first;
    }

    /** Gives frames back, or keeps them for good because the unit may still use them. */
    void free(long frames, int order, boolean forgotten) {
        if (forgotten) {
            context.frames().free(frames, order);
        } else {
            quarantined.addAndGet(1L << order);
        }
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

    @Override
    public synchronized Optional<IommuDevice> probe(PciFunction function, int... dmaAliases) {
        checkOpen();
        PciAddress address = function.address();
        if (address.segment() != 0) {
            return Optional.empty();
        }
        IntStream ids = IntStream.concat(IntStream.of(address.requesterId()), IntStream.of(dmaAliases));
        List<Integer> distinct = ids.distinct().boxed().toList();
        return Optional.of(devices.computeIfAbsent(address, id -> new Device(this, id, distinct)));
    }

    @Override
    public boolean capable(IommuDevice device, IommuCapability capability) {
        Objects.requireNonNull(capability, "capability");
        own(device);
        return capability == IommuCapability.CACHE_COHERENCY
                || (capability == IommuCapability.ENFORCE_CACHE_COHERENCY && snoopControl);
    }

    @Override
    public synchronized IommuDomain allocate(DomainType type, IommuDevice device) {
        Objects.requireNonNull(type, "type");
        checkOpen();
        own(device);
        if (type == DomainType.NESTED) {
            throw new IommuException(Errno.EOPNOTSUPP, "allocate: no domain of type " + type);
        }
        MinimalDomain domain = new MinimalDomain(this, type);
        domains.add(domain);
        return domain;
    }

    private Device own(IommuDevice device) {
        if (device instanceof Device own && own.iommu() == this) {
            return own;
        }
        throw new IommuException(Errno.ENODEV, device.id() + " belongs to another driver");
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "the driver is closed");
        }
    }

    synchronized void attach(IommuDevice given, MinimalDomain domain) {
        Device device = own(given);
        domain.checkOpen();
        MinimalDomain old = attached.get(device);
        Errno errno = old == domain ? null : move(device, domain);
        if (errno != null) {
            move(device, old); // the unit may go on with either
            throw new IommuException(errno, "attach " + device.id() + ": the unit did not flush");
        }
    }

    synchronized void detach(IommuDevice given, MinimalDomain domain) {
        Device device = own(given);
        domain.checkOpen();
        if (attached.get(device) != domain) {
            throw new IommuException(Errno.EINVAL, "detach: " + device.id() + " is not attached to this domain");
        }
        Errno errno = move(device, null);
        if (errno != null) {
            throw new IommuException(errno, "detach " + device.id() + ": the unit did not flush");
        }
    }

    /** Stores a device's words and has the unit forget the old ones; returns null, or why the unit did not. */
    private @Nullable Errno move(Device device, @Nullable MinimalDomain to) {
        MinimalDomain from = attached.remove(device);
        if (to != null) {
            attached.put(device, to);
        }
        for (int id : device.requesterIds()) {
            long word = 0;
            for (Map.Entry<Device, MinimalDomain> each : attached.entrySet()) {
                if (each.getKey().requesterIds().contains(id)) { // devices may share it
                    word = each.getValue().deviceTableWord();
                }
            }
            context.memory().store(deviceTable + (long) id * Long.BYTES, word);
        }
        Errno errno = unit.flush();
        if (errno != null && from != null) {
            from.leftBehind = true;
        }
        return errno;
    }

    @Override
    public long quarantinedFrames() {
        return quarantined.get();
    }

    synchronized void close(MinimalDomain domain) {
        if (attached.containsValue(domain)) {
            throw new IommuException(Errno.EBUSY, "close: a device is attached");
        }
        if (domains.remove(domain)) {
            domain.closed = true;
            domain.free();
        }
    }

    @Override
    public synchronized void close() {
        if (!attached.isEmpty()) {
            throw new IommuException(Errno.EBUSY, "close: devices are attached");
        }
        if (!closed) {
            closed = true;
            turnOff();
            List.copyOf(domains).forEach(this::close);
        }
    }

    private void turnOff() {
        free(deviceTable, TABLE_ORDER, unit.turnOff());
    }
}
