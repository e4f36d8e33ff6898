// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core.testvendor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;

/** A driver without hardware: devices, capabilities and reserved regions are what the test says. */
public final class TestIommu implements Iommu {
    /** Sizes of VT-d's second stage: 4 KiB, 2 MiB, 1 GiB. */
    public static final long THREE_SIZES = 1L << 12 | 1L << 21 | 1L << 30;

    private LinuxRelease release = LinuxRelease.NEWEST;

    private record TestDevice(TestIommu owner, DeviceId id, List<ReservedRegion> reservedRegions, boolean isolatedMsi)
            implements IommuDevice {
        @Override
        public Iommu iommu() {
            return owner;
        }

        @Override
        public boolean equals(Object other) {
            return this == other;
        }

        @Override
        public int hashCode() {
            return System.identityHashCode(this);
        }
    }

    private final Map<DeviceId, TestDevice> devices = new LinkedHashMap<>();
    private final Map<PciAddress, String> aliases = new HashMap<>();
    private final Map<IommuDevice, TestDomain> attachment = new HashMap<>();
    private final Set<TestDomain> domains = new LinkedHashSet<>();
    private final Map<DeviceId, List<ReservedRegion>> reserved = new HashMap<>();
    private final Map<DeviceId, Set<IommuCapability>> capabilities = new HashMap<>();
    private final Set<DomainType> unsupported = new LinkedHashSet<>();
    private final Set<DeviceId> sharedMsi = new LinkedHashSet<>();
    private Predicate<DeviceId> translated = id -> true;
    private Consumer<TestDomain> preparation = domain -> {};
    private long apertureStart;
    private long apertureEnd = (1L << 39) - 1;

    public TestIommu translating(Predicate<DeviceId> which) {
        translated = which;
        return this;
    }

    public TestIommu reserve(DeviceId id, ReservedRegion... regions) {
        reserved.put(id, List.of(regions));
        return this;
    }

    public TestIommu capable(DeviceId id, IommuCapability... which) {
        capabilities.put(id, Set.of(which));
        return this;
    }

    public TestIommu of(LinuxRelease release) {
        this.release = release;
        return this;
    }

    public TestIommu without(DomainType type) {
        unsupported.add(type);
        return this;
    }

    public TestIommu withoutIsolatedMsi(DeviceId id) {
        sharedMsi.add(id);
        return this;
    }

    public TestIommu aperture(long first, long last) {
        apertureStart = first;
        apertureEnd = last;
        return this;
    }

    /** Looks at each domain before it is handed out. */
    public TestIommu preparing(Consumer<TestDomain> look) {
        preparation = look;
        return this;
    }

    /** Where a device is, null when it is blocked. */
    public TestDomain domainOf(IommuDevice device) {
        return attachment.get(device);
    }

    public int openDomains() {
        return domains.size();
    }

    /** The requester ids given for a function, in hex. */
    public String aliases(PciAddress address) {
        return aliases.get(address);
    }

    public IommuDevice device(DeviceId id) {
        return devices.get(id);
    }

    void move(IommuDevice device, TestDomain target) {
        TestDomain old = attachment.remove(device);
        if (old != null) {
            old.attached().remove(device);
        }
        if (target != null) {
            attachment.put(device, target);
            target.attached().add(device);
        }
    }

    void forget(TestDomain domain) {
        domains.remove(domain);
    }

    @Override
    public String vendor() {
        return "test";
    }

    @Override
    public LinuxRelease release() {
        return release;
    }

    @Override
    public List<String> units() {
        return List.of("test0");
    }

    @Override
    public Optional<IommuDevice> probe(PciFunction function, int... dmaAliases) {
        PciAddress address = function.address();
        if (!translated.test(address)) {
            return Optional.empty();
        }
        List<String> hex = new ArrayList<>();
        Arrays.stream(dmaAliases).forEach(alias -> hex.add(Integer.toHexString(alias)));
        aliases.put(address, String.join(" ", hex));
        return Optional.of(known(address));
    }

    @Override
    public Optional<IommuDevice> probe(NamedDevice device) {
        return translated.test(device) ? Optional.of(known(device)) : Optional.empty();
    }

    private IommuDevice known(DeviceId id) {
        return devices.computeIfAbsent(
                id, key -> new TestDevice(this, key, reserved.getOrDefault(key, List.of()), !sharedMsi.contains(key)));
    }

    @Override
    public boolean capable(IommuDevice device, IommuCapability capability) {
        return capabilities.getOrDefault(device.id(), Set.of()).contains(capability);
    }

    @Override
    public IommuDomain allocate(DomainType type, IommuDevice device) {
        if (unsupported.contains(type)) {
            throw new IommuException(Errno.EOPNOTSUPP, "no " + type + " domains");
        }
        TestDomain domain = new TestDomain(this, type, type.isPaging() ? THREE_SIZES : 0, apertureStart, apertureEnd);
        domains.add(domain);
        preparation.accept(domain);
        return domain;
    }

    @Override
    public long quarantinedFrames() {
        return 0;
    }

    @Override
    public void close() {
        if (!attachment.isEmpty()) {
            throw new IommuException(Errno.EBUSY, "devices are attached");
        }
    }
}
