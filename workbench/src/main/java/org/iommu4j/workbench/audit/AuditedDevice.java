// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.iommu4j.ReservedRegion;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.jspecify.annotations.Nullable;

/**
 * A PCI function of the host and what becomes of a guest that it is assigned to.
 *
 * @param address where it is
 * @param bridge whether it leads to another bus; such are never assigned
 * @param translated whether an IOMMU translates for it
 * @param unit the id of the unit that translates for it, null when none does or none is known
 * @param group the number of its group, empty when it has none or none is known
 * @param classCode base class and subclass
 * @param className what the class is called
 * @param name what the device is called
 * @param driver the driver that is bound, empty text when none is, null when not known
 * @param noSnoopEnabled Enable No Snoop: whether it may send no-snoop at all; unknown where it has no such bit
 * @param noSnoopUse what its driver is known to do with no-snoop
 * @param enforceCacheCoherency whether a domain of this device alone blocks no-snoop
 * @param reservedRegions its reserved regions, null when not known
 * @param assignable whether VFIO would take it as things are now, but for its own driver
 * @param obstacles why it is not assignable or why that is not known
 * @param guest what KVM makes of a guest that has this device alone
 * @param why the reasons of {@code guest}, the deciding one first
 * @param hints what can be done
 */
public record AuditedDevice(
        PciAddress address,
        Answer bridge,
        Answer translated,
        @Nullable String unit,
        OptionalInt group,
        OptionalInt classCode,
        Optional<String> className,
        Optional<String> name,
        @Nullable String driver,
        Answer noSnoopEnabled,
        Optional<NoSnoopUse> noSnoopUse,
        Answer enforceCacheCoherency,
        @Nullable List<ReservedRegion> reservedRegions,
        Answer assignable,
        List<Reason> obstacles,
        Guest guest,
        List<Reason> why,
        List<Reason> hints) {
    /** Copies the lists. */
    public AuditedDevice {
        reservedRegions = reservedRegions == null ? null : List.copyOf(reservedRegions);
        obstacles = List.copyOf(obstacles);
        why = List.copyOf(why);
        hints = List.copyOf(hints);
    }

    /** Returns whether a guest could ever get it: no bridge, and not known to be without an IOMMU. */
    public boolean matters() {
        return bridge != Answer.YES && translated != Answer.NO;
    }

    /** Returns class and name for people, as far as known. */
    public String title() {
        String kind = className.orElse(classCode.isPresent() ? PciClasses.name(classCode.getAsInt()) : "");
        String text = kind + (name.isPresent() && !kind.isEmpty() ? ": " : "") + name.orElse("");
        return text.isEmpty() ? "device of unknown class" : text;
    }
}
