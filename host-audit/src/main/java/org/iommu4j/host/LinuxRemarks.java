// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.KernelRemark;
import org.iommu4j.spi.Reason;

/**
 * Recognizes remarks that no vendor's driver prints: those of Linux's core, of VFIO, of the ACS override and of QEMU.
 *
 * <p>Source: Linux {@code drivers/iommu/iommu.c} (__iommu_device_set_domain, 6.6), {@code drivers/vfio}, QEMU
 * {@code hw/vfio/common.c} and {@code pci.c}.
 */
final class LinuxRemarks {
    private static final String ONE_TO_ONE = "Firmware has requested this device have a 1:1 IOMMU mapping";
    private static final String OVERRIDE = "PCIe ACS overrides enabled";
    static final String NOT_VIABLE = "is not viable";
    static final String NO_GROUP = "no iommu_group";
    static final String NO_CONTAINER = "failed to setup container for group";
    private static final String FAILED = "failed with error -";
    private static final String NO_REMAPPING = "No interrupt remapping";

    /** Words of which each such line has one. */
    static final List<String> WORDS =
            List.of(ONE_TO_ONE, OVERRIDE, NOT_VIABLE, NO_GROUP, NO_CONTAINER, FAILED, NO_REMAPPING);

    private static final String ADDRESS = "([0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7])";
    private static final Pattern DEVICE = Pattern.compile("(?<![0-9a-f:])" + ADDRESS + ": ");
    private static final Pattern GROUP_NOT_VIABLE = Pattern.compile("group (\\d{1,6}) is not viable");
    private static final Pattern CONTAINER = Pattern.compile(
            NO_CONTAINER + " (\\d{1,6}): (?:[Ff]ailed to set [a-z ]{1,30}: )?([A-Za-z/][A-Za-z/ ]{1,60})");
    private static final Pattern HOST_DEVICE = Pattern.compile("(?:vfio|host=|error:)[ :]{0,2}" + ADDRESS);
    private static final Pattern PROBE =
            Pattern.compile("vfio-pci: probe of " + ADDRESS + " failed with error -(\\d{1,4})" + "|vfio-pci " + ADDRESS
                    + ": probe with driver vfio-pci failed with error -(\\d{1,4})");

    private static final Reason ON_FIRMWARE = new Reason(
            "firmware uses this memory (RMRR, IVMD) and Linux keeps the device for it; look for a setting of "
                    + "the slot in"
                    + " the firmware setup",
            "Linux __iommu_device_set_domain require_direct (6.6)");
    private static final Reason ON_OVERRIDE = new Reason(
            "functions of different groups may reach each other without the IOMMU, so that groups isolate no guest",
            "out-of-tree pcie_acs_override");
    private static final Reason ON_VIABILITY = new Reason(
            "a function of the group has a driver of the host: bind all of them to vfio-pci, or unbind them",
            "QEMU vfio_get_group");
    private static final Reason ON_NO_GROUP = new Reason(
            "no IOMMU translates for the device: the IOMMU is off in firmware or on the kernel's command line, or there"
                    + " is none",
            "QEMU vfio_realize");
    private static final Reason ON_CONTAINER = new Reason(
            "where it is not permitted, interrupts are not remapped, or firmware reserves memory for a device of the"
                    + " group (RMRR); the kernel's log says which",
            "QEMU vfio_get_group, Linux vfio_iommu_type1_attach_group");
    private static final Reason ON_REMAPPING = new Reason(
            "VFIO refuses devices without interrupt remapping unless allow_unsafe_interrupts is set",
            "Linux vfio_iommu_type1_attach_group");

    private LinuxRemarks() {}

    /** Reads a line that has one of the words. */
    static void read(String line, KernelBoot findings) {
        if (line.contains(ONE_TO_ONE)) {
            Matcher device = DEVICE.matcher(line);
            if (device.find()) {
                findings.remark(KernelRemark.of(
                        KernelRemark.Kind.REFUSED,
                        PciAddress.parse(device.group(1)),
                        "firmware reserves memory for it that must stay mapped one to one",
                        ON_FIRMWARE));
            }
        } else if (line.contains(OVERRIDE)) {
            findings.remark(KernelRemark.of(
                    KernelRemark.Kind.NO_ISOLATION, "the kernel overrides ACS (pcie_acs_override)", ON_OVERRIDE));
        } else if (line.contains(NO_REMAPPING)) {
            findings.remark(
                    KernelRemark.of(KernelRemark.Kind.NO_REMAPPING, "VFIO found no interrupt remapping", ON_REMAPPING));
            findings.interruptRemapping(false);
        } else if (line.contains(FAILED)) {
            probe(line, findings);
        } else {
            qemu(line, findings);
        }
    }

    private static void probe(String line, KernelLog.Findings findings) {
        Matcher probe = PROBE.matcher(line);
        if (probe.find()) {
            boolean old = probe.group(1) != null;
            String error = probe.group(old ? 2 : 4);
            findings.remark(KernelRemark.of(
                    KernelRemark.Kind.PROBE_FAILED,
                    PciAddress.parse(probe.group(old ? 1 : 3)),
                    "vfio-pci refused it with error -" + error,
                    new Reason(meaning(error), "Linux vfio_pci_core_register_device")));
        }
    }

    private static String meaning(String error) {
        return switch (error) {
            case "22" ->
                "EINVAL: it is in no IOMMU group, so that the IOMMU is off or has no unit for it; or it is a bridge or"
                        + " on vfio-pci's deny list, or its IOMMU does not promise coherent DMA (5.19)";
            case "16" -> "EBUSY: another user has it, or its physical function has virtual functions in use";
            case "19" -> "ENODEV: it does not answer, often because it is in D3cold or lost its link";
            case "1" -> "EPERM: the host's drivers or firmware keep it";
            default -> "errno " + error + " of the driver's probe";
        };
    }

    private static void qemu(String line, KernelBoot findings) {
        Matcher group = GROUP_NOT_VIABLE.matcher(line);
        Matcher host = HOST_DEVICE.matcher(line);
        Matcher container = CONTAINER.matcher(line);
        PciAddress device = host.find() ? PciAddress.parse(host.group(1)) : null;
        if (container.find() && device != null) {
            int number = Integer.parseInt(container.group(1));
            findings.remark(KernelRemark.of(
                    KernelRemark.Kind.REFUSED,
                    device,
                    "QEMU could not use its group " + number + ": "
                            + container.group(2).strip(),
                    ON_CONTAINER));
            findings.joins(device, number);
        } else if (group.find()) {
            int number = Integer.parseInt(group.group(1));
            String text = "QEMU found that group " + number + " is not viable";
            findings.remark(
                    device == null
                            ? KernelRemark.of(KernelRemark.Kind.NOT_VIABLE, text, ON_VIABILITY)
                            : KernelRemark.of(KernelRemark.Kind.NOT_VIABLE, device, text, ON_VIABILITY));
            if (device != null) {
                findings.joins(device, number);
            }
        } else if (line.contains(NO_GROUP) && device != null) {
            findings.remark(
                    KernelRemark.of(KernelRemark.Kind.NO_GROUP, device, "QEMU found no group for it", ON_NO_GROUP));
        }
    }
}
