// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Collections;
import java.util.EnumSet;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;

/**
 * The devices of a host that an audit is to speak of: those of some kinds, and those of some groups.
 *
 * @param kinds the kinds
 * @param groups the numbers of the groups
 */
public record Selection(Set<DeviceKind> kinds, Set<Integer> groups) {
    /** Copies the sets. */
    public Selection {
        kinds = Collections.unmodifiableSet(new LinkedHashSet<>(kinds));
        groups = Collections.unmodifiableSet(new TreeSet<>(groups));
    }

    /**
     * Selects the kinds that are asked for.
     *
     * @param asked whether a kind is, by kind
     * @param groups numbers of IOMMU groups
     */
    public static Selection of(Map<DeviceKind, Boolean> asked, Set<Integer> groups) {
        Set<DeviceKind> kinds = EnumSet.noneOf(DeviceKind.class);
        asked.forEach((kind, is) -> {
            if (is) {
                kinds.add(kind);
            }
        });
        return new Selection(kinds, groups);
    }

    /** Returns whether nothing is selected, so that the audit speaks of all. */
    public boolean isEmpty() {
        return kinds.isEmpty() && groups.isEmpty();
    }

    /** Returns whether a device is of a selected kind or group. */
    public boolean has(AuditedDevice device) {
        Objects.requireNonNull(device, "device");
        return DeviceKind.of(device).filter(kinds::contains).isPresent()
                || (device.group().isPresent() && groups.contains(device.group().getAsInt()));
    }

    /** Returns the selection in words: {@code graphics, group 12}. */
    @Override
    public String toString() {
        Set<String> words = new LinkedHashSet<>();
        kinds.forEach(kind -> words.add(kind.title()));
        groups.forEach(group -> words.add("group " + group));
        return String.join(", ", words);
    }
}
