// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.dma;

import java.util.List;
import java.util.Optional;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.dma.DmaApi;
import org.iommu4j.dma.DmaOptions;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.spi.IommuVendors;

/** A machine whose GPU a kernel driver uses; its DMA is asked of the silicon. */
final class DmaBench {
    static final long PAGE = 4096;
    static final PciAddress GPU = BuiltInTopology.GPU;

    final Machine machine;
    final FailNth failures = new FailNth();
    final Iommu iommu;
    final IommuCore core;
    final IommuGroup group;
    final DmaApi dma;
    private final Endpoint endpoint;

    private DmaBench(Machine machine, String release, DefaultDomainPolicy policy, boolean outside, DmaOptions options) {
        this.machine = machine;
        iommu = IommuVendors.load()
                .claiming(machine.firmware())
                .get(0)
                .open(machine.vendorContext(LinuxRelease.of(release)).failing(failures));
        PciTopology topology = outside ? outside(machine.topology()) : machine.topology();
        core = IommuCore.open(List.of(iommu), topology, policy);
        group = core.group(GPU).orElseThrow();
        dma = new DmaApi(core, machine.memory(0), failures.frames(machine.frames()), options);
        endpoint = machine.endpoint(GPU);
        ConfigSpace config = endpoint.config();
        config.write(4, 2, config.read(4, 2) | 6);
        int express = config.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS);
        config.write(express + 8, 2, config.read(express + 8, 2) | 1 << 11);
    }

    /** A machine without caches. */
    static DmaBench flat(String machine, String release, DefaultDomainPolicy policy) {
        return flat(machine, release, policy, DmaOptions.DEFAULT);
    }

    static DmaBench flat(String machine, String release, DefaultDomainPolicy policy, DmaOptions options) {
        MachineFactory factory = MachineFactory.load();
        return new DmaBench(factory.createFlat(factory.named(machine)), release, policy, false, options);
    }

    /** A machine without caches whose GPU is plugged in from outside. */
    static DmaBench outside(String machine, String release, DefaultDomainPolicy policy) {
        MachineFactory factory = MachineFactory.load();
        return new DmaBench(factory.createFlat(factory.named(machine)), release, policy, true, DmaOptions.DEFAULT);
    }

    static DmaBench cached(String machine, String release, DefaultDomainPolicy policy) {
        MachineFactory factory = MachineFactory.load();
        return new DmaBench(factory.create(factory.named(machine)), release, policy, false, DmaOptions.DEFAULT);
    }

    /** Takes frames for a driver's buffer. */
    long buffer(int order) {
        return machine.userFrames().allocate(order);
    }

    void store(long physicalAddress, long value) {
        machine.memory(0).store(physicalAddress, value);
    }

    long load(long physicalAddress) {
        return machine.memory(0).load(physicalAddress);
    }

    /** Reads a word by the device; empty when the request was refused. */
    Optional<Long> read(long iova) {
        long value = endpoint.read(iova, false);
        return endpoint.lastStatus() == RequestStatus.DONE ? Optional.of(value) : Optional.empty();
    }

    /** Writes a word by the device, and returns whether it was let through. */
    boolean write(long iova, long value) {
        return endpoint.write(iova, value, false);
    }

    Endpoint endpoint() {
        return endpoint;
    }

    /** Closes all in order. */
    void close() {
        dma.close();
        core.close();
        iommu.close();
    }

    private static PciTopology outside(PciTopology topology) {
        return () -> topology.functions().stream().map(DmaBench::external).toList();
    }

    private static PciFunction external(PciFunction function) {
        return new PciFunction() {
            @Override
            public PciAddress address() {
                return function.address();
            }

            @Override
            public Optional<PciAddress> upstreamBridge() {
                return function.upstreamBridge();
            }

            @Override
            public ConfigSpace config() {
                return function.config();
            }

            @Override
            public boolean externalFacing() {
                return function.address().equals(BuiltInTopology.GPU_PORT);
            }
        };
    }
}
