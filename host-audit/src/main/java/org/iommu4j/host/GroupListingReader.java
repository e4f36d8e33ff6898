// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.PciAddress;

/**
 * Reads listings of IOMMU groups as people's shell loops print them.
 *
 * <p>Known forms: group and function on one line ({@code IOMMU Group 1 00:01.0 PCI bridge [0604]: ...}); a heading per
 * group ({@code IOMMU Group 1:}) with its functions indented below, after words or tags such as {@code Device:} or
 * {@code [RESET]}; paths ({@code /sys/kernel/iommu_groups/1/devices/0000:00:01.0}). A heading {@code IOMMU: dmar3}
 * names the unit of what follows. A kernel's command line that is printed before is read as well.
 */
final class GroupListingReader {
    private static final Pattern PATH = Pattern.compile("iommu_groups/(\\d{1,6})/devices/(\\S+)");
    private static final Pattern GROUP =
            Pattern.compile("(?i)^[\\s#*>|-]*(?:iommu[ _-]?)?group(?:\\s*#?\\s*|:\\s*|_)(\\d{1,6})\\b");
    private static final Pattern UNIT = Pattern.compile("^\\s*IOMMU: ([a-z]{1,16}\\d{1,6})\\s*$");
    private static final Pattern COMMAND_LINE = Pattern.compile("^\\s*(BOOT_IMAGE=\\S+ .*)$");

    private GroupListingReader() {}

    /** Returns whether a line names a group. */
    static boolean recognises(String line) {
        return PATH.matcher(line).find() || GROUP.matcher(line).find();
    }

    /**
     * Reads a listing.
     *
     * @return how many functions it puts into a group
     */
    static int read(List<String> lines, Source source, EvidenceBuilder host) {
        int group = -1;
        String unit = "";
        Set<PciAddress> functions = new HashSet<>();
        for (String line : lines) {
            Matcher path = PATH.matcher(line);
            Matcher heading = GROUP.matcher(line);
            Matcher ofUnit = UNIT.matcher(line);
            Matcher commandLine = COMMAND_LINE.matcher(line);
            if (commandLine.matches()) {
                host.commandLine(commandLine.group(1).strip(), source);
            } else if (path.find()) {
                Matcher address = LspciTitle.ADDRESS.matcher(path.group(2));
                if (address.lookingAt()) {
                    PciAddress member = PciAddress.parse(address.group(1));
                    host.function(member).group(Integer.parseInt(path.group(1)), source);
                    functions.add(member);
                }
            } else if (ofUnit.matches()) {
                unit = ofUnit.group(1);
                host.unit(unit);
                group = -1;
            } else if (heading.find()) {
                group = Integer.parseInt(heading.group(1));
                member(line.substring(heading.end()), group, unit, source, host).ifPresent(functions::add);
            } else if (group >= 0 && !line.isBlank()) {
                member(line, group, unit, source, host).ifPresent(functions::add);
            }
        }
        host.listing(Listings.Kind.GROUPS, functions, source);
        return functions.size();
    }

    private static Optional<PciAddress> member(
            String text, int group, String unit, Source source, EvidenceBuilder host) {
        Matcher address = LspciTitle.ADDRESS.matcher(text);
        if (!address.find()) {
            return Optional.empty();
        }
        String rest = text.substring(address.end()).strip();
        LspciTitle title =
                LspciTitle.of(PciAddress.parse(address.group(1)), rest.startsWith("- ") ? rest.substring(2) : rest);
        FunctionFacts function = title.record(host, source).group(group, source);
        if (!unit.isEmpty()) {
            function.unit(unit, source);
        }
        return Optional.of(function.address());
    }
}
