// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.napot;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.ReservedRegion;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.spi.VendorContext;

/** The driver: a directory, and a table for each domain. The unit caches nothing, so nothing is ever invalidated. */
final class NapotDriver implements Iommu {
    private static final long VALID = 1L << 63;
    private static final long NAPOT = 1L << 63 | 8L << 10;
    private static final int ENTRY_BYTES = 24;

    private final VendorContext platform;
    private final SystemMemory memory;
    private final long directory;
    private final Map<NamedDevice, IommuDevice> devices = new HashMap<>();

    NapotDriver(VendorContext platform) {
        this.platform = platform;
        memory = platform.memory();
        directory = zeroedFrame();
        AcpiTable table = AcpiTable.parse(
                NapotVendor.SIGNATURE,
                platform.firmware().table(NapotVendor.SIGNATURE).orElseThrow());
        for (int at = AcpiTable.HEADER_LENGTH + 8; at < table.length(); at += ENTRY_BYTES) {
            NamedDevice name = new NamedDevice(table.text(at + 4, ENTRY_BYTES - 4));
            devices.put(name, new Device(name, (int) table.u32(at), devices.size(), this));
        }
        platform.registers().map(table.u64(AcpiTable.HEADER_LENGTH), 4096).write64(0, directory);
    }

    /** A device with its source id, and its place in the directory. */
    record Device(DeviceId id, int sourceId, int slot, Iommu iommu) implements IommuDevice {
        @Override
        public List<ReservedRegion> reservedRegions() {
            return List.of();
        }

        @Override
        public boolean isolatedMsi() {
            return true;
        }
    }

    /** A domain: pages of 4 KiB and 64 KiB in one table. */
    private final class Domain implements IommuDomain {
        private final DomainType type;
        private final long table = zeroedFrame();

        private Domain(DomainType type) {
            this.type = type;
        }

        @Override
        public AttachResult attach(IommuDevice given) {
            Device device = (Device) given;
            memory.store(directory + 16L * device.slot() + 8, table);
            memory.store(directory + 16L * device.slot(), VALID | device.sourceId());
            return AttachResult.ATTACHED;
        }

        @Override
        public void detach(IommuDevice given) {
            memory.store(directory + 16L * ((Device) given).slot(), 0);
        }

        @Override
        public void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
            boolean large = pageSize == 0x10000;
            for (long page = 0; page < count; page++) {
                long entry = (physicalAddress + page * pageSize) >>> 12 << 10
                        | (large ? NAPOT : 0)
                        | 1
                        | (prot & Prot.READ_WRITE) << 1;
                memory.storeRun(table + ((iova + page * pageSize) >>> 12) * 8, entry, 0, large ? 16 : 1);
            }
        }

        @Override
        public long unmap(long iova, long size, IotlbGather gather) {
            memory.storeRun(table + (iova >>> 12) * 8, 0, 0, (int) (size >>> 12));
            return size;
        }

        @Override
        public long translate(long iova) {
            long entry = memory.load(table + (iova >>> 12) * 8);
            long mask = entry < 0 ? 0xffff : 0xfff;
            return (entry & 1) == 0 ? UNMAPPED : ((((entry << 10) >>> 20) << 12) & ~mask) | (iova & mask);
        }

        @Override
        public void syncMap(long iova, long size) {
            // the unit caches nothing
        }

        @Override
        public void sync(IotlbGather gather) {
            gather.reset();
        }

        @Override
        public DomainType type() {
            return type;
        }

        @Override
        public Iommu iommu() {
            return NapotDriver.this;
        }

        @Override
        public String format() {
            return "napot";
        }

        @Override
        public long pageSizes() {
            return 0x11000;
        }

        @Override
        public long apertureEnd() {
            return 0x1fffff;
        }

        @Override
        public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
            return Optional.empty();
        }

        @Override
        public void close() {
            platform.frames().free(table, 0);
        }
    }

    private long zeroedFrame() {
        long frame = platform.frames().allocate(0);
        memory.storeRun(frame, 0, 0, SystemMemory.FRAME_WORDS);
        return frame;
    }

    @Override
    public Optional<IommuDevice> probe(PciFunction function, int... dmaAliases) {
        return Optional.empty();
    }

    @Override
    public Optional<IommuDevice> probe(NamedDevice device) {
        return Optional.ofNullable(devices.get(device));
    }

    @Override
    public IommuDomain allocate(DomainType type, IommuDevice device) {
        if (!type.isPaging()) {
            throw new IommuException(Errno.EOPNOTSUPP, "a NAPOT unit has no domain of type " + type);
        }
        return new Domain(type);
    }

    @Override
    public boolean capable(IommuDevice device, IommuCapability capability) {
        return capability == IommuCapability.CACHE_COHERENCY;
    }

    @Override
    public String vendor() {
        return "napot";
    }

    @Override
    public LinuxRelease release() {
        return platform.release();
    }

    @Override
    public List<String> units() {
        return List.of("napot@fed00000");
    }

    @Override
    public long quarantinedFrames() {
        return 0;
    }

    @Override
    public void close() {
        platform.frames().free(directory, 0);
    }
}
