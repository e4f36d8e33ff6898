// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.amd.acpi.Ivrs;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.KernelParameter;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.VendorContext;

/** The AMD-Vi driver as the service loader finds it: claims machines whose firmware has an IVRS. */
public final class AmdVendor implements IommuVendor {
    /** Makes the vendor; it has no state. */
    public AmdVendor() {}

    @Override
    public String name() {
        return AmdNames.VENDOR;
    }

    @Override
    public boolean claims(FirmwareTables firmware) {
        return firmware.table(Ivrs.SIGNATURE).isPresent();
    }

    @Override
    public boolean recognises(HostFacts facts) {
        return claims(facts.firmware())
                || facts.showsUnit(AmdNames::isUnit)
                || facts.stated().drivers().containsKey(AmdNames.VENDOR)
                || !AmdNames.functions(facts.stated()).isEmpty();
    }

    @Override
    public KernelLog kernelLog() {
        return new AmdKernelLog();
    }

    @Override
    public Optional<ShownUnit> describeSysfsUnit(String name, Map<String, String> attributes, FirmwareTables firmware) {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(attributes, "attributes");
        Objects.requireNonNull(firmware, "firmware");
        return AmdSysfs.read(name, attributes, firmware);
    }

    @Override
    public List<KernelParameter> kernelParameters() {
        return AmdDescription.PARAMETERS;
    }

    @Override
    public boolean supports(LinuxRelease release) {
        return AmdRules.areBuiltFor(release);
    }

    @Override
    public List<ReleaseRule<?>> releaseRules() {
        return AmdRules.RULES;
    }

    @Override
    public HostDescription describe(HostFacts facts, LinuxRelease release) {
        Objects.requireNonNull(facts, "facts");
        Objects.requireNonNull(release, "release");
        if (!recognises(facts)) {
            throw new IllegalArgumentException("nothing of this host is for driver " + name()
                    + ", expected its IVRS table, a unit or a line of its log");
        }
        return AmdDescription.describe(facts, release);
    }

    @Override
    public Iommu open(VendorContext context) {
        return AmdIommu.open(context);
    }
}
