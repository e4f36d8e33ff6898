// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.KernelParameter;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.UnitAbilities;
import org.iommu4j.spi.UnitDescription;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;

/** A vendor whose word about a host a test chooses: what it says is all that the audit's own rules see of it. */
public final class MadeUpVendor implements IommuVendor {
    private final String name;
    private CoherencyRule rule = CoherencyRule.PER_DEVICE;
    private @Nullable HardwareVirtualization virtualization = HardwareVirtualization.VMX;
    private @Nullable Reason directLock;
    private LinuxRelease oldest = LinuxRelease.known().get(0);
    private final List<UnitDescription> units = new ArrayList<>();
    private final Map<DeviceId, DeviceDescription> devices = new LinkedHashMap<>();
    private final List<KernelParameter> parameters = new ArrayList<>();

    public MadeUpVendor(String name) {
        this.name = name;
    }

    public MadeUpVendor rule(CoherencyRule its) {
        rule = its;
        return this;
    }

    public MadeUpVendor processors(@Nullable HardwareVirtualization its) {
        virtualization = its;
        return this;
    }

    /** Its driver is built from a release on. */
    public MadeUpVendor since(String release) {
        oldest = LinuxRelease.named(release);
        return this;
    }

    /** Its driver keeps devices with DIRECT regions. */
    public MadeUpVendor keepsDirectDevices() {
        directLock = new Reason("the driver keeps it", name + "_lock");
        return this;
    }

    public MadeUpVendor unit(String id, Answer blocksNoSnoop, Answer includeAll) {
        UnitAbilities none = UnitAbilities.UNKNOWN;
        units.add(new UnitDescription(
                id,
                OptionalInt.of(0),
                OptionalLong.empty(),
                includeAll,
                List.of(),
                new UnitAbilities(
                        blocksNoSnoop,
                        Answer.YES,
                        none.interruptRemapping(),
                        none.firstStage(),
                        none.secondStage(),
                        none.nested(),
                        none.pasid(),
                        none.dirtyTracking(),
                        0,
                        0,
                        0),
                Map.of("REG", 1L),
                Map.of()));
        return this;
    }

    /** It translates for a function by a unit. */
    public MadeUpVendor has(String function, String unit, Answer enforces, ReservedRegion... regions) {
        return says(function, Answer.YES, unit, enforces, List.of(regions), Answer.YES);
    }

    public MadeUpVendor hasNot(String function) {
        return says(function, Answer.NO, null, Answer.NO, List.of(), Answer.NO);
    }

    public MadeUpVendor isUnsureOf(String function) {
        return says(function, Answer.UNKNOWN, null, Answer.UNKNOWN, null, Answer.UNKNOWN);
    }

    public MadeUpVendor says(
            String function,
            Answer translated,
            @Nullable String unit,
            Answer enforces,
            @Nullable List<ReservedRegion> regions,
            Answer isolatedInterrupts) {
        return says(PciAddress.parse(function), translated, unit, enforces, regions, isolatedInterrupts);
    }

    /** It translates for a device that is not on PCI, or does not. */
    public MadeUpVendor saysOfNamed(String device, Answer translated, @Nullable String unit) {
        return says(new NamedDevice(device), translated, unit, translated, List.of(), translated);
    }

    private MadeUpVendor says(
            DeviceId id,
            Answer translated,
            @Nullable String unit,
            Answer enforces,
            @Nullable List<ReservedRegion> regions,
            Answer isolatedInterrupts) {
        devices.put(
                id,
                new DeviceDescription(
                        id,
                        translated,
                        unit,
                        enforces,
                        List.of(new Reason(name + " says so", name + " manual")),
                        regions,
                        isolatedInterrupts));
        return this;
    }

    public MadeUpVendor parameter(String parameter, String value, KernelParameter.Effect effect) {
        parameters.add(
                new KernelParameter(parameter, value, effect, new Reason("does " + effect, name + " parameters")));
        return this;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public boolean claims(FirmwareTables firmware) {
        return !units.isEmpty();
    }

    @Override
    public boolean supports(LinuxRelease release) {
        return release.compareTo(oldest) >= 0;
    }

    @Override
    public List<KernelParameter> kernelParameters() {
        return List.copyOf(parameters);
    }

    @Override
    public HostDescription describe(HostFacts facts, LinuxRelease release) {
        if (!supports(release)) {
            throw new IllegalArgumentException(name + " is not built for " + release);
        }
        return new HostDescription(
                name,
                rule,
                rule == CoherencyRule.PER_MACHINE
                        ? units.stream()
                                .map(unit -> unit.abilities().blocksNoSnoop())
                                .reduce(Answers::and)
                                .orElse(Answer.UNKNOWN)
                        : Answer.UNKNOWN,
                units,
                List.copyOf(devices.values()),
                parameters,
                List.of(),
                virtualization,
                directLock,
                null);
    }

    @Override
    public Iommu open(VendorContext context) {
        throw new UnsupportedOperationException(name + " has no driver");
    }
}
