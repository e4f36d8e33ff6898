// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.VendorContext;

/**
 * The RISC-V IOMMU driver as the service loader finds it: claims machines whose firmware has a RIMT, or a unit in a
 * device tree.
 */
public final class RiscvVendor implements IommuVendor {
    /** Makes the vendor; it has no state. */
    public RiscvVendor() {}

    @Override
    public String name() {
        return RiscvNames.VENDOR;
    }

    @Override
    public boolean claims(FirmwareTables firmware) {
        return Firmware.hasRimt(firmware) || Firmware.hasTreeWithUnit(firmware);
    }

    /** Before 6.18 Linux's driver does not read RIMT. */
    @Override
    public boolean claims(FirmwareTables firmware, LinuxRelease release) {
        Objects.requireNonNull(release, "release");
        return (supports(release) && !RiscvRules.of(release).readsRimt())
                ? Firmware.hasTreeWithUnit(firmware)
                : claims(firmware);
    }

    @Override
    public boolean recognises(HostFacts facts) {
        return claims(facts.firmware())
                || facts.showsUnit(RiscvNames::isUnit)
                || facts.stated().drivers().containsKey(RiscvNames.VENDOR);
    }

    @Override
    public KernelLog kernelLog() {
        return new RiscvKernelLog();
    }

    /** Linux's driver shows no file below a unit's directory. */
    @Override
    public Optional<ShownUnit> describeSysfsUnit(String name, Map<String, String> attributes, FirmwareTables firmware) {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(attributes, "attributes");
        Objects.requireNonNull(firmware, "firmware");
        return RiscvNames.isUnit(name)
                ? Optional.of(new ShownUnit(OptionalLong.empty(), Map.of(), Answer.YES))
                : Optional.empty();
    }

    @Override
    public boolean supports(LinuxRelease release) {
        return RiscvRules.areBuiltFor(release);
    }

    @Override
    public List<ReleaseRule<?>> releaseRules() {
        return RiscvRules.RULES;
    }

    @Override
    public HostDescription describe(HostFacts facts, LinuxRelease release) {
        Objects.requireNonNull(facts, "facts");
        Objects.requireNonNull(release, "release");
        if (!supports(release)) {
            throw notBuilt(release);
        }
        Optional<UnitMap> map = Firmware.read(facts.firmware(), facts.topology(), release);
        if (!recognises(facts)) {
            throw new IllegalArgumentException("nothing of this host is for driver " + name()
                    + ", expected a RIMT table, a unit in a device tree, a unit or a line of its log");
        }
        return RiscvDescription.describe(facts, map);
    }

    @Override
    public Iommu open(VendorContext context) {
        if (!supports(context.release())) {
            throw notBuilt(context.release());
        }
        return RiscvIommu.open(context, RiscvRules.of(context.release()));
    }

    private static IllegalArgumentException notBuilt(LinuxRelease release) {
        return new IllegalArgumentException(
                "Linux " + release + " has no RISC-V IOMMU driver, or no rules are built for it");
    }
}
