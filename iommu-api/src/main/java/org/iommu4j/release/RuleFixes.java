// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.release;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.LinuxRelease.Fix;

/**
 * Fixes as a user names them: {@code RULE} for the value that a rule proposes, {@code RULE=RELEASE} for the value that
 * it has in a release.
 *
 * <p>A name that several modules have is fixed in all of them. A fix that changes nothing in a release is none to
 * refuse: an exploration of many releases takes the same fixes to all.
 */
public final class RuleFixes {
    private RuleFixes() {}

    /**
     * Returns a kernel with fixes.
     *
     * @param release a release that is known
     * @param texts the fixes as users name them
     * @param modules the rules by module
     * @throws IllegalArgumentException when no rule has the name, when the rule proposes nothing and no release is
     *     named, when no rules are built for that release, or when a rule is named twice
     */
    public static LinuxRelease of(
            LinuxRelease release, Collection<String> texts, Map<String, List<ReleaseRule<?>>> modules) {
        Objects.requireNonNull(release, "release");
        List<ReleaseRule<?>> rules =
                modules.values().stream().flatMap(List::stream).collect(Collectors.toList());
        List<Fix> fixes = new ArrayList<>();
        for (String text : texts) {
            fixes.add(fix(text, rules));
        }
        return release.with(fixes);
    }

    private static Fix fix(String text, List<ReleaseRule<?>> rules) {
        int equals = text.indexOf('=');
        String name = equals < 0 ? text : text.substring(0, equals);
        List<ReleaseRule<?>> named =
                rules.stream().filter(rule -> rule.name().equals(name)).collect(Collectors.toList());
        if (named.isEmpty()) {
            throw new IllegalArgumentException("no rule '" + name + "' to fix; with a correction: "
                    + names(rules.stream().filter(rule -> !rule.proposed().isEmpty()))
                    + "; with the value of a release, as RULE=RELEASE: "
                    + names(rules.stream().filter(rule -> rule.periods().size() > 1)));
        }
        if (equals >= 0) {
            return new Fix(name, release(text, text.substring(equals + 1)));
        }
        if (named.stream().allMatch(rule -> rule.proposed().isEmpty())) {
            throw new IllegalArgumentException("rule '" + name + "' proposes no correction, expected a release whose"
                    + " value it is to have, one of: "
                    + named.stream()
                            .flatMap(rule -> rule.periods().stream())
                            .map(period -> name + "=" + period.from())
                            .distinct()
                            .collect(Collectors.joining(", ")));
        }
        return new Fix(name, null);
    }

    private static LinuxRelease release(String text, String name) {
        try {
            return LinuxRelease.built(name);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("fix '" + text + "': " + e.getMessage(), e);
        }
    }

    private static String names(Stream<ReleaseRule<?>> rules) {
        return rules.map(ReleaseRule::name).distinct().sorted().collect(Collectors.joining(", "));
    }
}
