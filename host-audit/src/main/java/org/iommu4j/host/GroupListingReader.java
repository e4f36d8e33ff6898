// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * Reads listings of IOMMU groups as people's shell loops print them.
 *
 * <p>Known forms: group and function on one line ({@code IOMMU Group 1 00:01.0 PCI bridge [0604]: ...},
 * {@code (1) 00:01.0 ...}); a heading per
 * group ({@code IOMMU Group 1:}) with its functions below, after words or tags such as {@code Device:} or
 * {@code [RESET]}; paths ({@code /sys/kernel/iommu_groups/1/devices/0000:00:01.0}). A heading {@code IOMMU: dmar3}
 * names the unit of what follows. A kernel's command line that is printed before is read as well.
 *
 * <p>A heading ends at an empty line and at the first line that is no member: what stands behind it is of another
 * listing. Details that {@code lspci -k} prints of a member, and the USB devices behind it, end none. The lines
 * {@code IOMMU group: 1} and {@code IOMMUGroup: 1} are details of {@code lspci}, and no headings.
 */
final class GroupListingReader {
    private static final Pattern PATH = Pattern.compile("iommu_groups/(\\d{1,6})/devices/(\\S+)");
    private static final Pattern GROUP =
            Pattern.compile("(?i)([\\s#*>|=-]*)(?:iommu[ _-]?)?group(?:\\s*#?\\s*|:\\s*|_)(\\d{1,6})\\b"
                    + "|(\\s*)\\((\\d{1,6})\\)(?=\\s+(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]\\s)");
    private static final Pattern OF_LSPCI = Pattern.compile("\\s*IOMMU(?: group|Group):\\s*\\d{1,6}\\s*");
    private static final Pattern UNIT = Pattern.compile("^\\s*IOMMU: ([a-z]{1,16}\\d{1,6})\\s*$");
    private static final Pattern COMMAND_LINE = Pattern.compile("^\\s*(BOOT_IMAGE=\\S+ .*)$");

    /** What may stand before a member's address: marks, tags in brackets, and words that lead to a colon. */
    private static final Pattern BEFORE_ADDRESS = Pattern.compile("(?:[\\s\\p{Punct}\\u2022\\u2500-\\u257f&&[^\\[(]]"
            + "|\\[[^\\]]{0,40}\\]|\\([^)]{0,40}\\)|(?i:(?:[a-z]{1,16} ){0,2}[a-z]{1,16}:|(?:pci |group )?devices? )"
            + "){0,200}");

    /** What a heading may have behind its number, where no member is. */
    private static final Pattern ONLY_HEADING =
            Pattern.compile("(?:[\\s\\p{Punct}\\u2500-\\u257f]|\\([^)]{0,60}\\)){0,200}|.{0,200}:\\s*");

    /** Behind an address: nothing, a class and a name, or a mark and what {@code ls -l} or a loop prints. */
    private static final Pattern AFTER_ADDRESS =
            Pattern.compile("\\s*(?:[-\"].*|.{1,120}(?:: |\\s{2,}|\\[[0-9a-f]{4}[\\]:]).*)?");

    private static final Pattern DETAIL = Pattern.compile("\\s*(?:Subsystem|DeviceName|Flags|Control|Status|Latency"
            + "|Interrupt|NUMA node|IOMMU group|Region \\d|Capabilities|Kernel modules|Kernel driver in use): ?.*"
            + "|.*\\bBus \\d{3} Device \\d{3}\\b.*");
    private static final Pattern DRIVER = Pattern.compile("\\s*Kernel driver in use: (\\S{1,64})\\s*");

    private final Source source;
    private final EvidenceBuilder host;
    private final Set<PciAddress> functions = new HashSet<>();
    private String unit = "";
    private @Nullable Heading heading;

    private GroupListingReader(Source source, EvidenceBuilder host) {
        this.source = source;
        this.host = host;
    }

    /** The heading that the next lines are below. */
    private static final class Heading {
        private final int group;
        private final int indent;
        private boolean membersAreIndented;
        private @Nullable FunctionFacts last;

        /**
         * Begins one.
         *
         * @param withMember whether the heading's own line has a member; further ones then stand below it, indented
         */
        private Heading(int group, int indent, boolean withMember) {
            this.group = group;
            this.indent = indent;
            this.membersAreIndented = withMember;
        }

        /**
         * Returns whether a line with an address is below it. Where other members are indented, one that begins where
         * the heading does is another listing's, unless tags begin it; elsewhere it looks like a title of lspci.
         */
        private boolean takes(String line, Matcher address) {
            if (indent(line) > indent) {
                membersAreIndented = true;
                return true;
            }
            return address.start() > indent(line)
                    || (!membersAreIndented
                            && AFTER_ADDRESS
                                    .matcher(line)
                                    .region(address.end(), line.length())
                                    .matches());
        }
    }

    private static int indent(String line) {
        int at = 0;
        while (at < line.length() && Character.isWhitespace(line.charAt(at))) {
            at++;
        }
        return at;
    }

    /** Returns whether a line names a group, and so begins a listing of groups or is a part of one. */
    static boolean recognises(String line) {
        return PATH.matcher(line).find() || heads(line);
    }

    /** Returns whether a line is the heading of a group, with or without a member behind it. */
    static boolean heads(String line) {
        if (!line.contains("roup") && !line.contains("ROUP") && line.indexOf('(') < 0) {
            return false;
        }
        Matcher heading = GROUP.matcher(line);
        if (!heading.lookingAt() || OF_LSPCI.matcher(line).matches()) {
            return false;
        }
        String rest = line.substring(heading.end());
        return ONLY_HEADING.matcher(rest).matches() || member(rest) != null;
    }

    /** Returns a line's first match of {@link LspciTitle#ADDRESS}, where nothing but marks and tags is before it. */
    private static @Nullable Matcher member(String line) {
        Matcher before = BEFORE_ADDRESS.matcher(line);
        Matcher address = LspciTitle.ADDRESS.matcher(line);
        return address.find() && before.region(0, address.start()).matches() ? address : null;
    }

    /**
     * Reads a listing.
     *
     * @return how many functions it puts into a group
     */
    static int read(List<String> lines, Source source, EvidenceBuilder host) {
        GroupListingReader reader = new GroupListingReader(source, host);
        lines.forEach(reader::line);
        host.listing(Listings.Kind.GROUPS, reader.functions, source);
        return reader.functions.size();
    }

    private void line(String line) {
        Matcher path = PATH.matcher(line);
        Matcher ofUnit = UNIT.matcher(line);
        Matcher commandLine = COMMAND_LINE.matcher(line);
        if (commandLine.matches()) {
            host.commandLine(commandLine.group(1).strip(), source);
            end();
        } else if (path.find()) {
            Matcher address = LspciTitle.ADDRESS.matcher(path.group(2));
            if (address.lookingAt()) {
                PciAddress member = PciAddress.parse(address.group(1));
                host.function(member).group(Integer.parseInt(path.group(1)), source);
                functions.add(member);
            }
            end();
        } else if (ofUnit.matches()) {
            unit = ofUnit.group(1);
            host.unit(unit);
            heading = null;
        } else if (heads(line)) {
            heading(line);
        } else if (!isMember(line) && !isDetail(line)) {
            end();
        }
    }

    private void end() {
        heading = null;
        unit = "";
    }

    private void heading(String line) {
        Matcher group = GROUP.matcher(line);
        if (group.lookingAt()) {
            String rest = line.substring(group.end());
            Matcher address = member(rest);
            boolean inWords = group.group(2) != null;
            Heading begun = new Heading(
                    Integer.parseInt(group.group(inWords ? 2 : 4)),
                    group.group(inWords ? 1 : 3).length(),
                    address != null);
            heading = begun;
            if (address != null) {
                member(begun, rest, address);
            }
        }
    }

    private boolean isMember(String line) {
        Heading current = heading;
        if (current == null || line.isBlank()) {
            return false;
        }
        Matcher address = member(line);
        if (address == null || !current.takes(line, address)) {
            return false;
        }
        member(current, line, address);
        return true;
    }

    /** Records a member, and those whose addresses follow: a list of a group's {@code devices} has no more. */
    private void member(Heading current, String line, Matcher address) {
        while (true) {
            int next = address.end();
            member(
                    current,
                    PciAddress.parse(address.group(1)),
                    line.substring(0, address.start()),
                    line.substring(next).strip());
            if (!address.find() || !line.substring(next, address.start()).matches("[ ,\\t]{1,40}")) {
                return;
            }
        }
    }

    private void member(Heading current, PciAddress address, String tags, String rest) {
        LspciTitle title = LspciTitle.of(address, rest.startsWith("- ") ? rest.substring(2) : rest)
                .withIds(tags);
        FunctionFacts function = title.record(host, source).group(current.group, source);
        if (!unit.isEmpty()) {
            function.unit(unit, source);
        }
        current.last = function;
        functions.add(function.address());
    }

    private boolean isDetail(String line) {
        Heading current = heading;
        if (current == null || current.last == null || !DETAIL.matcher(line).matches()) {
            return false;
        }
        Matcher driver = DRIVER.matcher(line);
        if (driver.matches()) {
            current.last.driver(driver.group(1), source);
        }
        return true;
    }
}
