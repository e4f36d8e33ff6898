// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.intel.acpi.DmarParser;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.KernelParameter;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.VendorContext;

/**
 * Intel VT-d, found by its DMAR table.
 *
 * <p>Source: VT-d specification, chapters 8 to 11; Linux {@code drivers/iommu/intel}.
 */
public final class IntelVendor implements IommuVendor {
    /** Makes the vendor; it has no state. */
    public IntelVendor() {}

    @Override
    public String name() {
        return IntelNames.VENDOR;
    }

    @Override
    public boolean claims(FirmwareTables firmware) {
        return firmware.table(DmarParser.SIGNATURE).isPresent();
    }

    @Override
    public boolean recognises(HostFacts facts) {
        return claims(facts.firmware())
                || facts.showsUnit(IntelNames::isUnit)
                || facts.stated().drivers().containsKey(IntelNames.VENDOR);
    }

    @Override
    public KernelLog kernelLog() {
        return new IntelKernelLog();
    }

    @Override
    public Optional<ShownUnit> describeSysfsUnit(String name, Map<String, String> attributes, FirmwareTables firmware) {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(attributes, "attributes");
        Objects.requireNonNull(firmware, "firmware");
        return IntelSysfs.read(name, attributes);
    }

    @Override
    public List<KernelParameter> kernelParameters() {
        return IntelDescription.PARAMETERS;
    }

    @Override
    public boolean supports(LinuxRelease release) {
        return IntelRules.areBuiltFor(release);
    }

    @Override
    public List<ReleaseRule<?>> releaseRules() {
        return IntelRules.RULES;
    }

    @Override
    public HostDescription describe(HostFacts facts, LinuxRelease release) {
        Objects.requireNonNull(facts, "facts");
        Objects.requireNonNull(release, "release");
        if (!recognises(facts)) {
            throw new IllegalArgumentException("nothing of this host is for driver " + name()
                    + ", expected its DMAR table, a unit or a line of its log");
        }
        return IntelDescription.describe(facts, release);
    }

    @Override
    public Iommu open(VendorContext context) {
        return IntelIommu.open(context);
    }
}
