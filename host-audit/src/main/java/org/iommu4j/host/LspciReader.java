// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * Reads what {@code lspci} printed, at any verbosity, with or without {@code -n}, {@code -nn}, {@code -k}, {@code -D}
 * and {@code -x}, {@code -xxx}, {@code -xxxx}.
 *
 * <p>Source: pciutils, {@code lspci.c}, {@code ls-caps.c}, {@code ls-ecaps.c}, versions 2.2 to 3.14.
 */
final class LspciReader {
    private static final Pattern TITLE =
            Pattern.compile("(" + LspciTitle.DOMAIN + "?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7]) +(\\S.*)");

    /** A line that begins with an address, whatever marks stand before it; details of a function are indented. */
    private static final Pattern BEGINS_WITH_ADDRESS = Pattern.compile(
            "[^\\s\\w]?[^\\w\\t]{0,15}" + LspciTitle.DOMAIN + "?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7]\\b.*");

    private static final int SHOWN = 60;

    private LspciReader() {}

    /** Returns whether a line starts a function. */
    static boolean recognises(String line) {
        Matcher title = TITLE.matcher(line);
        return title.matches() && line.indexOf(": ", title.start(2)) > 0;
    }

    /**
     * Reads a listing.
     *
     * @return how many functions it lists
     */
    static int read(List<String> lines, Source source, EvidenceBuilder host) {
        TreeMap<PciAddress, LspciFunction> functions = new TreeMap<>();
        LspciFunction current = null;
        int number = 0;
        int lost = 0;
        String firstLost = "";
        for (String line : lines) {
            number++;
            Matcher title = TITLE.matcher(line);
            if (title.matches() && recognises(line)) {
                PciAddress address = PciAddress.parse(title.group(1));
                if (functions.size() >= EvidenceBuilder.MAX_FUNCTIONS && !functions.containsKey(address)) {
                    throw new InputException(
                            source + ": more than " + EvidenceBuilder.MAX_FUNCTIONS + " PCI functions");
                }
                // A listing that was appended to itself repeats its lines.
                current = new LspciFunction(LspciTitle.of(address, title.group(2)));
                if (functions.putIfAbsent(address, current) != null) {
                    current = null;
                }
            } else if (BEGINS_WITH_ADDRESS.matcher(line).matches()) {
                firstLost = lost++ == 0 ? "line " + number + ", '" + start(line) + "'" : firstLost;
                current = null;
            } else if (current != null) {
                current = line(current, line);
            }
        }
        if (lost > 0) {
            host.warn(source + ": " + firstLost + (lost > 1 ? " and " + (lost - 1) + " more" : "")
                    + ", begins with an address and does not name a function, so it is ignored, expected a form like"
                    + " '00:02.0 VGA compatible controller: Maker Graphics'");
        }
        Map<PciAddress, Integer> inSlot = new HashMap<>();
        functions.keySet().forEach(address -> inSlot.merge(slot(address), 1, Integer::sum));
        host.listing(Listings.Kind.FUNCTIONS, functions.keySet(), source);
        functions.forEach(
                (address, function) -> function.record(host, inSlot.getOrDefault(slot(address), 1) > 1, source));
        return functions.size();
    }

    private static @Nullable LspciFunction line(LspciFunction current, String line) {
        // Functions are parted by empty lines, but not where nothing but titles is printed.
        if (line.isBlank()) {
            return null;
        }
        current.line(line);
        return current;
    }

    private static String start(String line) {
        return line.length() > SHOWN ? line.substring(0, SHOWN) + "..." : line;
    }

    private static PciAddress slot(PciAddress address) {
        return new PciAddress(address.segment(), address.bus(), address.device(), 0);
    }
}
