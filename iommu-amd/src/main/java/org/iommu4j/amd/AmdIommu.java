// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.amd.acpi.DeviceRange;
import org.iommu4j.amd.acpi.Ivhd;
import org.iommu4j.amd.acpi.Ivrs;
import org.iommu4j.amd.fmt.DeviceTableEntry;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.platform.PciFunction;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The opened driver: units, device tables, devices and domains.
 *
 * <p>One lock orders everything that changes a device table entry: attaching, detaching, growing a table. Mapping does
 * not take it.
 */
final class AmdIommu implements Iommu {
    private static final Logger LOG = LoggerFactory.getLogger(AmdIommu.class);

    private final VendorContext context;
    private final AmdRules rules;
    private final UnitMap map;
    private final List<AmdUnit> units = new ArrayList<>();
    private final Map<Integer, DeviceTable> tables = new HashMap<>();
    private final Map<PciAddress, AmdDevice> devices = new HashMap<>();

    /** The same devices, for a walk that allocates nothing. */
    private final List<AmdDevice> probed = new ArrayList<>();

    private final Set<AmdDomain> domains = new LinkedHashSet<>();
    private final DomainIds domainIds = new DomainIds();
    private final AtomicLong quarantined = new AtomicLong();
    private final int hostLevels;
    private final boolean htRangeTranslated;
    private final boolean announcesMappings;
    private boolean closed;

    private AmdIommu(VendorContext context, AmdRules rules, UnitMap map) {
        this.context = context;
        this.rules = rules;
        this.map = map;
        try {
            boolean useImage = map.efrImageValid();
            for (Ivhd block : map.units()) {
                units.add(AmdUnit.find(UnitMap.id(units.size()), block, useImage, context));
            }
            for (int i = 0; i < units.size(); i++) {
                DeviceTable table = tableOf(units.get(i).block().segment());
                map.ranges(i).forEach(table::applySettings);
            }
            for (AmdUnit unit : units) {
                unit.enable(tableOf(unit.block().segment()));
            }
        } catch (RuntimeException e) {
            free();
            throw e;
        }
        // All units walk every domain's table, so the weakest decides, as Linux's global feature mask.
        this.hostLevels = units.stream().mapToInt(AmdUnit::hostLevels).min().orElseThrow();
        this.htRangeTranslated = rules.htRangeIgnore() && units.stream().allMatch(AmdUnit::ignoresHtRange);
        this.announcesMappings = units.stream().anyMatch(AmdUnit::cachesNotPresent);
    }

    /** Opens; see {@link org.iommu4j.spi.IommuVendor#open}. */
    static AmdIommu open(VendorContext context) {
        AmdRules rules = AmdRules.of(context.release());
        byte[] bytes = context.firmware()
                .table(Ivrs.SIGNATURE)
                .orElseThrow(() -> new IommuException(Errno.ENODEV, "open: firmware has no IVRS"));
        Ivrs ivrs;
        try {
            ivrs = Ivrs.parse(bytes);
        } catch (MalformedTableException e) {
            throw new IommuException(Errno.EINVAL, "open: " + e.getMessage(), e);
        }
        if (!ivrs.table().checksumValid()) {
            throw new IommuException(Errno.EINVAL, "open: IVRS at offset 0x9: the checksum is wrong");
        }
        UnitMap map = new UnitMap(ivrs, rules);
        map.warnings().forEach(warning -> LOG.warn("{}", warning));
        if (map.units().isEmpty()) {
            throw new IommuException(Errno.ENODEV, "open: the IVRS names no unit");
        }
        return new AmdIommu(context, rules, map);
    }

    private DeviceTable tableOf(int segment) {
        DeviceTable table = tables.get(segment);
        if (table == null) {
            table = new DeviceTable(context.memory(), context.frames(), map.highestId(segment));
            tables.put(segment, table);
        }
        return table;
    }

    @Override
    public String vendor() {
        return AmdVendor.NAME;
    }

    @Override
    public LinuxRelease release() {
        return rules.release();
    }

    @Override
    public List<String> units() {
        return units.stream().map(AmdUnit::id).toList();
    }

    @Override
    public synchronized Optional<IommuDevice> probe(PciFunction function, int... dmaAliases) {
        checkOpen();
        PciAddress address = function.address();
        AmdDevice known = devices.get(address);
        if (known != null) {
            return Optional.of(known);
        }
        int index = map.unitOf(address);
        if (index < 0) {
            return Optional.empty();
        }
        DeviceTable table = tableOf(address.segment());
        AmdDevice device = new AmdDevice(
                this,
                address,
                units.get(index),
                table,
                requesterIds(index, address, dmaAliases, table),
                map.reservedRegions(address, htRangeTranslated),
                map.interruptRemapping() && context.bootOptions().interruptRemapping());
        devices.put(address, device);
        probed.add(device);
        return Optional.of(device);
    }

    /** The function's own id first, then what firmware and topology say its requests may carry. */
    private int[] requesterIds(int unit, PciAddress address, int[] dmaAliases, DeviceTable table) {
        Set<Integer> ids = new LinkedHashSet<>();
        ids.add(address.requesterId());
        int alias = map.aliasOf(unit, address.requesterId());
        if (alias != DeviceRange.NO_ALIAS) {
            ids.add(alias);
        }
        for (int dmaAlias : dmaAliases) {
            if (table.has(dmaAlias)) {
                ids.add(dmaAlias);
            } else {
                LOG.warn(
                        "{}: requests as {} stay blocked, the IVRS does not name that id",
                        address,
                        PciAddress.of(address.segment(), dmaAlias));
            }
        }
        return ids.stream().mapToInt(Integer::intValue).toArray();
    }

    @Override
    public boolean capable(IommuDevice device, IommuCapability capability) {
        AmdUnit unit = own(device).unit();
        return switch (capability) {
            case CACHE_COHERENCY, DEFERRED_FLUSH -> true;
            case ENFORCE_CACHE_COHERENCY -> rules.enforcementCapability();
            case PRE_BOOT_PROTECTION -> map.preBootProtection();
            case DIRTY_TRACKING -> rules.dirtyTracking() && unit.tracksDirtyPages();
            // Device IOTLBs are not driven, so no device may fill one.
            case NOEXEC, PCI_ATS_SUPPORTED -> false;
        };
    }

    @Override
    public synchronized IommuDomain allocate(DomainType type, IommuDevice device) {
        checkOpen();
        own(device);
        int id = type == DomainType.BLOCKED ? DomainIds.NONE : domainIds.allocate();
        AmdDomain domain;
        try {
            domain = new AmdDomain(this, type, id);
        } catch (RuntimeException e) {
            freeId(id);
            throw e;
        }
        domains.add(domain);
        return domain;
    }

    /** Returns whether paging domains can be asked to block no-snoop. */
    boolean hasEnforcement() {
        return rules.enforcementOp();
    }

    /** Makes an empty table for a domain. */
    HostPageTable newTable(AmdDomain domain) {
        return new HostPageTable(context.memory(), context.frames(), domain, AmdRules.START_LEVELS, hostLevels);
    }

    /** Returns whether some unit may remember that an entry was not present; one is enough, as in Linux. */
    boolean announcesMappings() {
        return announcesMappings;
    }

    int unitCount() {
        return units.size();
    }

    AmdUnit unit(int index) {
        return units.get(index);
    }

    int indexOf(AmdUnit unit) {
        return units.indexOf(unit);
    }

    private AmdDevice own(IommuDevice device) {
        if (device instanceof AmdDevice amd && amd.iommu() == this) {
            return amd;
        }
        throw new IommuException(Errno.ENODEV, "device " + device.address() + " belongs to another driver");
    }

    // --- attaching ---

    /** Moves a device to a domain, or leaves it where it is. */
    synchronized AttachResult attach(IommuDevice iommuDevice, AmdDomain domain) {
        AmdDevice device = own(iommuDevice);
        if (domain.isClosed()) {
            throw new IllegalStateException("attach to " + domain + ", which is closed");
        }
        AmdDomain old = device.domain();
        if (old == domain) {
            return AttachResult.ATTACHED;
        }
        String what = "attach " + device + " to " + domain;
        if (device.unit().broken()) {
            throw device.unit().refusal(true, what);
        }
        domain.add(device);
        write(device, domain);
        if (!forget(device, old)) {
            write(device, old);
            domain.remove(device);
            domain.leaveBehind();
            throw device.unit().refusal(false, what);
        }
        device.setDomain(domain);
        if (old != null) {
            old.remove(device);
        }
        return AttachResult.ATTACHED;
    }

    /** Blocks a device that is in a domain. */
    synchronized void detach(IommuDevice iommuDevice, AmdDomain domain) {
        AmdDevice device = own(iommuDevice);
        if (device.domain() != domain) {
            throw new IommuException(Errno.EINVAL, "detach " + device + ": it is not attached to " + domain);
        }
        boolean wasBroken = device.unit().broken();
        device.setDomain(null);
        for (int id : device.requesterIds()) {
            // A function that shares the id keeps it working, as long as it is attached itself.
            write(device.table(), id, otherUser(device, id));
        }
        boolean forgotten = forget(device, domain);
        domain.remove(device);
        if (!forgotten) {
            domain.leaveBehind();
            throw device.unit().refusal(wasBroken, "detach " + device + " from " + domain);
        }
    }

    private @Nullable AmdDomain otherUser(AmdDevice device, int requesterId) {
        for (int i = 0; i < probed.size(); i++) {
            AmdDevice other = probed.get(i);
            if (other != device
                    && other.domain() != null
                    && other.table() == device.table()
                    && other.uses(requesterId)) {
                return other.domain();
            }
        }
        return null;
    }

    private static void write(AmdDevice device, @Nullable AmdDomain domain) {
        for (int id : device.requesterIds()) {
            write(device.table(), id, domain);
        }
    }

    private static void write(DeviceTable table, int requesterId, @Nullable AmdDomain domain) {
        if (domain == null) {
            table.set(requesterId, DeviceTableEntry.BLOCKED, DomainIds.NONE);
        } else {
            table.set(requesterId, domain.deviceTableWord(), domain.id());
        }
    }

    /** Makes a unit forget a device's entries and the pages of the domain that it leaves. */
    private static boolean forget(AmdDevice device, @Nullable AmdDomain left) {
        return device.unit().forgetDevices(device.requesterIds(), left == null ? DomainIds.NONE : left.id());
    }

    /** Gives a domain's table more levels and lets hardware follow before anybody maps there. */
    synchronized void grow(AmdDomain domain, int levels) {
        HostPageTable table = domain.table();
        if (table == null || table.levels() >= levels) {
            return;
        }
        long root = table.tallerRoot(levels);
        long word0 = DeviceTableEntry.paging(root, levels);
        for (AmdDevice device : domain.devices()) {
            if (device.unit().broken()) {
                table.discardTallerRoot(root, levels, false);
                throw device.unit().refusal(true, "map");
            }
        }
        for (AmdDevice device : domain.devices()) {
            for (int id : device.requesterIds()) {
                device.table().set(id, word0, domain.id());
            }
        }
        for (AmdDevice device : domain.devices()) {
            if (!forget(device, domain)) {
                // Every device goes back to the old root; what it maps is the same through both.
                for (AmdDevice each : domain.devices()) {
                    write(each, domain);
                }
                table.discardTallerRoot(root, levels, true);
                throw device.unit().refusal(false, "map");
            }
        }
        table.growTo(root, levels);
    }

    // --- freeing ---

    /** Closes a domain. */
    synchronized void close(AmdDomain domain) {
        if (domain.isClosed()) {
            return;
        }
        if (!domain.devices().isEmpty()) {
            throw new IommuException(Errno.EBUSY, "close " + domain + ": attached are " + domain.devices());
        }
        domains.remove(domain);
        domain.free();
        if (!domain.isLeftBehind()) {
            freeId(domain.id());
        }
    }

    private void freeId(int id) {
        if (id != DomainIds.NONE) {
            domainIds.free(id);
        }
    }

    @Override
    public long quarantinedFrames() {
        return quarantined.get();
    }

    /** Notes frames that are kept for good. */
    void quarantine(long frames) {
        quarantined.addAndGet(frames);
    }

    /** Takes out the events that the units logged so far, one line each. */
    List<String> readEvents() {
        List<String> lines = new ArrayList<>();
        for (AmdUnit unit : units) {
            lines.addAll(unit.readEvents());
        }
        return lines;
    }

    /** Returns how many domain ids are given out. */
    int domainIdsInUse() {
        return domainIds.inUse();
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "the AMD-Vi driver is closed");
        }
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        for (AmdDomain domain : domains) {
            if (!domain.devices().isEmpty()) {
                throw new IommuException(Errno.EBUSY, "close: " + domain + " has attached " + domain.devices());
            }
        }
        closed = true;
        free();
    }

    private void free() {
        units.forEach(AmdUnit::disable);
        domains.forEach(AmdDomain::free);
        domains.clear();
        units.forEach(AmdUnit::free);
        tables.values().forEach(DeviceTable::free);
        tables.clear();
    }
}
