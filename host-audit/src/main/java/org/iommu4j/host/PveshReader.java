// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * Reads the table that Proxmox VE prints for {@code pvesh get /nodes/NODE/hardware/pci}: a row for each function, with
 * columns of which the first row has the names.
 *
 * <p>Source: Proxmox VE, {@code PVE::API2::Hardware::PCI}, {@code PVE::CLIFormatter}.
 */
final class PveshReader {
    private static final Pattern BORDER = Pattern.compile("[\u2502|]");
    private static final Pattern NAME = Pattern.compile("\\S+");
    private static final Pattern HEX = Pattern.compile("0x([0-9a-f]{1,6})");
    private static final Pattern GROUP = Pattern.compile("-1|\\d{1,6}");
    private static final Pattern JSON = Pattern.compile("\\s*[\\[{\"].*\"iommugroup\" ?:.*|\\s*\"iommugroup\" ?:.*");
    private static final String ID = "id";
    private static final String IOMMU_GROUP = "iommugroup";

    private PveshReader() {}

    /** Returns whether a line has the names of the columns. */
    static boolean recognises(String line) {
        if (!line.contains(IOMMU_GROUP) || isJson(line)) {
            return false;
        }
        List<String> names = new ArrayList<>();
        Matcher name = NAME.matcher(BORDER.matcher(line).replaceAll(" "));
        while (name.find()) {
            names.add(name.group());
        }
        return names.contains(ID) && names.contains(IOMMU_GROUP);
    }

    /** Returns whether a line is of the same answer as JSON, which is not read. */
    static boolean isJson(String line) {
        return line.contains(IOMMU_GROUP) && JSON.matcher(line).matches();
    }

    /**
     * Reads a table.
     *
     * @return how many functions it has
     */
    static int read(List<String> lines, Source source, EvidenceBuilder host) {
        Set<PciAddress> functions = new HashSet<>();
        String header = "";
        for (String line : lines) {
            if (recognises(line)) {
                header = line;
            } else if (line.isBlank()) {
                header = "";
            } else if (!header.isEmpty()) {
                row(cells(header, line), source, host, functions);
            }
        }
        host.listing(Listings.Kind.FUNCTIONS, functions, source);
        return functions.size();
    }

    /** Returns the cells of a row by the names of their columns: between borders, or below the names without any. */
    private static Map<String, String> cells(String header, String line) {
        Map<String, String> cells = new HashMap<>();
        if (BORDER.matcher(header).find()) {
            String[] names = BORDER.split(header, -1);
            String[] values = BORDER.split(line, -1);
            for (int i = 0; i < Math.min(names.length, values.length); i++) {
                cells.put(names[i].strip(), values[i].strip());
            }
            return cells;
        }
        Matcher name = NAME.matcher(header);
        String last = "";
        int from = 0;
        while (name.find()) {
            cells.put(last, part(line, from, name.start()));
            last = name.group();
            from = name.start();
        }
        cells.put(last, part(line, from, line.length()));
        return cells;
    }

    private static String part(String line, int from, int to) {
        return from < line.length()
                ? line.substring(from, Math.min(to, line.length())).strip()
                : "";
    }

    private static void row(Map<String, String> cells, Source source, EvidenceBuilder host, Set<PciAddress> functions) {
        String id = cells.getOrDefault(ID, "");
        if (!LspciTitle.ADDRESS.matcher(id).matches()) {
            return;
        }
        PciAddress address = PciAddress.parse(id);
        functions.add(address);
        FunctionFacts function = host.function(address);
        String group = cells.getOrDefault(IOMMU_GROUP, "");
        if (group.equals("-1")) {
            function.inNoGroup(source);
        } else if (GROUP.matcher(group).matches()) {
            function.group(Integer.parseInt(group), source);
        }
        int code = hex(cells.get("class"));
        int vendor = hex(cells.get("vendor"));
        int device = hex(cells.get("device"));
        if (code >= 0) {
            function.classCode(code >> 8, source);
        }
        if (vendor >= 0 && device >= 0) {
            function.vendorId(vendor & 0xffff, source).deviceId(device & 0xffff, source);
        }
        String name = (cells.getOrDefault("vendor_name", "") + " " + cells.getOrDefault("device_name", "")).strip();
        if (!name.isEmpty()) {
            function.name(name, source);
        }
    }

    private static int hex(@Nullable String cell) {
        Matcher hex = HEX.matcher(cell == null ? "" : cell);
        return hex.matches() ? Integer.parseInt(hex.group(1), 16) : -1;
    }
}
