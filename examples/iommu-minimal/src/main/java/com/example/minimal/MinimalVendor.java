// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
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
        return claims(facts.firmware()) || facts.shownUnits().containsKey(UNIT);
    }

    @Override
    public KernelLog kernelLog() {
        return new MinimalKernelLog();
    }

    @Override
    public HostDescription describe(HostFacts facts, LinuxRelease release) {
        if (!recognises(facts) || !supports(release)) {
            throw new IllegalArgumentException("no " + SIGNATURE + " and no " + UNIT + ", or no driver for " + release);
        }
        List<String> warnings = new ArrayList<>();
        OptionalLong base = registerBase(facts, warnings);
        ShownUnit shown = facts.shownUnits().get(UNIT);
        OptionalLong capability = shown != null && shown.registers().containsKey("CAP")
                ? OptionalLong.of(shown.registers().get("CAP"))
                : facts.registers().value(UNIT, base, "CAP");
        Answer blocks = capability.isEmpty() ? Answer.UNKNOWN : Answer.of(Unit.SC.isSet(capability.getAsLong()));
        UnitDescription unit = new UnitDescription(
                UNIT,
                OptionalInt.of(0),
                base,
                Answer.YES,
                List.of(),
                UnitAbilities.UNKNOWN.blockingNoSnoop(blocks),
                capability.isEmpty() ? Map.of() : Map.of("CAP", capability.getAsLong()),
                capability.isEmpty() ? Map.of() : Map.of("CAP.SC", Unit.SC.get(capability.getAsLong())));
        List<DeviceDescription> devices = new ArrayList<>();
        for (PciFunction function : facts.topology().functions()) {
            devices.add(describe(function, blocks));
        }
        return new HostDescription(NAME, CoherencyRule.PER_DEVICE, List.of(unit), devices, List.of(), warnings);
    }

    /** What Linux shows takes precedence. */
    private static OptionalLong registerBase(HostFacts facts, List<String> warnings) {
        ShownUnit shown = facts.shownUnits().get(UNIT);
        OptionalLong known = shown == null ? OptionalLong.empty() : shown.registerBase();
        Optional<byte[]> bytes = facts.firmware().table(SIGNATURE);
        if (bytes.isEmpty()) {
            return known;
        }
        AcpiTable table = AcpiTable.parse(SIGNATURE, bytes.get());
        OptionalLong base = OptionalLong.of(table.u64(AcpiTable.HEADER_LENGTH));
        if (!table.checksumValid()) {
            warnings.add(SIGNATURE + ": the checksum is wrong");
        }
        if (known.isPresent() && !known.equals(base)) {
            warnings.add(SIGNATURE + ": " + UNIT + " is elsewhere than Linux shows it");
        }
        return known.isPresent() ? known : base;
    }

    private static DeviceDescription describe(PciFunction function, Answer blocks) {
        if (function.address().segment() != 0) {
            Reason why = new Reason("the unit translates for segment 0 only", "manual, Firmware");
            return new DeviceDescription(
                    function.address(), Answer.NO, null, Answer.NO, List.of(why), List.of(), Answer.NO);
        }
        Reason why = new Reason("the unit blocks no-snoop where CAP has SC: " + blocks, "manual, Registers");
        return new DeviceDescription(
                function.address(), Answer.YES, UNIT, blocks, List.of(why), MinimalDevice.RESERVED_REGIONS, Answer.YES);
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
