// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.DecisionSource;
import org.iommu4j.LinuxRelease;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RuleSheet;

/**
 * One decision on the way from the IOMMU to the guest, where Linux makes it, and by which rules of the run's release.
 *
 * @param question what is decided
 * @param answer the decision
 * @param functions the functions of Linux, the deciding one first, then those that it asks; empty where nobody decides
 *     or the driver does not say
 * @param rules the rules, each with the value that the release has; empty where every release decides alike
 */
public record DecisionStep(String question, String answer, List<String> functions, List<RuleSheet.Row> rules) {
    /** Copies the lists. */
    public DecisionStep {
        functions = List.copyOf(functions);
        rules = List.copyOf(rules);
    }

    /**
     * A decision of a scenario, whose rules are not looked up yet.
     *
     * @param question what is decided
     * @param answer the decision
     * @param sources where, the deciding one first
     */
    public record Made(String question, String answer, List<DecisionSource> sources) {
        /** Copies the list. */
        public Made {
            sources = List.copyOf(sources);
        }
    }

    /**
     * Looks the rules up.
     *
     * @param modules the rules by module
     * @throws IllegalStateException when a source names a rule that its module does not have
     */
    static DecisionStep of(Made made, Map<String, List<ReleaseRule<?>>> modules, LinuxRelease release) {
        Map<String, List<ReleaseRule<?>>> named = new LinkedHashMap<>();
        for (DecisionSource source : made.sources()) {
            for (String name : source.rules()) {
                named.computeIfAbsent(source.module(), unused -> new ArrayList<>())
                        .add(rule(modules, source.module(), name));
            }
        }
        return new DecisionStep(
                made.question(),
                made.answer(),
                made.sources().stream().map(DecisionSource::function).distinct().toList(),
                named.isEmpty() ? List.of() : RuleSheet.in(release, named).rules());
    }

    private static ReleaseRule<?> rule(Map<String, List<ReleaseRule<?>>> modules, String module, String name) {
        for (ReleaseRule<?> rule : modules.getOrDefault(module, List.of())) {
            if (rule.name().equals(name)) {
                return rule;
            }
        }
        throw new IllegalStateException("module " + module + " has no rule " + name);
    }
}
