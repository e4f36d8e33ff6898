// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * The parts of a text, each for its reader: people put a log, a listing of groups and lspci's output into one file, in
 * any order and with their own words between.
 *
 * <p>A part lasts until a line begins one of another kind. Where all is of one kind, its reader gets every line.
 */
final class TextSections {
    /** What a part is. */
    enum Kind {
        /** The text of acpidump. */
        ACPI,
        /** A kernel log. */
        LOG,
        /** A listing of groups. */
        GROUPS,
        /** The output of lspci. */
        LSPCI,
        /** What uname, hostnamectl, lscpu, /proc/cmdline and /proc/cpuinfo print. */
        KERNEL,
        /** Registers of units, as debugfs shows them. */
        REGISTERS,
        /** Devices of virsh. */
        NODE_DEVICES,
        /** The table of pvesh. */
        PVESH
    }

    /** A line of a kernel log, whether or not it states anything. */
    private static final Pattern STAMP = Pattern.compile("^(?:<\\d{1,3}>)?\\[ {0,11}\\d{1,9}\\.\\d{6}\\]");

    /** A detail that lspci prints below a function. */
    private static final Pattern DETAIL = Pattern.compile("^[ \\t]+(?:Control|Status|Subsystem|DeviceName|Flags|Latency"
            + "|Interrupt|NUMA node|IOMMU group|Region \\d|Memory at|I/O ports|Bus|Capabilities|Physical Slot"
            + "|Kernel driver in use|Kernel modules|Expansion ROM)\\b.*");

    private final byte[] bytes;
    private final KernelLogReader logs;
    private final Map<Kind, List<String>> parts = new EnumMap<>(Kind.class);

    private TextSections(byte[] bytes, KernelLogReader logs) {
        this.bytes = bytes;
        this.logs = logs;
    }

    /**
     * Takes a text apart.
     *
     * @param source where it comes from, for messages
     * @throws InputException when it has too many lines
     */
    static TextSections of(byte[] bytes, String source, KernelLogReader logs) {
        TextSections sections = new TextSections(bytes, logs);
        if (TextLines.isText(bytes)) {
            List<String> lines = TextLines.of(bytes, source);
            sections.takeApart(lines);
            if (sections.parts.size() == 1) {
                sections.parts.replaceAll((kind, part) -> lines);
            }
        }
        return sections;
    }

    /** Returns the kinds of its parts. */
    Set<Kind> kinds() {
        return parts.keySet();
    }

    private void takeApart(List<String> lines) {
        Kind kind = null;
        boolean log = false;
        boolean apart = false;
        boolean otherwise = false;
        List<String> before = new ArrayList<>();
        for (int i = 0; i < lines.size(); i++) {
            String line = lines.get(i);
            boolean blank = line.isBlank();
            if (blank) {
                apart = true;
            } else if (AcpiReader.recognises(line)) {
                kind = Kind.ACPI;
            } else if (logs.recognises(line)) {
                kind = Kind.LOG;
                log = true;
            } else if (STAMP.matcher(line).find()) {
                kind = Kind.LOG;
            } else if (GroupListingReader.recognises(line)
                    && !(kind == Kind.LSPCI && DETAIL.matcher(line).matches())) {
                kind = Kind.GROUPS;
                otherwise = LspciTitle.ADDRESS.matcher(line).find();
            } else if (KernelNames.recognises(line)) {
                kind = Kind.KERNEL;
            } else if (LspciReader.recognises(line) && !(kind == Kind.GROUPS && isMember(lines, i, apart, otherwise))) {
                kind = Kind.LSPCI;
            } else if (RegisterListing.recognises(line)) {
                kind = Kind.REGISTERS;
            } else if (NodeDeviceReader.recognises(line)) {
                kind = Kind.NODE_DEVICES;
            } else if (PveshReader.recognises(line)) {
                kind = Kind.PVESH;
            } else if (kind == Kind.GROUPS && Character.isWhitespace(line.charAt(0))) {
                otherwise |= LspciTitle.ADDRESS.matcher(line).find();
            }
            apart &= blank;
            (kind == null ? before : parts.computeIfAbsent(kind, unused -> new ArrayList<>())).add(line);
        }
        if (log) {
            // Lines of a log that state nothing by themselves may stand before the first that does.
            parts.getOrDefault(Kind.LOG, before).addAll(0, before);
        } else {
            parts.remove(Kind.LOG);
        }
    }

    /**
     * Returns whether a function at the margin is a member of the group above it.
     *
     * @param apart whether an empty line stands before it
     * @param otherwise whether the listing names its members on lines that begin otherwise
     */
    private static boolean isMember(List<String> lines, int at, boolean apart, boolean otherwise) {
        boolean detailed =
                at + 1 < lines.size() && DETAIL.matcher(lines.get(at + 1)).matches();
        return !otherwise && !(apart && detailed);
    }

    /**
     * Reads all parts.
     *
     * @param name names the text where a fact states its input
     * @return the kinds of the parts that state a fact
     * @throws InputException when a part can't be read
     */
    Set<Kind> read(String name, EvidenceBuilder host) {
        Set<Kind> read = EnumSet.noneOf(Kind.class);
        parts.forEach((kind, lines) -> {
            if (read(kind, lines, name, host)) {
                read.add(kind);
            }
        });
        return read;
    }

    private boolean read(Kind kind, List<String> lines, String name, EvidenceBuilder host) {
        return switch (kind) {
            case ACPI -> AcpiReader.read(lines, new Source(name, Rank.TABLE), host) > 0;
            case LOG -> logs.read(logOf(lines), new Source(name, Rank.LOG), host);
            case GROUPS -> GroupListingReader.read(lines, new Source(name, Rank.LSPCI), host) > 0;
            case LSPCI -> LspciReader.read(lines, new Source(name, Rank.LSPCI), host) > 0;
            case KERNEL -> kernel(lines, new Source(name, Rank.LSPCI), host);
            case REGISTERS -> RegisterListing.read(lines, new Source(name, Rank.SYSFS), host) > 0;
            case NODE_DEVICES -> NodeDeviceReader.read(lines, new Source(name, Rank.LSPCI), host) > 0;
            case PVESH -> PveshReader.read(lines, new Source(name, Rank.LSPCI), host) > 0;
        };
    }

    private static boolean kernel(List<String> lines, Source source, EvidenceBuilder host) {
        boolean any = false;
        for (String line : lines) {
            KernelNames.release(line).ifPresent(release -> host.kernelRelease(release, source));
            KernelNames.commandLine(line).ifPresent(parameters -> host.commandLine(parameters, source));
            Processors.ofListing(line).ifPresent(extension -> host.virtualization(extension, source));
            any |= KernelNames.recognises(line);
        }
        return any;
    }

    private byte[] logOf(List<String> lines) {
        return parts.size() == 1 ? bytes : String.join("\n", lines).getBytes(StandardCharsets.UTF_8);
    }
}
