// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.sim.vtd.DmarWriter;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.spi.BootOptions;

/**
 * A machine of four endpoints, each behind a unit of its own, of which no two can share a domain.
 *
 * <p>A domain that blocks no-snoop needs snoop control, and one with 1 GiB pages needs units that have them. So the
 * endpoints come in this order: both, no snoop control, no 1 GiB pages, neither.
 */
final class FourUnits {
    /** The endpoints, in the order in which each needs a domain more. */
    static final List<PciAddress> ENDPOINTS = List.of(
            new PciAddress(0, 0, 4, 0),
            new PciAddress(0, 0, 5, 0),
            new PciAddress(0, 0, 6, 0),
            new PciAddress(0, 0, 7, 0));

    private static final long CAP_1G = 1L << 35;
    private static final long FIRST_REGISTER_BASE = 0xfed90000L;
    private static final int HOST_ADDRESS_WIDTH = 46;
    private static final int VENDOR_ID = 0x1b36;

    private FourUnits() {}

    static MachineDescription machine() {
        List<TranslationUnitSpec> units = new ArrayList<>();
        List<FunctionDescription> functions = new ArrayList<>();
        DmarWriter dmar = new DmarWriter(HOST_ADDRESS_WIDTH);
        for (int i = 0; i < ENDPOINTS.size(); i++) {
            PciAddress endpoint = ENDPOINTS.get(i);
            String unit = "dmar" + i;
            long registerBase = FIRST_REGISTER_BASE + 0x1000L * i;
            units.add(VtdUnitProvider.unit(
                    unit,
                    registerBase,
                    i < 2 ? VtdUnitProvider.CAP_4_LEVEL : VtdUnitProvider.CAP_4_LEVEL & ~CAP_1G,
                    i % 2 == 0 ? VtdUnitProvider.ECAP_SNOOP_CONTROL : VtdUnitProvider.ECAP_NO_SNOOP_CONTROL));
            dmar.unit(registerBase, false).endpoint(endpoint.bus(), endpoint.device(), endpoint.function());
            byte[] config = ConfigSpaceBuilder.endpoint(VENDOR_ID, 0x0100 + i, ConfigSpaceBuilder.CLASS_3D)
                    .build();
            functions.add(new FunctionDescription(endpoint, Optional.empty(), config, Optional.of(unit), false));
        }
        return new MachineDescription(
                "four-units",
                ProcessorDescription.x86(BuiltInTopology.CPUS, HardwareVirtualization.VMX, CacheGeometry.ORDINARY),
                BuiltInTopology.MEMORY_BYTES,
                units,
                functions,
                Map.of("DMAR", dmar.build()),
                BootOptions.DEFAULT);
    }
}
