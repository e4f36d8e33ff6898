// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.testvendor;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.LinuxRelease;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.FrameAllocator;

/** A driver without hardware. */
public final class TestIommu implements Iommu {
    final FrameAllocator frames;
    final Set<TestDomain> domains = new LinkedHashSet<>();
    private final Map<DeviceId, TestDevice> devices = new LinkedHashMap<>();

    /** Whether its domains have a control over no-snoop at all. */
    public boolean hasEnforcementOp = true;
    /** Whether invalidations complete. */
    public boolean completesInvalidations = true;
    /** How many of the next attempts to close a domain with page tables fail. */
    public int failingCloses;
    /** The page sizes of domains that are made from now on. */
    public long pageSizes = 0x40201000L;

    /** Whether units record written pages, and so domains can. */
    public boolean tracksDirty = true;
    /** How many domains were made for user space that asked by itself. */
    public int madeForUsers;

    /** Makes a driver that takes its table frames from an allocator. */
    public TestIommu(FrameAllocator frames) {
        this.frames = frames;
    }

    /** Returns a device, probed or not yet. */
    public TestDevice device(DeviceId id) {
        return devices.computeIfAbsent(id, key -> new TestDevice(this, key));
    }

    /** Returns how many domains with page tables exist. */
    public long pagingDomains() {
        return domains.stream()
                .filter(domain -> domain.type() == DomainType.UNMANAGED)
                .count();
    }

    @Override
    public String vendor() {
        return "test";
    }

    /** Whether domains of different formats have the same ops. */
    public boolean sharesOps;

    @Override
    public boolean sharesOps() {
        return sharesOps;
    }

    @Override
    public LinuxRelease release() {
        return LinuxRelease.NEWEST;
    }

    @Override
    public List<String> units() {
        return List.of("test0");
    }

    @Override
    public Optional<IommuDevice> probe(PciFunction function, int... dmaAliases) {
        return Optional.of(device(function.address()));
    }

    @Override
    public Optional<IommuDevice> probe(NamedDevice device) {
        return Optional.of(device(device));
    }

    @Override
    public boolean capable(IommuDevice device, IommuCapability capability) {
        TestDevice asked = (TestDevice) device;
        return switch (capability) {
            case CACHE_COHERENCY -> asked.cacheCoherency;
            case ENFORCE_CACHE_COHERENCY -> hasEnforcementOp && asked.snoopControl;
            case DIRTY_TRACKING -> tracksDirty;
            default -> false;
        };
    }

    @Override
    public IommuDomain allocate(DomainType type, IommuDevice device) {
        long frame = frames.allocate(0);
        TestDomain domain = new TestDomain(this, type, (TestDevice) device, frame);
        domains.add(domain);
        return domain;
    }

    @Override
    public IommuDomain allocate(DomainType type, IommuDevice device, Set<DomainFlag> flags) {
        return allocate(type, device);
    }

    @Override
    public IommuDomain allocateForUser(IommuDevice device, Set<DomainFlag> flags) {
        madeForUsers++;
        return allocate(DomainType.UNMANAGED, device);
    }

    @Override
    public long quarantinedFrames() {
        return 0;
    }

    @Override
    public void close() {
        domains.clear();
    }
}
