// SPDX-License-Identifier: Apache-2.0
package com.example.simulation;

import com.google.inject.Guice;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.guice.SimulationModule;
import org.iommu4j.spi.IommuVendors;

/** Opens the driver on a machine of an injector's factory. */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        MachineFactory machines = Guice.createInjector(new SimulationModule()).getInstance(MachineFactory.class);
        Machine machine = machines.create(machines.named("intel-nosc"));
        Iommu iommu = IommuVendors.load()
                .claiming(machine.firmware())
                .get(0)
                .open(machine.vendorContext(LinuxRelease.NEWEST));
        Module module = MachineFactory.class.getModule();
        String place = module.isNamed() ? "module " + module.getName() : "the class path";
        System.out.println("opened " + iommu.vendor() + " " + iommu.units() + " on a machine from " + place);
    }
}
