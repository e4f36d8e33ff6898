// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.minimal;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.stream.Collectors;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.FirmwareTables;
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

/** Step one of a vendor: to be found, to say which machines are its own, and to open them. */
public final class MinimalVendor implements IommuVendor {
    static final String SIGNATURE = "MINI";
    static final String UNIT = "mini0";

    @Override
    public String name() {
        return "minimal";
    }

    @Override
    public boolean claims(FirmwareTables firmware) {
        return firmware.table(SIGNATURE).isPresent();
    }

    @Override
    public boolean recognises(HostFacts facts) {
        return claims(facts.firmware()) || facts.showsUnit(name -> HostFacts.isNamed(name, "mini"));
    }

    @Override
    public KernelLog kernelLog() {
        return new MinimalKernelLog();
    }

    @Override
    public HostDescription describe(HostFacts facts, LinuxRelease release) {
        Objects.requireNonNull(release, "release");
        ShownUnit shown = facts.shownUnits().get(UNIT);
        OptionalLong base = facts.firmware()
                .table(SIGNATURE)
                .map(bytes -> OptionalLong.of(registerBase(AcpiTable.parse(SIGNATURE, bytes))))
                .orElseGet(() -> shown == null ? OptionalLong.empty() : shown.registerBase());
        UnitDescription unit = new UnitDescription(
                UNIT,
                OptionalInt.of(0),
                base,
                Answer.YES,
                List.of(),
                UnitAbilities.UNKNOWN,
                shown == null ? Map.of() : shown.registers(),
                Map.of());
        Reason why = new Reason("a minimal unit knows no snoop control", "MinimalIommu");
        List<DeviceDescription> devices = facts.topology().functions().stream()
                .map(function -> new DeviceDescription(
                        function.address(), Answer.YES, UNIT, Answer.NO, List.of(why), List.of(), Answer.YES))
                .collect(Collectors.toList());
        return new HostDescription(name(), CoherencyRule.PER_DEVICE, List.of(unit), devices, List.of(), List.of());
    }

    @Override
    public Iommu open(VendorContext context) {
        byte[] bytes = context.firmware()
                .table(SIGNATURE)
                .orElseThrow(() -> new IommuException(Errno.ENODEV, "open: firmware has no " + SIGNATURE));
        AcpiTable table = AcpiTable.parse(SIGNATURE, bytes);
        return new MinimalIommu(context, registerBase(table), table.u8(AcpiTable.HEADER_LENGTH + 8) == 1);
    }

    private static long registerBase(AcpiTable table) {
        return table.u64(AcpiTable.HEADER_LENGTH);
    }
}
