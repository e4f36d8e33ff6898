// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A release of Linux whose rules apply.
 *
 * <p>Each module keeps what changed from release to release in one place and chooses by this value when it is
 * opened. A release whose rules are not built is refused by name, never approximated.
 *
 * @param major the first number
 * @param minor the second number
 */
public record LinuxRelease(int major, int minor) implements Comparable<LinuxRelease> {
    /** The newest release whose rules are built, and the default everywhere. */
    public static final LinuxRelease NEWEST = new LinuxRelease(7, 1);

    private static final List<LinuxRelease> KNOWN = List.of(NEWEST);

    private static final Pattern SYNTAX = Pattern.compile("(\\d{1,3})\\.(\\d{1,3})");

    /** Returns the releases whose rules are built, oldest first. */
    public static List<LinuxRelease> known() {
        return KNOWN;
    }

    /**
     * Finds a known release by its name, such as {@code 7.1}.
     *
     * @throws IllegalArgumentException when the name is not of the form {@code N.N} or no rules are built for it; the
     *     message lists those that are
     */
    public static LinuxRelease named(String name) {
        Matcher matcher = SYNTAX.matcher(name);
        if (matcher.matches()) {
            LinuxRelease release =
                    new LinuxRelease(Integer.parseInt(matcher.group(1)), Integer.parseInt(matcher.group(2)));
            if (KNOWN.contains(release)) {
                return release;
            }
        }
        throw new IllegalArgumentException("no rules for Linux release '" + name + "'; known: " + KNOWN);
    }

    @Override
    public int compareTo(LinuxRelease other) {
        return major != other.major ? Integer.compare(major, other.major) : Integer.compare(minor, other.minor);
    }

    @Override
    public String toString() {
        return major + "." + minor;
    }
}
