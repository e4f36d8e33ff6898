// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntPredicate;

/**
 * Names of devices and classes out of a {@code pci.ids} file.
 *
 * <p>Only the vendors asked for are kept. Source: the comments at the top of pci.ids.
 */
final class PciIds {
    /** Where hosts keep it. */
    static final String[] PLACES = {"usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids"};

    /** The vendor id where none is known; no vendor has it. */
    static final int UNKNOWN_VENDOR = 0xffff;

    /** Makers of IOMMUs that are PCI functions, as lists of any year spell them; the longer spelling first. */
    private static final Map<String, Integer> MAKERS = makers();

    private final Map<Integer, String> vendors = new HashMap<>();
    private final Map<Integer, String> devices = new HashMap<>();
    private final Map<Integer, String> classes = new HashMap<>();

    private PciIds() {}

    private static Map<String, Integer> makers() {
        Map<String, Integer> makers = new LinkedHashMap<>();
        makers.put("Advanced Micro Devices, Inc. [AMD/ATI]", 0x1002);
        makers.put("Advanced Micro Devices [AMD] nee ATI", 0x1002);
        makers.put("Advanced Micro Devices nee ATI", 0x1002);
        makers.put("ATI Technologies", 0x1002);
        makers.put("Advanced Micro Devices", 0x1022);
        makers.put("Chengdu Haiguang", 0x1d94);
        return makers;
    }

    /** Returns the vendor id of an IOMMU's maker, {@link #UNKNOWN_VENDOR} where the name is of another maker. */
    static int vendorOf(String deviceName) {
        for (Map.Entry<String, Integer> maker : MAKERS.entrySet()) {
            if (deviceName.startsWith(maker.getKey())) {
                return maker.getValue();
            }
        }
        return UNKNOWN_VENDOR;
    }

    /** Reads a file, keeping the devices of some vendors. */
    static PciIds read(byte[] file, IntPredicate vendorWanted) {
        PciIds ids = new PciIds();
        int vendor = -1;
        int base = -1;
        for (String line : TextLines.of(file)) {
            if (line.startsWith("C ")) {
                vendor = -1;
                base = hex(line, 2, 2);
            } else if (!line.startsWith("\t")) {
                int id = hex(line, 0, 4);
                vendor = id >= 0 && vendorWanted.test(id) ? id : -1;
                base = -1;
                if (vendor >= 0) {
                    ids.vendors.put(vendor, name(line, 4));
                }
            } else if (vendor >= 0 && hex(line, 1, 4) >= 0) {
                ids.devices.put(vendor << 16 | hex(line, 1, 4), name(line, 5));
            } else if (base >= 0 && hex(line, 1, 2) >= 0) {
                ids.classes.put(base << 8 | hex(line, 1, 2), name(line, 3));
            }
        }
        return ids;
    }

    Optional<String> className(int code) {
        return Optional.ofNullable(classes.get(code));
    }

    /** Returns vendor and device, as lspci prints them. */
    Optional<String> name(int vendor, int device) {
        String maker = vendors.get(vendor);
        if (maker == null) {
            return Optional.empty();
        }
        String what = devices.get(vendor << 16 | device);
        return Optional.of(maker + " " + (what == null ? String.format("Device [%04x]", device) : what));
    }

    /**
     * Returns the lines of a file that name some devices and classes, with those of their vendors and base classes.
     *
     * @param wanted {@code 8086} for a vendor, {@code 8086 1616} for a device, {@code c 03} for a base class, {@code c
     *     03 00} for a class
     */
    static byte[] only(byte[] file, Set<String> wanted) {
        StringBuilder kept = new StringBuilder();
        String head = "";
        for (String line : new String(file, StandardCharsets.ISO_8859_1).split("\n", -1)) {
            String key = "";
            if (!line.startsWith("\t")) {
                head = part(line, 0, 4);
                key = head;
            } else if (!line.startsWith("\t\t")) {
                key = head + " " + part(line, 1, head.startsWith("c ") ? 2 : 4);
            }
            if (wanted.contains(key)) {
                kept.append(line).append('\n');
            }
        }
        return kept.toString().getBytes(StandardCharsets.ISO_8859_1);
    }

    private static String part(String line, int from, int length) {
        return line.substring(Math.min(from, line.length()), Math.min(from + length, line.length()))
                .toLowerCase(Locale.ROOT);
    }

    private static int hex(String line, int at, int digits) {
        if (line.length() < at + digits) {
            return -1;
        }
        int value = 0;
        for (int i = at; i < at + digits; i++) {
            int digit = Character.digit(line.charAt(i), 16);
            if (digit < 0) {
                return -1;
            }
            value = value << 4 | digit;
        }
        return value;
    }

    private static String name(String line, int at) {
        return line.substring(at).strip();
    }
}
