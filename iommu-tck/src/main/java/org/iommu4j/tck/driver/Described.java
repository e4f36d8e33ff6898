// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.iommu4j.DecisionSource;
import org.iommu4j.device.DeviceId;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.LinuxStatements;
import org.iommu4j.spi.ShownGroups;
import org.iommu4j.tck.Bench;

/** What the vendor says of a bench's machine of which all is known, without opening it. */
record Described(HostDescription host) {
    static Described of(Bench bench) {
        Machine machine = bench.machine();
        HostFacts facts = new HostFacts(
                machine.firmware(),
                machine.topology(),
                (unit, base, register) -> value(machine, unit, base, register),
                new TreeMap<>(),
                Map.of(),
                ShownGroups.NONE,
                machine.description().bootOptions(),
                LinuxStatements.NONE);
        return new Described(
                bench.subject().claimant().describe(facts, bench.subject().release()));
    }

    /** The source of a decision has the vendor's name, and each of its rules is one that the vendor declares. */
    static void assertDeclared(Bench bench, Optional<DecisionSource> source) {
        IommuVendor vendor = bench.subject().claimant();
        source.ifPresent(said -> {
            assertThat(said.module()).isEqualTo(vendor.name());
            assertThat(said.function()).isNotBlank();
            assertThat(vendor.releaseRules()).extracting(ReleaseRule::name).containsAll(said.rules());
        });
    }

    private static OptionalLong value(Machine machine, String name, OptionalLong base, String register) {
        for (TranslationUnitSpec unit : machine.description().units()) {
            boolean asked = base.isPresent()
                    ? unit.registerBase() == base.getAsLong()
                    : unit.name().equals(name);
            Long value = unit.registers().get(register);
            if (asked && value != null) {
                return OptionalLong.of(value);
            }
        }
        return OptionalLong.empty();
    }

    /** Returns what is said of a device, empty when nothing is. */
    Optional<DeviceDescription> device(DeviceId id) {
        List<DeviceDescription> all = host.devices();
        return all.stream().filter(device -> device.id().equals(id)).findFirst();
    }

    /** Returns whether a unit translates for a device, empty when that is not said. */
    Optional<Boolean> translated(DeviceId id) {
        return device(id).flatMap(device -> known(device.translated()));
    }

    /** Returns an answer, empty when it is not known. */
    static Optional<Boolean> known(Answer answer) {
        return answer == Answer.UNKNOWN ? Optional.empty() : Optional.of(answer == Answer.YES);
    }
}
