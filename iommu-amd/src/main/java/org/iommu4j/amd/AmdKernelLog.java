// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
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
    private static final Pattern FEATURES =
            Pattern.compile("AMD-Vi:\\s+Extended features \\((?:0x)?([0-9a-f]{1,16})(?:, (?:0x)?([0-9a-f]{1,16}))?\\)");
    private static final Pattern GLOBAL =
            Pattern.compile("AMD-Vi: Using global IVHD EFR:\\s*0x([0-9a-f]{1,16}), EFR2:\\s*0x([0-9a-f]{1,16})");

    @Override
    public List<String> words() {
        return List.of("AMD-Vi", "IVRS", "IVHD");
    }

    @Override
    public void read(String line, Findings findings) {
        Objects.requireNonNull(line, "line");
        Objects.requireNonNull(findings, "findings");
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
