// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.conformance;

import static org.iommu4j.tck.Ability.COMPLETION;
import static org.iommu4j.tck.Ability.FAULT_PASIDS;
import static org.iommu4j.tck.Ability.FAULT_REPORTS;
import static org.iommu4j.tck.Ability.IDENTITY;
import static org.iommu4j.tck.Ability.TABLE_READER;
import static org.iommu4j.tck.Ability.TRANSLATION_CACHE;

import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.Architecture;
import org.iommu4j.riscv.Hosts;
import org.iommu4j.riscv.Walk;
import org.iommu4j.riscv.WalkingUnits;
import org.iommu4j.riscv.reg.Capabilities;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;
import org.iommu4j.tck.Traits.WhileOff;

/**
 * What the vendor says of itself, machine by machine. The kernel of each runs after a crash, so that it takes over
 * units that are on, as the kit wants.
 */
final class RiscvSubjects {
    private RiscvSubjects() {}

    private static Traits.Builder traits(MachineDescription machine, Ability... more) {
        int levels = Capabilities.levels(machine.units().get(0).register(Capabilities.NAME));
        return Traits.builder()
                .addressBits(11 + 9 * levels)
                .physicalBits(56)
                .whileOff(WhileOff.BLOCKS)
                .walk(Walk.of(machine))
                .can(IDENTITY, FAULT_REPORTS, FAULT_PASIDS, COMPLETION)
                .can(more);
    }

    private static MachineDescription afterCrash(MachineDescription machine) {
        return machine.withBootOptions(machine.bootOptions().and("elfcorehdr=0x8000000"));
    }

    /** Units of the tests, which cache nothing. */
    static List<Subject> walking() {
        MachineFactory machines = new MachineFactory(List.of(new WalkingUnits()));
        return Stream.of(
                        Hosts.twoUnits(),
                        Hosts.pciUnit(),
                        Hosts.smallUnit(),
                        Hosts.twoUnitsInTree(),
                        Hosts.pciUnitInTree())
                .map(machine -> Subject.of(afterCrash(machine), traits(machine).build())
                        .with(IommuVendors.load(), machines, ports -> ports))
                .flatMap(subject -> Stream.of(subject.named(subject + ", walking"), subject.flat()))
                .toList();
    }

    /** The silicon of the path. */
    static Stream<Subject> silicon() {
        return MachineFactory.load().builtIn().stream()
                .filter(machine -> machine.processors().architecture() == Architecture.RISCV64)
                .flatMap(machine -> Subject.both(
                        afterCrash(machine),
                        traits(machine, TRANSLATION_CACHE, TABLE_READER).build()));
    }

    static Subject under(Subject subject, String release) {
        return subject.under(LinuxRelease.of(release));
    }
}
