// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.PlatformDeviceDescription;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** Silicon and the machine that is described with it: nothing is built before a test asks. */
public final class SiliconBench extends Account {
    private final Subject subject;

    /** Makes a bench; nothing is built yet. */
    SiliconBench(Subject subject) {
        this.subject = subject;
    }

    /** Returns what is tested. */
    public Subject subject() {
        return subject;
    }

    /** Returns what its vendor says of it. */
    public Traits traits() {
        return subject.traits();
    }

    /** Returns what the first unit of the machine is made from. */
    public TranslationUnitSpec spec() {
        return subject.machine().units().get(0);
    }

    /** Returns the silicon under test. */
    public TranslationUnitProvider provider() {
        return provider(spec());
    }

    /** Returns the silicon that a unit is made by. */
    public TranslationUnitProvider provider(TranslationUnitSpec spec) {
        return subject.machines().providers().stream()
                .filter(provider -> provider.name().equals(spec.provider()))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no silicon of the name " + spec.provider()));
    }

    /** Makes a unit like the machine's first one, at power-on. */
    public TranslationUnit create(Fabric fabric) {
        return provider().create(spec(), fabric);
    }

    /** Returns what the tables of the first unit are indexed by, for a device. */
    public int sourceId(DeviceId device) {
        if (!(device instanceof PciAddress address)) {
            return subject.machine().platformDevices().stream()
                    .filter(described -> described.id().equals(device))
                    .map(PlatformDeviceDescription::sourceIds)
                    .findFirst()
                    .orElseThrow()
                    .get(0);
        }
        String unit = unit(device);
        return subject.machine().units().stream()
                .filter(spec -> spec.name().equals(unit))
                .findFirst()
                .orElseThrow()
                .sourceId(address.segment(), address.requesterId());
    }

    /** Returns the name of the unit that a device is behind. */
    public String unit(DeviceId device) {
        return device instanceof PciAddress
                ? subject.machine().functions().stream()
                        .filter(function -> function.address().equals(device))
                        .findFirst()
                        .flatMap(FunctionDescription::unit)
                        .orElseThrow()
                : subject.machine().platformDevices().stream()
                        .filter(described -> described.id().equals(device))
                        .findFirst()
                        .flatMap(PlatformDeviceDescription::unit)
                        .orElseThrow();
    }

    /** Returns the digest of a unit's state alone. */
    public static long digest(TranslationUnit unit) {
        StateDigest digest = new StateDigest();
        unit.addTo(digest);
        return digest.value();
    }
}
