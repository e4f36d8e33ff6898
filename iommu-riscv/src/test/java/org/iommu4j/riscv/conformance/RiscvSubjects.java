// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.conformance;

import static org.iommu4j.tck.Ability.COMPLETION;
import static org.iommu4j.tck.Ability.FAULT_PASIDS;
import static org.iommu4j.tck.Ability.FAULT_REPORTS;
import static org.iommu4j.tck.Ability.IDENTITY;
import static org.iommu4j.tck.Ability.TABLE_READER;
import static org.iommu4j.tck.Ability.TRANSLATION_CACHE;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.riscv.Hosts;
import org.iommu4j.riscv.Walk;
import org.iommu4j.riscv.WalkingUnits;
import org.iommu4j.riscv.reg.Capabilities;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.PlatformDeviceDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
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
                .can(more)
                .walk(new Walk(places(machine)));
    }

    /** Returns where devices are by the machine's description, apart from the driver's reading of firmware. */
    private static Map<DeviceId, Walk.Place> places(MachineDescription machine) {
        Map<DeviceId, Walk.Place> places = new HashMap<>();
        for (TranslationUnitSpec unit : machine.units()) {
            for (FunctionDescription function : machine.functions()) {
                if (function.unit().equals(Optional.of(unit.name()))) {
                    PciAddress address = function.address();
                    int id = unit.sourceId(address.segment(), address.requesterId());
                    places.put(address, new Walk.Place(unit.registerBase(), Integer.toUnsignedLong(id)));
                }
            }
            for (PlatformDeviceDescription device : machine.platformDevices()) {
                if (device.unit().equals(Optional.of(unit.name()))) {
                    long id = Integer.toUnsignedLong(device.sourceIds().get(0));
                    places.put(device.id(), new Walk.Place(unit.registerBase(), id));
                }
            }
        }
        return places;
    }

    private static MachineDescription afterCrash(MachineDescription machine) {
        return machine.withBootOptions(machine.bootOptions().and("elfcorehdr=0x8000000"));
    }

    /** Units of the tests, which cache nothing. */
    static List<Subject> walking() {
        MachineFactory machines = new MachineFactory(List.of(new WalkingUnits()));
        return Stream.of(Hosts.twoUnits(), Hosts.pciUnit(), Hosts.smallUnit())
                .map(machine -> Subject.of(afterCrash(machine), traits(machine).build())
                        .with(IommuVendors.load(), machines, ports -> ports))
                .flatMap(subject -> Stream.of(subject.named(subject + ", walking"), subject.flat()))
                .toList();
    }

    /** The silicon of the path. */
    static Stream<Subject> silicon() {
        return MachineFactory.load().builtIn().stream()
                .filter(machine -> machine.acpiTables().containsKey("RIMT"))
                .flatMap(machine -> Subject.both(
                        afterCrash(machine),
                        traits(machine, TRANSLATION_CACHE, TABLE_READER).build()));
    }

    static Subject under(Subject subject, String release) {
        return subject.under(LinuxRelease.of(release));
    }
}
