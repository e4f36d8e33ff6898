// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.KernelRemark;
import org.iommu4j.spi.Reason;

/**
 * Recognizes what Linux's VT-d driver prints that an operator must know: refusals, faults, wrong tables.
 *
 * <p>Source: Linux {@code drivers/iommu/intel/dmar.c} (dmar_fault_do_one, warn_invalid_dmar), {@code iommu.c}
 * (intel_iommu_attach_device, dmar_parse_one_rmrr, domain_prepare_identity_map), {@code irq_remapping.c}; VT-d 7.1.3.
 */
final class IntelRemarks {
    private static final String INELIGIBLE = "ineligible for IOMMU domain attach due to platform RMRR requirement";
    private static final String RELAXED = "assuming all RMRRs are relaxable";
    private static final String INCONSISTENT = "sc_support inconsistent";
    private static final String ERRATUM = "interrupt remapping on a chipset that contains an erratum";
    private static final String NO_UNITS = "No DMAR devices found";

    private static final Pattern DEVICE =
            Pattern.compile("(?<![0-9a-f:])([0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]): (?:DMAR: )?Device is ");
    private static final Pattern FAULT =
            Pattern.compile("\\[(DMA Read|DMA Write|INTR-REMAP)[^\\]]{0,24}\\] ?Request device "
                    + "\\[((?:[0-9a-f]{4}:)?[0-9a-f]{2}:[01][0-9a-f]\\.[0-7])\\](?: PASID [0-9a-fx]{1,10})? fault "
                    + "(?:addr|index) ?(?:0x)?([0-9a-f]{1,16})(?: ?\\[fault reason (0x)?([0-9a-f]{1,2})\\])?");
    private static final Pattern FIRMWARE = Pattern.compile("(?:\\[Firmware Bug\\]: |Your BIOS is broken[;,]).*");
    private static final Pattern IDENTITY = Pattern.compile("Setting identity map for device "
            + "([0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]) \\[(?:mem )?0x([0-9a-f]{1,15}) ?- "
            + "?0x([0-9a-f]{1,15})\\]");

    private static final Reason ON_REFUSAL = new Reason(
            "on servers of HPE turn off shared memory (RMRR) for the slot in the firmware setup; or boot a "
                    + "kernel with the"
                    + " out-of-tree relax_rmrr patch",
            "Linux intel_iommu_attach_device, EPERM");
    private static final Reason ON_RELAXED = new Reason(
            "devices whose memory firmware uses are given to guests all the same, and firmware may then fail",
            "out-of-tree relax_rmrr");
    private static final Reason ON_INCONSISTENT = new Reason(
            "some units can block no-snoop and others can't, so that a guest's answer depends on its device's unit",
            "Linux intel_cap_audit");
    private static final Reason ON_FIRMWARE = new Reason(
            "Linux warns, and uses the table as it is; only a firmware update mends it", "Linux intel/iommu.c");
    private static final Reason ON_ERRATUM = new Reason(
            "the chipset's interrupt remapping is faulty and Linux leaves it off; VFIO then refuses devices",
            "Linux irq_remapping.c");
    private static final Reason ON_NO_UNITS = new Reason(
            "DMAR has no unit that Linux can use: turn VT-d on in the firmware setup", "Linux dmar_table_init");

    private IntelRemarks() {}

    static void read(String line, KernelLog.Findings findings) {
        if (line.contains(INELIGIBLE)) {
            Matcher device = DEVICE.matcher(line);
            if (device.find()) {
                findings.remark(KernelRemark.of(
                        KernelRemark.Kind.REFUSED,
                        PciAddress.parse(device.group(1)),
                        "firmware reserves memory for it (RMRR), and it is neither USB nor graphics",
                        ON_REFUSAL));
            }
        } else if (line.contains(RELAXED)) {
            findings.regionsRelaxed();
            findings.remark(KernelRemark.of(
                    KernelRemark.Kind.RELAXED, "Linux takes all RMRRs as relaxable (relax_rmrr)", ON_RELAXED));
        } else if (line.contains(INCONSISTENT)) {
            findings.remark(KernelRemark.of(
                    KernelRemark.Kind.UNITS_DIFFER, "the units differ in snoop control", ON_INCONSISTENT));
        } else if (line.contains(ERRATUM)) {
            findings.interruptRemapping(false);
            findings.remark(KernelRemark.of(
                    KernelRemark.Kind.NO_REMAPPING, "Linux leaves interrupt remapping off", ON_ERRATUM));
        } else if (line.contains(NO_UNITS)) {
            findings.remark(KernelRemark.of(KernelRemark.Kind.OFF, "the driver found no unit in DMAR", ON_NO_UNITS));
        } else if (line.contains("Request device [")) {
            fault(line, findings);
        } else if (line.contains("DMAR") && (line.contains("Firmware Bug") || line.contains("BIOS is broken"))) {
            Matcher firmware = FIRMWARE.matcher(line);
            if (firmware.find()) {
                findings.remark(KernelRemark.quoting(KernelRemark.Kind.FIRMWARE_BUG, firmware.group(), ON_FIRMWARE));
            }
        } else {
            Matcher identity = IDENTITY.matcher(line);
            if (identity.find()) {
                findings.identityMap(
                        PciAddress.parse(identity.group(1)),
                        Long.parseLong(identity.group(2), 16),
                        Long.parseLong(identity.group(3), 16));
            }
        }
    }

    private static void fault(String line, KernelLog.Findings findings) {
        Matcher fault = FAULT.matcher(line);
        if (!fault.find()) {
            return;
        }
        // Before 5.13 the reason is decimal; before 4.x it is on a line of its own.
        Optional<Integer> code =
                Optional.ofNullable(fault.group(5)).flatMap(digits -> code(digits, fault.group(4) != null));
        boolean interrupt = fault.group(1).equals("INTR-REMAP");
        String what = switch (fault.group(1)) {
            case "DMA Read" -> "its read of address 0x" + fault.group(3);
            case "DMA Write" -> "its write to address 0x" + fault.group(3);
            default -> "its interrupt through entry 0x" + fault.group(3);
        };
        findings.remark(KernelRemark.of(
                KernelRemark.Kind.FAULT,
                PciAddress.parse(fault.group(2)),
                "the unit blocked " + what
                        + code.map(number -> String.format(", fault reason 0x%02x", number))
                                .orElse(""),
                new Reason(meaning(code.orElse(-1), interrupt), "VT-d 7.1.3")));
    }

    private static Optional<Integer> code(String digits, boolean hexadecimal) {
        boolean decimal = !hexadecimal && digits.chars().allMatch(Character::isDigit);
        return Optional.of(Integer.parseInt(digits, decimal ? 10 : 16));
    }

    private static String meaning(int code, boolean interrupt) {
        return switch (code) {
            case 0x01 -> "its bus has no table: no driver attached a device there";
            case 0x02 ->
                "it is attached to no domain: often a device that uses another function's id (a DMA alias), or that is"
                        + " active before its driver";
            case 0x03 -> "the context entry is invalid";
            case 0x04 -> "the address is above the domain's width";
            case 0x05 ->
                "nothing that it may write is mapped there: a driver's mistake, or firmware uses the device"
                        + " without an RMRR";
            case 0x06 ->
                "nothing that it may read is mapped there: a driver's mistake, or firmware uses the device"
                        + " without an RMRR";
            case 0x07 -> "a table is at an address that the unit can't read";
            case 0x0a, 0x0b, 0x0c -> "a table's entry has reserved bits set";
            case 0x0d -> "its request is of a kind that the domain blocks";
            case 0x20, 0x21, 0x22, 0x23, 0x24, 0x25 ->
                "its interrupt has no valid entry: the device or its driver raised a stale" + " one";
            case 0x26 -> "its interrupt has another function's entry: a DMA alias, or an attempt to forge an interrupt";
            default -> interrupt ? "its interrupt was blocked" : "its access was blocked";
        };
    }
}
