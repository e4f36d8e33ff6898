// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.List;
import java.util.Map;
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
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.UnitAbilities;
import org.iommu4j.spi.UnitDescription;
import org.iommu4j.spi.VendorContext;

/** The entry: recognises hosts that have the unit, describes them, and opens the driver. */
public final class MinimalVendor implements IommuVendor {
    static final String NAME = "minimal";
    static final String UNIT = "minimal0";
    private static final String SIGNATURE = "MINI";

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public boolean claims(FirmwareTables firmware) {
        return firmware.table(SIGNATURE).isPresent();
    }

    @Override
    public HostDescription describe(HostFacts facts, LinuxRelease release) {
        if (!supports(release) || !claims(facts.firmware())) {
            throw new IllegalArgumentException("no table " + SIGNATURE + ", or no driver for " + release);
        }
        AcpiTable table =
                AcpiTable.parse(SIGNATURE, facts.firmware().table(SIGNATURE).orElseThrow());
        OptionalLong base = OptionalLong.of(table.u64(AcpiTable.HEADER_LENGTH));
        long cap = facts.registers().value(UNIT, base, "CAP").orElse(0);
        boolean known = Unit.VERSION.get(cap) == 1;
        Answer blocks = known ? Answer.of(Unit.SC.isSet(cap)) : Answer.UNKNOWN;
        UnitDescription unit = new UnitDescription(
                UNIT,
                OptionalInt.of(0),
                base,
                Answer.YES,
                List.of(),
                UnitAbilities.UNKNOWN.blockingNoSnoop(blocks),
                known ? Map.of("CAP", cap) : Map.of(),
                known ? Map.of("CAP.SC", Unit.SC.get(cap)) : Map.of());
        List<DeviceDescription> devices = facts.topology().functions().stream()
                .map(function -> describe(function, blocks))
                .toList();
        List<String> warnings = table.checksumValid() ? List.of() : List.of(SIGNATURE + ": the checksum is wrong");
        return new HostDescription(NAME, CoherencyRule.PER_DEVICE, List.of(unit), devices, List.of(), warnings);
    }

    private static DeviceDescription describe(PciFunction function, Answer blocks) {
        boolean translated = function.address().segment() == 0;
        Reason why = translated
                ? new Reason("the unit blocks no-snoop where CAP has SC: " + blocks, "manual, Registers")
                : new Reason("the unit translates for segment 0 only", "manual, Firmware");
        return new DeviceDescription(
                function.address(),
                Answer.of(translated),
                translated ? UNIT : null,
                translated ? blocks : Answer.NO,
                List.of(why),
                translated ? MinimalIommu.RESERVED_REGIONS : List.of(),
                Answer.of(translated));
    }

    @Override
    public Iommu open(VendorContext context) {
        if (!supports(context.release())) {
            throw new IllegalArgumentException("no driver for " + context.release());
        }
        byte[] bytes = context.firmware()
                .table(SIGNATURE)
                .orElseThrow(() -> new IommuException(Errno.ENODEV, "open: firmware has no " + SIGNATURE));
        try {
            AcpiTable table = AcpiTable.parse(SIGNATURE, bytes);
            if (!table.checksumValid()) {
                throw new MalformedTableException(SIGNATURE, 9, "the checksum is wrong");
            }
            return MinimalIommu.open(context, table.u64(AcpiTable.HEADER_LENGTH));
        } catch (MalformedTableException e) {
            throw new IommuException(Errno.EINVAL, "open: " + e.getMessage(), e);
        }
    }
}
