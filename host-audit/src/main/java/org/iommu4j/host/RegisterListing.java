// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads the registers that Linux lists in debugfs, {@code iommu/intel/iommu_regset}: for each unit a line with its name
 * and register base, then a line for each register with its name, offset and value.
 *
 * <p>Global Status tells whether a unit translates and remaps interrupts. The host's IOMMU is in use where any unit
 * translates. Interrupts are remapped where all units do so; where only some do, nothing is recorded.
 *
 * <p>Source: {@code drivers/iommu/intel/debugfs.c}, 5.0 to 7.1; VT-d 11.4.5.
 */
final class RegisterListing {
    private static final Pattern UNIT =
            Pattern.compile("\\s*IOMMU: ([a-z]{1,16}\\d{1,6}) Register Base Address: (?:0x)?([0-9a-f]{1,16})\\s*");
    private static final Pattern REGISTER =
            Pattern.compile("\\s*([A-Z][A-Z0-9_]{1,31})\\s+0x[0-9a-f]{1,8}\\s+0x([0-9a-f]{1,16})\\s*");

    /** Registers whose values say what a unit is; the others are of the moment. */
    private static final Set<String> ABILITIES = Set.of("VER", "CAP", "ECAP");

    private static final String STATUS = "GSTS";
    private static final long TRANSLATES = 1L << 31;
    private static final long REMAPS_INTERRUPTS = 1L << 25;

    private final Source source;
    private final EvidenceBuilder host;
    private @Nullable String unit;
    private int units;
    private int statuses;
    private int translating;
    private int remapping;

    private RegisterListing(Source source, EvidenceBuilder host) {
        this.source = source;
        this.host = host;
    }

    /** Returns whether a line begins a unit. */
    static boolean recognises(String line) {
        return UNIT.matcher(line).matches();
    }

    /**
     * Reads a listing.
     *
     * @return how many units it has
     */
    static int read(List<String> lines, Source source, EvidenceBuilder host) {
        RegisterListing listing = new RegisterListing(source, host);
        lines.forEach(listing::line);
        listing.use();
        return listing.units;
    }

    private void line(String line) {
        Matcher begins = UNIT.matcher(line);
        Matcher register = REGISTER.matcher(line);
        if (begins.matches()) {
            unit = begins.group(1);
            units++;
            host.unit(begins.group(1), Long.parseUnsignedLong(begins.group(2), 16), source);
        } else if (line.isBlank()) {
            unit = null;
        } else if (unit != null && register.matches()) {
            value(unit, register.group(1), Long.parseUnsignedLong(register.group(2), 16));
        }
    }

    private void value(String of, String register, long value) {
        if (ABILITIES.contains(register)) {
            host.register(of, register, value, source);
        } else if (register.equals(STATUS)) {
            statuses++;
            translating += (value & TRANSLATES) != 0 ? 1 : 0;
            remapping += (value & REMAPS_INTERRUPTS) != 0 ? 1 : 0;
        }
    }

    private void use() {
        boolean all = statuses > 0 && statuses == units;
        if (translating > 0 || all) {
            host.iommuInUse(translating > 0, source);
        }
        if (all && (remapping == 0 || remapping == units)) {
            host.interruptRemapping(remapping > 0, source);
        }
    }
}
