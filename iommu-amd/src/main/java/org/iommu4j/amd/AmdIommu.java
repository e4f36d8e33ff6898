// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.DecisionSource;
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
import org.iommu4j.amd.acpi.DeviceRange;
import org.iommu4j.amd.acpi.Ivrs;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.platform.support.TableFrames;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.VendorContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The opened driver: units, device tables, devices and domains, guarded by the lock of its {@link Attacher}. */
final class AmdIommu implements Iommu {
    private static final Logger LOG = LoggerFactory.getLogger(AmdIommu.class);

    /** Value of {@link CommandBuffer#PARAMETER}: CPUs have SNP, and firmware set memory aside for it. */
    private static final String SNP = "snp";

    private final VendorContext context;
    private final AmdRules rules;
    private final UnitMap map;
    private final CommonFeatures features;
    private final DriverState state;
    private final Attacher attacher;

    /** Whether guest tables take PASIDs: no release of Linux does it, {@code iommu4j.amd=pasids} does. */
    private final boolean attachesPasids;

    private final boolean remapsInterrupts;

    private final Map<Integer, DeviceTable> tables = new HashMap<>();
    private final Map<PciAddress, AmdDevice> devices = new HashMap<>();
    private final Set<AmdDomain> domains = new LinkedHashSet<>();

    private AmdIommu(VendorContext context, AmdRules rules, UnitMap map, int hostLevels, List<AmdUnit> units) {
        this.context = context;
        this.rules = rules;
        this.map = map;
        CommonFeatures common =
                CommonFeatures.of(units.stream().map(AmdUnit::features).toList(), hostLevels, rules);
        this.features = snpNeedsHostTables(common) ? common.withHostTablesOnly() : common;
        this.state = new DriverState(this, rules, units, features, context.memory(), context.frames(), domains::remove);
        this.attacher = new Attacher(state);
        this.attachesPasids = features.knowsPasids() && context.bootOptions().has(CommandBuffer.PARAMETER, "pasids");
        IoApics ioApics =
                IoApics.of(rules.southBridge(), map, context.firmware(), context.topology(), context.bootOptions());
        ioApics.warnings().forEach(warning -> LOG.warn("{}", warning));
        this.remapsInterrupts =
                ioApics.remaps() == Answer.YES && context.bootOptions().interruptRemapping();
    }

    /**
     * Returns whether SNP is on and needs host tables: where CPUs and firmware have it, which {@code iommu4j.amd=snp}
     * states, and all units. It is left off where the default domains have none ({@code iommu_snp_enable}).
     */
    private boolean snpNeedsHostTables(CommonFeatures common) {
        BootOptions options = context.bootOptions();
        if (rules.snp() == AmdRules.Snp.LEFT_OFF || !options.has(CommandBuffer.PARAMETER, SNP) || !common.snp()) {
            return false;
        }
        if (rules.snp() == AmdRules.Snp.UNLESS_MODE_0 && common.mode0WithSnp()) {
            return false;
        }
        if (options.isSet("iommu.passthrough") || options.hasLast("iommu", "pt", "nopt")) {
            LOG.warn("SNP is left off: addresses pass unchanged by default");
            return false;
        }
        if (common.hostLevels() == 0 || guestTablesByDefault(DomainType.DMA, common)) {
            LOG.warn("SNP is left off: domains have guest tables by default");
            return false;
        }
        return true;
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
        UnitMap map = new UnitMap(ivrs);
        map.warnings().forEach(warning -> LOG.warn("{}", warning));
        if (map.units().isEmpty()) {
            throw new IommuException(Errno.ENODEV, "open: the IVRS names no unit");
        }
        int hostLevels = map.hostTablesOff(rules.hostTablesOff()) ? 0 : rules.hostLevels(map.sharedEfrImage());
        AmdIommu iommu = new AmdIommu(context, rules, map, hostLevels, findUnits(context, map));
        try {
            iommu.start();
        } catch (RuntimeException e) {
            iommu.free();
            throw e;
        }
        return iommu;
    }

    private static List<AmdUnit> findUnits(VendorContext context, UnitMap map) {
        List<AmdUnit> units = new ArrayList<>();
        try {
            for (int i = 0; i < map.units().size(); i++) {
                units.add(AmdUnit.find(AmdNames.unit(i), map.units().get(i), map.efrImage(i), context));
            }
        } catch (RuntimeException e) {
            units.forEach(AmdUnit::stop);
            throw e;
        }
        return units;
    }

    /** Makes the device tables and turns the units on. */
    private void start() {
        List<AmdUnit> units = state.units();
        for (int i = 0; i < units.size(); i++) {
            DeviceTable table = tableOf(units.get(i).block().segment());
            map.ranges(i).forEach(table::applySettings);
        }
        for (AmdUnit unit : units) {
            unit.enable(tableOf(unit.block().segment()), rules.nestParents());
        }
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
        return AmdNames.VENDOR;
    }

    @Override
    public LinuxRelease release() {
        return context.release();
    }

    @Override
    public List<String> units() {
        return state.units().stream().map(AmdUnit::id).toList();
    }

    @Override
    public Optional<IommuDevice> probe(PciFunction function, int... dmaAliases) {
        Objects.requireNonNull(function, "function");
        Objects.requireNonNull(dmaAliases, "dmaAliases");
        synchronized (attacher) {
            state.checkOpen();
            PciAddress address = function.address();
            AmdDevice known = devices.get(address);
            if (known != null) {
                return Optional.of(known);
            }
            int index = map.unitOf(address);
            if (index < 0) {
                return Optional.empty();
            }
            if (features.hostLevels() == 0 && features.guestLevels() == 0) {
                LOG.warn("{}: no domain, the units have neither host nor guest tables", address);
                return Optional.empty();
            }
            DeviceTable table = tableOf(address.segment());
            DeviceServices services = new DeviceServices(function.config(), features.deviceIotlbs());
            AmdDevice device = new AmdDevice(
                    state,
                    attacher,
                    address,
                    state.units().get(index),
                    table,
                    requesterIds(index, address, dmaAliases, table),
                    map.reservedRegions(address, features.htRangeTranslated()),
                    remapsInterrupts,
                    services,
                    Math.min(features.pasids(), services.pasids()));
            devices.put(address, device);
            attacher.add(device);
            return Optional.of(device);
        }
    }

    /** Returns the function's own id, then those that its requests may carry according to firmware and topology. */
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
    public Optional<DecisionSource> enforcementCapabilitySource() {
        return Optional.of(DecisionSource.of("amd", "amd_iommu_capable", "enforcementCapability"));
    }

    @Override
    public boolean capable(IommuDevice device, IommuCapability capability) {
        Objects.requireNonNull(device, "device");
        Objects.requireNonNull(capability, "capability");
        AmdDevice own = AmdDevice.own(device, state);
        return switch (capability) {
            case CACHE_COHERENCY -> true;
            case DEFERRED_FLUSH -> rules.flushCapability();
            case ENFORCE_CACHE_COHERENCY -> rules.enforcementCapability();
            case PRE_BOOT_PROTECTION -> map.preBootProtection();
            case DIRTY_TRACKING ->
                rules.dirtyTracking() && own.unit().features().tracksDirtyPages();
            case PCI_ATS_SUPPORTED -> rules.atsCapability() && own.services().hasAts();
            case NOEXEC -> false;
        };
    }

    @Override
    public IommuDomain allocate(DomainType type, IommuDevice device) {
        return allocate(type, device, Set.of());
    }

    @Override
    public IommuDomain allocate(DomainType type, IommuDevice device, Set<DomainFlag> flags) {
        Objects.requireNonNull(flags, "flags");
        if (type == DomainType.UNMANAGED && flags.contains(DomainFlag.PASID) && !attachesPasids) {
            synchronized (attacher) {
                state.checkOpen();
                throw new IommuException(
                        Errno.EOPNOTSUPP, "allocate: no domain with page tables takes PASIDs of " + device);
            }
        }
        return allocateWith(type, device, flags);
    }

    @Override
    public boolean sharesOps() {
        return rules.formatsShareOps();
    }

    /** Also with a flag for PASIDs, which only chooses the table where domains take none. */
    @Override
    public IommuDomain allocateForUser(IommuDevice device, Set<DomainFlag> flags) {
        return allocateWith(DomainType.UNMANAGED, device, flags);
    }

    private IommuDomain allocateWith(DomainType type, IommuDevice iommuDevice, Set<DomainFlag> flags) {
        Objects.requireNonNull(type, "type");
        Objects.requireNonNull(iommuDevice, "iommuDevice");
        Objects.requireNonNull(flags, "flags");
        synchronized (attacher) {
            state.checkOpen();
            AmdDevice device = AmdDevice.own(iommuDevice, state);
            if (type == DomainType.NESTED) {
                throw new IommuException(
                        Errno.EOPNOTSUPP, "allocate: Linux " + release() + " has no nested domains on AMD");
            }
            if (!flags.isEmpty() && type != DomainType.UNMANAGED) {
                throw new IommuException(Errno.EINVAL, "allocate: flags " + flags + " with a domain of type " + type);
            }
            if (type == DomainType.IDENTITY && features.needsHostTables() && rules.snp() == AmdRules.Snp.NO_IDENTITY) {
                throw new IommuException(Errno.EINVAL, "allocate: SNP is on, which needs host tables");
            }
            boolean guest = type.isPaging() && guestTables(type, device, flags);
            int id = type == DomainType.BLOCKED
                    ? DomainIds.NONE
                    : state.domainIds().allocate();
            AmdDomain domain;
            try {
                domain = !type.isPaging()
                        ? new StaticDomain(state, attacher, type, id)
                        : guest
                                ? new GuestDomain(
                                        state,
                                        attacher,
                                        type,
                                        id,
                                        newGuestTable(),
                                        guestTablesRule(type, flags),
                                        attachesPasids)
                                : new HostDomain(
                                        state,
                                        attacher,
                                        type,
                                        id,
                                        newHostTable(),
                                        flags.contains(DomainFlag.DIRTY_TRACKING));
            } catch (RuntimeException e) {
                if (id != DomainIds.NONE) {
                    state.domainIds().free(id);
                }
                throw e;
            }
            domains.add(domain);
            return domain;
        }
    }

    /** Returns whether a domain gets guest tables ({@code amd_iommu_domain_alloc_paging_flags}). */
    private boolean guestTables(DomainType type, AmdDevice device, Set<DomainFlag> flags) {
        boolean hostTables = features.hostLevels() != 0;
        if (flags.isEmpty() && !hostTables) {
            return true;
        }
        if (flags.isEmpty()) {
            return guestTablesByDefault(type, features);
        }
        if (flags.equals(Set.of(DomainFlag.PASID)) && features.knowsPasids()) {
            return true;
        }
        boolean trackable =
                !flags.contains(DomainFlag.DIRTY_TRACKING) || capable(device, IommuCapability.DIRTY_TRACKING);
        boolean nestable = !flags.contains(DomainFlag.NEST_PARENT) || features.nests();
        if (hostTables && !flags.contains(DomainFlag.PASID) && trackable && nestable) {
            return false;
        }
        throw new IommuException(
                Errno.EOPNOTSUPP,
                "allocate: " + device.unit() + " or Linux " + release() + " has no domain with " + flags);
    }

    /** Returns the name of the rule by which a domain has guest tables. */
    private String guestTablesRule(DomainType type, Set<DomainFlag> flags) {
        if (!flags.isEmpty()) {
            return "pasidDomains";
        }
        if (features.hostLevels() == 0) {
            return "hostTablesOff";
        }
        return type == DomainType.DMA ? "guestTables" : "guestTablesForAll";
    }

    /** Linux falls back to host tables when units lack guest tables. */
    private boolean guestTablesByDefault(DomainType type, CommonFeatures common) {
        return common.guestLevels() != 0
                && rules.guestTables()
                && context.bootOptions().hasLast("amd_iommu", "pgtbl_v2", "pgtbl_v1")
                && (type == DomainType.DMA || rules.guestTablesForAll());
    }

    private HostPageTable newHostTable() {
        return new HostPageTable(
                context.memory(),
                new TableFrames(context.memory(), context.frames()),
                AmdRules.START_LEVELS,
                features.hostLevels(),
                rules.hostAddressesByFirmware() ? map.addressBits() : 64,
                rules.hostPageSizes());
    }

    private GuestPageTable newGuestTable() {
        int bits = PageTable.shift(features.guestLevels() + 1) - (rules.guestApertureHalved() ? 1 : 0);
        return new GuestPageTable(
                context.memory(), new TableFrames(context.memory(), context.frames()), features.guestLevels(), bits);
    }

    /** Returns the state that devices and domains need from this driver. */
    DriverState state() {
        return state;
    }

    // --- faults, and quarantine ---

    @Override
    public long quarantinedFrames() {
        return state.quarantinedFrames();
    }

    @Override
    public List<DmaFault> takeFaults() {
        List<DmaFault> faults = new ArrayList<>();
        state.units().forEach(unit -> unit.takeFaults(faults));
        return faults;
    }

    @Override
    public long faultOverflows() {
        return state.units().stream().mapToLong(AmdUnit::overflows).sum();
    }

    // --- closing ---

    @Override
    public void close() {
        synchronized (attacher) {
            if (state.isClosed()) {
                return;
            }
            for (AmdDomain domain : domains) {
                if (!domain.attachments().isEmpty()) {
                    throw new IommuException(Errno.EBUSY, "close: " + domain + " has attached " + domain.attachments());
                }
            }
            state.close();
            // Nothing is attached: no device may request translations, and so none may request pages.
            free();
        }
    }

    private void free() {
        Set<Integer> segmentsInUse = new HashSet<>();
        for (AmdUnit unit : state.units()) {
            long kept = unit.stop();
            state.quarantine(kept);
            if (kept > 0) {
                segmentsInUse.add(unit.block().segment());
            }
        }
        domains.forEach(AmdDomain::free);
        domains.clear();
        tables.forEach((segment, table) -> {
            if (segmentsInUse.contains(segment)) {
                // A new owner of the frames could write an invalid entry, which lets everything through.
                LOG.error("the device table of segment {} is never freed, a unit may still read it", segment);
                state.quarantine(table.countFrames());
            } else {
                table.free();
            }
        });
        tables.clear();
    }
}
