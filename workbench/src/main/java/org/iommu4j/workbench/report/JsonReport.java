// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import java.util.List;
import org.iommu4j.bits.Hex;
import org.iommu4j.device.DeviceId;
import org.iommu4j.release.RuleSheet;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.workbench.output.Json;
import org.iommu4j.workbench.scenario.Decision;
import org.iommu4j.workbench.scenario.DecisionStep;
import org.iommu4j.workbench.scenario.DomainOutcome;
import org.iommu4j.workbench.scenario.Outcome;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Outcomes as JSON: one object a case, addresses and values as hexadecimal text. */
public final class JsonReport {
    private JsonReport() {}

    /** Returns one outcome as an object. */
    public static String of(Outcome outcome) {
        return Json.page(node(outcome));
    }

    /** Returns several outcomes as an array. */
    public static String of(Iterable<Outcome> outcomes) {
        ArrayNode array = JsonNodeFactory.instance.arrayNode();
        outcomes.forEach(outcome -> array.add(node(outcome)));
        return Json.page(array);
    }

    private static ObjectNode node(Outcome outcome) {
        ObjectNode node = JsonNodeFactory.instance.objectNode();
        node.put("case", outcome.caseName());
        node.put("about", outcome.about());
        node.put("linux", outcome.linux().toString());
        node.putObject("machine").put("name", outcome.machine()).put("vendor", outcome.vendor());
        node.put("verdict", outcome.verdict().name());
        node.put("reason", text(outcome.reason()));
        node.put("blame", text(outcome.blame()));
        node.put("errno", text(outcome.errno()));
        node.put("refusal", outcome.refusal());
        node.set("decision", decision(outcome.decision()));
        node.set("path", path(outcome.path()));
        ArrayNode domains = node.putArray("domains");
        for (DomainOutcome domain : outcome.domains()) {
            ObjectNode entry = domains.addObject();
            ArrayNode devices = entry.putArray("devices");
            domain.devices().stream().map(DeviceId::toString).forEach(devices::add);
            entry.put("enforceCacheCoherency", domain.enforceCacheCoherency().name());
        }
        node.putObject("dma")
                .put("noSnoopSent", outcome.noSnoopSent())
                .put("noSnoopBlocked", outcome.noSnoopBlocked())
                .put("noSnoopPassed", outcome.noSnoopPassed());
        node.put("unexpected", outcome.unexpected());
        ArrayNode staleReads = node.putArray("staleReads");
        for (StaleRead read : outcome.staleReads()) {
            staleReads
                    .addObject()
                    .put("at", read.at())
                    .put("who", read.who())
                    .put("address", Hex.of(read.address()))
                    .put("expected", Hex.of(read.expected()))
                    .put("observed", Hex.of(read.observed()))
                    .put("why", read.why());
        }
        return node;
    }

    private static @Nullable ObjectNode decision(@Nullable Decision decision) {
        if (decision == null) {
            return null;
        }
        return JsonNodeFactory.instance
                .objectNode()
                .put("enforceCacheCoherency", decision.enforceCacheCoherency().name())
                .put("dmaCcIommu", decision.dmaCcIommu())
                .put("kvmNoncoherentDma", decision.kvmNoncoherentDma())
                .put("wbinvd", text(decision.wbinvd()))
                .put("guestMemoryType", text(decision.guestMemoryType()));
    }

    private static ArrayNode path(List<DecisionStep> path) {
        ArrayNode steps = JsonNodeFactory.instance.arrayNode();
        for (DecisionStep step : path) {
            ObjectNode node = steps.addObject().put("question", step.question()).put("answer", step.answer());
            ArrayNode functions = node.putArray("functions");
            step.functions().forEach(functions::add);
            ArrayNode rules = node.putArray("rules");
            for (RuleSheet.Row rule : step.rules()) {
                ObjectNode its = rules.addObject()
                        .put("module", rule.module())
                        .put("name", rule.name())
                        .put("sentence", rule.sentence());
                ArrayNode values = its.putArray("values");
                for (RuleSheet.Value value : rule.periods()) {
                    ArrayNode commits = values.addObject()
                            .put("since", value.from())
                            .put("value", value.value())
                            .put("words", value.words())
                            .put("evidence", value.evidence().name())
                            .putArray("commits");
                    value.commits().forEach(commits::add);
                }
            }
        }
        return steps;
    }

    private static @Nullable String text(@Nullable Object value) {
        return value == null ? null : value.toString();
    }
}
