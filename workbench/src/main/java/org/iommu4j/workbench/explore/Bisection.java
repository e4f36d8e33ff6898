// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.explorer.Ended;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Violation;
import org.iommu4j.workbench.scenario.NotApplicableException;
import org.jspecify.annotations.Nullable;

/** What an exploration answers under each of several releases, as runs of equal answers. */
public final class Bisection {
    private Bisection() {}

    /** What an answer is worth. */
    public enum Kind {
        /** Something that must not be came about. */
        VIOLATION,
        /** Nothing of that was found in what was covered. */
        NOTHING_FOUND,
        /** The page can't be set up. */
        NOT_APPLICABLE
    }

    /**
     * An answer, in the words by which it is compared.
     *
     * @param kind what it is worth
     * @param text the property and the length of the shortest way, why the exploration ended, or why there was none
     */
    public record Answer(Kind kind, String text) {
        /** Refuses a null. */
        public Answer {
            Objects.requireNonNull(kind);
            Objects.requireNonNull(text);
        }
    }

    /**
     * Releases that follow one another and have one answer.
     *
     * @param first the release that begins the run
     * @param last the last of it, maybe the first as well
     * @param answer what all of them answer
     */
    public record Run(LinuxRelease first, LinuxRelease last, Answer answer) {
        /** Refuses a null. */
        public Run {
            Objects.requireNonNull(first);
            Objects.requireNonNull(last);
            Objects.requireNonNull(answer);
        }
    }

    /**
     * Explores under each release, and joins neighbours of equal answers. Every release is asked, since an answer may
     * change and change back. An exploration that is interrupted is no answer, and ends the list.
     *
     * @param releases in the order of their age
     * @param exploration explores under a release; {@link NotApplicableException} and {@link IommuException} of the
     *     set-up are answers
     */
    public static List<Run> of(List<LinuxRelease> releases, Function<LinuxRelease, Report> exploration) {
        List<Run> runs = new ArrayList<>();
        for (LinuxRelease release : releases) {
            Answer answer = answer(release, exploration);
            if (answer == null) {
                break;
            }
            int last = runs.size() - 1;
            if (last >= 0 && runs.get(last).answer().equals(answer)) {
                runs.set(last, new Run(runs.get(last).first(), release, answer));
            } else {
                runs.add(new Run(release, release, answer));
            }
        }
        return List.copyOf(runs);
    }

    /** Returns the answer under a release, null when it is interrupted. */
    private static @Nullable Answer answer(LinuxRelease release, Function<LinuxRelease, Report> exploration) {
        Report report;
        try {
            report = exploration.apply(release);
        } catch (NotApplicableException e) {
            return new Answer(Kind.NOT_APPLICABLE, "not applicable: " + e.reason());
        } catch (IommuException e) {
            return new Answer(Kind.NOT_APPLICABLE, "the set-up is refused: " + e.errno());
        }
        if (report.cover().ended() == Ended.INTERRUPTED) {
            return null;
        }
        return report.violation()
                .map(Bisection::violation)
                .orElseGet(() -> new Answer(
                        Kind.NOTHING_FOUND, "nothing found, " + report.cover().ended()));
    }

    private static Answer violation(Violation violation) {
        return new Answer(
                Kind.VIOLATION, violation.property() + ", " + violation.path().size() + " events");
    }
}
