// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
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
import org.iommu4j.riscv.reg.Capabilities;
import org.iommu4j.spi.VendorContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The opened driver. The attacher's monitor guards whether it is open.
 *
 * <p>Source: Linux {@code drivers/iommu/riscv/iommu.c}.
 */
final class RiscvIommu implements Iommu {
    private static final Logger LOG = LoggerFactory.getLogger(RiscvIommu.class);

    private final VendorContext context;
    private final UnitMap map;
    private final DriverState driver;
    private final Attacher attacher;
    private boolean closed;

    private RiscvIommu(VendorContext context, RiscvRules rules, UnitMap map, List<RiscvUnit> units) {
        this.context = context;
        this.map = map;
        this.driver = new DriverState(this, context, rules, units);
        this.attacher = new Attacher(driver);
    }

    /** Opens; see {@link org.iommu4j.spi.IommuVendor#open}. */
    static RiscvIommu open(VendorContext context, RiscvRules rules) {
        UnitMap map;
        try {
            map = Firmware.read(context.firmware(), context.topology(), context.release())
                    .orElseThrow(() -> new IommuException(
                            Errno.ENODEV, "open: firmware has no " + Rimt.SIGNATURE + " and no device tree"));
        } catch (MalformedTableException e) {
            throw new IommuException(Errno.EINVAL, "open: " + e.getMessage(), e);
        }
        map.defect().ifPresent(defect -> {
            throw new IommuException(Errno.EINVAL, "open: " + defect);
        });
        List<RiscvUnit> units = new ArrayList<>();
        try {
            for (UnitPlace place : map.places()) {
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
            throw new IommuException(Errno.ENODEV, "open: the " + map.source() + " has no unit that the driver is for");
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
        return driver.units().stream().map(RiscvUnit::name).toList();
    }

    // --- devices ---

    @Override
    public Optional<IommuDevice> probe(PciFunction function, int... dmaAliases) {
        Objects.requireNonNull(dmaAliases, "dmaAliases");
        return probe(function.address(), () -> map.behind(function.address(), dmaAliases));
    }

    @Override
    public Optional<IommuDevice> probe(NamedDevice device) {
        Objects.requireNonNull(device, "device");
        return map.hasNamedDevices() ? probe(device, () -> map.behind(device)) : Optional.empty();
    }

    private Optional<IommuDevice> probe(DeviceId id, Supplier<Optional<UnitIds>> place) {
        synchronized (attacher) {
            checkOpen();
            RiscvDevice known = attacher.device(id);
            if (known != null) {
                return Optional.of(known);
            }
            UnitIds behind = place.get().orElse(null);
            if (behind == null) {
                return Optional.empty();
            }
            return driver.units().stream()
                    .filter(unit -> unit.name().equals(behind.place().name()))
                    .findFirst()
                    .flatMap(unit -> attacher.add(
                            id,
                            unit,
                            behind.ids().stream().mapToLong(Long::longValue).toArray()));
        }
    }

    /** Linux's driver answers no question: it has no {@code capable}. */
    @Override
    public boolean capable(IommuDevice device, IommuCapability capability) {
        Objects.requireNonNull(capability, "capability");
        attacher.own(device);
        return false;
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
    public IommuDomain allocate(DomainType type, IommuDevice device, Set<DomainFlag> flags) {
        Objects.requireNonNull(type, "type");
        Objects.requireNonNull(flags, "flags");
        synchronized (attacher) {
            checkOpen();
            RiscvDevice own = attacher.own(device);
            if (type == DomainType.NESTED || !flags.isEmpty()) {
                throw new IommuException(Errno.EOPNOTSUPP, "allocate: no domain of type " + type + " with " + flags);
            }
            RiscvDomain domain = type.isPaging() ? paging(type, own.unit()) : new StaticDomain(driver, attacher, type);
            attacher.add(domain);
            return domain;
        }
    }

    private PagingDomain paging(DomainType type, RiscvUnit unit) {
        int levels = Capabilities.levels(unit.capabilities());
        if (levels == 0) {
            throw new IommuException(Errno.ENODEV, "allocate: " + unit + " walks no table of Sv39, Sv48 or Sv57");
        }
        int tag = driver.tags().take();
        try {
            PageTable table =
                    new PageTable(driver.memory(), driver.frames(), driver.rules(), levels, unit.capabilities());
            return new PagingDomain(driver, attacher, type, table, tag);
        } catch (IommuException e) {
            driver.tags().give(tag);
            throw e;
        }
    }

    // --- faults, quarantine, closing ---

    @Override
    public List<DmaFault> takeFaults() {
        List<DmaFault> taken = new ArrayList<>();
        for (RiscvUnit unit : driver.units()) {
            taken.addAll(unit.takeFaults());
        }
        return Collections.unmodifiableList(taken);
    }

    @Override
    public long faultOverflows() {
        return driver.units().stream().mapToLong(RiscvUnit::faultOverflows).sum();
    }

    @Override
    public long quarantinedFrames() {
        return driver.quarantined();
    }

    @Override
    public void close() {
        synchronized (attacher) {
            if (closed) {
                return;
            }
            attacher.checkEmpty();
            closed = true;
            driver.units().forEach(unit -> driver.quarantine(unit.close()));
            attacher.close();
        }
    }
}
