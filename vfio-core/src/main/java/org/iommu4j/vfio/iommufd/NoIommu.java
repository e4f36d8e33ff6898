// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainFlag;
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
import org.iommu4j.pci.PciFunction;

/**
 * What iommufd puts in the place of a driver for devices without an IOMMU: tables that no hardware reads, so that their
 * users can ask for physical addresses.
 *
 * <p>Source: {@code drivers/iommu/iommufd}, CONFIG_IOMMUFD_NOIOMMU of Linux 7.3.
 */
final class NoIommu implements Iommu {
    /** Powers of two from 4 KiB to 2^51, without 512 GiB: the sizes of AMD's host tables, which Linux uses here. */
    private static final long PAGE_SIZES = ((1L << 52) - 4096) & ~(1L << 39);

    private final LinuxRelease release;

    NoIommu(LinuxRelease release) {
        this.release = release;
    }

    /** A device without an IOMMU, alone; it "attaches" to any domain, and nothing happens. */
    static final class Device implements IommuDevice, DmaGroup {
        private final DeviceId id;
        private final NoIommu iommu;

        Device(DeviceId id, NoIommu iommu) {
            this.id = id;
            this.iommu = iommu;
        }

        @Override
        public DeviceId id() {
            return id;
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
            return false;
        }

        @Override
        public List<IommuDevice> devices() {
            return List.of(this);
        }

        @Override
        public AttachResult attach(IommuDomain domain) {
            return AttachResult.ATTACHED;
        }

        @Override
        public AttachResult replace(IommuDomain domain) {
            return AttachResult.ATTACHED;
        }

        @Override
        public void detach(IommuDomain domain) {
            // It was never in the domain.
        }

        @Override
        public void release(IommuDevice device) {
            // Nobody owns its DMA.
        }

        @Override
        public String toString() {
            return id + " without an IOMMU";
        }
    }

    /** Mappings of runs of physical memory. */
    private static final class Table implements IommuDomain {
        private record Run(long physicalAddress, long size) {}

        private final NoIommu iommu;
        private final TreeMap<Long, Run> runs = new TreeMap<>(Long::compareUnsigned);

        Table(NoIommu iommu) {
            this.iommu = iommu;
        }

        @Override
        public DomainType type() {
            return DomainType.UNMANAGED;
        }

        @Override
        public Iommu iommu() {
            return iommu;
        }

        @Override
        public String format() {
            return "no-iommu";
        }

        @Override
        public long pageSizes() {
            return PAGE_SIZES;
        }

        @Override
        public long apertureEnd() {
            return -1L;
        }

        @Override
        public AttachResult attach(IommuDevice device) {
            return AttachResult.incompatible("no device uses tables without an IOMMU");
        }

        @Override
        public void detach(IommuDevice device) {
            throw new IommuException(Errno.EINVAL, device.id() + " is not attached");
        }

        @Override
        public synchronized void map(long iova, long physicalAddress, long pageSize, long count, int prot) {
            if ((prot & Prot.READ_WRITE) == 0) {
                throw new IommuException(Errno.EINVAL, "neither readable nor writeable");
            }
            for (long i = 0; i < count; i++) {
                runs.put(iova + i * pageSize, new Run(physicalAddress + i * pageSize, pageSize));
            }
        }

        @Override
        public void syncMap(long iova, long size) {
            // Nobody reads the table.
        }

        @Override
        public synchronized long unmap(long iova, long size, IotlbGather gather) {
            long done = 0;
            while (Long.compareUnsigned(done, size) < 0) {
                Run run = runs.remove(iova + done);
                if (run == null) {
                    break;
                }
                done += run.size;
            }
            return done;
        }

        @Override
        public void sync(IotlbGather gather) {
            gather.reset();
        }

        @Override
        public synchronized long translate(long iova) {
            Map.Entry<Long, Run> below = runs.floorEntry(iova);
            if (below == null || Long.compareUnsigned(iova - below.getKey(), below.getValue().size) >= 0) {
                return UNMAPPED;
            }
            return below.getValue().physicalAddress + (iova - below.getKey());
        }

        @Override
        public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
            return Optional.empty();
        }

        @Override
        public synchronized void close() {
            runs.clear();
        }
    }

    @Override
    public String vendor() {
        return "none";
    }

    @Override
    public LinuxRelease release() {
        return release;
    }

    @Override
    public List<String> units() {
        return List.of();
    }

    @Override
    public Optional<IommuDevice> probe(PciFunction function, int... dmaAliases) {
        return Optional.empty();
    }

    @Override
    public boolean capable(IommuDevice device, IommuCapability capability) {
        return false;
    }

    @Override
    public IommuDomain allocate(DomainType type, IommuDevice device) {
        return allocateForUser(device, Set.of());
    }

    @Override
    public IommuDomain allocateForUser(IommuDevice device, Set<DomainFlag> flags) {
        if (!flags.isEmpty()) {
            throw new IommuException(Errno.EOPNOTSUPP, "no IOMMU has domains with " + flags);
        }
        return new Table(this);
    }

    @Override
    public long quarantinedFrames() {
        return 0;
    }

    @Override
    public void close() {
        // There is nothing to turn off.
    }
}
