// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.minimal;

import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.spi.VendorContext;

/** Step two of a vendor: the opened hardware, which knows its devices and answers for them. */
final class MinimalIommu implements Iommu {
    private final VendorContext context;
    private final RegisterWindow registers;
    private final boolean coherent;
    private final Map<PciAddress, Device> devices = new HashMap<>();
    private final Set<MinimalDomain> domains = new LinkedHashSet<>();
    private boolean closed;

    MinimalIommu(VendorContext context, long registerBase, boolean coherent) {
        this.context = context;
        this.coherent = coherent;
        // At power-on every requester's table register is 0: all are blocked.
        this.registers = map(context, registerBase);
    }

    private static RegisterWindow map(VendorContext context, long base) {
        try {
            return context.registers().map(base, MinimalSilicon.REGISTER_BYTES);
        } catch (IommuException e) {
            throw new IommuException(
                    e.errno() == Errno.EBUSY ? Errno.EBUSY : Errno.ENODEV,
                    MinimalVendor.UNIT + ": no registers at 0x" + Long.toHexString(base)
                            + ", or another driver has them",
                    e);
        }
    }

    /** A device is where it is, and which domain it is in. */
    static final class Device implements IommuDevice {
        private final PciAddress address;
        private final MinimalIommu iommu;
        MinimalDomain domain;

        private Device(PciAddress address, MinimalIommu iommu) {
            this.address = address;
            this.iommu = iommu;
        }

        @Override
        public PciAddress id() {
            return address;
        }

        @Override
        public Iommu iommu() {
            return iommu;
        }

        @Override
        public List<ReservedRegion> reservedRegions() {
            return List.of();
        }

        @Override
        public boolean isolatedMsi() {
            return true;
        }
    }

    @Override
    public String vendor() {
        return "minimal";
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
        Objects.requireNonNull(function, "function");
        Objects.requireNonNull(dmaAliases, "dmaAliases");
        checkOpen();
        return Optional.of(devices.computeIfAbsent(function.address(), address -> new Device(address, this)));
    }

    /** Ordinary DMA is coherent if firmware says so; no-snoop can't be blocked, and nobody is told otherwise. */
    @Override
    public boolean capable(IommuDevice device, IommuCapability capability) {
        Objects.requireNonNull(device, "device");
        Objects.requireNonNull(capability, "capability");
        return capability == IommuCapability.CACHE_COHERENCY && coherent;
    }

    @Override
    public synchronized IommuDomain allocate(DomainType type, IommuDevice device) {
        Objects.requireNonNull(type, "type");
        Objects.requireNonNull(device, "device");
        checkOpen();
        own(device);
        if (type == DomainType.IDENTITY || type == DomainType.NESTED) {
            throw new IommuException(Errno.EOPNOTSUPP, "this unit translates always, and once");
        }
        MinimalDomain domain = new MinimalDomain(this, type, context.memory(), context.frames());
        domains.add(domain);
        return domain;
    }

    /** None of the flags is known, which is the inherited answer; that of a closed driver comes first. */
    @Override
    public synchronized IommuDomain allocate(DomainType type, IommuDevice device, Set<DomainFlag> flags) {
        Objects.requireNonNull(type, "type");
        Objects.requireNonNull(device, "device");
        Objects.requireNonNull(flags, "flags");
        checkOpen();
        return Iommu.super.allocate(type, device, flags);
    }

    /** Forgets a domain that was closed. */
    synchronized void forget(MinimalDomain domain) {
        domains.remove(domain);
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, MinimalVendor.UNIT + ": the driver is closed");
        }
    }

    /** Points a requester at a table, 0 for none. */
    void setTable(Device device, long table) {
        registers.write64(device.id().requesterId() * Long.BYTES, table);
    }

    Device own(IommuDevice device) {
        if (device instanceof Device own && own.iommu == this) {
            return own;
        }
        throw new IommuException(Errno.ENODEV, device.id() + " belongs to another driver");
    }

    /** Nothing is ever waited for, so nothing can fail to complete. */
    @Override
    public long quarantinedFrames() {
        return 0;
    }

    /** Nobody is in a domain by then, so that every requester is blocked. */
    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        for (Device device : devices.values()) {
            if (device.domain != null) {
                throw new IommuException(Errno.EBUSY, device.id() + " is attached to a domain");
            }
        }
        closed = true;
        List.copyOf(domains).forEach(MinimalDomain::close);
        registers.release();
    }
}
