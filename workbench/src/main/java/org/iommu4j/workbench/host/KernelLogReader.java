// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.platform.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * Reads a kernel log: {@code dmesg} with any time stamps or none, a journal, or the syslog of a boot.
 *
 * <p>Where a log holds several boots, the last counts. That something is off is believed only of a log that has the boot
 * from its first line to where the drivers are done. Source: {@code drivers/iommu/intel/dmar.c}, {@code irq_remapping.c}, {@code
 * drivers/iommu/amd/init.c}, {@code drivers/iommu/iommu.c}, {@code drivers/pci/probe.c}, 2.6.39 to 7.1.
 */
final class KernelLogReader {
    private static final Pattern VERSION = Pattern.compile("Linux version (\\S{1,128}) \\(");
    private static final Pattern COMMAND_LINE = Pattern.compile("(Kernel c|\\bC)ommand line: (.*)$");
    private static final Pattern INTEL_REGISTERS =
            Pattern.compile("(?:dmar|IOMMU )(\\d{1,4}): reg_base_addr ([0-9a-f]{1,16}) ver (\\d{1,2}):(\\d{1,2}) "
                    + "cap ([0-9a-f]{1,16}) ecap ([0-9a-f]{1,16})\\b");
    private static final Pattern AMD_FEATURES =
            Pattern.compile("AMD-Vi:\\s+Extended features \\((0x)?([0-9a-f]{1,16})(?:, (?:0x)?([0-9a-f]{1,16}))?\\)");
    private static final Pattern AMD_GLOBAL =
            Pattern.compile("AMD-Vi: Using global IVHD EFR:\\s*0x([0-9a-f]{1,16}), EFR2:\\s*0x([0-9a-f]{1,16})");
    /** An address begins where no longer number does; with four digits each try on other text ends at once. */
    private static final String ADDRESS = "(?<![0-9a-f:])([0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7])";

    private static final Pattern JOINS = Pattern.compile("(?:iommu: Adding device " + ADDRESS + " to group (\\d{1,6})|"
            + ADDRESS + ": Adding to iommu group (\\d{1,6}))\\s*$");
    private static final Pattern LEAVES = Pattern.compile("(?:iommu: Removing device " + ADDRESS + " from group \\d+|"
            + ADDRESS + ": Removing from iommu group \\d+)\\s*$");
    private static final Pattern REMAPPING_ON = Pattern.compile("Enabled IRQ remapping in|"
            + "Enabled Interrupt-remapping|AMD-Vi: Interrupt remapping enabled|AMD-Vi: Virtual APIC enabled");
    private static final Pattern REMAPPING_FAILED =
            Pattern.compile("Failed to enable irq remapping|Failed to enable Interrupt-remapping");
    private static final Pattern IN_USE = Pattern.compile(
            "Intel\\(R\\) Virtualization Technology for Directed I/O|AMD-Vi: Lazy IO/TLB flushing enabled");

    /** What comes after both drivers are done: the start of user space, or before 6.7 a module on top of them. */
    private static final Pattern DRIVERS_DONE = Pattern.compile(
            "AMD-Vi: AMD IOMMUv2 |Freeing unused kernel|Run \\S{0,64}init as init process|systemd\\[1\\]: ");

    private static final Pattern FUNCTION = Pattern.compile(
            "pci (\\S{7,12}): \\[([0-9a-f]{4}):([0-9a-f]{4})\\] type ([0-9a-f]{2}) class 0x([0-9a-f]{6})\\b");
    private static final Pattern BRIDGE =
            Pattern.compile("pci (\\S{7,12}): (?:PCI|CardBus) bridge to \\[bus ([0-9a-f]{2})(?:-([0-9a-f]{2}))?\\]");
    private static final Pattern ABOUT_IOMMU = Pattern.compile(
            "DMAR|AMD-Vi|IVRS|IVHD|(?i:\\biommu\\b|iommu group|snoop control|(?:irq|interrupt)[ -]remapping|\\bvfio\\b)");

    /** What stands before a message: a syslog's or journal's host and unit, a priority, a time stamp. */
    private static final Pattern PREFIX =
            Pattern.compile("^(?:.{0,120}? kernel(?:\\[\\d+\\])?: )?(?:<\\d{1,3}>)?(?:\\[[^\\]]{1,40}\\] )?");

    /** One of these is in each line that an expression above finds. */
    private static final List<String> WORDS = List.of(
            "ommand line: ",
            "pci ",
            "PCI-DMA",
            "reg_base_addr",
            "DMAR",
            "AMD-Vi",
            "IVRS",
            "IVHD",
            "iommu",
            "IOMMU",
            "Iommu",
            "noop ",
            "NOOP ",
            "emapping",
            "REMAPPING",
            "vfio",
            "VFIO",
            "Directed I/O",
            "Freeing unused kernel",
            "as init process",
            "systemd[1]: ");

    private static final int MAX_KEPT = 1_000;

    private KernelLogReader() {}

    /** What one boot said. */
    private static final class Boot {
        private @Nullable String release;
        private @Nullable String commandLine;
        private final Map<String, long[]> registers = new TreeMap<>();
        private long @Nullable [] features;
        private final Map<PciAddress, Integer> groups = new TreeMap<>();
        private final Map<PciAddress, int[]> functions = new LinkedHashMap<>();
        private final Map<PciAddress, int[]> bridges = new LinkedHashMap<>();
        private final List<String> lines = new ArrayList<>();
        private @Nullable Boolean remapping;
        private boolean inUse;
        private boolean disabled;
        private boolean fromStart;
        private boolean driversDone;
    }

    /** Returns whether a line is one of a kernel's log that says something about the host. */
    static boolean recognises(String line) {
        return VERSION.matcher(line).find()
                || INTEL_REGISTERS.matcher(line).find()
                || AMD_FEATURES.matcher(line).find()
                || JOINS.matcher(line).find()
                || line.contains("DMAR: ")
                || line.contains("AMD-Vi: ");
    }

    /** Returns whether a line is one that is read, or that tells how far the boot got; lines of user space are not. */
    static boolean isOfUse(String line) {
        if (line.contains("systemd[")) {
            return false; // they name the host
        }
        return recognises(line)
                || COMMAND_LINE.matcher(line).find()
                || LEAVES.matcher(line).find()
                || DRIVERS_DONE.matcher(line).find()
                || FUNCTION.matcher(line).find()
                || BRIDGE.matcher(line).find()
                || ABOUT_IOMMU.matcher(line).find();
    }

    /**
     * Reads a log.
     *
     * @return whether it says anything
     */
    static boolean read(List<String> lines, String source, HostEvidence.Builder host) {
        Boot boot = new Boot();
        boolean any = false;
        for (String line : lines) {
            Matcher version = VERSION.matcher(line);
            if (line.contains("Linux version ") && version.find()) {
                boot = new Boot();
                boot.release = version.group(1);
                boot.fromStart = true;
            } else {
                line(boot, line);
            }
            any = any || recognises(line);
        }
        if (any) {
            tell(boot, source, host);
        }
        return any;
    }

    /** Most lines of a log say nothing here; this finds so without an expression. */
    private static boolean mayMatter(String line) {
        for (String word : WORDS) {
            if (line.contains(word)) {
                return true;
            }
        }
        return false;
    }

    private static void line(Boot boot, String line) {
        if (!mayMatter(line)) {
            return;
        }
        Matcher commandLine = COMMAND_LINE.matcher(line);
        if (commandLine.find()) {
            // The second form, printed later, has what is built into the kernel as well.
            boot.commandLine = commandLine.group(2).strip();
            return;
        }
        if (pci(boot, line)) {
            return;
        }
        boot.driversDone |= DRIVERS_DONE.matcher(line).find();
        if (!ABOUT_IOMMU.matcher(line).find() && !INTEL_REGISTERS.matcher(line).find() && !line.contains("PCI-DMA")) {
            return;
        }
        if (boot.lines.size() < MAX_KEPT) {
            boot.lines.add(PREFIX.matcher(line).replaceFirst("").strip());
        }
        registers(boot, line);
        if (REMAPPING_ON.matcher(line).find()) {
            boot.remapping = true;
        } else if (REMAPPING_FAILED.matcher(line).find() && boot.remapping == null) {
            boot.remapping = false;
        }
        boot.inUse |= IN_USE.matcher(line).find();
        boot.disabled |= line.contains("DMAR: IOMMU disabled");
    }

    private static void registers(Boot boot, String line) {
        Matcher intel = INTEL_REGISTERS.matcher(line);
        if (intel.find()) {
            boot.registers.put("dmar" + Integer.parseInt(intel.group(1)), new long[] {
                hex(intel.group(2)),
                Long.parseLong(intel.group(3)) << 4 | Long.parseLong(intel.group(4)),
                hex(intel.group(5)),
                hex(intel.group(6))
            });
            return;
        }
        Matcher amd = AMD_FEATURES.matcher(line);
        if (amd.find()) {
            boot.features = new long[] {hex(amd.group(2)), amd.group(3) == null ? 0 : hex(amd.group(3))};
            return;
        }
        Matcher global = AMD_GLOBAL.matcher(line);
        if (global.find() && boot.features == null) {
            boot.features = new long[] {hex(global.group(1)), hex(global.group(2))};
        }
    }

    /** Functions, bridges and groups. */
    private static boolean pci(Boot boot, String line) {
        if (!line.contains("pci ") && !line.contains("iommu")) {
            return false;
        }
        Matcher joins = JOINS.matcher(line);
        if (joins.find()) {
            boolean old = joins.group(1) != null;
            PciAddress address = address(joins.group(old ? 1 : 3));
            boot.inUse = true;
            if (address != null && fits(boot.groups, address)) {
                boot.groups.put(address, Integer.parseInt(joins.group(old ? 2 : 4)));
            }
            return true;
        }
        Matcher leaves = LEAVES.matcher(line);
        if (leaves.find()) {
            PciAddress address = address(leaves.group(1) != null ? leaves.group(1) : leaves.group(2));
            if (address != null) {
                boot.groups.remove(address);
            }
            return true;
        }
        Matcher function = FUNCTION.matcher(line);
        if (function.find()) {
            PciAddress address = address(function.group(1));
            if (address != null && fits(boot.functions, address)) {
                boot.functions.put(address, new int[] {
                    Integer.parseInt(function.group(2), 16),
                    Integer.parseInt(function.group(3), 16),
                    Integer.parseInt(function.group(4), 16),
                    Integer.parseInt(function.group(5), 16)
                });
            }
            return true;
        }
        Matcher bridge = BRIDGE.matcher(line);
        if (bridge.find()) {
            PciAddress address = address(bridge.group(1));
            if (address != null && fits(boot.bridges, address)) {
                int first = Integer.parseInt(bridge.group(2), 16);
                boot.bridges.put(address, new int[] {
                    first, bridge.group(3) == null ? first : Integer.parseInt(bridge.group(3), 16)
                });
            }
            return true;
        }
        return false;
    }

    private static boolean fits(Map<PciAddress, ?> known, PciAddress address) {
        return known.size() < HostEvidence.Builder.MAX_FUNCTIONS || known.containsKey(address);
    }

    private static @Nullable PciAddress address(String text) {
        Matcher address = LspciTitle.ADDRESS.matcher(text);
        return address.matches() ? PciAddress.parse(text) : null;
    }

    private static long hex(String text) {
        return Long.parseUnsignedLong(text, 16);
    }

    private static void tell(Boot boot, String source, HostEvidence.Builder host) {
        String release = boot.release;
        if (release != null) {
            host.kernelRelease(release, source);
        }
        String commandLine = boot.commandLine;
        if (commandLine != null) {
            host.commandLine(commandLine, source);
        }
        boot.registers.forEach((unit, values) -> host.unit(unit, values[0], source)
                .register(unit, "VER", values[1], source)
                .register(unit, "CAP", values[2], source)
                .register(unit, "ECAP", values[3], source));
        long[] features = boot.features;
        if (features != null) {
            host.registerOfAllUnits("EFR", features[0], source).registerOfAllUnits("EFR2", features[1], source);
        }
        boot.groups.forEach((address, group) -> host.function(address).group(group, source));
        tellFunctions(boot, source, host);
        boolean whole = boot.fromStart && boot.driversDone;
        Boolean remapping = boot.remapping;
        if (remapping != null || whole) {
            host.interruptRemapping(remapping != null && remapping, source);
        }
        if (boot.inUse || boot.disabled || whole) {
            host.iommuInUse(boot.inUse, source);
        }
        boot.lines.forEach(line -> host.kernelLine(line, source));
    }

    private static void tellFunctions(Boot boot, String source, HostEvidence.Builder host) {
        boot.functions.forEach((address, values) -> {
            int code = values[3] >> 8;
            host.function(address)
                    .vendorId(values[0], source)
                    .deviceId(values[1], source)
                    .classCode(code, source);
            int[] buses = boot.bridges.get(address);
            if (values[2] != 0 && buses == null) {
                return; // a bridge, but nothing tells where it leads
            }
            byte[] header = new byte[KnownConfig.HEADER_BYTES];
            put16(header, 0x00, values[0]);
            put16(header, 0x02, values[1]);
            put16(header, 0x0a, code);
            header[0x0e] = (byte) (values[2] & 0x7f);
            if (buses != null) {
                header[0x18] = (byte) address.bus();
                header[0x19] = (byte) buses[0];
                header[0x1a] = (byte) buses[1];
            }
            host.function(address).reconstructed(header, ConfigKnowledge.HEADER, source);
        });
    }

    private static void put16(byte[] bytes, int at, int value) {
        bytes[at] = (byte) value;
        bytes[at + 1] = (byte) (value >> 8);
    }
}
