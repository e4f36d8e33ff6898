// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.KernelRemark;
import org.iommu4j.spi.Reason;

/**
 * Recognizes what Linux's AMD-Vi driver prints that an operator must know: faults, wrong tables, interrupts.
 *
 * <p>Source: Linux {@code drivers/iommu/amd/iommu.c} (iommu_print_event, amd_iommu_report_page_fault) and
 * {@code init.c} (check_ioapic_information); 48882 2.5.
 */
final class AmdRemarks {
    private static final String ADDRESS = "([0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7])";

    /** Of newer kernels the device is before the driver's name. */
    private static final Pattern EVENT = Pattern.compile("(?:(?<![0-9a-f:])" + ADDRESS
            + ": )?AMD-Vi: Event logged \\[([A-Z_]{4,40})(?: "
            + "device=((?:[0-9a-f]{4}:)?[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]))?"
            + "([^\\]]{0,160})");

    private static final Pattern AT = Pattern.compile("address=0x([0-9a-f]{1,16})");
    private static final Pattern FIRMWARE = Pattern.compile("\\[Firmware Bug\\]: .*");

    private static final Reason ON_FIRMWARE = new Reason(
            "firmware's IVRS is wrong; Linux leaves interrupt remapping off where it names no I/O APIC",
            "Linux check_ioapic_information");
    private static final Reason ON_REMAPPING =
            new Reason("VFIO refuses devices without interrupt remapping", "Linux check_ioapic_information");

    private AmdRemarks() {}

    static void read(String line, KernelLog.Findings findings) {
        if (line.contains("Event logged")) {
            Matcher event = EVENT.matcher(line);
            if (event.find()) {
                event(event, findings);
            }
        } else if (line.contains("Firmware Bug")) {
            Matcher firmware = FIRMWARE.matcher(line);
            if (firmware.find()) {
                findings.remark(KernelRemark.quoting(KernelRemark.Kind.FIRMWARE_BUG, firmware.group(), ON_FIRMWARE));
            }
        } else if (line.contains("Disabling interrupt remapping")) {
            findings.interruptRemapping(false);
            findings.remark(KernelRemark.of(
                    KernelRemark.Kind.NO_REMAPPING, "Linux leaves interrupt remapping off", ON_REMAPPING));
        }
    }

    private static void event(Matcher event, KernelLog.Findings findings) {
        String device = event.group(1) != null ? event.group(1) : event.group(3);
        Matcher at = AT.matcher(event.group(4));
        String text = event.group(2) + (at.find() ? " at address 0x" + at.group(1) : "");
        Reason meaning = new Reason(meaning(event.group(2)), "48882 2.5");
        findings.remark(
                device == null
                        ? KernelRemark.of(KernelRemark.Kind.FAULT, text, meaning)
                        : KernelRemark.of(KernelRemark.Kind.FAULT, PciAddress.parse(device), text, meaning));
    }

    private static String meaning(String event) {
        return switch (event) {
            case "IO_PAGE_FAULT" ->
                "nothing that the device may access is mapped there: a driver's mistake, a device that uses another"
                        + " function's id, or firmware that uses the device without telling";
            case "ILLEGAL_DEV_TABLE_ENTRY" -> "the device's table entry is invalid";
            case "INVALID_DEVICE_REQUEST" -> "the device sent a request that its domain does not allow";
            case "IOTLB_INV_TIMEOUT" ->
                "the device did not answer an invalidation of its own cache: ATS of it is faulty";
            case "DEV_TAB_HARDWARE_ERROR", "PAGE_TAB_HARDWARE_ERROR", "COMMAND_HARDWARE_ERROR" ->
                "the unit could not read its tables from memory";
            case "ILLEGAL_COMMAND_ERROR" -> "the unit got a command that it does not know";
            default -> "the unit reported an event of the device";
        };
    }
}
