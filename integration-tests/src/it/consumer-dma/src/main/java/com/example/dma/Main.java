// SPDX-License-Identifier: Apache-2.0
package com.example.dma;

import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.spi.IommuVendors;

/** README's lines. */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        MachineFactory machines = MachineFactory.load();
        Machine machine = machines.create(machines.named("amd"));
        Iommu iommu = IommuVendors.load()
                .claiming(machine.firmware())
                .get(0)
                .open(machine.vendorContext(LinuxRelease.NEWEST));
        PciFunction gpu = machine.topology().function(BuiltInTopology.GPU).orElseThrow();
        IommuDevice device = iommu.probe(gpu, gpu.address().requesterId()).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);

        long page = machine.userFrames().allocate(0);
        domain.map(0x40000000L, page, 4096, 1, Prot.READ_WRITE);
        domain.syncMap(0x40000000L, 4096);
        machine.processors().get(0).store(page, 0x1234, MemoryType.WB);

        Endpoint endpoint = machine.endpoint(BuiltInTopology.GPU);
        System.out.println(Long.toHexString(endpoint.read(0x40000000L, false))); // 1234
        endpoint.write(0x50000000L, 1, false); // not mapped
        System.out.println(iommu.takeFaults().get(0)); // ivhd0: write by 0000:01:00.0 at 0x50000000 refused, ...
    }
}
