// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.conformance;

import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;
import org.iommu4j.tck.VendorConformance;

/** The vendor on hosts with host tables, with guest tables too, and under the rules of several releases. */
class AmdVendorConformanceTest extends VendorConformance {
    /** EFR with GTSup, GIOSup, GATS of 4 levels and PPRSup beside those of the built-in machine. */
    private static final long GUEST_TABLES = AmdViUnitProvider.EFR_6_LEVEL | 1L << 4 | 1L << 48 | 1L << 1;

    static Stream<Subject> subjects() {
        Traits any = Traits.builder().build();
        Subject guest = Subject.of(AmdViUnitProvider.machine("amd-guest-tables", GUEST_TABLES, 0), any);
        return Stream.concat(
                Stream.of(Subject.of(AmdViUnitProvider.machine("amd", AmdViUnitProvider.EFR_6_LEVEL, 0), any), guest),
                Stream.of("5.15", "6.6", "6.13").map(release -> guest.under(LinuxRelease.of(release))));
    }

    @Override
    protected List<String> kernelLines() {
        return List.of(
                "pci 0000:00:00.2: AMD-Vi: Found IOMMU cap 0x40",
                "pci 0000:00:00.2: AMD-Vi: Extended features (0x58f77ef22294a5a, 0x1b): PPR NX GT IA PC GA_vAPIC",
                "AMD-Vi: Using global IVHD EFR:0x246577efa2254afa, EFR2:0x0",
                "AMD-Vi: Interrupt remapping enabled",
                "AMD-Vi: Lazy IO/TLB flushing enabled",
                "AMD-Vi: Event logged [IO_PAGE_FAULT device=01:00.0 domain=0x0000 address=0xfffffffdf8000000"
                        + " flags=0x0008]");
    }
}
