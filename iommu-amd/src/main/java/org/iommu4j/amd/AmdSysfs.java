// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.amd.acpi.Ivhd;
import org.iommu4j.amd.acpi.Ivrs;
import org.iommu4j.bits.Hex;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.ShownUnit;
import org.jspecify.annotations.Nullable;

/**
 * Reads the attributes of an AMD unit from {@code /sys/class/iommu/ivhdN/amd-iommu}.
 *
 * <p>{@code features} is EFR alone in old kernels, {@code EFR2:EFR} up to 6.3 at least, and {@code EFR:EFR2} later. The
 * image of EFR in the unit's IVHD block identifies the halves. The block also has the register base, which Linux does
 * not show.
 *
 * <p>Source: Linux {@code Documentation/ABI/testing/sysfs-class-iommu-amd-iommu}, {@code amd_iommu_show_features}.
 */
final class AmdSysfs {
    private static final String FEATURES = "amd-iommu/features";
    private static final String CAP = "amd-iommu/cap";
    private static final Pattern FEATURES_FORM = Pattern.compile("([0-9a-fA-F]{1,16})(?::([0-9a-fA-F]{1,16}))?");
    private static final Pattern CAP_FORM = Pattern.compile("[0-9a-fA-F]{1,8}");

    /** Numbers have at most four digits. */
    private static final int LONGEST_NAME = AmdNames.UNIT_PREFIX.length() + 4;

    private AmdSysfs() {}

    /**
     * Reads a unit, empty when its name does not belong to a unit of this driver.
     *
     * @throws IllegalArgumentException when an attribute is missing or malformed, or IVRS is absent or lacks the unit
     * @throws org.iommu4j.platform.MalformedTableException when IVRS can't be read
     */
    static Optional<ShownUnit> read(String unit, Map<String, String> attributes, FirmwareTables firmware) {
        if (unit.length() > LONGEST_NAME || !AmdNames.isUnit(unit)) {
            return Optional.empty();
        }
        Ivrs ivrs = Ivrs.parse(firmware.table(Ivrs.SIGNATURE)
                .orElseThrow(() ->
                        new IllegalArgumentException("unit " + unit + " can't be placed: the host has no IVRS table")));
        Ivhd block = block(unit, ivrs);
        Matcher features = match(unit, attributes, FEATURES, FEATURES_FORM, "EFR2:EFR or EFR:EFR2 in hex");
        long cap = Long.parseLong(
                match(unit, attributes, CAP, CAP_FORM, "32 bits in hex").group(), 16);
        long first = Long.parseUnsignedLong(features.group(1), 16);
        long second = features.group(2) == null ? 0 : Long.parseUnsignedLong(features.group(2), 16);
        boolean efrFirst = features.group(2) == null || isEfrFirst(unit, first, second, image(ivrs, block));
        return Optional.of(new ShownUnit(
                OptionalLong.of(block.base()),
                Map.of("EFR", efrFirst ? first : second, "EFR2", efrFirst ? second : first, "CAP", cap),
                Answer.YES));
    }

    private static Ivhd block(String unit, Ivrs ivrs) {
        UnitMap map = new UnitMap(ivrs);
        int index = Integer.parseInt(unit.substring(AmdNames.UNIT_PREFIX.length()));
        int units = map.units().size();
        if (index >= units) {
            throw new IllegalArgumentException("unit " + unit + " is not in the IVRS table, which describes " + units
                    + (units == 1 ? " unit" : " units"));
        }
        return map.units().get(index);
    }

    private static Matcher match(
            String unit, Map<String, String> attributes, String path, Pattern form, String expected) {
        @Nullable String text = attributes.get(path);
        if (text == null) {
            throw new IllegalArgumentException("unit " + unit + " has no " + path + ", expected " + expected);
        }
        Matcher matcher = form.matcher(text.strip());
        if (!matcher.matches()) {
            throw new IllegalArgumentException(
                    "unit " + unit + " has '" + text.strip() + "' in " + path + ", expected " + expected);
        }
        return matcher;
    }

    /** The first image of EFR in any block about the unit, 0 when there is none. */
    private static long image(Ivrs ivrs, Ivhd unit) {
        return ivrs.ivhds().stream()
                .filter(block -> block.deviceId() == unit.deviceId() && block.segment() == unit.segment())
                .mapToLong(Ivhd::efrImage)
                .filter(image -> image != 0)
                .findFirst()
                .orElse(0);
    }

    /**
     * Firmware or an erratum may have changed the register after the image was taken: the half that differs in fewer
     * bits is EFR.
     */
    private static boolean isEfrFirst(String unit, long first, long second, long image) {
        int firstDiffers = Long.bitCount(first ^ image);
        int secondDiffers = Long.bitCount(second ^ image);
        if (image != 0 && firstDiffers != secondDiffers) {
            return firstDiffers < secondDiffers;
        }
        if (first == 0 || second == 0) {
            return second == 0;
        }
        throw new IllegalArgumentException("unit " + unit + " has features " + Hex.of(first) + " and " + Hex.of(second)
                + ", and no IVHD of type 11h or 40h that shows which of them is EFR");
    }
}
