// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.conformance;

import static org.iommu4j.tck.Ability.COMPLETION;
import static org.iommu4j.tck.Ability.FAULT_PASIDS;
import static org.iommu4j.tck.Ability.FAULT_REPORTS;
import static org.iommu4j.tck.Ability.IDENTITY;

import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.riscv.Hosts;
import org.iommu4j.riscv.WalkingUnits;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.tck.DriverConformance;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;
import org.iommu4j.tck.Traits.WhileOff;

/** The driver on units that cache nothing. */
class RiscvDriverConformanceTest extends DriverConformance {
    static List<Subject> subjects() {
        return Stream.concat(walking("", LinuxRelease.NEWEST), walking("", LinuxRelease.of("7.0")))
                .toList();
    }

    /** A kernel that runs after a crash, which takes over units that are on. */
    private static Stream<Subject> walking(String name, LinuxRelease release) {
        MachineDescription described = Hosts.twoUnits();
        MachineDescription machine =
                described.withBootOptions(described.bootOptions().and("elfcorehdr=0x8000000"));
        Traits traits = Traits.builder()
                .addressBits(56)
                .physicalBits(56)
                .whileOff(WhileOff.BLOCKS)
                .can(IDENTITY, FAULT_REPORTS, FAULT_PASIDS, COMPLETION)
                .build();
        Subject subject = Subject.of(machine, traits)
                .with(IommuVendors.load(), new MachineFactory(List.of(new WalkingUnits())), ports -> ports)
                .under(release);
        return Stream.of(subject.named("walking" + name + ", " + release), subject.flat());
    }
}
