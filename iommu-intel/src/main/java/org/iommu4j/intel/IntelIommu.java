// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
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
import org.iommu4j.intel.acpi.Dmar;
import org.iommu4j.intel.acpi.DmarParser;
import org.iommu4j.intel.acpi.RemappingStructure.Drhd;
import org.iommu4j.intel.acpi.ScopeResolver;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The opened driver: all units of the machine. */
final class IntelIommu implements Iommu {
    private static final Logger LOG = LoggerFactory.getLogger(IntelIommu.class);

    private final VendorContext context;
    private final Dmar dmar;
    private final ScopeResolver scopes;
    private final ReservedRegions reservedRegions;
    private final DeviceTlbPolicy deviceTlbs;
    private final List<Drhd> table;

    /** Every unit of the table; those that Linux ignores are null. */
    private final List<@Nullable IntelUnit> byTable;

    private final DriverState state;
    private final Map<PciAddress, IntelDevice> devices = new HashMap<>();
    private final Set<IntelDomain> domains = new LinkedHashSet<>();
    private boolean closed;

    /**
     * Takes over the hardware.
     *
     * @throws IommuException as {@link org.iommu4j.spi.IommuVendor#open}
     */
    static IntelIommu open(VendorContext context) {
        IntelRules rules = IntelRules.of(context.release());
        byte[] bytes = context.firmware()
                .table(DmarParser.SIGNATURE)
                .orElseThrow(() -> new IommuException(Errno.ENODEV, "firmware has no DMAR table"));
        Dmar dmar;
        try {
            dmar = DmarParser.parse(bytes);
        } catch (MalformedTableException e) {
            throw new IommuException(Errno.EINVAL, String.valueOf(e.getMessage()), e);
        }
        if (!dmar.checksumValid()) {
            throw new IommuException(Errno.EINVAL, "DMAR has a wrong checksum");
        }
        for (String warning : dmar.warnings()) {
            LOG.warn("{}", warning);
        }
        ScopeResolver scopes = new ScopeResolver(context.topology());
        List<@Nullable IntelUnit> byTable = new ArrayList<>();
        try {
            boolean optedOut = rules.hearsOptOut() && dmar.remappingOptOut();
            addUnits(byTable, context, dmar.all(Drhd.class), scopes, optedOut);
            IntelIommu iommu = new IntelIommu(context, rules, dmar, scopes, byTable);
            iommu.start();
            return iommu;
        } catch (RuntimeException e) {
            for (IntelUnit unit : byTable) {
                if (unit != null) {
                    unit.stop();
                }
            }
            throw e;
        }
    }

    /** Adds the units of the table. Those that Linux ignores are turned off and added as null. */
    private static void addUnits(
            List<@Nullable IntelUnit> byTable,
            VendorContext context,
            List<Drhd> table,
            ScopeResolver scopes,
            boolean optedOut) {
        if (table.isEmpty()) {
            throw new IommuException(Errno.ENODEV, "DMAR has no remapping unit");
        }
        IgnoredUnits ignored = new IgnoredUnits(optedOut, scopes, context.bootOptions(), true);
        List<String> reasons = new ArrayList<>();
        int used = 0;
        for (int i = 0; i < table.size(); i++) {
            Optional<Reason> why = ignored.why(table.get(i));
            if (why.isPresent()) {
                reasons.add(IntelNames.unit(i) + ": " + why.get().text());
                IgnoredUnits.turnOff(IntelNames.unit(i), table.get(i), context);
                byTable.add(null);
            } else {
                byTable.add(IntelUnit.find(used++, IntelNames.unit(i), table.get(i), context));
            }
        }
        if (used == 0) {
            throw new IommuException(Errno.ENODEV, "Linux would use no unit of DMAR: " + String.join("; ", reasons));
        }
    }

    private IntelIommu(
            VendorContext context,
            IntelRules rules,
            Dmar dmar,
            ScopeResolver scopes,
            List<@Nullable IntelUnit> byTable) {
        this.context = context;
        this.dmar = dmar;
        this.table = dmar.all(Drhd.class);
        this.scopes = scopes;
        this.byTable = byTable;
        this.reservedRegions = new ReservedRegions(dmar, scopes);
        this.deviceTlbs = new DeviceTlbPolicy(dmar, scopes, context.topology());
        List<IntelUnit> units = new ArrayList<>();
        for (IntelUnit unit : byTable) {
            if (unit != null) {
                units.add(unit);
            }
        }
        this.state = new DriverState(this, rules, units, this::forget);
    }

    private void start() {
        for (IntelUnit unit : state.units()) {
            unit.start();
        }
        for (IntelUnit unit : state.units()) {
            unit.enable();
        }
    }

    @Override
    public String vendor() {
        return IntelNames.VENDOR;
    }

    @Override
    public LinuxRelease release() {
        return context.release();
    }

    @Override
    public List<String> units() {
        List<String> names = new ArrayList<>();
        for (IntelUnit unit : state.units()) {
            names.add(unit.name());
        }
        return names;
    }

    @Override
    public synchronized Optional<IommuDevice> probe(PciFunction function, int... dmaAliases) {
        Objects.requireNonNull(function, "function");
        Objects.requireNonNull(dmaAliases, "dmaAliases");
        checkOpen();
        IntelDevice known = devices.get(function.address());
        if (known != null) {
            return Optional.of(known);
        }
        int index = scopes.unitOf(table, function);
        IntelUnit unit = index < 0 ? null : byTable.get(index);
        if (unit == null) {
            return Optional.empty();
        }
        int[] aliases = dmaAliases.length == 0 ? new int[] {function.address().requesterId()} : dmaAliases;
        IntelDevice device = new IntelDevice(
                function,
                state,
                unit,
                aliases,
                reservedRegions.of(function),
                remapsInterrupts(),
                deviceTlbs.mayCache(function, unit.isScalable()));
        unit.tables().prepare(device.requester());
        devices.put(function.address(), device);
        return Optional.of(device);
    }

    /** Returns whether interrupts are remapped, by all units or by none: {@code intel_prepare_irq_remapping}. */
    private boolean remapsInterrupts() {
        return dmar.interruptRemapping()
                && context.bootOptions().interruptRemapping()
                && state.units().stream().allMatch(unit -> unit.ecap().interruptRemapping());
    }

    @Override
    public Optional<DecisionSource> enforcementCapabilitySource() {
        return Optional.of(DecisionSource.of("intel", "intel_iommu_capable", "predictsEnforcement"));
    }

    @Override
    public boolean capable(IommuDevice given, IommuCapability capability) {
        Objects.requireNonNull(given, "given");
        Objects.requireNonNull(capability, "capability");
        IntelDevice device = IntelDevice.own(given, state);
        IntelUnit unit = device.unit();
        return switch (capability) {
            case CACHE_COHERENCY -> state.rules().cacheCoherency(state.everyUnitSnoops());
            case DEFERRED_FLUSH -> state.rules().flushCapability();
            case ENFORCE_CACHE_COHERENCY ->
                state.rules().predictsEnforcement() && unit.ecap().snoopControl();
            case PRE_BOOT_PROTECTION -> dmar.platformOptIn();
            case DIRTY_TRACKING -> state.rules().nestsAndTracks() && unit.tracksDirty();
            case PCI_ATS_SUPPORTED ->
                state.rules().atsCapability() && device.tlb().isSupported();
            // Second-stage entries have no execute right here, and first-stage entries are not asked about it.
            case NOEXEC -> false;
        };
    }

    @Override
    public IommuDomain allocate(DomainType type, IommuDevice device) {
        return allocate(type, device, Set.of());
    }

    @Override
    public synchronized IommuDomain allocate(DomainType type, IommuDevice device, Set<DomainFlag> flags) {
        Objects.requireNonNull(type, "type");
        Objects.requireNonNull(device, "device");
        Objects.requireNonNull(flags, "flags");
        checkOpen();
        IntelDevice own = IntelDevice.own(device, state);
        IntelUnit unit = own.unit();
        checkFlags(type, own, flags);
        if (type == DomainType.NESTED) {
            throw new IommuException(Errno.EOPNOTSUPP, "a nested domain is made by its parent");
        }
        if (type == DomainType.IDENTITY && !unit.ecap().passThrough()) {
            throw new IommuException(Errno.EOPNOTSUPP, unit.name() + " has no pass-through (ECAP.PT is 0)");
        }
        if (!type.isPaging()) {
            return keep(new StaticDomain(state, type));
        }
        boolean secondStageNeeded = flags.contains(DomainFlag.NEST_PARENT) || flags.contains(DomainFlag.DIRTY_TRACKING);
        if (!secondStageNeeded && prefersFirstStage(type, unit)) {
            return keep(new FirstStageDomain(state, type, unit, context));
        }
        if (unit.isScalable() && !unit.ecap().secondStage()) {
            throw new IommuException(
                    Errno.EOPNOTSUPP, unit.name() + " has neither stage in scalable mode (ECAP.FLTS, SLTS)");
        }
        return keep(new SecondStageDomain(state, type, unit, context, flags, false, this::nest));
    }

    @Override
    public synchronized IommuDomain allocateForUser(IommuDevice device, Set<DomainFlag> flags) {
        Objects.requireNonNull(device, "device");
        Objects.requireNonNull(flags, "flags");
        checkOpen();
        IntelUnit unit = IntelDevice.own(device, state).unit();
        boolean secondStageNeeded = false;
        for (DomainFlag flag : flags) {
            boolean possible = switch (flag) {
                case NEST_PARENT -> unit.nests();
                case DIRTY_TRACKING -> unit.tracksDirty();
                // The flag changes nothing: every table of VT-d takes PASIDs.
                case PASID -> state.rules().takesPasidFlag();
            };
            if (!possible) {
                throw new IommuException(
                        Errno.EOPNOTSUPP,
                        unit.name() + " under Linux " + release() + " has no user's domains with " + flag);
            }
            secondStageNeeded |= flag != DomainFlag.PASID;
        }
        boolean always = state.rules().usersGetSecondStage();
        if (!always && !secondStageNeeded && prefersFirstStage(DomainType.UNMANAGED, unit)) {
            return keep(new FirstStageDomain(state, DomainType.UNMANAGED, unit, context));
        }
        if (!always && unit.isScalable() && !unit.ecap().secondStage()) {
            throw new IommuException(
                    Errno.EOPNOTSUPP, unit.name() + " has no second stage in scalable mode (ECAP.SLTS)");
        }
        return keep(new SecondStageDomain(state, DomainType.UNMANAGED, unit, context, flags, always, this::nest));
    }

    @Override
    public boolean blocksBeforeAttach() {
        return true;
    }

    @Override
    public boolean sharesOps() {
        return state.rules().stagesShareOps();
    }

    @Override
    public boolean nests() {
        return state.rules().nestsAndTracks();
    }

    /**
     * Refuses flags of domains that are not for users, and those that the release or the unit does not support.
     *
     * @throws IommuException EINVAL, EOPNOTSUPP
     */
    private void checkFlags(DomainType type, IntelDevice device, Set<DomainFlag> flags) {
        if (flags.isEmpty()) {
            return;
        }
        if (type != DomainType.UNMANAGED) {
            throw new IommuException(Errno.EINVAL, "a domain of " + type + " takes no flags, it has " + flags);
        }
        IntelUnit unit = device.unit();
        for (DomainFlag flag : flags) {
            boolean possible = switch (flag) {
                case NEST_PARENT -> state.rules().nestsAndTracks() && unit.nests();
                case DIRTY_TRACKING -> state.rules().nestsAndTracks() && unit.tracksDirty();
                case PASID -> state.rules().takesPasidFlag() && unit.translatesPasids();
            };
            if (!possible) {
                throw new IommuException(
                        Errno.EOPNOTSUPP, unit.name() + " under Linux " + release() + " has no domains with " + flag);
            }
        }
    }

    /** Chooses the stage: {@code first_level_by_default}. */
    private boolean prefersFirstStage(DomainType type, IntelUnit unit) {
        if (!state.rules().unmanagedPrefersSecondStage()) {
            return unit.isScalable() && unit.ecap().firstStage();
        }
        boolean first = true;
        boolean second = true;
        for (IntelUnit each : state.units()) {
            if (!each.isScalable()) {
                return false;
            }
            first &= each.ecap().firstStage();
            second &= each.ecap().secondStage();
        }
        return first && !(second && type == DomainType.UNMANAGED);
    }

    /** Returns the state that devices and domains need from this driver. */
    DriverState state() {
        return state;
    }

    /** Records a domain until it is closed, and returns it; under this monitor. */
    private IntelDomain keep(IntelDomain domain) {
        domains.add(domain);
        return domain;
    }

    /** Makes a nested domain in one step, so that {@link #close} finds both it and its parent. */
    private synchronized IommuDomain nest(SecondStageDomain parent, FirstStageTable guest) {
        checkOpen();
        parent.nestedOpened();
        return keep(new NestedDomain(state, parent, guest));
    }

    @Override
    public List<DmaFault> takeFaults() {
        List<DmaFault> faults = new ArrayList<>();
        for (IntelUnit unit : state.units()) {
            unit.faults().drain();
            unit.faults().take(faults);
        }
        return faults;
    }

    @Override
    public long faultOverflows() {
        long overflows = 0;
        for (IntelUnit unit : state.units()) {
            overflows += unit.faults().overflows();
        }
        return overflows;
    }

    @Override
    public long quarantinedFrames() {
        return state.quarantinedFrames();
    }

    private synchronized void forget(IommuDomain domain) {
        domains.remove(domain);
    }

    private static void stopPageRequests(IntelDevice device) {
        try {
            device.closePageRequests();
        } catch (IommuException e) {
            LOG.error("{} while {} was stopped", e.getMessage(), device);
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "the VT-d driver is closed");
        }
    }

    /**
     * Makes all domains refuse devices, or changes nothing where one has devices; under this monitor.
     *
     * @throws IommuException EBUSY
     */
    private void shutDomains() {
        for (IntelDomain domain : domains) {
            if (!domain.shut()) {
                domains.forEach(IntelDomain::reopen);
                throw new IommuException(Errno.EBUSY, "devices are attached to a domain of " + domain.type());
            }
        }
    }

    @Override
    public void close() {
        List<IntelDomain> left;
        List<IntelDevice> stopping;
        synchronized (this) {
            if (closed) {
                return;
            }
            shutDomains();
            closed = true;
            left = new ArrayList<>(domains);
            // The newest first: a domain is newer than the one that it depends on.
            Collections.reverse(left);
            stopping = new ArrayList<>(devices.values());
        }
        for (IntelDevice device : stopping) {
            stopPageRequests(device);
        }
        for (IntelUnit unit : state.units()) {
            state.quarantine(unit.stop());
        }
        for (IntelDomain domain : left) {
            domain.close();
        }
    }
}
