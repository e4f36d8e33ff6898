// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.iommu4j.ReservedRegion;
import org.iommu4j.audit.Answers;
import org.iommu4j.audit.Assignment;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.AuditedDevice;
import org.iommu4j.audit.AuditedGroup;
import org.iommu4j.audit.AuditedUnit;
import org.iommu4j.audit.Guest;
import org.iommu4j.audit.Headline;
import org.iommu4j.audit.Passthrough;
import org.iommu4j.audit.Step;
import org.iommu4j.bits.Hex;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.ScopeEntry;
import org.iommu4j.spi.UnitAbilities;
import org.iommu4j.spi.UnitDescription;
import org.iommu4j.workbench.output.Json;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Prints an audit as one JSON object by {@code audit.schema.json}; an unknown value is null or UNKNOWN. */
public final class AuditJson {
    private AuditJson() {}

    /** Returns the audit as text. */
    public static String of(Audit audit) {
        return Json.page(node(audit));
    }

    private static ObjectNode node(Audit audit) {
        ObjectNode node = JsonNodeFactory.instance.objectNode();
        node.put("host", audit.host());
        node.put("linux", audit.linux().toString());
        node.put("hostLinux", audit.hostLinux().map(Object::toString).orElse(null));
        node.put("rule", audit.rule() == null ? null : audit.rule().name());
        strings(node.putArray("vendors"), audit.vendors());
        node.put("verdict", Headline.verdict(audit));
        node.put("guest", audit.overall().name());
        put(node, "iommuInUse", audit.iommuInUse());
        put(node, "interruptRemapping", audit.interruptRemapping());
        ArrayNode units = node.putArray("units");
        audit.units().forEach(unit -> units.add(unit(unit)));
        ArrayNode devices = node.putArray("devices");
        audit.devices().forEach(device -> devices.add(device(device)));
        ArrayNode groups = node.putArray("groups");
        audit.groups().forEach(group -> groups.add(group(group)));
        node.set("assignment", audit.assignment() == null ? null : assignment(audit, audit.assignment()));
        reasons(node.putArray("falsePromises"), audit.falsePromises());
        strings(node.putArray("contradictions"), audit.contradictions());
        ArrayNode remarks = node.putArray("remarks");
        audit.remarks()
                .forEach(found -> remarks.addObject()
                        .put("kind", found.remark().kind().name())
                        .put(
                                "device",
                                found.remark().device().map(Object::toString).orElse(null))
                        .put("text", found.remark().text())
                        .put("meaning", found.remark().meaning().text())
                        .put("source", found.remark().meaning().source())
                        .put("count", found.count()));
        reasons(node.putArray("hints"), audit.hints());
        strings(node.putArray("warnings"), audit.warnings());
        ArrayNode questions = node.putArray("questions");
        Headline.questions(audit)
                .forEach((text, command) ->
                        questions.addObject().put("text", text).put("command", command));
        return node;
    }

    private static ObjectNode unit(AuditedUnit unit) {
        UnitDescription description = unit.description();
        UnitAbilities abilities = description.abilities();
        ObjectNode node = JsonNodeFactory.instance.objectNode();
        node.put("id", description.id());
        node.put("vendor", unit.vendor());
        node.put("guest", Guest.of(unit.enforces()).name());
        node.put(
                "registerBase",
                description.registerBase().isPresent()
                        ? Hex.of(description.registerBase().getAsLong())
                        : null);
        node.put(
                "segment",
                description.segment().isPresent() ? description.segment().getAsInt() : null);
        put(node, "includeAll", description.includeAll());
        ArrayNode scope = node.putArray("scope");
        ArrayNode bridges = node.putArray("scopeBridges");
        ArrayNode sources = node.putArray("interruptSources");
        ArrayNode named = node.putArray("namespaceDevices");
        for (ScopeEntry entry : description.scope()) {
            if (entry.isPci()) {
                scope.add(entry.place());
            }
            switch (entry.kind()) {
                case FUNCTION -> {}
                case BRIDGE -> bridges.add(entry.place());
                case INTERRUPT_SOURCE -> sources.add(entry.toString());
                case NAMESPACE_DEVICE, OTHER ->
                    named.addObject().put("name", entry.name()).put("address", entry.place());
            }
        }
        strings(node.putArray("devices"), unit.devices());
        put(node, "snoopControl", abilities.blocksNoSnoop());
        put(node, "coherentWalk", abilities.coherentWalk());
        put(node, "interruptRemapping", abilities.interruptRemapping());
        put(node, "firstStage", abilities.firstStage());
        put(node, "secondStage", abilities.secondStage());
        put(node, "nested", abilities.nested());
        put(node, "pasid", abilities.pasid());
        put(node, "dirtyTracking", abilities.dirtyTracking());
        node.put("pageSizes", abilities.pageSizes() == 0 ? null : Hex.of(abilities.pageSizes()));
        node.put("levels", abilities.levels() == 0 ? null : abilities.levels());
        node.put("addressWidth", abilities.addressWidth() == 0 ? null : abilities.addressWidth());
        ObjectNode registers = node.putObject("registers");
        description.registers().forEach((register, value) -> registers.put(register, Hex.of(value)));
        ObjectNode fields = node.putObject("fields");
        description.fields().forEach((field, value) -> fields.put(field, value));
        return node;
    }

    private static ObjectNode device(AuditedDevice device) {
        ObjectNode node = JsonNodeFactory.instance.objectNode();
        node.put("address", device.address().toString());
        put(node, "bridge", device.bridge());
        node.put("unit", device.unit());
        ArrayNode candidates = node.putArray("unitCandidates");
        device.candidates().forEach(candidates::add);
        node.put("group", device.group().isPresent() ? device.group().getAsInt() : null);
        node.put(
                "class",
                device.classCode().isPresent()
                        ? String.format("%04x", device.classCode().getAsInt())
                        : null);
        node.put("className", device.className().orElse(null));
        node.put("name", device.name().orElse(null));
        node.put("ids", device.ids().orElse(null));
        put(node, "resets", device.reset().possible());
        node.put("driver", device.driver());
        put(node, "noSnoopEnabled", device.noSnoopEnabled());
        node.put("noSnoopUse", device.noSnoopUse().map(use -> use.kind().name()).orElse(null));
        put(node, "enforceCacheCoherency", device.enforceCacheCoherency());
        List<ReservedRegion> regions = device.reservedRegions();
        node.set("reservedRegions", regions == null ? null : regions(regions));
        put(node, "assignable", device.assignable());
        strings(node.putArray("obstacles"), device.obstacles());
        node.put("guest", device.guest().name());
        strings(node.putArray("why"), device.why());
        reasons(node.putArray("hints"), device.hints());
        return node;
    }

    private static ArrayNode regions(List<ReservedRegion> regions) {
        ArrayNode array = JsonNodeFactory.instance.arrayNode();
        for (ReservedRegion region : regions) {
            array.addObject()
                    .put("start", Hex.of(region.start()))
                    .put("end", Hex.of(region.end()))
                    .put("type", region.type().name());
        }
        return array;
    }

    private static ObjectNode group(AuditedGroup group) {
        ObjectNode node = JsonNodeFactory.instance.objectNode();
        node.put("id", group.id());
        strings(node.putArray("devices"), group.devices());
        strings(node.putArray("named"), group.named());
        node.put("guest", group.guest().name());
        strings(node.putArray("noncoherent"), group.noncoherent());
        put(node, "viable", group.viable());
        strings(node.putArray("blame"), group.blame());
        strings(node.putArray("together"), group.together());
        return node;
    }

    private static ObjectNode assignment(Audit audit, Assignment asked) {
        Passthrough passthrough = new Passthrough(audit);
        ObjectNode node = JsonNodeFactory.instance.objectNode();
        strings(node.putArray("devices"), asked.devices());
        put(node, "assignable", asked.assignable());
        strings(node.putArray("obstacles"), asked.obstacles());
        put(node, "dmaCcIommu", asked.dmaCcIommu());
        node.put(
                "kvmNoncoherentDma",
                asked.guest() == Guest.UNKNOWN ? null : Boolean.valueOf(asked.guest() == Guest.NONCOHERENT));
        node.put("guest", asked.guest().name());
        strings(node.putArray("noncoherent"), asked.noncoherent());
        ArrayNode paths = node.putArray("paths");
        for (Map.Entry<PciAddress, List<Step>> path : asked.paths().entrySet()) {
            ObjectNode entry = paths.addObject().put("device", path.getKey().toString());
            ArrayNode along = entry.putArray("passthrough");
            passthrough
                    .of(audit.device(path.getKey()).orElseThrow())
                    .forEach(line -> along.addObject().put("what", line.label()).put("text", line.text()));
            ArrayNode steps = entry.putArray("steps");
            for (Step step : path.getValue()) {
                steps.addObject()
                        .put("what", step.what())
                        .put("answer", step.answer())
                        .put("source", step.source());
            }
        }
        reasons(node.putArray("hints"), asked.hints());
        return node;
    }

    private static void reasons(ArrayNode array, Collection<Reason> reasons) {
        reasons.forEach(reason -> array.addObject().put("text", reason.text()).put("source", reason.source()));
    }

    private static void strings(ArrayNode array, Collection<?> items) {
        items.forEach(item -> array.add(item.toString()));
    }

    private static void put(ObjectNode node, String name, Answer answer) {
        @Nullable Boolean value = Answers.toBoolean(answer);
        node.put(name, value);
    }
}
