// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.release;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.iommu4j.LinuxRelease;

/**
 * One thing that Linux does differently from release to release, with its value in each.
 *
 * <p>A rule is declared in one expression, oldest release first; its values may come back:
 *
 * <pre>{@code
 * ReleaseRule.of("guestMtrrs", "The guest's MTRRs give a page its type.", true, READ)
 *         .deciding()
 *         .since("6.11", false, READ, "0a7b73559b39")
 *         .witnessedBy("KvmReleaseTest#theGuestsMtrrsMatterUntil610WhileDmaIsNoncoherent");
 * }</pre>
 *
 * @param name the name, unique in its module; that of the record's component which holds its value
 * @param sentence what the rule is about, in one sentence
 * @param decidesCoherence whether the value can decide if a guest reads stale data
 * @param witness what goes red when the rule is wrong: a test method, {@code Class#method}; empty until it is named
 * @param periods the values, oldest first; at least one
 * @param proposed values that no release has, each a correction to try
 * @param <V> the type of the values
 */
public record ReleaseRule<V>(
        String name,
        String sentence,
        boolean decidesCoherence,
        String witness,
        List<RulePeriod<V>> periods,
        List<V> proposed) {
    /**
     * Checks the periods and copies the lists.
     *
     * @throws IllegalArgumentException when there is no period, when they are not in the order of releases, or when a
     *     proposed value is some release's
     */
    public ReleaseRule {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(sentence, "sentence");
        Objects.requireNonNull(witness, "witness");
        periods = List.copyOf(periods);
        proposed = List.copyOf(proposed);
        if (periods.isEmpty()) {
            throw new IllegalArgumentException("rule " + name + " has no period, expected at least one");
        }
        for (int i = 1; i < periods.size(); i++) {
            LinuxRelease from = periods.get(i).from();
            if (from.compareTo(periods.get(i - 1).from()) <= 0) {
                throw new IllegalArgumentException("rule " + name + " has a period from " + from + " after one from "
                        + periods.get(i - 1).from() + ", expected the oldest first");
            }
        }
        for (RulePeriod<V> period : periods) {
            if (proposed.contains(period.value())) {
                throw new IllegalArgumentException("rule " + name + " proposes " + period.value()
                        + ", which releases have from " + period.from() + " on");
            }
        }
    }

    /**
     * Begins a rule with its value in the oldest known release.
     *
     * @param commits the commits that brought it, if any is known
     */
    public static <V> ReleaseRule<V> of(String name, String sentence, V value, Evidence evidence, String... commits) {
        RulePeriod<V> first = new RulePeriod<>(LinuxRelease.known().get(0), value, evidence, List.of(commits));
        return new ReleaseRule<>(name, sentence, false, "", List.of(first), List.of());
    }

    /** Returns the rule as one that decides coherence. */
    public ReleaseRule<V> deciding() {
        return new ReleaseRule<>(name, sentence, true, witness, periods, proposed);
    }

    /** Returns the rule with the test method, {@code Class#method}, that goes red when the rule is wrong. */
    public ReleaseRule<V> witnessedBy(String method) {
        return new ReleaseRule<>(name, sentence, decidesCoherence, method, periods, proposed);
    }

    /**
     * Returns the rule with one period more.
     *
     * @param release the first release with the value, such as {@code 6.13}, {@code 5.19-posted} or, for a back-port,
     *     {@code 6.12.95}
     * @param commits the commits that brought it, if any is known
     * @throws IllegalArgumentException when the text is no release's name, or not later than the periods so far
     */
    public ReleaseRule<V> since(String release, V value, Evidence evidence, String... commits) {
        Objects.requireNonNull(value, "value");
        Objects.requireNonNull(evidence, "evidence");
        List<String> brought = List.of(commits);
        List<RulePeriod<V>> more = new ArrayList<>(periods);
        more.add(new RulePeriod<>(LinuxRelease.of(release), value, evidence, brought));
        return new ReleaseRule<>(name, sentence, decidesCoherence, witness, more, proposed);
    }

    /**
     * Returns the rule with a value that no release has: a correction to try.
     *
     * @throws IllegalArgumentException when some release has it
     */
    public ReleaseRule<V> proposing(V value) {
        List<V> more = new ArrayList<>(proposed);
        more.add(value);
        return new ReleaseRule<>(name, sentence, decidesCoherence, witness, periods, more);
    }

    /**
     * Returns the period that holds in a release. A back-port to the release's own stable series takes precedence over
     * what the series began with, and a fix over both.
     *
     * @throws IllegalArgumentException when the release is older than the rule's first period
     */
    public RulePeriod<V> in(LinuxRelease release) {
        for (LinuxRelease.Fix fix : release.fixes()) {
            if (fix.rule().equals(name)) {
                return fixed(fix, release.with(List.of()));
            }
        }
        for (int i = periods.size() - 1; i >= 0; i--) {
            if (periods.get(i).reaches(release)) {
                return periods.get(i);
            }
        }
        throw new IllegalArgumentException(
                "rule " + name + " begins with Linux " + periods.get(0).from() + " and has no value in " + release);
    }

    /** A fix without a release is for a rule that proposes a value; another one of the same name keeps its own. */
    private RulePeriod<V> fixed(LinuxRelease.Fix fix, LinuxRelease release) {
        LinuxRelease as = fix.as();
        if (as != null) {
            return in(as);
        }
        return proposed.isEmpty()
                ? in(release)
                : new RulePeriod<>(release, proposed.get(0), Evidence.PROPOSED, List.of());
    }

    /**
     * Returns the periods that may hold in a release, oldest first: one, or several where the release is an enterprise
     * kernel, whose number does not say which release its drivers come from; none when no rules are built for it.
     */
    public List<RulePeriod<V>> mayHoldIn(LinuxRelease release) {
        return release.mayHold().stream().map(this::in).distinct().toList();
    }

    /** Returns the periods by which one release came to another: what held in the older, and what began since. */
    List<RulePeriod<V>> between(LinuxRelease older, LinuxRelease newer) {
        RulePeriod<V> was = in(older);
        List<RulePeriod<V>> all = new ArrayList<>(List.of(was));
        for (RulePeriod<V> period : periods) {
            if (period.reaches(newer) && !period.reaches(older)) {
                all.add(period);
            }
        }
        RulePeriod<V> is = in(newer);
        if (!all.contains(is)) {
            all.add(is); // a back-port of the older series that the newer one does not have
        }
        return all;
    }
}
