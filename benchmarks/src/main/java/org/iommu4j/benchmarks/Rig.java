// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.function.UnaryOperator;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.PciFunction;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.VendorContext;

/** A machine with its vendor's driver opened, and the GPU attached to an empty domain. */
public final class Rig {
    /** Whose machine. */
    public enum Vendor {
        /** VT-d without snoop control, so that no-snoop requests are not blocked. */
        INTEL("intel", "intel-nosc"),
        /** AMD-Vi. */
        AMD("amd", "amd");

        final String driver;
        final String machine;

        Vendor(String driver, String machine) {
            this.driver = driver;
            this.machine = machine;
        }

        /** Opens the vendor's driver. */
        Iommu open(VendorContext context) {
            return VENDORS.named(driver).open(context);
        }
    }

    /** What is behind the driver. */
    public enum Memory {
        /** {@link org.iommu4j.platform.FlatMemory}. */
        FLAT,
        /** Simulated caches in front of DRAM. */
        CACHED
    }

    static final MachineFactory FACTORY = MachineFactory.load();
    private static final IommuVendors VENDORS = IommuVendors.load();

    final Machine machine;
    final Iommu iommu;
    final IommuDomain domain;
    final IotlbGather gather = new IotlbGather();
    final Endpoint endpoint;
    final TranslationUnit unit;
    final int requesterId = BuiltInTopology.GPU.requesterId();

    Rig(Vendor vendor, Memory memory) {
        this(vendor, memory, UnaryOperator.identity());
    }

    /**
     * Makes a rig.
     *
     * @param adapter wraps the memory that the driver uses
     */
    Rig(Vendor vendor, Memory memory, UnaryOperator<SystemMemory> adapter) {
        machine = memory == Memory.FLAT
                ? FACTORY.createFlat(FACTORY.named(vendor.machine))
                : FACTORY.create(FACTORY.named(vendor.machine));
        VendorContext context = machine.vendorContext(LinuxRelease.NEWEST);
        iommu = vendor.open(new VendorContext(
                adapter.apply(context.memory()),
                context.frames(),
                context.registers(),
                context.waiter(),
                context.firmware(),
                context.topology(),
                context.bootOptions(),
                context.release()));
        IommuDevice device = attachable(iommu, machine);
        domain = iommu.allocate(DomainType.UNMANAGED, device);
        if (!domain.attach(device).attached()) {
            throw new IllegalStateException("the GPU of machine " + vendor.machine + " does not fit an empty domain");
        }
        endpoint = machine.endpoint(BuiltInTopology.GPU);
        unit = machine.units().get(0);
    }

    private static IommuDevice attachable(Iommu iommu, Machine machine) {
        PciFunction gpu = machine.topology().function(BuiltInTopology.GPU).orElseThrow();
        return iommu.probe(gpu, gpu.address().requesterId()).orElseThrow();
    }

    /** Returns the physical address of the GPU's top table, as the unit's registers and tables tell it. */
    long rootTable(Vendor vendor) {
        SystemMemory memory = machine.memory(0);
        if (vendor == Vendor.INTEL) {
            long rootEntry = (unit.readRegister64(0x20) & -4096L) + (requesterId >>> 8) * 16L;
            return memory.load((memory.load(rootEntry) & -4096L) + (requesterId & 0xff) * 16L) & -4096L;
        }
        long deviceTable = unit.readRegister64(0) & 0x000ffffffffff000L;
        return memory.load(deviceTable + requesterId * 32L) & 0x000ffffffffff000L;
    }
}
