// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * The line with which {@code lspci} starts a function, with or without {@code -nn} or {@code -n}.
 *
 * <p>{@code 00:02.0 VGA compatible controller [0300]: Intel Corporation HD Graphics [8086:1616] (rev 09)}
 *
 * @param address where it is
 * @param className in words, or null
 * @param classCode 16 bits, or -1; where only words are printed, known of the classes on which answers depend
 * @param name vendor and device in words, or null
 * @param vendorId 16 bits, or -1
 * @param deviceId 16 bits, or -1
 */
record LspciTitle(
        PciAddress address,
        @Nullable String className,
        int classCode,
        @Nullable String name,
        int vendorId,
        int deviceId) {
    /** A domain with the colon behind it: four digits, or more for Linux's own, which are at most 0x7fffffff. */
    static final String DOMAIN = "(?:(?:[0-9a-fA-F]{4}|[1-7]?[0-9a-fA-F]{5,7}):)";

    /** An address as tools print it, after anything but a part of another number. */
    static final Pattern ADDRESS = Pattern.compile(
            "(?<![0-9a-fA-F:.])(" + DOMAIN + "?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7])(?![0-9a-fA-F.:])");

    private static final Pattern CLASS_IN_WORDS = Pattern.compile("(?:\"?)(\\S.{0,120}?)(?: \\[([0-9a-f]{4})\\])?");
    private static final Pattern NUMERIC = Pattern.compile("(?:Class )?([0-9a-f]{4})");
    private static final Pattern NUMERIC_IDS = Pattern.compile("([0-9a-f]{4}):([0-9a-f]{4})(?: .*)?");
    private static final Pattern IDS = Pattern.compile("\\[([0-9a-f]{4}):([0-9a-f]{4})\\]");
    private static final Pattern ID = Pattern.compile("(.{0,200}) \\[([0-9a-f]{4})\\]|([0-9a-f]{4})");
    private static final Pattern TAIL = Pattern.compile("(?: \\[[0-9a-f]{4}:[0-9a-f]{4}\\])?"
            + "(?: \\(rev [0-9a-f]{2}\\))?(?: \\(prog-if .{0,80}\\))?(?: \\[[a-z ]{1,40}\\])?$");

    /** Classes on which answers depend, as pci.ids of any year calls them, in lower case. */
    private static final Map<String, Integer> CLASSES = Map.of(
            "vga compatible controller", 0x0300,
            "xga compatible controller", 0x0301,
            "3d controller", 0x0302,
            "display controller", 0x0380,
            "host bridge", 0x0600,
            "isa bridge", 0x0601,
            "pci bridge", 0x0604,
            "cardbus bridge", 0x0607,
            "iommu", 0x0806,
            "usb controller", 0x0c03);

    /**
     * Returns whether a line has an address; nearly all without one are told by the places of colons and dots alone.
     */
    static boolean hasAddress(String line) {
        for (int dot = line.indexOf('.'); dot >= 0; dot = line.indexOf('.', dot + 1)) {
            if (dot >= 5 && line.charAt(dot - 3) == ':') {
                return ADDRESS.matcher(line).find();
            }
        }
        return false;
    }

    /**
     * Reads what follows the address: {@code VGA compatible controller [0300]: Intel ... [8086:1616] (rev 09)}. Some
     * listings have columns in place of the colon.
     */
    static LspciTitle of(PciAddress address, String rest) {
        int colon = rest.indexOf(": ");
        int column = rest.indexOf("  ");
        boolean columns = column >= 0 && (colon < 0 || column < colon);
        int end = columns ? column : colon;
        String kind = (end < 0 ? rest : rest.substring(0, end)).strip();
        String device = end < 0 ? "" : rest.substring(end + 2).strip();
        return of(address, end < 0 ? "" : kind, device, NUMERIC.matcher(kind));
    }

    private static LspciTitle of(PciAddress address, String kind, String device, Matcher numeric) {
        String className = null;
        int classCode = -1;
        Matcher words = CLASS_IN_WORDS.matcher(kind);
        if (numeric.matches()) {
            classCode = Integer.parseInt(numeric.group(1), 16);
        } else if (words.matches()) {
            className = words.group(1);
            classCode = words.group(2) != null
                    ? Integer.parseInt(words.group(2), 16)
                    : CLASSES.getOrDefault(className.toLowerCase(Locale.ROOT), -1);
        }
        Matcher numericIds = NUMERIC_IDS.matcher(device);
        if (numericIds.matches()) {
            return new LspciTitle(
                    address,
                    className,
                    classCode,
                    null,
                    Integer.parseInt(numericIds.group(1), 16),
                    Integer.parseInt(numericIds.group(2), 16));
        }
        int vendor = -1;
        int id = -1;
        Matcher ids = IDS.matcher(device);
        while (ids.find()) {
            vendor = Integer.parseInt(ids.group(1), 16);
            id = Integer.parseInt(ids.group(2), 16);
        }
        Matcher tail = TAIL.matcher(device);
        String name = tail.find() ? device.substring(0, tail.start()).strip() : device;
        return new LspciTitle(address, className, classCode, name.isEmpty() ? null : name, vendor, id);
    }

    /** Reads the fields of a record of {@code lspci -mm} or {@code -vmm}, each in words, as a number, or as both. */
    static LspciTitle ofFields(PciAddress address, String kind, String vendor, String device) {
        LspciTitle named = of(address, kind, "", NUMERIC.matcher(kind));
        int vendorId = id(vendor);
        int deviceId = id(device);
        String name = (words(vendor) + " " + words(device)).strip();
        return new LspciTitle(
                address,
                named.className,
                named.classCode,
                name.isEmpty() ? null : name,
                vendorId >= 0 && deviceId >= 0 ? vendorId : -1,
                vendorId >= 0 && deviceId >= 0 ? deviceId : -1);
    }

    private static int id(String field) {
        Matcher id = ID.matcher(field);
        return id.matches() ? Integer.parseInt(id.group(2) != null ? id.group(2) : id.group(3), 16) : -1;
    }

    private static String words(String field) {
        Matcher id = ID.matcher(field);
        return !id.matches()
                ? field.strip()
                : id.group(1) == null ? "" : id.group(1).strip();
    }

    /** Returns this with ids that stand elsewhere, where it has none. */
    LspciTitle withIds(String elsewhere) {
        Matcher ids = IDS.matcher(elsewhere);
        return vendorId >= 0 || !ids.find()
                ? this
                : new LspciTitle(
                        address,
                        className,
                        classCode,
                        name,
                        Integer.parseInt(ids.group(1), 16),
                        Integer.parseInt(ids.group(2), 16));
    }

    /** Records the facts that the line states about the function. */
    FunctionFacts record(EvidenceBuilder host, Source source) {
        FunctionFacts function = host.function(address);
        if (className != null) {
            function.className(className, source);
        }
        if (classCode >= 0) {
            function.classCode(classCode, source);
        }
        if (name != null) {
            function.name(name, source);
        }
        if (vendorId >= 0) {
            function.vendorId(vendorId, source).deviceId(deviceId, source);
        }
        return function;
    }
}
