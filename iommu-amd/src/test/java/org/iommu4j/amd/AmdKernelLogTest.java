// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

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

class AmdKernelLogTest {
    private final List<String> told = new ArrayList<>();

    /** Only lines with one of the words are ever shown to a vendor. */
    private void read(String line) {
        KernelLog log = new AmdVendor().kernelLog();
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

    @Test
    void featuresHoldForEveryUnitAndTheSecondWordIsKnownWhereItIsPrinted() {
        read("pci 0000:00:00.2: AMD-Vi: Extended features (0x58f77ef22294a5a, 0x1b): PPR NX GT IA PC GA_vAPIC");
        read("AMD-Vi: Extended features (206d73ef22254ade): PPR X2APIC NX GT IA GA PC GA_vAPIC");
        read("AMD-Vi: Using global IVHD EFR:0x246577efa2254afa, EFR2:0x0");
        assertThat(told)
                .containsExactly(
                        "every unit {EFR=" + 0x58f77ef22294a5aL + ", EFR2=27}",
                        "every unit {EFR=" + 0x206d73ef22254adeL + "}",
                        "every unit {EFR=" + 0x246577efa2254afaL + ", EFR2=0}");
    }

    @ParameterizedTest
    @CsvSource({
        "AMD-Vi: Interrupt remapping enabled, remapping true",
        "AMD-Vi: Virtual APIC enabled, remapping true",
        "AMD-Vi: Lazy IO/TLB flushing enabled, in use true",
        "AMD-Vi: AMD IOMMUv2 functionality not available on this system - This is not a bug., done"
    })
    void whatTheDriverDidIsRead(String line, String expected) {
        read(line);
        assertThat(told).containsExactly(expected);
    }

    @Test
    void whatSaysNothingTellsNothing() {
        read("AMD-Vi: Found IOMMU at 0000:00:00.2 cap 0x40");
        read("AMD-Vi: Extended features:  PPR NX GT IA GA PC GA_vAPIC");
        read("AMD-Vi: Extended features (0x11111111111111111, 0x0): PPR");
        assertThat(told).isEmpty();
    }
}
