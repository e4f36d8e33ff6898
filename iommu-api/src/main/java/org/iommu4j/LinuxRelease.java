// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A release of Linux whose rules apply.
 *
 * <p>Each module keeps what changed from release to release in one place and chooses by this value when it is
 * opened: a rule holds from the release that brought it until the one that changed it. A release whose rules are not
 * built is refused by name, never approximated.
 *
 * <p>A stable kernel ({@code 6.12.95}) has its release's rules, but for those that were back-ported to its series. What
 * a distribution adds to the name ({@code +deb13}, {@code -4-pve}) changes no rule. An {@linkplain #isEnterprise()
 * enterprise kernel} keeps its number for years and takes drivers from later releases: it is a release of its own kind,
 * of which only {@link #mayHold()} can be said.
 *
 * <p>A kernel may be tried with {@linkplain Fix fixes}: single rules that are not as the release has them. They follow
 * its name: {@code 7.3 with walks=6.13}.
 *
 * @param major the first number
 * @param minor the second number
 * @param posted whether it is the series "Make the iommu driver no-snoop block feature consistent" as it was posted
 *     for that release, before the corrections that went into the same release; only {@link #SERIES_AS_POSTED} is
 * @param patch the patch level, 0 where the name has none. Names with a build number, such as {@code 6.1.0-56-amd64},
 *     have 0 whatever stable kernel they were built from
 * @param suffix what a distribution, or a release candidate, adds to the numbers; empty for none
 * @param fixes the rules that are not as the release has them, in the order of their names
 */
public record LinuxRelease(int major, int minor, boolean posted, int patch, String suffix, List<Fix> fixes)
        implements Comparable<LinuxRelease> {
    /** The newest release whose rules are built, and the default everywhere. */
    public static final LinuxRelease NEWEST = new LinuxRelease(7, 3);

    /** The series as posted in April 2022: enforcement asks every unit of the machine. */
    public static final LinuxRelease SERIES_AS_POSTED = new LinuxRelease(5, 19, true, 0, "");

    private static final String POSTED = "-posted";

    private static final List<LinuxRelease> KNOWN = knownReleases();

    private static final Pattern SYNTAX = Pattern.compile("(\\d{1,3})\\.(\\d{1,3})(" + POSTED + ")?");

    /** What {@code uname -r} prints: {@code 6.1.0-56-amd64}, {@code 6.12.95+deb13-amd64}, {@code 7.0-rc3}. */
    private static final Pattern KERNEL =
            Pattern.compile("(\\d{1,3})\\.(\\d{1,3})(?:\\.(\\d{1,6})(?!\\d))?((?:[^0-9].*)?)");

    /**
     * What vendors add that take drivers from later releases: RHEL and its rebuilds, Oracle's UEK, SLES and Leap (as
     * {@code -150600.23.7}, {@code -lp152.19} and {@code -122.124-default}), openEuler and its kin, Android. ELRepo
     * builds mainline for RHEL.
     */
    private static final Pattern ENTERPRISE = Pattern.compile("(?!.*\\.elrepo)(?:.*(?:\\.el\\d|uek"
            + "|\\.(?:oe|an|al|ky)\\d|tlinux|-android\\d).*|-(?:\\d{6}|lp\\d{3})(?:[.-].*)?"
            + "|-\\d{2,3}(?:\\.\\d{1,4}){0,3}-(?:default|preempt|azure|rt).*)");

    private static final Comparator<LinuxRelease> ORDER = Comparator.comparingInt(LinuxRelease::major)
            .thenComparingInt(LinuxRelease::minor)
            .thenComparing(LinuxRelease::posted, Comparator.reverseOrder())
            .thenComparingInt(LinuxRelease::patch)
            .thenComparing(LinuxRelease::suffix)
            .thenComparing(release -> release.fixes.toString());

    /**
     * A rule that is not as the release has it, in every module that has a rule of this name.
     *
     * @param rule the rule's name
     * @param as the release whose value the rule has; null for the value that the rule itself proposes, and no release
     *     has
     */
    public record Fix(String rule, @Nullable LinuxRelease as) {
        /** Checks that there is a name. */
        public Fix {
            Objects.requireNonNull(rule, "rule");
        }

        @Override
        public String toString() {
            return as == null ? rule : rule + "=" + as;
        }
    }

    /**
     * Copies the fixes, in order.
     *
     * @throws IllegalArgumentException when a rule is fixed twice
     */
    public LinuxRelease {
        Objects.requireNonNull(suffix, "suffix");
        fixes = fixes.stream().sorted(Comparator.comparing(Fix::rule)).toList();
        for (int i = 1; i < fixes.size(); i++) {
            if (fixes.get(i).rule.equals(fixes.get(i - 1).rule)) {
                throw new IllegalArgumentException("rule " + fixes.get(i).rule + " is fixed twice: by "
                        + fixes.get(i - 1) + " and by " + fixes.get(i) + ", expected once");
            }
        }
    }

    /** Names a kernel without fixes. */
    public LinuxRelease(int major, int minor, boolean posted, int patch, String suffix) {
        this(major, minor, posted, patch, suffix, List.of());
    }

    /** Names a release as it was published. */
    public LinuxRelease(int major, int minor) {
        this(major, minor, false, 0, "");
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
        for (int minor = 0; minor < NEWEST.minor; minor++) {
            known.add(new LinuxRelease(NEWEST.major, minor));
        }
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
                    Integer.parseInt(matcher.group(1)),
                    Integer.parseInt(matcher.group(2)),
                    matcher.group(3) != null,
                    0,
                    "");
            if (KNOWN.contains(release)) {
                return release;
            }
        }
        throw notBuilt(name);
    }

    /**
     * Reads the release out of what {@code uname -r} prints, such as {@code 6.1.0-56-amd64}.
     *
     * @return the release, known or not, or empty when the text does not begin with {@code N.N}
     */
    public static Optional<LinuxRelease> ofKernel(String kernel) {
        Matcher matcher = KERNEL.matcher(kernel.strip());
        return matcher.matches()
                ? Optional.of(new LinuxRelease(
                        Integer.parseInt(matcher.group(1)),
                        Integer.parseInt(matcher.group(2)),
                        false,
                        matcher.group(3) == null ? 0 : Integer.parseInt(matcher.group(3)),
                        matcher.group(4)))
                : Optional.empty();
    }

    /**
     * Reads a known release's name, or that of a kernel as {@link #ofKernel} does.
     *
     * @throws IllegalArgumentException when the text is neither
     */
    public static LinuxRelease of(String text) {
        for (LinuxRelease known : KNOWN) {
            if (known.toString().equals(text)) {
                return known;
            }
        }
        return ofKernel(text)
                .filter(kernel -> !kernel.suffix.equals(POSTED))
                .orElseThrow(() -> new IllegalArgumentException(
                        "'" + text + "' is no Linux release, expected for example 6.12, 6.12.95 or 6.8.12-4-pve"));
    }

    /**
     * Reads what {@link #of} does, be it a host's enterprise kernel: one release's rules at least {@linkplain
     * #mayHold() may hold}.
     *
     * @throws IllegalArgumentException when the text is no release, or no rules are built for it; the message lists
     *     those that are
     */
    public static LinuxRelease ofHost(String text) {
        LinuxRelease release = of(text);
        if (release.mayHold().isEmpty()) {
            throw notBuilt(text);
        }
        return release;
    }

    /**
     * Reads what {@link #of} does, but for enterprise kernels: rules are built for it.
     *
     * @throws IllegalArgumentException as {@link #ofHost}, and for an enterprise kernel; the message lists the releases
     *     whose rules may hold
     */
    public static LinuxRelease built(String text) {
        LinuxRelease release = ofHost(text);
        if (release.isEnterprise()) {
            throw new IllegalArgumentException(
                    "Linux " + release + " is an enterprise kernel, in which the rules of any"
                            + " of these releases may hold; expected one of them: " + release.mayHold());
        }
        return release;
    }

    private static IllegalArgumentException notBuilt(String text) {
        return new IllegalArgumentException("no rules for Linux release '" + text + "'; known: " + KNOWN);
    }

    /** Returns whether rules are built for this release, which they are for a stable kernel of a known one. */
    public boolean isKnown() {
        return KNOWN.contains(base());
    }

    /**
     * Returns the release that a stable or a distribution's kernel began with, without fixes: {@code 6.12} of {@code
     * 6.12.95}.
     */
    public LinuxRelease base() {
        return patch == 0 && suffix.isEmpty() && fixes.isEmpty() ? this : new LinuxRelease(major, minor, posted, 0, "");
    }

    /** Returns the stable kernel without what a distribution adds: {@code 6.12.95} of {@code 6.12.95+deb13}. */
    public LinuxRelease stable() {
        return suffix.isEmpty() ? this : new LinuxRelease(major, minor, posted, patch, "", fixes);
    }

    /**
     * Returns this kernel with other fixes.
     *
     * @throws IllegalArgumentException when a rule is fixed twice
     */
    public LinuxRelease with(Collection<Fix> others) {
        return new LinuxRelease(major, minor, posted, patch, suffix, List.copyOf(others));
    }

    /**
     * Returns whether it is an enterprise distribution's kernel, whose number does not say which release its drivers
     * come from.
     */
    public boolean isEnterprise() {
        return ENTERPRISE.matcher(suffix).matches();
    }

    /**
     * Returns the releases whose rules may hold in this kernel, oldest first: itself where rules are built for it,
     * every known release from its number on where it is an enterprise kernel, else none.
     */
    public List<LinuxRelease> mayHold() {
        if (!isEnterprise()) {
            return isKnown() ? List.of(this) : List.of();
        }
        return KNOWN.stream()
                .filter(known -> !known.posted && known.compareTo(base()) >= 0)
                .toList();
    }

    /** Returns whether a rule that a release brought is in force; what was only posted is older than its release. */
    public boolean isAtLeast(int otherMajor, int otherMinor) {
        return compareTo(new LinuxRelease(otherMajor, otherMinor)) >= 0;
    }

    @Override
    public int compareTo(LinuxRelease other) {
        return ORDER.compare(this, other);
    }

    @Override
    public String toString() {
        return major + "." + minor + (posted ? POSTED : "") + (patch == 0 && suffix.isEmpty() ? "" : "." + patch)
                + suffix
                + (fixes.isEmpty()
                        ? ""
                        : " with "
                                + String.join(
                                        ", ", fixes.stream().map(Fix::toString).toList()));
    }
}
