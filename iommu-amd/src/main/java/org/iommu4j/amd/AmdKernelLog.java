// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.KernelLog;

/**
 * Recognizes the kernel log lines of Linux's AMD-Vi driver.
 *
 * <p>EFR is printed without the unit's register base, and is taken for all units. Features that an old kernel prints
 * only as words ({@code PPR NX GT}) are not converted into a value.
 *
 * <p>Source: Linux {@code drivers/iommu/amd/init.c} (print_iommu_info, early_amd_iommu_init) and {@code iommu_v2.c},
 * 2.6.39 to 7.1.
 */
final class AmdKernelLog implements KernelLog {
    private static final String DETECTED = "Detected AMD IOMMU";
    private static final Pattern FEATURES =
            Pattern.compile("AMD-Vi:\\s+Extended features \\((?:0x)?([0-9a-f]{1,16})(?:, (?:0x)?([0-9a-f]{1,16}))?\\)");
    private static final Pattern GLOBAL =
            Pattern.compile("AMD-Vi: Using global IVHD EFR:\\s*0x([0-9a-f]{1,16}), EFR2:\\s*0x([0-9a-f]{1,16})");

    /** Lines about a unit: of a new kernel's {@code pci_info}, and of kernels that print the address themselves. */
    private static final Pattern FUNCTION = Pattern.compile(
            "pci ([0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]): AMD-Vi: (?:Found IOMMU|IOMMU performance "
                    + "counters|Unable to"
                    + " (?:read|write)|Applying |Extended features)"
                    + "|AMD-Vi: (?:Found|Enabling) IOMMU at ([0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]) ");

    /**
     * Lines that the driver prints only where IVRS has units. The others are about its options and about AMD IOMMUv2,
     * which it prints on every machine.
     */
    private static final Pattern PRESENT = Pattern.compile("AMD-Vi: {1,2}(?:Using |Found |Enabling |Extended features|"
            + "Initialized |Interrupt remapping enabled|Virtual APIC enabled|X2APIC enabled|Lazy IO/TLB|ivrs|"
            + "Event logged|Completion-Wait|Force to disable|Disabling interrupt remapping|device: |mmio-addr|"
            + "AMD IOMMUv2 loaded|Unable to |Command buffer|IOMMU)|" + DETECTED + " #\\d|ACPI: IVRS ");

    private static final List<String> WORDS = List.of("AMD-Vi", "IVRS", "IVHD", DETECTED);

    @Override
    public List<String> words() {
        return WORDS;
    }

    @Override
    public void read(String line, Findings findings) {
        Objects.requireNonNull(line, "line");
        Objects.requireNonNull(findings, "findings");
        if (WORDS.stream().noneMatch(line::contains)) {
            return;
        }
        Matcher function = FUNCTION.matcher(line);
        if (function.find()) {
            findings.unitFunction(PciAddress.parse(function.group(1) != null ? function.group(1) : function.group(2)));
        } else if (PRESENT.matcher(line).find()) {
            findings.present();
        }
        AmdRemarks.read(line, findings);
        if (line.contains("Extended features")) {
            features(FEATURES.matcher(line), findings);
        } else if (line.contains("Using global IVHD")) {
            features(GLOBAL.matcher(line), findings);
        } else if (line.contains("AMD-Vi: Interrupt remapping enabled")
                || line.contains("AMD-Vi: Virtual APIC enabled")) {
            findings.interruptRemapping(true);
        } else if (line.contains("AMD-Vi: Lazy IO/TLB flushing enabled")) {
            findings.inUse(true);
        } else if (line.contains("AMD-Vi: AMD IOMMUv2 ")) {
            // Until 6.6 a module on top of the driver, which logs a line in both cases.
            findings.done();
        }
    }

    private static void features(Matcher line, Findings findings) {
        if (line.find()) {
            long efr = Long.parseUnsignedLong(line.group(1), 16);
            findings.everyUnit(
                    line.group(2) == null
                            ? Map.of("EFR", efr)
                            : Map.of("EFR", efr, "EFR2", Long.parseUnsignedLong(line.group(2), 16)));
        }
    }
}
