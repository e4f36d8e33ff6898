// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.conformance;

import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;
import org.iommu4j.tck.VendorConformance;

/** The vendor on hosts with one unit and with two, under the rules of several releases. */
class IntelVendorConformanceTest extends VendorConformance {
    static Stream<Subject> subjects() {
        Traits any = Traits.builder().build();
        Subject reserved = Subject.of(
                        IntelMachines.withReservedMemory(VtdUnitProvider.machine(
                                "intel-rmrr", VtdUnitProvider.CAP_4_LEVEL, VtdUnitProvider.ECAP_SNOOP_CONTROL)),
                        IntelMachines.withReservedMemory(any));
        return Stream.concat(
                Stream.concat(
                        new VtdUnitProvider().machines().stream().map(machine -> Subject.of(machine, any)),
                        Stream.of(reserved, reserved.under(LinuxRelease.of("6.5")))),
                Stream.of("5.15", "5.19", "6.6", "6.7")
                        .map(release -> Subject.of(
                                        VtdUnitProvider.machine(
                                                "intel-scalable",
                                                VtdUnitProvider.CAP_4_LEVEL,
                                                VtdUnitProvider.ECAP_SNOOP_CONTROL | 1L << 43 | 1L << 46),
                                        any)
                                .under(LinuxRelease.of(release))));
    }

    @Override
    protected List<String> kernelLines() {
        return List.of(
                "DMAR: Host address width 39",
                "DMAR: DRHD base: 0x000000fed90000 flags: 0x0",
                "DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap c0000020660462 ecap f0101a",
                "DMAR: dmar1: reg_base_addr fed91000 ver 1:0 cap d2008c20660462 ecap f010da",
                "DMAR: RMRR base: 0x000000ad7de000 end: 0x000000ad7fdfff",
                "DMAR-IR: Enabled IRQ remapping in x2apic mode",
                "DMAR: Intel(R) Virtualization Technology for Directed I/O",
                "DMAR: [DMA Read] Request device [01:00.0] fault addr fd9bd000 [fault reason 06] PTE Read access is not"
                        + " set");
    }
}
