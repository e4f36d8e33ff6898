// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.spi.KernelLog;

/**
 * Recognizes the kernel log lines of Linux's VT-d driver.
 *
 * <p>Source: Linux {@code drivers/iommu/intel/dmar.c} (alloc_iommu, dmar_table_print_dmar_entry), {@code
 * irq_remapping.c} and {@code iommu.c}, 2.6.39 to 7.1.
 */
final class IntelKernelLog implements KernelLog {
    private static final String FAULT = "DRHD: handling fault";
    private static final String BASE = "reg_base_addr";
    private static final String ENABLED = "Enabled ";
    private static final String FAILED = "Failed to enable ";
    private static final String REMAPPING = "IRQ remapping";
    private static final String REMAPPING_FAILED = "irq remapping";
    private static final String OLD_REMAPPING = "Interrupt-remapping";
    private static final String UNIT_FLAGS = "DRHD base: ";
    private static final String IN_USE = "Intel(R) Virtualization Technology for Directed I/O";

    /** Before 4.0 a unit is {@code IOMMU 1}. */
    private static final Pattern UNIT =
            Pattern.compile("(?:dmar|IOMMU )(\\d{1,4}): reg_base_addr ([0-9a-f]{1,16}) ver (\\d{1,2}):(\\d{1,2}) "
                    + "cap ([0-9a-f]{1,16}) ecap ([0-9a-f]{1,16})\\b");

    /**
     * Lines that the driver prints only where DMAR has units. Those about its options ({@code DMAR: IOMMU enabled}) it
     * prints on every machine.
     */
    private static final Pattern PRESENT =
            Pattern.compile("DMAR: ?(?:Host address width|DRHD|RMRR|ATSR|No ATSR|dmar\\d|"
                    + "IOMMU feature|Intel\\(R\\) Virt|\\[|Setting |Hardware |Using |Unable to map|"
                    + "Disable GFX|Forcing |No RMRR)|Device is ineligible for IOMMU|DMAR-IR: |DRHD: handling "
                    + "fault|ACPI: DMAR (?!0{16} )");

    /** Bit 0 of the flags is INCLUDE_PCI_ALL. */
    private static final Pattern FLAGS = Pattern.compile("DRHD base: 0x([0-9a-f]{1,16}) flags: 0x([0-9a-f]{1,2})\\b");

    private static final List<String> WORDS = List.of(
            "DMAR",
            "assuming all RMRRs are",
            "Device is ineligible for IOMMU",
            "Setting identity map",
            BASE,
            FAULT,
            ENABLED + REMAPPING,
            FAILED + REMAPPING_FAILED,
            ENABLED + OLD_REMAPPING,
            FAILED + OLD_REMAPPING,
            IN_USE);

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
        if (PRESENT.matcher(line).find()) {
            findings.present();
        }
        IntelRemarks.read(line, findings);
        if (line.contains(BASE)) {
            Matcher unit = UNIT.matcher(line);
            if (unit.find()) {
                findings.unit(
                        IntelNames.unit(Integer.parseInt(unit.group(1))),
                        OptionalLong.of(hex(unit.group(2))),
                        Map.of(
                                "VER",
                                Long.parseLong(unit.group(3)) << 4 | Long.parseLong(unit.group(4)),
                                "CAP",
                                hex(unit.group(5)),
                                "ECAP",
                                hex(unit.group(6))));
            }
        } else if (line.contains(UNIT_FLAGS)) {
            Matcher flags = FLAGS.matcher(line);
            if (flags.find()) {
                findings.includeAll(hex(flags.group(1)), (hex(flags.group(2)) & 1) != 0);
            }
        } else if (line.contains(ENABLED + REMAPPING + " in") || line.contains(ENABLED + OLD_REMAPPING)) {
            findings.interruptRemapping(true);
        } else if (line.contains(FAILED + REMAPPING_FAILED) || line.contains(FAILED + OLD_REMAPPING)) {
            findings.interruptRemapping(false);
        } else if (line.contains(IN_USE)) {
            findings.inUse(true);
        } else if (line.contains("DMAR: IOMMU disabled")) {
            findings.inUse(false);
        }
    }

    private static long hex(String digits) {
        return Long.parseUnsignedLong(digits, 16);
    }
}
