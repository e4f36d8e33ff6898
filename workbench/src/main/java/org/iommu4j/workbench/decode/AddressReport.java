// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.util.List;
import org.iommu4j.bits.Hex;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TableVisitor;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.workbench.output.Json;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Where one address leads, and through which entries. */
public final class AddressReport {
    private final TableReader reader;
    private final long address;

    /** Makes a report of an address, in bytes. */
    public AddressReport(TableReader reader, long address) {
        this.reader = reader;
        this.address = address;
    }

    /** Returns the answers for people. */
    public String text(List<AddressLookup.Entry> answers) {
        StringBuilder text = new StringBuilder();
        for (AddressLookup.Entry answer : answers) {
            String translation = answer.translation();
            text.append(Notation.requester(answer.sourceId(), answer.pasid()))
                    .append("  ")
                    .append(translation == null ? "no entry" : translation)
                    .append('\n');
            for (WalkStep step : answer.steps()) {
                text.append("  L").append(step.level()).append(" table by ").append(Hex.of(step.entry()));
                text.append(" at ").append(Hex.of(step.entryAddress())).append('\n');
            }
            AddressLookup.Mapping mapping = answer.mapping();
            if (mapping != null) {
                text.append("  L").append(mapping.level()).append(' ').append(Hex.of(mapping.iova()));
                text.append(" -> ").append(Hex.of(mapping.physicalAddress()));
                text.append("  ").append(Notation.size(mapping.size()));
                text.append("  ").append(Notation.permission(mapping.prot()));
                text.append("  ").append(Hex.of(mapping.entry())).append('\n');
            }
            text.append("  read  of ").append(Hex.of(address)).append(": ").append(words(answer.read()));
            text.append("\n  write of ").append(Hex.of(address)).append(": ").append(words(answer.write()));
            text.append('\n');
        }
        return text.toString();
    }

    private String words(long translation) {
        return Translation.isFault(translation)
                ? "fault " + Hex.of(Translation.faultCode(translation)) + ", "
                        + reader.faultReason(Translation.faultCode(translation))
                : Hex.of(Translation.address(translation))
                        + (Translation.snoopForced(translation) ? ", snoop forced" : "");
    }

    /** Returns the answers for programs: an array with an object for each address space of the device. */
    public String json(List<AddressLookup.Entry> answers) {
        ArrayNode array = JsonNodeFactory.instance.arrayNode();
        for (AddressLookup.Entry answer : answers) {
            ObjectNode node = array.addObject();
            node.put("bdf", Notation.device(answer.sourceId()));
            node.put("pasid", answer.pasid() == TableVisitor.NO_PASID ? null : (Integer) answer.pasid());
            node.put("iova", Hex.of(address));
            node.put("translation", answer.translation());
            node.set("read", translation(answer.read()));
            node.set("write", translation(answer.write()));
            ArrayNode path = node.putArray("path");
            for (WalkStep step : answer.steps()) {
                path.addObject()
                        .put("level", step.level())
                        .put("entryAddress", Hex.of(step.entryAddress()))
                        .put("entry", Hex.of(step.entry()));
            }
            node.set("mapping", mapping(answer.mapping()));
        }
        return Json.page(array);
    }

    private ObjectNode translation(long translation) {
        boolean fault = Translation.isFault(translation);
        ObjectNode node = JsonNodeFactory.instance.objectNode();
        node.put("pa", fault ? null : Hex.of(Translation.address(translation)));
        node.put("snoop", fault ? null : (Boolean) Translation.snoopForced(translation));
        node.put("fault", fault ? (Integer) Translation.faultCode(translation) : null);
        node.put("reason", fault ? reader.faultReason(Translation.faultCode(translation)) : null);
        return node;
    }

    private static @Nullable ObjectNode mapping(AddressLookup.@Nullable Mapping mapping) {
        if (mapping == null) {
            return null;
        }
        return JsonNodeFactory.instance
                .objectNode()
                .put("iova", Hex.of(mapping.iova()))
                .put("pa", Hex.of(mapping.physicalAddress()))
                .put("size", mapping.size())
                .put("perm", Notation.permission(mapping.prot()))
                .put("snoop", mapping.snoopForced())
                .put("pte", Hex.of(mapping.entry()))
                .put("level", mapping.level());
    }
}
