// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The machine of a transcript, by its head lines: QEMU's options, and the unit's registers as the kernel printed them.
 *
 * @param qemu QEMU's version, such as {@code 7.2}
 * @param options QEMU's options without their minus, such as {@code smp} to {@code 3}
 * @param capabilities VT-d's CAP, empty on AMD
 * @param extendedCapabilities VT-d's ECAP, empty on AMD
 * @param extendedFeatures AMD-Vi's EFR, empty on Intel
 */
public record GuestHardware(
        String qemu,
        Map<String, String> options,
        OptionalLong capabilities,
        OptionalLong extendedCapabilities,
        OptionalLong extendedFeatures) {
    private static final Pattern QEMU = Pattern.compile("# QEMU (\\S+) (.*)");
    private static final Pattern OPTION = Pattern.compile("-(\\S+) (\\S+)");
    private static final Pattern DMAR = Pattern.compile("dmar0: .* cap ([0-9a-f]+) ecap ([0-9a-f]+)");
    private static final Pattern EFR = Pattern.compile("global IVHD EFR:0x([0-9a-f]+)");

    /** Copies the options. */
    public GuestHardware {
        options = Map.copyOf(options);
    }

    /**
     * Reads head lines.
     *
     * @throws AssertionError where they do not name a machine
     */
    static GuestHardware of(List<String> head) {
        String qemu = null;
        Map<String, String> options = new LinkedHashMap<>();
        OptionalLong cap = OptionalLong.empty();
        OptionalLong ecap = OptionalLong.empty();
        OptionalLong efr = OptionalLong.empty();
        for (String line : head) {
            Matcher command = QEMU.matcher(line);
            Matcher dmar = DMAR.matcher(line);
            Matcher ivhd = EFR.matcher(line);
            if (command.matches()) {
                qemu = command.group(1);
                Matcher option = OPTION.matcher(command.group(2));
                while (option.find()) {
                    options.put(option.group(1), option.group(2));
                }
            } else if (dmar.find()) {
                cap = hex(dmar.group(1));
                ecap = hex(dmar.group(2));
            } else if (ivhd.find()) {
                efr = hex(ivhd.group(1));
            }
        }
        if (qemu == null || ecap.isPresent() == efr.isPresent()) {
            throw new AssertionError("head lines name no machine: " + head);
        }
        return new GuestHardware(qemu, options, cap, ecap, efr);
    }

    private static OptionalLong hex(String digits) {
        return OptionalLong.of(Long.parseUnsignedLong(digits, 16));
    }

    /** Returns whether the unit is VT-d's, else it is AMD's. */
    public boolean isIntel() {
        return extendedCapabilities.isPresent();
    }

    /** Returns the number of CPUs. */
    public int cpus() {
        return Integer.parseInt(options.getOrDefault("smp", "1"));
    }

    /**
     * Returns a property of the unit's device, such as {@code snoop-control}; empty where the device has its default.
     */
    public Optional<String> unitProperty(String name) {
        for (String property : options.getOrDefault("device", "").split(",", -1)) {
            if (property.startsWith(name + "=")) {
                return Optional.of(property.substring(name.length() + 1));
            }
        }
        return Optional.empty();
    }
}
