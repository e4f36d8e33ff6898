// SPDX-License-Identifier: Apache-2.0
package com.example.vfio;

import org.iommu4j.LinuxRelease;
import org.iommu4j.core.IommuCore;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;

/** Opens a device's group. */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        MachineFactory machines = MachineFactory.load();
        Machine machine = machines.create(machines.named("amd"));
        IommuCore core = IommuCore.open(
                IommuVendors.load()
                        .claiming(machine.firmware())
                        .get(0)
                        .open(machine.vendorContext(LinuxRelease.NEWEST)),
                machine.topology());
        Vfio vfio = new Vfio(core, new VfioOptions(LinuxRelease.NEWEST, true, 65535));
        vfio.register(BuiltInTopology.GPU);
        VfioGroup group = vfio.openGroup(core.group(BuiltInTopology.GPU).orElseThrow().id());
        System.out.println("groups: " + core.groups().size() + ", viable " + group.viable());
    }
}
