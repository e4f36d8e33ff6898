// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.iommu4j.Errno;
import org.iommu4j.LinuxRelease;
import org.iommu4j.bits.Hex;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.scenario.NotApplicable;
import org.iommu4j.workbench.scenario.Outcome;
import org.jspecify.annotations.Nullable;

/**
 * What a page expects of a run.
 *
 * @param machines the machines for which it holds; empty for all
 * @param since the first release for which it holds, null for the oldest
 * @param until the last one, null for the newest
 * @param verdict the verdict
 * @param reason why the case does not apply, null where that is not said
 * @param blame the part that broke the contract, null where that is not said
 * @param errno the errno of a refusal, null where that is not said
 * @param wrong a wrong read, null where none is named
 */
public record Expectation(
        List<String> machines,
        @Nullable LinuxRelease since,
        @Nullable LinuxRelease until,
        Verdict verdict,
        @Nullable NotApplicable reason,
        @Nullable Blame blame,
        @Nullable Errno errno,
        @Nullable Wrong wrong) {
    /** Copies the list. */
    public Expectation {
        machines = List.copyOf(machines);
    }

    /**
     * A read that does not see the last write.
     *
     * @param actor the reader, null for memory at the end
     * @param value what it sees
     */
    public record Wrong(@Nullable String actor, long value) {}

    /** Returns whether it is about a machine and a release. */
    boolean fits(String machine, LinuxRelease release) {
        return (machines.isEmpty() || machines.contains(machine))
                && (since == null || release.compareTo(since) >= 0)
                && (until == null || numbers(release).compareTo(until) <= 0);
    }

    /** A stable kernel is of its release. */
    private static LinuxRelease numbers(LinuxRelease release) {
        return release.posted() ? release : new LinuxRelease(release.major(), release.minor());
    }

    /**
     * Returns how a run differs from this, empty when it does not. Where the machine or the release lacks what the case
     * needs there is no difference, since there is no answer.
     *
     * @param names the name under which the outcome reports an actor
     */
    Optional<String> difference(Outcome outcome, UnaryOperator<String> names) {
        NotApplicable without = outcome.reason();
        if (without != null && without != NotApplicable.NO_ENFORCEMENT) {
            return Optional.empty();
        }
        if (outcome.verdict() != verdict) {
            return Optional.of("expected " + verdict);
        }
        if (reason != null && reason != outcome.reason()) {
            return Optional.of("expected reason " + reason);
        }
        if (blame != null && blame != outcome.blame()) {
            return Optional.of("expected blame " + blame);
        }
        if (errno != null && errno != outcome.errno()) {
            return Optional.of("expected " + errno);
        }
        Wrong expected = wrong;
        if (expected != null) {
            String actor = expected.actor();
            String who = actor == null ? "memory" : names.apply(actor);
            for (StaleRead read : outcome.staleReads()) {
                if (read.who().equals(who) && read.observed() == expected.value()) {
                    return Optional.empty();
                }
            }
            return Optional.of("expected " + (actor == null ? "memory" : actor) + " with " + Hex.of(expected.value()));
        }
        return Optional.empty();
    }
}
