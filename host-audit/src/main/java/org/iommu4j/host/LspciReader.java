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
 * Reads what {@code lspci} printed, at any verbosity, with or without {@code -n}, {@code -nn}, {@code -k}, {@code -D},
 * {@code -PP} and {@code -x}, {@code -xxx}, {@code -xxxx}, for people or for programs ({@code -mm}, {@code -vmm}).
 *
 * <p>Source: pciutils, {@code lspci.c}, {@code ls-caps.c}, {@code ls-ecaps.c}, versions 2.2 to 3.14.
 */
final class LspciReader {
    private static final String FUNCTION = "[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7]";

    /** The domain; with {@code -PP} the bridges above; the function; what it is. */
    private static final Pattern TITLE = Pattern.compile("(" + LspciTitle.DOMAIN + ")?(?:(?:" + FUNCTION + "/){0,255}("
            + FUNCTION + ")/)?(" + FUNCTION + ") +(\\S.*)");

    /** A line that begins with an address, whatever marks stand before it; details of a function are indented. */
    private static final Pattern BEGINS_WITH_ADDRESS = Pattern.compile(
            "[^\\s\\w]?[^\\w\\t]{0,15}" + LspciTitle.DOMAIN + "?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7]\\b.*");

    private static final int SHOWN = 60;

    private final Source source;
    private final EvidenceBuilder host;
    private final TreeMap<PciAddress, LspciFunction> functions = new TreeMap<>();
    private final Map<PciAddress, PciAddress> bridges = new HashMap<>();
    private @Nullable LspciFunction current;
    private @Nullable LspciRecord record;
    private int number;
    private int lost;
    private String firstLost = "";

    private LspciReader(Source source, EvidenceBuilder host) {
        this.source = source;
        this.host = host;
    }

    /** Returns whether a line starts a function. */
    static boolean recognises(String line) {
        Matcher title = TITLE.matcher(line);
        return (title.matches() && line.indexOf(": ", title.start(4)) > 0) || LspciRecord.begunBy(line) != null;
    }

    /**
     * Reads a listing.
     *
     * @return how many functions it lists
     */
    static int read(List<String> lines, Source source, EvidenceBuilder host) {
        LspciReader reader = new LspciReader(source, host);
        lines.forEach(reader::line);
        reader.endOfRecord();
        reader.warnings();
        reader.record();
        return reader.functions.size();
    }

    private void line(String line) {
        number++;
        Matcher title = TITLE.matcher(line);
        LspciRecord begun = LspciRecord.begunBy(line);
        if (begun != null) {
            endOfRecord();
            current = null;
            record = begun;
        } else if (record != null && record.takes(line)) {
            return;
        } else if (title.matches() && line.indexOf(": ", title.start(4)) > 0) {
            title(title);
        } else if (BEGINS_WITH_ADDRESS.matcher(line).matches()) {
            firstLost = lost++ == 0 ? "line " + number + ", '" + start(line) + "'" : firstLost;
            end();
        } else if (line.isBlank()) {
            // Functions are parted by empty lines, but not where nothing but titles is printed.
            end();
        } else if (current != null) {
            current.line(line);
        }
    }

    private void end() {
        endOfRecord();
        current = null;
    }

    private void endOfRecord() {
        if (record != null) {
            add(record.address(), record.function());
            record = null;
        }
    }

    private void title(Matcher title) {
        endOfRecord();
        String domain = title.group(1) == null ? "" : title.group(1);
        PciAddress address = PciAddress.parse(domain + title.group(3));
        if (title.group(2) != null) {
            bridges.putIfAbsent(address, PciAddress.parse(domain + title.group(2)));
        }
        LspciFunction function = new LspciFunction(LspciTitle.of(address, title.group(4)));
        current = add(address, function) ? function : null;
    }

    /** A listing that was appended to itself repeats its lines. */
    private boolean add(PciAddress address, LspciFunction function) {
        if (functions.size() >= EvidenceBuilder.MAX_FUNCTIONS && !functions.containsKey(address)) {
            throw new InputException(source + ": more than " + EvidenceBuilder.MAX_FUNCTIONS + " PCI functions");
        }
        return functions.putIfAbsent(address, function) == null;
    }

    private void warnings() {
        if (lost > 0) {
            host.warn(source + ": " + firstLost + (lost > 1 ? " and " + (lost - 1) + " more" : "")
                    + ", begins with an address and does not name a function, so it is ignored, expected a form like"
                    + " '00:02.0 VGA compatible controller: Maker Graphics'");
        }
    }

    private void record() {
        Map<PciAddress, Integer> inSlot = new HashMap<>();
        functions.keySet().forEach(address -> inSlot.merge(slot(address), 1, Integer::sum));
        host.listing(Listings.Kind.FUNCTIONS, functions.keySet(), source);
        functions.forEach((address, function) -> {
            function.record(host, inSlot.getOrDefault(slot(address), 1) > 1, source);
            PciAddress above = bridges.get(address);
            if (above != null) {
                host.function(address).bridge(above, source);
            } else if (!bridges.isEmpty()) {
                host.function(address).onRootBus(source); // paths are printed, and it has none
            }
        });
    }

    private static String start(String line) {
        return line.length() > SHOWN ? line.substring(0, SHOWN) + "..." : line;
    }

    private static PciAddress slot(PciAddress address) {
        return new PciAddress(address.segment(), address.bus(), address.device(), 0);
    }
}
