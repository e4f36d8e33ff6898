// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.KernelRemark;
import org.junit.jupiter.api.Test;

/** Lines of Linux's driver, put together from its format strings. */
class RiscvKernelLogTest {
    private static List<String> read(String line) {
        List<String> found = new ArrayList<>();
        new RiscvKernelLog().read(line, new KernelLog.Findings() {
            @Override
            public void unit(String name, OptionalLong registerBase, Map<String, Long> registers) {
                found.add("unit " + name + (registerBase.isPresent() ? " with a base" : "") + registers);
            }

            @Override
            public void everyUnit(Map<String, Long> registers) {
                found.add("every unit");
            }

            @Override
            public void interruptRemapping(boolean on) {
                found.add("remapping");
            }

            @Override
            public void inUse(boolean inUse) {
                found.add("in use");
            }

            @Override
            public void present() {
                found.add("present");
            }

            @Override
            public void unitFunction(PciAddress function) {
                found.add("function " + function);
            }

            @Override
            public void remark(KernelRemark remark) {
                found.add(remark.kind() + " " + remark.text() + " / "
                        + remark.meaning().text());
            }

            @Override
            public void done() {
                found.add("done");
            }
        });
        return found;
    }

    @Test
    void aUnitIsNamedAsUnderSysClassIommu() {
        assertThat(read("[    0.5] riscv,iommu RSCV0004:00: using wire-signaled interrupts"))
                .containsExactly("present", "unit riscv-iommu@RSCV0004:00{}", "in use");
        assertThat(read("riscv,iommu 3010000.iommu: using MSIs"))
                .containsExactly("present", "unit riscv-iommu@3010000.iommu{}", "in use");
        for (String driver : List.of("riscv-iommu-pci", "iommu_pci", "iommu-pci")) {
            assertThat(read("[    0.5] " + driver + " 0000:00:01.0: unable to allocate irq vectors"))
                    .containsExactly("function 0000:00:01.0", "present", "unit riscv-iommu@0000:00:01.0{}");
        }
    }

    @Test
    void aFaultHasItsCauseInWords() {
        assertThat(read("riscv,iommu RSCV0004:00: Fault 13 devid: 0x100 iotval: fee00000 iotval2: 0"))
                .contains("FAULT fault 13 of device id 0x100 at address 0xfee00000 / page fault of a read");
        assertThat(read("riscv,iommu RSCV0004:00: Fault 258 devid: 0x8 iotval: 0 iotval2: 0"))
                .anyMatch(found -> found.endsWith("/ the device directory's entry is not valid"));
    }

    @Test
    void whatTheUnitDidNotDoIsRemarked() {
        for (String message : List.of(
                "Hardware error: command execution timeout",
                "Queue #0 error; fault:0 timeout:0 illegal:1 fence_w_ip:0",
                "timeout when setting ddtp (ddt mode: 4, read: 14)",
                "DDTP hw mode 1, failed to set 4",
                "unexpected device state")) {
            assertThat(read("riscv,iommu RSCV0004:00: " + message))
                    .anyMatch(found -> found.startsWith("OFF " + message.substring(0, 4)));
        }
        assertThat(read("ACPI: RIMT: [Firmware Bug]: [node 0000000012345678 type 1] ID map has NULL parent reference"))
                .anyMatch(found -> found.startsWith("FIRMWARE_BUG RIMT: "));
    }

    @Test
    void otherLinesTellNothing() {
        assertThat(read("ACPI: RIMT 0x00000000FF7A8000 0000A0 (v01 VENTAN QEMU     00000001      01000013)"))
                .isEmpty();
        assertThat(read("iommu: Default domain type: Translated")).isEmpty();
        assertThat(read("pci 0000:00:01.0: Adding to iommu group 0")).isEmpty();
    }
}
