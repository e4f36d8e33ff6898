// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.conformance;

import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.riscv.Hosts;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;
import org.iommu4j.tck.VendorConformance;

/** The vendor on hosts whose units are platform devices or a PCI function, under several releases. */
class RiscvVendorConformanceTest extends VendorConformance {
    static Stream<Subject> subjects() {
        Traits any = Traits.builder().build();
        Subject two = Subject.of(Hosts.twoUnits(), any);
        Subject tree = Subject.of(Hosts.twoUnitsInTree(), any);
        return Stream.concat(
                Stream.of(
                        two,
                        Subject.of(Hosts.pciUnit(), any),
                        two.under(LinuxRelease.of("6.18")),
                        two.under(LinuxRelease.of("7.0")),
                        tree,
                        tree.under(LinuxRelease.of("6.13")),
                        Subject.of(Hosts.pciUnitInTree(), any).under(LinuxRelease.of("6.13"))),
                RiscvSubjects.silicon().filter(Subject::caches));
    }

    @Override
    protected List<String> kernelLines() {
        return List.of(
                "riscv,iommu RSCV0004:00: using wire-signaled interrupts",
                "riscv,iommu 3010000.iommu: using MSIs",
                "riscv,iommu RSCV0004:00: Fault 13 devid: 0x100 iotval: fee00000 iotval2: 0",
                "riscv-iommu-pci 0000:00:01.0: Hardware error: command execution timeout",
                "ACPI: RIMT: [Firmware Bug]: [node (____ptrval____) type 1] ID map has NULL parent reference");
    }
}
