// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.riscv.fmt.FaultRecord;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.KernelRemark;
import org.iommu4j.spi.Reason;

/**
 * Recognises the kernel log lines of Linux's RISC-V driver.
 *
 * <p>The driver prints little: how a unit interrupts, faults, and what went wrong. Lines about a unit begin with the
 * name of Linux's driver and of its device: {@code riscv,iommu RSCV0004:00} or {@code riscv-iommu-pci 0000:00:01.0}.
 *
 * <p>Source: Linux {@code drivers/iommu/riscv} and {@code drivers/acpi/riscv/rimt.c}, 6.13 to 7.1.
 */
final class RiscvKernelLog implements KernelLog {
    private static final String PLATFORM_DRIVER = "riscv,iommu";
    private static final String TABLE = "RIMT";

    /** The driver of PCI functions has the name of its object file, which kernels build in more than one way. */
    private static final List<String> WORDS = List.of(PLATFORM_DRIVER, "riscv-iommu", "iommu_pci", "iommu-pci", TABLE);

    private static final Pattern LINE = Pattern.compile("(?:" + PLATFORM_DRIVER
            + " ([0-9A-Za-z][0-9A-Za-z._:-]{0,40}?)|(?<![\\w-])(?:riscv-iommu-pci|iommu[-_]pci) "
            + "([0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7])): (.{1,200})");
    private static final Pattern FAULT = Pattern.compile(
            "Fault (\\d{1,4}) devid: 0x([0-9a-f]{1,6}) iotval: ([0-9a-f]{1,16}) iotval2: ([0-9a-f]{1,16})");
    private static final Pattern STOPPED =
            Pattern.compile("Queue #\\d error|Hardware error|timeout when setting ddtp|DDTP |unexpected device state");
    private static final Pattern NULL_PARENT = Pattern.compile("RIMT: .*(ID map has NULL parent reference)");

    private static final Reason ON_ERROR = new Reason(
            "the unit did not do what the driver told it: DMA of devices behind it may fail, or reach what was"
                    + " unmapped",
            "Linux riscv_iommu_queue_wait, riscv_iommu_iodir_set_mode");
    private static final Reason ON_TABLE =
            new Reason("firmware's RIMT is wrong: no unit translates for the device", "Linux rimt_node_map_id");

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
        Matcher about = LINE.matcher(line);
        if (about.find()) {
            String device = about.group(1);
            if (device == null) {
                device = about.group(2);
                findings.unitFunction(PciAddress.parse(device));
            }
            findings.present();
            findings.unit(RiscvNames.unit(device), OptionalLong.empty(), Map.of());
            message(about.group(3), findings);
        }
        Matcher table = NULL_PARENT.matcher(line);
        if (table.find()) {
            findings.present();
            findings.remark(KernelRemark.quoting(KernelRemark.Kind.FIRMWARE_BUG, table.group(), ON_TABLE));
        }
    }

    private static void message(String message, Findings findings) {
        Matcher fault = FAULT.matcher(message);
        if (message.startsWith("using ")) {
            findings.inUse(true);
        } else if (fault.find()) {
            findings.inUse(true);
            int cause = Integer.parseInt(fault.group(1));
            findings.remark(KernelRemark.of(
                    KernelRemark.Kind.FAULT,
                    "fault " + cause + " of device id 0x" + fault.group(2) + " at address 0x" + fault.group(3),
                    new Reason(FaultRecord.describe(cause), "RISC-V IOMMU 1.0, Fault record CAUSE encodings")));
        } else if (STOPPED.matcher(message).lookingAt()) {
            findings.remark(KernelRemark.quoting(KernelRemark.Kind.OFF, message, ON_ERROR));
        }
    }
}
