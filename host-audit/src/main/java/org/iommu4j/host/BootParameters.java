// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.spi.IommuVendors;

/**
 * Selects the parameters of a kernel's command line that a capture keeps.
 *
 * <p>Command lines hold serial numbers of disks, addresses of network cards, names of hosts, and sometimes passwords,
 * in more forms than anyone can list. So only parameters with a known name are kept: those of the vendors' drivers, and
 * those of PCI, VFIO and interrupt remapping, whose values name at most PCI functions.
 *
 * <p>Source: {@code lib/cmdline.c} next_arg, {@code kernel/params.c} parse_args.
 */
final class BootParameters {
    private static final String WORD = "[0-9A-Za-z_]+";

    /** An extended regular expression, as {@code awk} knows it too. */
    private static final String OF_EVERY_HOST = "iommu(\\." + WORD + ")?|(no)?intremap|pci|pcie_acs_override"
            + "|vfio(_pci|_iommu_type1)?\\." + WORD + "|iommu4j\\." + WORD;

    /** The parameter of the out-of-tree patch that splits groups. */
    static final String ACS_OVERRIDE = "pcie_acs_override";

    /** In place of the line in which a kernel without that patch says so. */
    static final String ACS_OVERRIDE_UNKNOWN = "this kernel does not know " + ACS_OVERRIDE;

    private final String names;
    private final Pattern known;

    /** Makes one that knows the parameters of some vendors' drivers. */
    BootParameters(IommuVendors vendors) {
        names = Stream.concat(
                        Stream.of(OF_EVERY_HOST),
                        vendors.all().stream()
                                .flatMap(vendor -> vendor.kernelParameters().stream())
                                .map(parameter -> Edit.quoted(parameter.parameter()))
                                .distinct()
                                .sorted())
                .collect(Collectors.joining("|"));
        known = Pattern.compile(names);
    }

    /** Returns the names that are known, as a regular expression. */
    String names() {
        return names;
    }

    /** Returns the known parameters of a command line; those after two dashes do not belong to the kernel. */
    String of(String commandLine) {
        return words(commandLine).stream()
                .takeWhile(word -> !word.equals("--"))
                .filter(this::isKnown)
                .collect(Collectors.joining(" "));
    }

    /** Splits as Linux does: white space between quotes separates nothing. */
    private static List<String> words(String commandLine) {
        List<String> words = new ArrayList<>();
        StringBuilder word = new StringBuilder();
        boolean quoted = false;
        for (int i = 0; i < commandLine.length(); i++) {
            char c = commandLine.charAt(i);
            quoted ^= c == '"';
            if (quoted || !isSpace(c)) {
                word.append(c);
            } else if (!word.isEmpty()) {
                words.add(word.toString());
                word.setLength(0);
            }
        }
        words.add(word.toString());
        return words;
    }

    /** As Linux's {@code isspace}. */
    private static boolean isSpace(char c) {
        return c == ' ' || (c >= '\t' && c <= '\r') || c == '\u00a0';
    }

    /** Linux takes a dash in a name for an underscore. A value that is known is printable ASCII without a blank. */
    private boolean isKnown(String word) {
        if (word.chars().anyMatch(c -> c <= ' ' || c >= 0x7f)) {
            return false;
        }
        int equals = word.indexOf('=');
        String name = (equals < 0 ? word : word.substring(0, equals)).replace('-', '_');
        return known.matcher(name).matches();
    }
}
