// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.minimal;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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

    MinimalIommu(VendorContext context, long registerBase, boolean coherent) {
        this.context = context;
        this.coherent = coherent;
        // At power-on every requester's table register is 0: all are blocked.
        this.registers = context.registers().map(registerBase, MinimalSilicon.REGISTER_BYTES);
    }

    /** A device is where it is, and which domain it is in. */
    static final class Device implements IommuDevice {
        private final PciAddress address;
        private final MinimalIommu iommu;
        IommuDomain domain;

        private Device(PciAddress address, MinimalIommu iommu) {
            this.address = address;
            this.iommu = iommu;
        }

        @Override
        public PciAddress address() {
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
    public Optional<IommuDevice> probe(PciFunction function, int... dmaAliases) {
        return Optional.of(devices.computeIfAbsent(function.address(), address -> new Device(address, this)));
    }

    /** Ordinary DMA is coherent if firmware says so; no-snoop can't be blocked, and nobody is told otherwise. */
    @Override
    public boolean capable(IommuDevice device, IommuCapability capability) {
        return capability == IommuCapability.CACHE_COHERENCY && coherent;
    }

    @Override
    public IommuDomain allocate(DomainType type, IommuDevice device) {
        if (type == DomainType.IDENTITY) {
            throw new IommuException(Errno.EOPNOTSUPP, "this unit translates always");
        }
        return new MinimalDomain(this, type, context.memory(), context.frames());
    }

    /** Points a requester at a table, 0 for none. */
    void setTable(Device device, long table) {
        registers.write64(device.address().requesterId() * Long.BYTES, table);
    }

    Device own(IommuDevice device) {
        if (device instanceof Device own && own.iommu == this) {
            return own;
        }
        throw new IommuException(Errno.ENODEV, device.address() + " belongs to another driver");
    }

    /** Nothing is ever waited for, so nothing can fail to complete. */
    @Override
    public long quarantinedFrames() {
        return 0;
    }

    @Override
    public void close() {
        devices.values().forEach(device -> setTable(device, 0));
    }
}
