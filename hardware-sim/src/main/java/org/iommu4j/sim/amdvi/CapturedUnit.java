// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.ShownUnit;

/**
 * A unit of a running Linux, from {@code /sys/class/iommu/ivhdN} and the host's IVRS.
 *
 * <p>Linux numbers its units in the order of the table's blocks of the highest type that the first unit has. It shows
 * the capability header as {@code cap} and the features as {@code features}: EFR2:EFR up to 6.3 at least, EFR:EFR2
 * later, EFR alone long ago. The image of EFR in the unit's block of type 11h or 40h identifies the half that is EFR.
 */
final class CapturedUnit {
    private static final Pattern NAME = Pattern.compile("ivhd([0-9]{1,4})");
    private static final Pattern FEATURES = Pattern.compile("([0-9a-fA-F]{1,16})(?::([0-9a-fA-F]{1,16}))?");
    private static final Pattern CAP = Pattern.compile("[0-9a-fA-F]{1,8}");
    private static final String FEATURES_PATH = "amd-iommu/features";
    private static final String CAP_PATH = "amd-iommu/cap";

    private static final int FIRST_BLOCK = 48;
    private static final int BLOCK_HEADER = 4;
    private static final int IVHD_10_BYTES = 24;
    private static final int IVHD_11_BYTES = 40;
    private static final int IVHD_IOTLB_SUP = 0x10;

    /** Capability id 0Fh of type 3, revision 1 (AMD IOMMU 3.2). */
    private static final long CAPABILITY_HEADER = 0x000b_000fL;

    private static final long CAP_IOTLB_SUP = 1L << 24;
    private static final long CAP_EFR_SUP = 1L << 27;

    /** A block that describes a unit: type 10h, 11h or 40h. */
    private record Block(int type, int flags, int deviceId, int segment, long base, Optional<Long> efr) {}

    private CapturedUnit() {}

    /** Recognises a unit as {@code TranslationUnitProvider.recognise} specifies. */
    static Optional<TranslationUnitSpec> recognise(
            String name, Map<String, String> attributes, ShownUnit known, FirmwareTables firmware) {
        Matcher matcher = NAME.matcher(name);
        if (!matcher.matches()) {
            return Optional.empty();
        }
        byte[] bytes = firmware.table("IVRS")
                .orElseThrow(() ->
                        new IllegalArgumentException("unit " + name + " can't be placed: the host has no IVRS table"));
        int index = Integer.parseInt(matcher.group(1));
        List<Block> blocks = blocks(AcpiTable.parse("IVRS", bytes));
        List<Block> units = units(blocks);
        if (index >= units.size()) {
            throw new IllegalArgumentException("unit " + name + " is not in the IVRS table, which describes "
                    + units.size() + (units.size() == 1 ? " unit" : " units"));
        }
        Block unit = units.get(index);
        return Optional.of(new TranslationUnitSpec(
                AmdViUnitProvider.NAME,
                name,
                unit.segment(),
                unit.base(),
                RegisterFile.SIZE,
                attributes.isEmpty()
                        ? knownRegisters(name, blocks, unit, known)
                        : shownRegisters(name, blocks, unit, attributes)));
    }

    private static Map<String, Long> shownRegisters(
            String name, List<Block> blocks, Block unit, Map<String, String> attributes) {
        Matcher features = match(name, attributes, FEATURES_PATH, FEATURES, "EFR2:EFR or EFR:EFR2 in hex");
        long cap = Long.parseLong(
                match(name, attributes, CAP_PATH, CAP, "32 bits in hex").group(), 16);
        long first = Long.parseUnsignedLong(features.group(1), 16);
        long second = features.group(2) == null ? 0 : Long.parseUnsignedLong(features.group(2), 16);
        boolean firstIsEfr = features.group(2) == null || firstIsEfr(name, first, second, efrImage(blocks, unit));
        return Map.of("EFR", firstIsEfr ? first : second, "EFR2", firstIsEfr ? second : first, "CAP", cap);
    }

    /**
     * Without attributes EFR is the value in the kernel log, else its image in the table. The capability header is
     * built from the table: whether devices may have IOTLBs (IVHD flags bit 4), and whether the unit has EFR.
     */
    private static Map<String, Long> knownRegisters(String name, List<Block> blocks, Block unit, ShownUnit known) {
        Long efr = known.registers().get("EFR");
        if (efr == null) {
            efr = efrImage(blocks, unit)
                    .orElseThrow(() -> new IllegalArgumentException("unit " + name
                            + " has no attributes, and neither a kernel log nor an IVHD of type 11h "
                            + "or 40h has its EFR"));
        }
        long cap = CAPABILITY_HEADER | CAP_EFR_SUP | ((unit.flags() & IVHD_IOTLB_SUP) == 0 ? 0 : CAP_IOTLB_SUP);
        return Map.of(
                "EFR",
                efr,
                "EFR2",
                known.registers().getOrDefault("EFR2", 0L),
                "CAP",
                known.registers().getOrDefault("CAP", cap));
    }

    private static Matcher match(
            String name, Map<String, String> attributes, String path, Pattern pattern, String expected) {
        String text = attributes.get(path);
        if (text == null) {
            throw new IllegalArgumentException("unit " + name + " has no " + path + ", expected " + expected);
        }
        Matcher matcher = pattern.matcher(text.trim());
        if (!matcher.matches()) {
            throw new IllegalArgumentException(
                    "unit " + name + " has '" + text.trim() + "' in " + path + ", expected " + expected);
        }
        return matcher;
    }

    /** Firmware or an erratum may have changed the register after the image was taken: the nearer half is EFR. */
    private static boolean firstIsEfr(String name, long first, long second, Optional<Long> image) {
        if (image.isPresent()) {
            int distance = Long.bitCount(first ^ image.get()) - Long.bitCount(second ^ image.get());
            if (distance != 0) {
                return distance < 0;
            }
        }
        if (first == 0 || second == 0) {
            return second == 0;
        }
        throw new IllegalArgumentException("unit " + name + " has features " + Long.toHexString(first) + ":"
                + Long.toHexString(second) + ", and no IVHD of type 11h or 40h shows which half is EFR");
    }

    private static Optional<Long> efrImage(List<Block> blocks, Block unit) {
        for (Block block : blocks) {
            if (block.deviceId() == unit.deviceId()
                    && block.segment() == unit.segment()
                    && block.efr().isPresent()
                    && block.efr().get() != 0) {
                return block.efr();
            }
        }
        return Optional.empty();
    }

    private static List<Block> units(List<Block> blocks) {
        int type = 0;
        for (Block block : blocks) {
            if (block.deviceId() == blocks.get(0).deviceId()) {
                type = Math.max(type, block.type());
            }
        }
        List<Block> units = new ArrayList<>();
        for (Block block : blocks) {
            if (block.type() == type) {
                units.add(block);
            }
        }
        return units;
    }

    private static List<Block> blocks(AcpiTable table) {
        List<Block> blocks = new ArrayList<>();
        int at = FIRST_BLOCK;
        while (at < table.length()) {
            int type = table.u8(at);
            int length = table.u16(at + 2);
            int header = type == 0x10 ? IVHD_10_BYTES : type == 0x11 || type == 0x40 ? IVHD_11_BYTES : BLOCK_HEADER;
            if (length < header || length > table.length() - at) {
                throw new MalformedTableException(
                        "IVRS",
                        at,
                        "block of type 0x" + Integer.toHexString(type) + " has length " + length + ", expected "
                                + header + " to the " + (table.length() - at) + " bytes left");
            }
            if (header != BLOCK_HEADER) {
                blocks.add(new Block(
                        type,
                        table.u8(at + 1),
                        table.u16(at + 4),
                        table.u16(at + 16),
                        table.u64(at + 8),
                        type == 0x10 ? Optional.empty() : Optional.of(table.u64(at + 24))));
            }
            at += length;
        }
        return blocks;
    }
}
