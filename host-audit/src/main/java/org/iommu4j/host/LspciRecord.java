// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * A function as {@code lspci} prints it for programs: a line of quoted fields ({@code -m}, {@code -mm}), or a line for
 * each field up to an empty one ({@code -vm}, {@code -vmm}).
 *
 * <p>Source: pciutils, {@code lspci.c}, {@code show_machine}.
 */
final class LspciRecord {
    private static final String ADDRESS = "((?:[0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7])";

    /** With one {@code m} the address is called a device, as the name is. */
    private static final Pattern SLOT = Pattern.compile("(?:Slot|Device):\\s+" + ADDRESS + "\\s*");

    private static final Pattern FIELD = Pattern.compile("([A-Z][A-Za-z]{1,15}):\\s+(.*)");
    private static final Pattern QUOTED_LINE = Pattern.compile(ADDRESS + " +(\".{0,400}\" +\".*)");
    private static final Pattern QUOTED = Pattern.compile("\"((?:[^\"\\\\]|\\\\.){0,400})\"");

    private final PciAddress address;
    private String kind = "";
    private String vendor = "";
    private String device = "";
    private final List<String> details = new ArrayList<>(2);
    private final boolean oneLine;

    private LspciRecord(PciAddress address, boolean oneLine) {
        this.address = address;
        this.oneLine = oneLine;
    }

    /** Returns the record that a line begins, or null where it begins none. */
    static @Nullable LspciRecord begunBy(String line) {
        Matcher slot = SLOT.matcher(line);
        if (slot.matches()) {
            return new LspciRecord(PciAddress.parse(slot.group(1)), false);
        }
        Matcher quoted = line.indexOf('"') < 0 ? null : QUOTED_LINE.matcher(line);
        if (quoted == null || !quoted.matches()) {
            return null;
        }
        LspciRecord whole = new LspciRecord(PciAddress.parse(quoted.group(1)), true);
        Matcher field = QUOTED.matcher(quoted.group(2));
        whole.kind = next(field);
        whole.vendor = next(field);
        whole.device = next(field);
        return whole;
    }

    private static String next(Matcher field) {
        return field.find() ? field.group(1).replaceAll("\\\\(.)", "$1") : "";
    }

    /** Takes the next line of the record; false where it is none of its lines. */
    boolean takes(String line) {
        Matcher field = FIELD.matcher(line);
        if (oneLine || !field.matches()) {
            return false;
        }
        String value = field.group(2).strip();
        switch (field.group(1)) {
            case "Class" -> kind = value;
            case "Vendor" -> vendor = value;
            case "Device" -> device = value;
            case "Driver" -> details.add("\tKernel driver in use: " + value);
            case "IOMMUGroup" -> details.add("\tIOMMU group: " + value);
            default -> {}
        }
        return true;
    }

    PciAddress address() {
        return address;
    }

    /** Returns the function with what the record states. */
    LspciFunction function() {
        LspciFunction function = new LspciFunction(LspciTitle.ofFields(address, kind, vendor, device));
        details.forEach(function::line);
        return function;
    }
}
