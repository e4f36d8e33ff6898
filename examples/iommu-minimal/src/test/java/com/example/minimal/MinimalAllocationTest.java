// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.junit.jupiter.api.Test;

/** Mapping, unmapping, syncing and translating allocate nothing, in the driver and in the unit. */
class MinimalAllocationTest {
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private static final long IOVA = 1 << 30;
    private static final long SIZE = 2 << 20;

    @Test
    void mappingWithItsTablesAllocatesNothing() {
        MachineFactory factory = MachineFactory.load();
        Machine machine = factory.createFlat(factory.named("minimal"));
        Iommu iommu = new MinimalVendor().open(machine.vendorContext(LinuxRelease.NEWEST));
        IommuDevice device = iommu.probe(
                        machine.topology().function(BuiltInTopology.GPU).orElseThrow())
                .orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.DMA, device);
        domain.attach(device);
        IotlbGather gather = new IotlbGather();

        long bytes = -1;
        // What the compiler does meanwhile may count once or twice.
        for (int round = 0; round < 8 && bytes != 0; round++) {
            long before = THREADS.getCurrentThreadAllocatedBytes();
            for (int i = 0; i < 2000; i++) {
                domain.map(IOVA, SIZE, 4096, 512, Prot.READ_WRITE);
                domain.syncMap(IOVA, SIZE);
                domain.translate(IOVA);
                domain.unmap(IOVA, SIZE, gather);
                domain.sync(gather);
            }
            bytes = THREADS.getCurrentThreadAllocatedBytes() - before;
        }
        assertThat(bytes).isZero();
    }
}
