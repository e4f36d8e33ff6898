// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.stream.Stream;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;
import org.iommu4j.tck.Traits.Enforcement;

/** What the vendor says of itself, machine by machine. */
final class MinimalSubjects {
    private static final Traits TRAITS = Traits.builder()
            .addressBits(32)
            .physicalBits(40)
            .can(Ability.IDENTITY, Ability.WRITE_ONLY, Ability.TRANSLATION_CACHE, Ability.COMPLETION)
            .build();

    private MinimalSubjects() {}

    static Stream<Subject> all() {
        MachineFactory machines = MachineFactory.load();
        return Stream.concat(
                Subject.both(
                        machines.named("minimal"),
                        TRAITS.with().enforcement(Enforcement.UNCONDITIONAL).build()),
                Subject.both(machines.named("minimal-nosc"), TRAITS));
    }
}
