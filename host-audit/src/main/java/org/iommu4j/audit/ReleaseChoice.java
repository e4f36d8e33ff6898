// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Collection;
import java.util.List;
import java.util.Optional;
import org.iommu4j.LinuxRelease;

/**
 * Chooses the release whose rules apply when the user names none.
 *
 * <p>It is the host's own release where rules are built for it, with what was back-ported to its stable series. Else it
 * is the nearest known release, with a warning. For an enterprise kernel see {@link VendorKernel}. Nothing that decides
 * here changed between 4.x and the oldest known release. What changes after the newest is unknown.
 */
final class ReleaseChoice {
    private ReleaseChoice() {}

    static LinuxRelease of(Optional<LinuxRelease> host, Collection<String> warnings) {
        if (host.isEmpty()) {
            warnings.add(Question.RELEASE.open(": the rules of the newest apply, " + LinuxRelease.NEWEST));
            return LinuxRelease.NEWEST;
        }
        LinuxRelease own = host.get();
        if (own.isKnown()) {
            return own.stable();
        }
        LinuxRelease nearest = nearest(own.base(), LinuxRelease.known());
        warnings.add(
                "no rules are built for this host's Linux " + own + ": the rules of the nearest apply, " + nearest);
        return nearest;
    }

    /** Returns the last release that is not newer, else the first; no host runs a release that was only posted. */
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
