// SPDX-License-Identifier: Apache-2.0
package com.example.alone;

import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;

/** Lets a device work on a machine on which no driver runs. */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        MachineFactory machines = MachineFactory.load();
        Machine machine = machines.create(machines.named("amd"));
        boolean passes = machine.endpoint(BuiltInTopology.GPU).write(0x100000, 1, false);
        System.out.println("passes while no driver is there: " + passes);
    }
}
