// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Pattern;
import org.iommu4j.ReservedRegion;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.UnitDescription;
import org.jspecify.annotations.Nullable;

/**
 * A PCI function of the host, and the answer for a guest that gets it.
 *
 * @param address its address
 * @param above the bridge directly above, or the VMD; empty on a root bus, and where it is unknown
 * @param physicalFunction the function that it is a virtual one of (SR-IOV), empty when it is none
 * @param bridge whether it leads to another bus; bridges are never assigned
 * @param translated whether an IOMMU translates for it
 * @param unit the id of the unit that translates for it, null when there is none or it is unknown
 * @param candidates the ids of the units that may translate for it, as far as its vendor tells them
 * @param group the number of its group, empty when there is none or it is unknown
 * @param classCode base class and subclass
 * @param className what the class is called
 * @param name what the device is called
 * @param ids vendor and device id as {@code vfio-pci.ids} takes them, such as {@code 10de:128b}
 * @param reset whether it can be reset before and after a guest has it
 * @param driver the driver that is bound, empty text when none is bound, null when unknown
 * @param noSnoopEnabled Enable No Snoop: whether it may send no-snoop at all; unknown also where it lacks the bit
 * @param noSnoopUse what its driver is known to do with no-snoop
 * @param enforceCacheCoherency whether a domain of this device alone blocks no-snoop; unknown where no unit translates
 *     for it, so that there is no such domain
 * @param reservedRegions its reserved regions, null when unknown
 * @param assignable whether VFIO would accept it now, except for its own driver
 * @param assignableWithGroup whether VFIO would accept it with its whole group, regardless of the drivers bound now
 * @param obstacles why it is not assignable, or why that is unknown; many obstacles of its group are shortened to the
 *     first ones and the number of the others
 * @param guest how KVM treats the DMA of a guest with this device alone; unknown where no guest can have it
 * @param why the reasons of {@code guest}, the deciding one first
 * @param hints what can be done
 */
public record AuditedDevice(
        PciAddress address,
        Optional<PciAddress> above,
        Optional<PciAddress> physicalFunction,
        Answer bridge,
        Answer translated,
        @Nullable String unit,
        List<String> candidates,
        OptionalInt group,
        OptionalInt classCode,
        Optional<String> className,
        Optional<String> name,
        Optional<String> ids,
        Reset reset,
        @Nullable String driver,
        Answer noSnoopEnabled,
        Optional<NoSnoopUse> noSnoopUse,
        Answer enforceCacheCoherency,
        @Nullable List<ReservedRegion> reservedRegions,
        Answer assignable,
        Answer assignableWithGroup,
        List<Reason> obstacles,
        Guest guest,
        List<Reason> why,
        List<Reason> hints) {
    /** Copies the lists. */
    public AuditedDevice {
        Objects.requireNonNull(address, "address");
        Objects.requireNonNull(above, "above");
        Objects.requireNonNull(physicalFunction, "physicalFunction");
        Objects.requireNonNull(bridge, "bridge");
        Objects.requireNonNull(translated, "translated");
        Objects.requireNonNull(group, "group");
        Objects.requireNonNull(classCode, "classCode");
        Objects.requireNonNull(className, "className");
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(ids, "ids");
        Objects.requireNonNull(reset, "reset");
        Objects.requireNonNull(noSnoopEnabled, "noSnoopEnabled");
        Objects.requireNonNull(noSnoopUse, "noSnoopUse");
        Objects.requireNonNull(enforceCacheCoherency, "enforceCacheCoherency");
        Objects.requireNonNull(assignable, "assignable");
        Objects.requireNonNull(assignableWithGroup, "assignableWithGroup");
        Objects.requireNonNull(guest, "guest");
        candidates = List.copyOf(candidates);
        reservedRegions = reservedRegions == null ? null : List.copyOf(reservedRegions);
        obstacles = List.copyOf(obstacles);
        why = List.copyOf(why);
        hints = List.copyOf(hints);
    }

    /** {@code Advanced Micro Devices, Inc. [AMD/ATI] }: what is in the brackets is the maker's short name. */
    private static final Pattern SHORT_NAME = Pattern.compile(
            "^((?:[^:\\[]{1,80}: )?)[^:\\[]{1,80}?(?:Inc|Ltd|Corp|Corporation|Limited)\\.? \\[([^\\]]{1,24})\\]");

    private static final Pattern LEGAL_FORM =
            Pattern.compile(",? (?:Corporation|Corp\\.|Inc\\.|Co\\.,? Ltd\\.|Ltd\\.|Limited|GmbH)(?= |$)");

    /** Returns whether it is the function of an IOMMU, which AMD's have. */
    public boolean isIommu() {
        return classCode.isPresent() && classCode.getAsInt() == PciClasses.IOMMU;
    }

    /** Returns whether it belongs to the host and is never assigned: a bridge or an IOMMU. */
    public boolean isPartOfHost() {
        return bridge == Answer.YES || isIommu();
    }

    /** Returns whether a guest could ever get it: it is no part of the host, and an IOMMU may translate for it. */
    public boolean matters() {
        return !isPartOfHost() && translated != Answer.NO;
    }

    /** Returns the answer for people; a dash for an IOMMU, or where no IOMMU translates and so no guest gets it. */
    public String guestInWords() {
        return isIommu() || translated == Answer.NO ? "-" : guest.name();
    }

    /** Returns its unit for people, or the units of which one translates for it, or a dash. */
    public String unitInWords() {
        if (unit != null) {
            return unit;
        }
        return candidates.isEmpty()
                ? "-"
                : (candidates.size() == 1 ? "perhaps " : "one of ") + UnitDescription.range(candidates);
    }

    /** Returns whether it is of the chipset: a part of the host, or a class that nobody gives to a guest. */
    public boolean isOfChipset() {
        return isPartOfHost() || (classCode.isPresent() && PciClasses.isOfChipset(classCode.getAsInt()));
    }

    /** Returns what it is, without its name. */
    public String kind() {
        String kind = className.orElse(classCode.isPresent() ? PciClasses.name(classCode.getAsInt()) : "");
        return kind.isEmpty() ? "device of unknown class" : kind;
    }

    /** Returns class and name for people, as far as known. */
    public String title() {
        String kind = className.orElse(classCode.isPresent() ? PciClasses.name(classCode.getAsInt()) : "");
        String text = kind + (name.isPresent() && !kind.isEmpty() ? ": " : "") + name.orElse("");
        return text.isEmpty() ? "device of unknown class" : text;
    }

    /**
     * Returns the title for a narrow column: makers without their legal form, or by the short name that the list of
     * names has for them.
     */
    public String shortTitle() {
        return LEGAL_FORM
                .matcher(SHORT_NAME.matcher(title()).replaceFirst("$1$2"))
                .replaceAll("");
    }
}
