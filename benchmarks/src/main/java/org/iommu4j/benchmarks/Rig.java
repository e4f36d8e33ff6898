// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.function.UnaryOperator;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.VendorContext;

/** A machine with its vendor's driver opened, and the GPU attached to an empty domain. */
public final class Rig {
    /** Whose machine, and which of the vendor's table formats. */
    public enum Vendor {
        /** VT-d's second stage in legacy mode, without snoop control, so that no-snoop requests are not blocked. */
        INTEL("intel", FACTORY.named("intel-nosc")),
        /** VT-d's first stage in scalable mode. */
        INTEL_FIRST_STAGE(
                "intel",
                VtdUnitProvider.machine(
                        "intel-first-stage",
                        VtdUnitProvider.CAP_4_LEVEL | CAP_FL1GP,
                        VtdUnitProvider.ECAP_NO_SNOOP_CONTROL | ECAP_SMTS | ECAP_FLTS | ECAP_SMPWC)),
        /** AMD-Vi's host tables. */
        AMD("amd", FACTORY.named("amd")),
        /** AMD-Vi's guest tables. */
        AMD_GUEST("amd", guestTables(AmdViUnitProvider.machine("amd-guest", EFR_GUEST_TABLES, 0)));

        final String driver;

        @SuppressWarnings("ImmutableEnumChecker") // it copies what it is given
        final MachineDescription machine;

        Vendor(String driver, MachineDescription machine) {
            this.driver = driver;
            this.machine = machine;
        }

        private static MachineDescription guestTables(MachineDescription machine) {
            return machine.withBootOptions(machine.bootOptions().and("amd_iommu=pgtbl_v2"));
        }

        /** Opens the vendor's driver. */
        Iommu open(VendorContext context) {
            return VENDORS.named(driver).open(context);
        }
    }

    /** What is behind the driver. */
    public enum Memory {
        /** {@link org.iommu4j.platform.support.FlatMemory}. */
        FLAT,
        /** Simulated caches in front of DRAM. */
        CACHED
    }

    static final MachineFactory FACTORY = MachineFactory.load();

    private static final long CAP_FL1GP = 1L << 56;
    private static final long ECAP_SMTS = 1L << 43;
    private static final long ECAP_FLTS = 1L << 47;
    private static final long ECAP_SMPWC = 1L << 48;

    /** EFR with GT, 5 levels of guest tables and 20 bits of PASID. */
    private static final long EFR_GUEST_TABLES = 0x0013001300009958L;

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
        machine = memory == Memory.FLAT ? FACTORY.createFlat(vendor.machine) : FACTORY.create(vendor.machine);
        VendorContext context = machine.vendorContext(LinuxRelease.NEWEST);
        iommu = vendor.open(context.withMemory(adapter.apply(context.memory())));
        IommuDevice device = attachable(iommu, machine);
        domain = iommu.allocate(DomainType.UNMANAGED, device);
        if (!domain.attach(device).attached()) {
            throw new IllegalStateException(
                    "the GPU of machine " + vendor.machine.name() + " does not fit an empty domain");
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
