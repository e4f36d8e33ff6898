// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
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
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.riscv.acpi.Rimt;
import org.iommu4j.riscv.fmt.DeviceContext;
import org.iommu4j.riscv.reg.Capabilities;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The opened driver. Its monitor guards devices, domains and device directories; units' monitors are taken inside.
 *
 * <p>Source: Linux {@code drivers/iommu/riscv/iommu.c}.
 */
final class RiscvIommu implements Iommu {
    private static final Logger LOG = LoggerFactory.getLogger(RiscvIommu.class);

    private final VendorContext context;
    private final RiscvRules rules;
    private final UnitMap map;
    private final List<RiscvUnit> units;
    private final Tags tags = new Tags();
    private final AtomicLong quarantined = new AtomicLong();
    private final Map<DeviceId, RiscvDevice> devices = new HashMap<>();

    /** The same devices, for a walk that allocates nothing. */
    private final List<RiscvDevice> probed = new ArrayList<>();

    private final Set<RiscvDomain> domains = new LinkedHashSet<>();
    private boolean closed;

    private RiscvIommu(VendorContext context, RiscvRules rules, UnitMap map, List<RiscvUnit> units) {
        this.context = context;
        this.rules = rules;
        this.map = map;
        this.units = List.copyOf(units);
    }

    /** Opens; see {@link org.iommu4j.spi.IommuVendor#open}. */
    static RiscvIommu open(VendorContext context, RiscvRules rules) {
        byte[] bytes = context.firmware()
                .table(Rimt.SIGNATURE)
                .orElseThrow(() -> new IommuException(Errno.ENODEV, "open: firmware has no " + Rimt.SIGNATURE));
        Rimt rimt;
        try {
            rimt = Rimt.parse(bytes);
        } catch (MalformedTableException e) {
            throw new IommuException(Errno.EINVAL, "open: " + e.getMessage(), e);
        }
        if (!rimt.checksumValid()) {
            throw new IommuException(Errno.EINVAL, "open: the checksum of " + Rimt.SIGNATURE + " is wrong");
        }
        UnitMap map = new UnitMap(rimt, context.topology());
        List<RiscvUnit> units = new ArrayList<>();
        try {
            for (UnitMap.Place place : map.places()) {
                if (place.unused().isEmpty()) {
                    units.add(RiscvUnit.open(map, place, context, rules));
                } else {
                    LOG.warn("{} is not used: {}", place.name(), place.unused().get());
                }
            }
        } catch (IommuException e) {
            units.forEach(RiscvUnit::close);
            throw e;
        }
        if (units.isEmpty()) {
            throw new IommuException(Errno.ENODEV, "open: " + Rimt.SIGNATURE + " has no unit that the driver is for");
        }
        return new RiscvIommu(context, rules, map, units);
    }

    @Override
    public String vendor() {
        return RiscvNames.VENDOR;
    }

    @Override
    public LinuxRelease release() {
        return context.release();
    }

    @Override
    public List<String> units() {
        return units.stream().map(RiscvUnit::name).toList();
    }

    // --- for domains ---

    RiscvUnit unit(int index) {
        return units.get(index);
    }

    int unitCount() {
        return units.size();
    }

    int index(RiscvUnit unit) {
        return units.indexOf(unit);
    }

    Tags tags() {
        return tags;
    }

    /** Counts frames that are never freed. */
    void quarantine(long frames) {
        quarantined.addAndGet(frames);
    }

    // --- devices ---

    @Override
    public synchronized Optional<IommuDevice> probe(PciFunction function, int... dmaAliases) {
        Objects.requireNonNull(dmaAliases, "dmaAliases");
        checkOpen();
        return probe(function.address(), () -> map.behind(function.address(), dmaAliases));
    }

    @Override
    public synchronized Optional<IommuDevice> probe(NamedDevice device) {
        Objects.requireNonNull(device, "device");
        checkOpen();
        return probe(device, () -> map.behind(device));
    }

    private Optional<IommuDevice> probe(DeviceId id, Supplier<Optional<UnitMap.Behind>> place) {
        RiscvDevice known = devices.get(id);
        if (known != null) {
            return Optional.of(known);
        }
        Optional<UnitMap.Behind> behind = place.get();
        Optional<RiscvUnit> unit = behind.flatMap(
                its -> units.stream().filter(each -> each.name().equals(its.place().name())).findFirst());
        if (behind.isEmpty() || unit.isEmpty()) {
            return Optional.empty();
        }
        long[] ids = behind.get().ids();
        DeviceDirectory directory = unit.get().directory();
        long[] contexts = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            if (!directory.holds(ids[i])) {
                return Optional.empty(); // Linux: the device's probe ends with ENODEV
            }
            contexts[i] = directory.context(ids[i]);
        }
        RiscvDevice device = new RiscvDevice(this, id, unit.get(), ids, contexts);
        for (int i = 0; i < ids.length; i++) {
            if (otherUser(device, contexts[i]) == null) {
                directory.translationControl(contexts[i], control(unit.get()));
            }
            unit.get().note(ids[i], id);
        }
        devices.put(id, device);
        probed.add(device);
        return Optional.of(device);
    }

    /** Returns the translation control of a context that is not valid. */
    private long control(RiscvUnit unit) {
        return rules.hardwareUpdates() && Capabilities.AMO_HWAD.isSet(unit.capabilities())
                ? DeviceContext.SADE.mask()
                : 0;
    }

    /** Returns another device that has a context and whose requests pass, or null. */
    private @Nullable RiscvDevice otherUser(RiscvDevice device, long context) {
        for (int i = 0; i < probed.size(); i++) {
            RiscvDevice other = probed.get(i);
            if (other != device && other.passes() && other.uses(context)) {
                return other;
            }
        }
        return null;
    }

    /** Linux's driver answers no question: it has no {@code capable}. */
    @Override
    public boolean capable(IommuDevice device, IommuCapability capability) {
        Objects.requireNonNull(capability, "capability");
        own(device);
        return false;
    }

    private RiscvDevice own(IommuDevice device) {
        if (device instanceof RiscvDevice own && own.iommu() == this) {
            return own;
        }
        throw new IommuException(Errno.ENODEV, device.id() + " belongs to another driver");
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.ENODEV, "the driver is closed");
        }
    }

    // --- domains ---

    @Override
    public IommuDomain allocate(DomainType type, IommuDevice device) {
        return allocate(type, device, Set.of());
    }

    @Override
    public synchronized IommuDomain allocate(DomainType type, IommuDevice device, Set<DomainFlag> flags) {
        Objects.requireNonNull(type, "type");
        Objects.requireNonNull(flags, "flags");
        checkOpen();
        RiscvDevice own = own(device);
        if (type == DomainType.NESTED || !flags.isEmpty()) {
            throw new IommuException(Errno.EOPNOTSUPP, "allocate: no domain of type " + type + " with " + flags);
        }
        RiscvDomain domain = type.isPaging() ? paging(type, own.unit()) : new StaticDomain(this, type);
        domains.add(domain);
        return domain;
    }

    private PagingDomain paging(DomainType type, RiscvUnit unit) {
        int levels = Capabilities.levels(unit.capabilities());
        if (levels == 0) {
            throw new IommuException(Errno.ENODEV, "allocate: " + unit + " walks no table of Sv39, Sv48 or Sv57");
        }
        int tag = tags.take();
        try {
            PageTable table = new PageTable(
                    context.memory(),
                    new TableFrames(context.memory(), context.frames()),
                    rules,
                    levels,
                    Capabilities.SVPBMT.isSet(unit.capabilities()));
            return new PagingDomain(this, type, table, tag);
        } catch (IommuException e) {
            tags.give(tag);
            throw e;
        }
    }

    // --- moving a device ---

    synchronized void attach(IommuDevice given, RiscvDomain domain) {
        RiscvDevice device = own(given);
        domain.checkOpen();
        RiscvDomain old = device.domain();
        if (old == domain) {
            return;
        }
        RiscvUnit unit = device.unit();
        domain.checkFits(unit);
        if (unit.isBroken()) {
            throw unit.refusal(true, "attach " + device);
        }
        domain.join(unit);
        if (!move(device, old, domain)) {
            restore(device, old);
            domain.leave(unit);
            domain.leaveBehind();
            throw unit.refusal(false, "attach " + device);
        }
        device.setDomain(domain);
        if (old != null) {
            old.leave(unit);
        }
    }

    synchronized void detach(IommuDevice given, RiscvDomain domain) {
        RiscvDevice device = own(given);
        domain.checkOpen();
        if (device.domain() != domain) {
            throw new IommuException(Errno.EINVAL, "detach: " + device + " is not attached to this domain");
        }
        RiscvUnit unit = device.unit();
        boolean wasBroken = unit.isBroken();
        boolean moved = move(device, domain, null);
        device.setDomain(null);
        domain.leave(unit);
        if (!moved) {
            domain.leaveBehind();
            throw unit.refusal(wasBroken, "detach " + device);
        }
    }

    /**
     * Changes a device's contexts in the steps of Linux's {@code riscv_iommu_iodir_update}: they are taken out of use
     * and forgotten, then stored anew. Meanwhile its requests are refused. An id that blocks here and that another
     * device goes on using keeps that one's context. Last, the unit forgets the old domain if it has no other device.
     *
     * @return whether the unit completed all
     */
    private boolean move(RiscvDevice device, @Nullable RiscvDomain from, @Nullable RiscvDomain to) {
        RiscvUnit unit = device.unit();
        boolean passes = to != null && to.passes();
        boolean[] shared = device.shared();
        for (int i = 0; i < shared.length; i++) {
            shared[i] = !passes && otherUser(device, device.contexts()[i]) != null;
        }
        boolean done = unit.retire(device.ids(), device.contexts(), shared);
        if (done || to == null) {
            done &= unit.assign(
                    device.ids(),
                    device.contexts(),
                    shared,
                    passes,
                    to == null ? DeviceContext.BARE : to.firstStage(),
                    to == null ? RiscvDomain.NO_TAG : to.tag());
        }
        return done && (from == null || !from.isLast(unit) || unit.forget(from.tag()));
    }

    /** Stores a device's contexts as they were; a unit that did not confirm may use either. */
    private void restore(RiscvDevice device, @Nullable RiscvDomain old) {
        for (long its : device.contexts()) {
            RiscvDevice other = old == null || !old.passes() ? otherUser(device, its) : null;
            RiscvDomain domain = other == null ? old : other.domain();
            boolean passes = domain != null && domain.passes();
            device.unit()
                    .store(
                            its,
                            passes,
                            domain == null ? DeviceContext.BARE : domain.firstStage(),
                            domain == null ? RiscvDomain.NO_TAG : domain.tag());
        }
    }

    // --- faults, quarantine, closing ---

    @Override
    public List<DmaFault> takeFaults() {
        List<DmaFault> taken = new ArrayList<>();
        for (RiscvUnit unit : units) {
            taken.addAll(unit.takeFaults());
        }
        return Collections.unmodifiableList(taken);
    }

    @Override
    public long faultOverflows() {
        return units.stream().mapToLong(RiscvUnit::faultOverflows).sum();
    }

    @Override
    public long quarantinedFrames() {
        return quarantined.get();
    }

    synchronized void close(RiscvDomain domain) {
        if (domains.contains(domain)) {
            checkEmpty(domain);
            domains.remove(domain);
            domain.end();
        }
    }

    private void checkEmpty(RiscvDomain domain) {
        for (RiscvDevice device : probed) {
            if (device.domain() == domain) {
                throw new IommuException(Errno.EBUSY, "close: " + device + " is attached");
            }
        }
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        domains.forEach(this::checkEmpty);
        closed = true;
        units.forEach(unit -> quarantine(unit.close()));
        List.copyOf(domains).forEach(this::close);
    }
}
