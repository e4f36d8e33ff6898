// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Collection;
import java.util.List;
import java.util.Optional;
import org.iommu4j.LinuxRelease;

/**
 * Which release's rules answer when nobody named one.
 *
 * <p>The host's own where it is known to us. Else the nearest known one, with a warning that says so: nothing that
 * decides here changed between 4.x and the oldest known release, and nothing is known of what comes after the newest.
 */
final class ReleaseChoice {
    private ReleaseChoice() {}

    static LinuxRelease of(Optional<LinuxRelease> host, Collection<String> warnings) {
        if (host.isEmpty()) {
            warnings.add("the host's kernel release is unknown: answered by the rules of the newest, "
                    + LinuxRelease.NEWEST);
            return LinuxRelease.NEWEST;
        }
        LinuxRelease own = host.get();
        if (own.isKnown()) {
            return own;
        }
        LinuxRelease nearest = nearest(own, LinuxRelease.known());
        warnings.add("no rules are built for this host's Linux " + own + ": answered by the nearest, " + nearest);
        return nearest;
    }

    /** Of releases, oldest first, the last that is no newer, else the first; what was only posted is no host's. */
    static LinuxRelease nearest(LinuxRelease own, List<LinuxRelease> known) {
        LinuxRelease nearest = known.get(0);
        for (LinuxRelease candidate : known) {
            if (!candidate.posted() && candidate.compareTo(own) <= 0) {
                nearest = candidate;
            }
        }
        return nearest;
    }
}
