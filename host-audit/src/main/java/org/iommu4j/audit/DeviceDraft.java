// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.iommu4j.ReservedRegion;
import org.iommu4j.host.Fact;
import org.iommu4j.host.FunctionEvidence;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.Reason;
import org.jspecify.annotations.Nullable;

/**
 * An {@link AuditedDevice} under construction: what the input states of a function, and no answers yet.
 *
 * <p>All audits make their devices here, so that a new component of the record is added in one place.
 */
final class DeviceDraft {
    private final PciAddress address;
    private final Optional<PciAddress> physicalFunction;
    private final Answer bridge;
    private final OptionalInt classCode;
    private final Optional<String> className;
    private final Optional<String> name;
    private final Optional<String> ids;
    private final Reset reset;
    private final @Nullable String driver;
    private final Answer noSnoopEnabled;
    private final Optional<NoSnoopUse> noSnoopUse;
    private Optional<PciAddress> above;
    private Answer translated = Answer.UNKNOWN;
    private @Nullable String unit;
    private List<String> candidates = List.of();
    private OptionalInt group = OptionalInt.empty();
    private Answer enforceCacheCoherency = Answer.UNKNOWN;
    private @Nullable List<ReservedRegion> reservedRegions;
    private Answer assignable = Answer.UNKNOWN;
    private Answer assignableWithGroup = Answer.UNKNOWN;
    private List<Reason> obstacles = List.of();
    private Guest guest = Guest.UNKNOWN;
    private List<Reason> why = List.of();
    private List<Reason> hints = List.of();

    /** Takes what the input states of a function; every answer is unknown. */
    DeviceDraft(FunctionEvidence function) {
        address = function.address();
        above = function.upstreamBridge();
        physicalFunction = function.physicalFunction();
        bridge = function.bridge();
        classCode = function.classCode();
        className = function.className();
        name = function.name();
        ids = function.ids();
        reset = Reset.of(function);
        driver = function.driver().map(Fact::value).orElse(null);
        noSnoopEnabled = function.noSnoopEnabled();
        noSnoopUse = Optional.ofNullable(driver).flatMap(NoSnoopUse::of);
    }

    /** Takes all of a device, to change some of its answers. */
    DeviceDraft(AuditedDevice device) {
        address = device.address();
        above = device.above();
        physicalFunction = device.physicalFunction();
        bridge = device.bridge();
        classCode = device.classCode();
        className = device.className();
        name = device.name();
        ids = device.ids();
        reset = device.reset();
        driver = device.driver();
        noSnoopEnabled = device.noSnoopEnabled();
        noSnoopUse = device.noSnoopUse();
        translated = device.translated();
        unit = device.unit();
        candidates = device.candidates();
        group = device.group();
        enforceCacheCoherency = device.enforceCacheCoherency();
        reservedRegions = device.reservedRegions();
        assignable = device.assignable();
        assignableWithGroup = device.assignableWithGroup();
        obstacles = device.obstacles();
        guest = device.guest();
        why = device.why();
        hints = device.hints();
    }

    /** Returns what its driver is known to do with no-snoop. */
    Optional<NoSnoopUse> noSnoopUse() {
        return noSnoopUse;
    }

    /** Takes the VMD that a function's domain is below, where no bridge is above it. */
    DeviceDraft below(Optional<PciAddress> vmd) {
        above = above.or(() -> vmd);
        return this;
    }

    DeviceDraft translated(Answer answer) {
        translated = answer;
        return this;
    }

    /** Takes unit and reserved regions from its vendor's description, if there is one. */
    DeviceDraft described(@Nullable DeviceDescription description) {
        if (description != null) {
            unit = description.unit();
            candidates = description.candidates();
            reservedRegions = description.reservedRegions();
        }
        return this;
    }

    DeviceDraft group(OptionalInt number) {
        group = number;
        return this;
    }

    DeviceDraft enforceCacheCoherency(Answer answer) {
        enforceCacheCoherency = answer;
        return this;
    }

    DeviceDraft reservedRegions(@Nullable List<ReservedRegion> regions) {
        reservedRegions = regions;
        return this;
    }

    DeviceDraft assignable(Answer now, Answer withGroup, List<Reason> against) {
        assignable = now;
        assignableWithGroup = withGroup;
        obstacles = against;
        return this;
    }

    DeviceDraft guest(Guest answer, List<Reason> reasons) {
        guest = answer;
        why = reasons;
        return this;
    }

    DeviceDraft hints(List<Reason> reasons) {
        hints = reasons;
        return this;
    }

    AuditedDevice build() {
        return new AuditedDevice(
                address,
                above,
                physicalFunction,
                bridge,
                translated,
                unit,
                candidates,
                group,
                classCode,
                className,
                name,
                ids,
                reset,
                driver,
                noSnoopEnabled,
                noSnoopUse,
                enforceCacheCoherency,
                reservedRegions,
                assignable,
                assignableWithGroup,
                obstacles,
                guest,
                why,
                hints);
    }
}
