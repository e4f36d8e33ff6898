// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.LinuxRelease;
import org.iommu4j.device.DeviceId;

/**
 * What the host's own Linux shows of its groups, where one vendor alone has units. A driver has a device in a group
 * only when a unit translates for it.
 *
 * @param members the devices that are in a group
 * @param joined devices in the order in which the log has them join while drivers register their units; empty where no
 *     log holds all of that
 * @param found functions in the order in which the log has Linux find them; empty where no log tells
 * @param linux the release that prints so, empty where it is not known
 */
public record ShownGroups(
        Set<DeviceId> members, List<DeviceId> joined, List<DeviceId> found, Optional<LinuxRelease> linux) {
    /** Nothing is known of groups. */
    public static final ShownGroups NONE = new ShownGroups(Set.of(), List.of(), List.of(), Optional.empty());

    /** Copies the collections. */
    public ShownGroups {
        members = Collections.unmodifiableSet(new LinkedHashSet<>(members));
        joined = List.copyOf(joined);
        found = List.copyOf(found);
        Objects.requireNonNull(linux, "linux");
    }
}
