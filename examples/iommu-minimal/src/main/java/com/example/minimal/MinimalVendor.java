// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.UnitAbilities;
import org.iommu4j.spi.UnitDescription;
import org.iommu4j.spi.VendorContext;

/** The entry: recognises hosts that have the unit, describes them, and opens the driver. */
public final class MinimalVendor implements IommuVendor {
    static final String NAME = "minimal";
    static final String UNIT = "minimal0";
    private static final String SIGNATURE = "MINI";
    private static final String CAP = "CAP";

    /** For {@link java.util.ServiceLoader}. */
    public MinimalVendor() {}

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public boolean claims(FirmwareTables firmware) {
        return firmware.table(SIGNATURE).isPresent();
    }

    @Override
    public boolean recognises(HostFacts facts) {
        return claims(facts.firmware()) || facts.showsUnit(MinimalVendor::isOwn);
    }

    private static boolean isOwn(String unit) {
        return HostFacts.isNamed(unit, NAME);
    }

    @Override
    public Optional<ShownUnit> describeSysfsUnit(String name, Map<String, String> attributes, FirmwareTables firmware) {
        Objects.requireNonNull(attributes, "attributes");
        Objects.requireNonNull(firmware, "firmware");
        if (!isOwn(name)) {
            return Optional.empty();
        }
        String cap = attributes.get("minimal-iommu/cap");
        if (cap == null || !cap.matches("[0-9a-f]{1,16}")) {
            throw new IllegalArgumentException(name + ": expected minimal-iommu/cap, up to 16 hexadecimal digits");
        }
        Map<String, Long> registers = Map.of(CAP, Long.parseUnsignedLong(cap, 16));
        return Optional.of(new ShownUnit(OptionalLong.empty(), registers, Answer.YES));
    }

    @Override
    public KernelLog kernelLog() {
        return new MinimalKernelLog();
    }

    @Override
    public HostDescription describe(HostFacts facts, LinuxRelease release) {
        Objects.requireNonNull(release, "release");
        if (!recognises(facts) || !supports(release)) {
            throw new IllegalArgumentException("no " + SIGNATURE + " and no " + UNIT + ", or no driver for " + release);
        }
        List<String> warnings = new ArrayList<>();
        OptionalLong tableBase = OptionalLong.empty();
        Set<String> names = new LinkedHashSet<>();
        Optional<byte[]> bytes = facts.firmware().table(SIGNATURE);
        if (bytes.isPresent()) {
            AcpiTable table = AcpiTable.parse(SIGNATURE, bytes.get());
            tableBase = OptionalLong.of(table.u64(AcpiTable.HEADER_LENGTH));
            names.add(UNIT);
            if (!table.checksumValid()) {
                warnings.add(SIGNATURE + ": the checksum is wrong");
            }
        }
        facts.shownUnits().keySet().stream().filter(MinimalVendor::isOwn).forEach(names::add);
        List<UnitDescription> units = new ArrayList<>();
        for (String name : names) {
            units.add(describe(name, facts, name.equals(UNIT) ? tableBase : OptionalLong.empty(), warnings));
        }
        List<DeviceDescription> devices = new ArrayList<>();
        for (PciFunction function : facts.topology().functions()) {
            devices.add(describe(function, facts, units, warnings));
        }
        return new HostDescription(NAME, CoherencyRule.PER_DEVICE, units, devices, List.of(), warnings);
    }

    /** What Linux shows takes precedence over the table. */
    private static UnitDescription describe(
            String name, HostFacts facts, OptionalLong tableBase, List<String> warnings) {
        ShownUnit shown = facts.shownUnits().get(name);
        OptionalLong base = shown != null && shown.registerBase().isPresent() ? shown.registerBase() : tableBase;
        if (!base.equals(tableBase) && claims(facts)) {
            warnings.add(name + ": Linux shows it where " + SIGNATURE + " has none");
        }
        OptionalLong read = shown != null && shown.registers().containsKey(CAP)
                ? OptionalLong.of(shown.registers().get(CAP))
                : facts.registers().value(name, base, CAP);
        long cap = read.orElse(0);
        boolean known = Unit.VERSION.get(cap) == 1;
        boolean told = tableBase.isPresent();
        return new UnitDescription(
                name,
                told ? OptionalInt.of(0) : OptionalInt.empty(),
                base,
                told ? Answer.YES : Answer.UNKNOWN,
                List.of(),
                UnitAbilities.UNKNOWN.blockingNoSnoop(known ? Answer.of(Unit.SC.isSet(cap)) : Answer.UNKNOWN),
                known ? Map.of(CAP, cap) : Map.of(),
                known ? Map.of("CAP.SC", Unit.SC.get(cap)) : Map.of());
    }

    private static boolean claims(HostFacts facts) {
        return facts.firmware().table(SIGNATURE).isPresent();
    }

    private static DeviceDescription describe(
            PciFunction function, HostFacts facts, List<UnitDescription> units, List<String> warnings) {
        PciAddress address = function.address();
        if (address.segment() != 0) {
            Reason why = new Reason("the unit translates for segment 0 only", "manual, Firmware");
            return new DeviceDescription(address, Answer.NO, null, Answer.NO, List.of(why), List.of(), Answer.NO);
        }
        String link = facts.unitLinks().get(address);
        UnitDescription unit =
                units.stream().filter(one -> one.id().equals(link)).findFirst().orElse(units.get(0));
        if (claims(facts) && !unit.id().equals(UNIT)) {
            warnings.add(address + ": Linux has it behind " + unit.id() + ", " + SIGNATURE + " behind " + UNIT);
        }
        Answer blocks = unit.abilities().blocksNoSnoop();
        Reason why = new Reason("the unit blocks no-snoop where CAP has SC: " + blocks, "manual, Registers");
        List<ReservedRegion> regions = claims(facts) ? MinimalDevice.RESERVED_REGIONS : null;
        return new DeviceDescription(address, Answer.YES, unit.id(), blocks, List.of(why), regions, Answer.YES);
    }

    @Override
    public Iommu open(VendorContext context) {
        if (!supports(context.release())) {
            throw new IllegalArgumentException("no driver for " + context.release());
        }
        byte[] bytes = context.firmware()
                .table(SIGNATURE)
                .orElseThrow(() -> new IommuException(Errno.ENODEV, "open: firmware has no " + SIGNATURE));
        long registerBase;
        try {
            AcpiTable table = AcpiTable.parse(SIGNATURE, bytes);
            registerBase = table.u64(AcpiTable.HEADER_LENGTH);
            if (!table.checksumValid()) {
                throw new IommuException(Errno.EINVAL, "open: the checksum of " + SIGNATURE + " is wrong");
            }
        } catch (MalformedTableException e) {
            throw new IommuException(Errno.EINVAL, "open: " + e.getMessage(), e);
        }
        return MinimalIommu.open(context, registerBase);
    }
}
