// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.FirmwareTables;

/**
 * What is known of a host, as far as it is.
 *
 * <p>The firmware's tables need root to be read, so a host may be known by what Linux shows to everybody instead: its
 * units, and which of them each device is linked to. What Linux shows takes precedence over a table.
 *
 * @param firmware the host's tables, as far as known
 * @param topology the host's functions, as far as known
 * @param registers register values of units, as far as known
 * @param shownUnits units by the name that Linux gave them, for example {@code dmar0} or {@code
 *     smmu3.0x0000000009050000}, of any driver
 * @param unitLinks the name of the unit that Linux linked a device to
 * @param groups what it shows of its groups
 * @param bootOptions what its kernel was told, as far as known
 * @param stated what its Linux states beyond units and links
 */
public record HostFacts(
        FirmwareTables firmware,
        PciTopology topology,
        RegisterValues registers,
        SortedMap<String, ShownUnit> shownUnits,
        Map<DeviceId, String> unitLinks,
        ShownGroups groups,
        BootOptions bootOptions,
        LinuxStatements stated) {
    /** Copies the maps; units are sorted by number. */
    public HostFacts {
        Objects.requireNonNull(firmware, "firmware");
        Objects.requireNonNull(topology, "topology");
        Objects.requireNonNull(registers, "registers");
        Objects.requireNonNull(groups, "groups");
        Objects.requireNonNull(bootOptions, "bootOptions");
        Objects.requireNonNull(stated, "stated");
        SortedMap<String, ShownUnit> sorted = new TreeMap<>(UnitNameOrder.BY_NUMBER);
        sorted.putAll(shownUnits);
        shownUnits = Collections.unmodifiableSortedMap(sorted);
        unitLinks = Collections.unmodifiableMap(new LinkedHashMap<>(unitLinks));
    }

    /** Makes facts of a host whose groups, command line and log are not known. */
    public HostFacts(
            FirmwareTables firmware,
            PciTopology topology,
            RegisterValues registers,
            SortedMap<String, ShownUnit> shownUnits,
            Map<DeviceId, String> unitLinks) {
        this(
                firmware,
                topology,
                registers,
                shownUnits,
                unitLinks,
                ShownGroups.NONE,
                BootOptions.DEFAULT,
                LinuxStatements.NONE);
    }

    /** Makes facts without anything that Linux shows. */
    public static HostFacts of(FirmwareTables firmware, PciTopology topology, RegisterValues registers) {
        return new HostFacts(firmware, topology, registers, new TreeMap<>(), Map.of());
    }

    /**
     * Returns whether Linux shows a unit of a driver.
     *
     * @param own tells the names that the driver gives
     */
    public boolean showsUnit(Predicate<String> own) {
        Objects.requireNonNull(own, "own");
        return shownUnits.keySet().stream().anyMatch(own);
    }

    /**
     * Returns whether Linux shows a unit of a driver in use, and so all that it uses of them.
     *
     * @param own tells the names that the driver gives
     */
    public boolean showsUseOf(Predicate<String> own) {
        Objects.requireNonNull(own, "own");
        return shownUnits.entrySet().stream()
                .anyMatch(unit -> unit.getValue().inUse() == Answer.YES && own.test(unit.getKey()));
    }

    /** Returns whether a unit's name is a prefix and a number, as many drivers give them: {@code dmar0}. */
    public static boolean isNamed(String name, String prefix) {
        return name.startsWith(prefix)
                && name.length() > prefix.length()
                && name.chars().skip(prefix.length()).allMatch(Character::isDigit);
    }
}
