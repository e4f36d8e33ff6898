// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.iommu4j.spi.KernelLog;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class IntelKernelLogTest {
    private final List<String> told = new ArrayList<>();

    /** Only lines with one of the words are ever shown to a vendor. */
    private void read(String line) {
        KernelLog log = new IntelVendor().kernelLog();
        assertThat(log.words()).anyMatch(line::contains).allMatch(word -> word.length() >= 4);
        log.read(line, new KernelLog.Findings() {
            @Override
            public void unit(String name, OptionalLong registerBase, Map<String, Long> registers) {
                told.add(String.format("%s at 0x%x %s", name, registerBase.orElseThrow(), new TreeMap<>(registers)));
            }

            @Override
            public void everyUnit(Map<String, Long> registers) {
                told.add("every unit " + new TreeMap<>(registers));
            }

            @Override
            public void interruptRemapping(boolean on) {
                told.add("remapping " + on);
            }

            @Override
            public void inUse(boolean inUse) {
                told.add("in use " + inUse);
            }

            @Override
            public void done() {
                told.add("done");
            }
        });
    }

    @ParameterizedTest
    @CsvSource({"DMAR: dmar12", "dmar: IOMMU 12"})
    void aUnitIsReadWithItsRegisters(String start) {
        read("[ 0.17] " + start + ": reg_base_addr c7ffc000 ver 5:1 cap 8d2078c106f0466 ecap ffffffffffffffff");
        assertThat(told).containsExactly("dmar12 at 0xc7ffc000 {CAP=" + 0x8d2078c106f0466L + ", ECAP=-1, VER=81}");
    }

    @ParameterizedTest
    @CsvSource({
        "DMAR-IR: Enabled IRQ remapping in x2apic mode, remapping true",
        "Enabled IRQ remapping in xapic mode, remapping true",
        "Enabled Interrupt-remapping, remapping true",
        "DMAR-IR: Failed to enable irq remapping. You are vulnerable to irq-injection attacks., remapping false",
        "Failed to enable Interrupt-remapping, remapping false",
        "DMAR: Intel(R) Virtualization Technology for Directed I/O, in use true",
        "PCI-DMA: Intel(R) Virtualization Technology for Directed I/O, in use true",
        "DMAR: IOMMU disabled, in use false"
    })
    void whatTheDriverDidIsRead(String line, String expected) {
        read(line);
        assertThat(told).containsExactly(expected);
    }

    @Test
    void whatSaysNothingTellsNothing() {
        read("DMAR: Host address width 39");
        read("DMAR: dmar0: reg_base_addr zz ver 1:0 cap 0 ecap 0");
        read("DMAR: dmar0: reg_base_addr 11111111111111111 ver 1:0 cap 0 ecap 0");
        assertThat(told).isEmpty();
    }
}
