// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.spi.IommuVendors;

/**
 * Selects the lines of a kernel's log that a capture keeps, and of each the part that is read.
 *
 * <p>Of a vendor's driver and of the IOMMU core it keeps the message, without what a logger put before it. Nothing of
 * other lines, and of programs no more than that the first one runs: they name the host, its network cards and its
 * guests. Its rules are {@link Edit}s, so that a shell script can do the same.
 */
final class LogEssence {
    private static final int MAX_LINE = TextLines.MAX_LINE;

    /** Characters from the blank to the tilde without brackets and backslash; without the blank. */
    private static final String INSIDE = "[ -Z^-~]";

    private static final String WORD = "[!-Z^-~]";

    /** A time stamp, and the thread or CPU that called, which kernels with {@code PRINTK_CALLER} name. */
    private static final String STAMPS = "\\[" + INSIDE + "{1,40}]( ?\\[ {0,12}[CT][0-9]{1,10}])? ";

    /** What names a message's driver, and the device that it is about. */
    private static final String LABELS =
            "(\\[Firmware (Bug|Warn)]: )?(Warning: )?([0-9A-Za-z_/-]{1,32}( [0-9a-f:.]{1,16})?: ){0,2}";

    private static final String ADDRESS = "[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]";

    /** A process of the name kernel is a logger's word for the kernel. */
    private static final Edit LOGGER = new Edit(" kernel\\[[0-9]{1,10}]: ", " kernel: ");

    /** A message whose facility is not the kernel's, and a program with its process, as loggers print them. */
    private static final Edit PROGRAM = new Edit(
            "^<([89]|[0-9]{2,3})>|^(<[0-9]{1,3}>)?(" + STAMPS + ")?([^ ]{0,63}[^ :] ){0,5}" + WORD
                    + "{1,64}\\[[0-9]{1,10}]: ",
            "");

    private static final List<Edit> PREFIXES = List.of(
            new Edit("^.{0,120} kernel: ", ""),
            new Edit("^kern *:[a-z]{1,8} *: ", ""),
            new Edit("^<[0-9]{1,3}>", ""),
            new Edit("^" + STAMPS, ""));

    static final Edit COMMAND_LINE = new Edit("^(Kernel c|C)ommand line: ", "");

    private static final List<Edit> PARTS = List.of(
            // Xen's own log is of the host; of it the answer for the whole machine.
            new Edit("^.*\\(XEN\\).*(Intel VT-d Snoop Control (not )?enabled).*$", "(XEN) \\1"),
            new Edit("^.*\\(XEN\\).*$", "(XEN)"),
            // The stable kernel that Debian and Ubuntu built theirs from.
            new Edit(
                    "^Linux version ([^ ]{1,128}) \\(.*( Debian |\\(Ubuntu [^ ]{1,64} )"
                            + "([0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,6})[-)].*$",
                    "Linux version \\1 (builder) Debian \\3-0"),
            new Edit("^Linux version ([^ ]{1,128}) \\(.*$", "Linux version \\1 (builder)"),
            new Edit("^.*(iommu: (Adding|Removing) device [^ ]{1,128} (to|from) group [0-9]{1,6}) *$", "\\1"),
            new Edit("^(.* )?([^ ]{1,128}: (Adding to|Removing from) iommu group [0-9]{1,6}) *$", "\\2"),
            new Edit("^(.* )?([^ ]{1,128}: Adding kernel taint for vfio-noiommu group on device).*$", "\\2"),
            new Edit(
                    "^(Booting paravirtualized kernel on Xen|Xen version: [0-9.]{1,20}|"
                            + "Hypervisor detected: (Xen( PV| HVM)?|VMware|Microsoft Hyper-?V|KVM|ACRN|Jailhouse|Bhyve)"
                            + "|pci [0-9a-f:.]{7,16}: \\[[0-9a-f]{4}:[0-9a-f]{4}] type [0-9a-f]{2} class 0x[0-9a-f]{6}"
                            + "|ACPI: (FACP|DMAR|IVRS|IORT|VIOT|RIMT) (0x)?[0-9A-Fa-f]{8,16} "
                            + "|Run [^ ]{0,64}init as init process|Freeing unused kernel).*$",
                    "\\1"),
            Processors.ESSENCE,
            new Edit("^(Unknown (kernel )?command line parameters ).*(pcie_acs_override).*$", "\\1\\3"),
            new Edit(
                    "^(iommu: .*|vfio-pci: probe of [^ ]{1,16} failed with error -[0-9]{1,4}|" + LABELS
                            + "(Firmware has requested this device have a 1:1 IOMMU mapping|PCIe ACS overrides enabled"
                            + "|No interrupt remapping|probe with driver vfio-pci failed with error -).*)$",
                    "\\1"));

    private final List<Edit> parts;
    private final BootParameters parameters;

    /** Makes one that knows how the messages of some vendors' drivers begin. */
    LogEssence(IommuVendors known) {
        parameters = new BootParameters(known);
        String words = Stream.concat(known.all().stream(), ForeignUnits.all().stream())
                .flatMap(vendor -> vendor.kernelLog().words().stream())
                .distinct()
                .sorted()
                .map(Edit::quoted)
                .collect(Collectors.joining("|"));
        parts = new ArrayList<>(PARTS);
        parts.add(new Edit("^(" + LABELS + "(Your BIOS is broken[;,] )?(" + words + ").*)$", "\\1"));
    }

    /** Returns what a capture keeps of a log, one line each. */
    String of(byte[] log) {
        StringBuilder kept = new StringBuilder();
        for (String line : new String(log, StandardCharsets.ISO_8859_1).split("[\n\r\u000b\f]")) {
            of(plain(line))
                    .ifPresent(essence -> kept.append(Redaction.text(essence)).append('\n'));
        }
        return kept.toString();
    }

    private static String plain(String line) {
        String plain = line.replace('\t', ' ').replaceAll("[^ -~]", "");
        return plain.substring(0, Math.min(plain.length(), MAX_LINE));
    }

    /** Returns what a capture keeps of a line of printable ASCII. */
    private Optional<String> of(String line) {
        String message = LOGGER.first(line);
        boolean more = true;
        while (more) {
            if (PROGRAM.applies(message)) {
                return message.contains(KernelLogReader.FIRST_PROGRAM)
                        ? Optional.of(KernelLogReader.FIRST_PROGRAM)
                        : Optional.empty();
            }
            String before = message;
            message = withoutPrefix(message);
            more = message.length() < before.length();
        }
        if (COMMAND_LINE.applies(message)) {
            String itself = COMMAND_LINE.first(message);
            String lead = message.substring(0, message.length() - itself.length());
            return Optional.of(lead + parameters.of(itself));
        }
        for (Edit part : parts) {
            if (part.applies(message)) {
                return Optional.of(part.first(message));
            }
        }
        return Optional.empty();
    }

    private static String withoutPrefix(String message) {
        for (Edit prefix : PREFIXES) {
            if (prefix.applies(message)) {
                return prefix.first(message);
            }
        }
        return message;
    }

    /** Returns the arguments of {@code sed} that do the same, apart from the parameters of a command line. */
    List<String> commands() {
        String first = KernelLogReader.FIRST_PROGRAM;
        List<String> commands = new ArrayList<>(List.of(LOGGER.replace(), "-e :a", PROGRAM.branch("p")));
        PREFIXES.forEach(prefix -> commands.add(prefix.replaceAndGo("a")));
        commands.add(COMMAND_LINE.branch(""));
        parts.forEach(part -> commands.add(part.replaceAndGo("")));
        commands.add("-e d -e :p -e '/" + Edit.quoted(first) + "/!d' -e 's/.*/" + first + "/'");
        return commands;
    }
}
