// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.amd.AmdRules.SouthBridge;
import org.iommu4j.amd.acpi.DeviceEntry;
import org.iommu4j.amd.acpi.Ivhd;
import org.iommu4j.amd.acpi.Madt;
import org.iommu4j.amd.acpi.Madt.IoApic;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.BootOptions;

/**
 * Whether Linux remaps interrupts, as far as I/O APICs decide ({@code check_ioapic_information}).
 *
 * <p>It does not unless the south bridge's I/O APIC, to which the timer is wired, is found, because that APIC's
 * interrupts would be lost. The MADT names the I/O APICs of the machine; where it is not known, those of IVRS are taken
 * for all of them, and any for the south bridge's.
 *
 * @param remaps whether interrupts are remapped; unknown where it depends on a function that is not known
 * @param warnings what Linux prints, one line each
 */
record IoApics(Answer remaps, List<String> warnings) {
    private static final int SOUTH_BRIDGE = 0xa0;
    private static final int CLASS = 0x0a;
    private static final int CLASS_SMBUS = 0x0c05;
    private static final int CLASS_ISA_BRIDGE = 0x0601;
    private static final long ANY_INTERRUPT = -1;

    /** Both forms of {@code ivrs_ioapic}: {@code [4]=00:14.0} and {@code =4@0000:00:14.0}. */
    private static final Pattern PARAMETER = Pattern.compile("ivrs_ioapic(?:\\[(\\d{1,3})]=|=(\\d{1,3})@)"
            + "(?:[0-9a-f]{1,4}:)?([0-9a-f]{1,2}):([01]?[0-9a-f])\\.([0-7])");

    /** Copies the list. */
    IoApics {
        warnings = List.copyOf(warnings);
    }

    /** Looks at a running machine, all of whose functions are known. */
    static IoApics of(
            SouthBridge rule, UnitMap map, FirmwareTables firmware, PciTopology topology, BootOptions bootOptions) {
        IntFunction<Answer> found = source -> Answer.of(isSouthBridge(classOf(topology, source)));
        return look(rule, map, firmware, bootOptions, found);
    }

    /** Looks at what is known of a machine: a function that is not known may be there. */
    static IoApics ofPartlyKnown(
            SouthBridge rule, UnitMap map, FirmwareTables firmware, PciTopology topology, BootOptions bootOptions) {
        IntFunction<Answer> found = source -> {
            int known = classOf(topology, source);
            return known == 0 || known == 0xffff ? Answer.UNKNOWN : Answer.of(isSouthBridge(known));
        };
        return look(rule, map, firmware, bootOptions, found);
    }

    private static IoApics look(
            SouthBridge rule,
            UnitMap map,
            FirmwareTables firmware,
            BootOptions bootOptions,
            IntFunction<Answer> isSouthBridge) {
        List<String> warnings = new ArrayList<>();
        Map<Integer, Integer> sources = sources(map, bootOptions);
        boolean listed = rule != SouthBridge.LISTED_LAST;
        Answer south = Answer.NO;
        for (IoApic apic : ioApics(firmware, sources, warnings)) {
            Integer source = sources.get(apic.id());
            if (source == null) {
                listed = false;
                warnings.add("I/O APIC " + apic.id() + " is not in IVRS");
            } else if (rule == SouthBridge.LISTED_LAST) {
                if (source == SOUTH_BRIDGE) {
                    south = Answer.YES;
                    listed = true;
                }
            } else if (south == Answer.NO && (apic.firstInterrupt() == 0 || apic.firstInterrupt() == ANY_INTERRUPT)) {
                south = rule == SouthBridge.BY_CLASS ? isSouthBridge.apply(source) : Answer.of(source == SOUTH_BRIDGE);
            }
        }
        if (south == Answer.NO) {
            warnings.add(
                    rule == SouthBridge.BY_CLASS
                            ? "no I/O APIC is at a function that is an SMBus controller or ISA bridge"
                            : "no I/O APIC entry for 00:14.0");
        }
        Answer remaps = listed ? south : Answer.NO;
        if (remaps == Answer.NO) {
            warnings.set(
                    warnings.size() - 1, warnings.get(warnings.size() - 1) + ": Linux leaves interrupt remapping off");
        }
        return new IoApics(remaps, warnings);
    }

    /** Returns the ids from which I/O APICs send, by their numbers; the command line's come first. */
    private static Map<Integer, Integer> sources(UnitMap map, BootOptions bootOptions) {
        Map<Integer, Integer> sources = new LinkedHashMap<>();
        for (String word : bootOptions.commandLine().split("\\s+", -1)) {
            Matcher matcher = PARAMETER.matcher(word);
            if (matcher.matches()) {
                String id = matcher.group(1) == null ? matcher.group(2) : matcher.group(1);
                int source = Integer.parseInt(matcher.group(3), 16) << 8
                        | Integer.parseInt(matcher.group(4), 16) << 3
                        | Integer.parseInt(matcher.group(5), 16);
                sources.putIfAbsent(Integer.parseInt(id), source);
            }
        }
        for (Ivhd unit : map.units()) {
            for (DeviceEntry entry : unit.entries()) {
                if (entry.type() == DeviceEntry.SPECIAL && entry.variety() == DeviceEntry.VARIETY_IOAPIC) {
                    sources.putIfAbsent(entry.handle(), entry.sourceDeviceId());
                }
            }
        }
        return sources;
    }

    private static List<IoApic> ioApics(FirmwareTables firmware, Map<Integer, Integer> sources, List<String> warnings) {
        Optional<byte[]> madt = firmware.table(Madt.SIGNATURE);
        if (madt.isPresent()) {
            try {
                return Madt.parse(madt.get()).ioApics();
            } catch (MalformedTableException e) {
                warnings.add(e.getMessage() + ": its I/O APICs are not known");
            }
        }
        return sources.keySet().stream()
                .map(id -> new IoApic(id, ANY_INTERRUPT))
                .toList();
    }

    private static boolean isSouthBridge(int classCode) {
        return classCode == CLASS_SMBUS || classCode == CLASS_ISA_BRIDGE;
    }

    /** Returns a function's class and subclass, all ones where there is no such function. */
    private static int classOf(PciTopology topology, int source) {
        return topology.function(PciAddress.of(0, source))
                .map(function -> {
                    ConfigSpace config = function.config();
                    return config.read(CLASS, 2);
                })
                .orElse(0xffff);
    }
}
