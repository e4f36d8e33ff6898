// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.ShownUnit;
import org.jspecify.annotations.Nullable;

/**
 * Reads the attributes of a VT-d unit from {@code /sys/class/iommu/dmarN/intel-iommu}.
 *
 * <p>Source: Linux {@code Documentation/ABI/testing/sysfs-class-iommu-intel-iommu}.
 */
final class IntelSysfs {
    private static final String DIRECTORY = "intel-iommu/";
    private static final String ADDRESS = DIRECTORY + "address";
    private static final String CAP = DIRECTORY + "cap";
    private static final String ECAP = DIRECTORY + "ecap";
    private static final String VERSION = DIRECTORY + "version";

    private static final int HEX_DIGITS = 16;

    private IntelSysfs() {}

    /**
     * Reads a unit, empty when none of its attributes belongs to this driver.
     *
     * @throws IllegalArgumentException when a needed attribute is missing or is no number
     */
    static Optional<ShownUnit> read(String unit, Map<String, String> attributes) {
        if (attributes.keySet().stream().noneMatch(path -> path.startsWith(DIRECTORY))) {
            return Optional.empty();
        }
        long address = hex(unit, attributes, ADDRESS);
        Map<String, Long> registers = Map.of(
                "VER",
                version(unit, attributes),
                "CAP",
                hex(unit, attributes, CAP),
                "ECAP",
                hex(unit, attributes, ECAP));
        return Optional.of(new ShownUnit(OptionalLong.of(address), registers, Answer.YES));
    }

    private static long hex(String unit, Map<String, String> attributes, String path) {
        String text = attribute(unit, attributes, path);
        if (text.isEmpty() || text.length() > HEX_DIGITS || !text.chars().allMatch(c -> Character.digit(c, 16) >= 0)) {
            throw refused(unit, path, text, "a hex number");
        }
        return Long.parseUnsignedLong(text, 16);
    }

    /** Linux prints the major and the minor number, four bits each, in decimal. */
    private static long version(String unit, Map<String, String> attributes) {
        String text = attribute(unit, attributes, VERSION);
        int colon = text.indexOf(':');
        int major = colon < 0 ? -1 : nibble(text.substring(0, colon));
        int minor = colon < 0 ? -1 : nibble(text.substring(colon + 1));
        if (major < 0 || minor < 0) {
            throw refused(unit, VERSION, text, "a form like 1:0");
        }
        return (long) (major << 4 | minor);
    }

    /** Returns a number of 0 to 15, or -1. */
    private static int nibble(String text) {
        if (text.isEmpty() || text.length() > 2 || !text.chars().allMatch(c -> c >= '0' && c <= '9')) {
            return -1;
        }
        int number = Integer.parseInt(text);
        return number > 0xf ? -1 : number;
    }

    private static String attribute(String unit, Map<String, String> attributes, String path) {
        @Nullable String text = attributes.get(path);
        if (text == null) {
            throw new IllegalArgumentException("unit " + unit + " lacks " + path);
        }
        return text.strip();
    }

    private static IllegalArgumentException refused(String unit, String path, String text, String expected) {
        return new IllegalArgumentException("unit " + unit + ": " + path + " is '" + text + "', expected " + expected);
    }
}
