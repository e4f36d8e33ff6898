// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.sim.verdict.Verdict;
import org.jspecify.annotations.Nullable;

/**
 * The outcome of a case on a machine under a release.
 *
 * @param caseName the case
 * @param about what it is about
 * @param linux the release whose rules applied
 * @param machine the machine's name
 * @param vendor the name of the vendor whose driver has the case's device, null when none has
 * @param verdict the verdict
 * @param reason why the case is not applicable, null when it is
 * @param blame the part that broke the contract, null when none did
 * @param errno the errno of a refusal by the system, null when there was none or the IOMMU refused a request
 * @param refusal the message of a refusal or of the reason, null when there is neither
 * @param decision the decisions about the case's device, null when there were none
 * @param path how the decisions were made, in the order in which one led to the other; empty when there were none
 * @param domains the domains of the case's devices
 * @param noSnoopSent requests that carried no-snoop
 * @param noSnoopBlocked of these, how many were forced to be snooped
 * @param noSnoopPassed of these, how many went past the caches
 * @param staleReads reads that did not see the last write
 * @param timeline the events, in order
 * @param earlier what happened to the same lines before the case began: where their first values come from
 * @param unexpected how the outcome differs from what the case expects, null when it does not or nothing is expected
 */
public record Outcome(
        String caseName,
        String about,
        LinuxRelease linux,
        String machine,
        @Nullable String vendor,
        Verdict verdict,
        @Nullable NotApplicable reason,
        @Nullable Blame blame,
        @Nullable Errno errno,
        @Nullable String refusal,
        @Nullable Decision decision,
        List<DecisionStep> path,
        List<DomainOutcome> domains,
        int noSnoopSent,
        int noSnoopBlocked,
        int noSnoopPassed,
        List<StaleRead> staleReads,
        List<TimelineEntry> timeline,
        List<TracedEvent> earlier,
        @Nullable String unexpected) {
    /** Copies the lists. */
    public Outcome {
        path = List.copyOf(path);
        domains = List.copyOf(domains);
        staleReads = List.copyOf(staleReads);
        timeline = List.copyOf(timeline);
        earlier = List.copyOf(earlier);
    }

    /**
     * Returns the outcome of a case that never began: the machine could not be made or has no driver.
     *
     * @param name the case's name
     * @param about what the case is about
     */
    public static Outcome notApplicable(
            String name, String about, LinuxRelease linux, String machine, NotApplicableException why) {
        return new Outcome(
                name,
                about,
                linux,
                machine,
                null,
                Verdict.NOT_APPLICABLE,
                why.reason(),
                null,
                null,
                why.getMessage(),
                null,
                List.of(),
                List.of(),
                0,
                0,
                0,
                List.of(),
                List.of(),
                List.of(),
                null);
    }

    /** Returns this outcome as one that differs from what the case expects; null for one that does not. */
    Outcome withUnexpected(@Nullable String difference) {
        return new Outcome(
                caseName,
                about,
                linux,
                machine,
                vendor,
                verdict,
                reason,
                blame,
                errno,
                refusal,
                decision,
                path,
                domains,
                noSnoopSent,
                noSnoopBlocked,
                noSnoopPassed,
                staleReads,
                timeline,
                earlier,
                difference);
    }

    /** Returns whether the answer is a bad one: wrong or leaked data. */
    public boolean bad() {
        return verdict == Verdict.CORRUPTED || verdict == Verdict.LEAKED;
    }
}
