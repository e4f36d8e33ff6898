// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A release of Linux whose rules apply.
 *
 * <p>Each module keeps what changed from release to release in one place and chooses by this value when it is
 * opened: a rule holds from the release that brought it until the one that changed it. A release whose rules are not
 * built is refused by name, never approximated.
 *
 * @param major the first number
 * @param minor the second number
 * @param posted whether it is the series "Make the iommu driver no-snoop block feature consistent" as it was posted
 *     for that release, before the corrections that went into the same release; only {@link #SERIES_AS_POSTED} is
 */
public record LinuxRelease(int major, int minor, boolean posted) implements Comparable<LinuxRelease> {
    /** The newest release whose rules are built, and the default everywhere. */
    public static final LinuxRelease NEWEST = new LinuxRelease(7, 1);

    /** The series as posted in April 2022: enforcement asks every unit of the machine. */
    public static final LinuxRelease SERIES_AS_POSTED = new LinuxRelease(5, 19, true);

    private static final String POSTED = "-posted";

    private static final List<LinuxRelease> KNOWN = knownReleases();

    private static final Pattern SYNTAX = Pattern.compile("(\\d{1,3})\\.(\\d{1,3})(" + POSTED + ")?");

    /** What {@code uname -r} prints: {@code 6.1.0-56-amd64}, {@code 6.12.95+deb13-amd64}, {@code 7.0-rc3}. */
    private static final Pattern KERNEL = Pattern.compile("(\\d{1,3})\\.(\\d{1,3})(?:[^0-9].*)?");

    /** Names a release as it was published. */
    public LinuxRelease(int major, int minor) {
        this(major, minor, false);
    }

    private static List<LinuxRelease> knownReleases() {
        List<LinuxRelease> known = new ArrayList<>();
        for (int minor = 15; minor <= 18; minor++) {
            known.add(new LinuxRelease(5, minor));
        }
        known.add(SERIES_AS_POSTED);
        known.add(new LinuxRelease(5, 19));
        for (int minor = 0; minor <= 19; minor++) {
            known.add(new LinuxRelease(6, minor));
        }
        known.add(new LinuxRelease(7, 0));
        known.add(NEWEST);
        return List.copyOf(known);
    }

    /** Returns the releases whose rules are built, oldest first. */
    public static List<LinuxRelease> known() {
        return KNOWN;
    }

    /**
     * Finds a known release by its name, such as {@code 7.1} or {@code 5.19-posted}.
     *
     * @throws IllegalArgumentException when the name is not of the form {@code N.N} or no rules are built for it; the
     *     message lists those that are
     */
    public static LinuxRelease named(String name) {
        Matcher matcher = SYNTAX.matcher(name);
        if (matcher.matches()) {
            LinuxRelease release = new LinuxRelease(
                    Integer.parseInt(matcher.group(1)), Integer.parseInt(matcher.group(2)), matcher.group(3) != null);
            if (KNOWN.contains(release)) {
                return release;
            }
        }
        throw new IllegalArgumentException("no rules for Linux release '" + name + "'; known: " + KNOWN);
    }

    /**
     * Reads the release out of what {@code uname -r} prints, such as {@code 6.1.0-56-amd64}.
     *
     * @return the release, known or not, or empty when the text does not begin with {@code N.N}
     */
    public static Optional<LinuxRelease> ofKernel(String kernel) {
        Matcher matcher = KERNEL.matcher(kernel.strip());
        return matcher.matches()
                ? Optional.of(new LinuxRelease(Integer.parseInt(matcher.group(1)), Integer.parseInt(matcher.group(2))))
                : Optional.empty();
    }

    /** Returns whether rules are built for this release. */
    public boolean isKnown() {
        return KNOWN.contains(this);
    }

    /** Returns whether a rule that a release brought is in force; what was only posted is older than its release. */
    public boolean isAtLeast(int otherMajor, int otherMinor) {
        return compareTo(new LinuxRelease(otherMajor, otherMinor)) >= 0;
    }

    @Override
    public int compareTo(LinuxRelease other) {
        if (major != other.major) {
            return Integer.compare(major, other.major);
        }
        return minor != other.minor ? Integer.compare(minor, other.minor) : Boolean.compare(other.posted, posted);
    }

    @Override
    public String toString() {
        return major + "." + minor + (posted ? POSTED : "");
    }
}
