// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.iommu4j.bits.Hex;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.ScopeEntry;
import org.iommu4j.spi.UnitAbilities;
import org.iommu4j.spi.UnitDescription;

/**
 * A translation unit of the host.
 *
 * @param vendor the vendor's name
 * @param rule which units decide about no-snoop for the devices of this vendor
 * @param description its abilities by tables and registers
 * @param enforces whether a domain of a device behind it blocks no-snoop by that rule; under PER_MACHINE the same for
 *     all units
 * @param devices the functions that it translates for, as far as the input names them
 */
public record AuditedUnit(
        String vendor, CoherencyRule rule, UnitDescription description, Answer enforces, List<PciAddress> devices) {
    /** Copies the list. */
    public AuditedUnit {
        Objects.requireNonNull(vendor, "vendor");
        Objects.requireNonNull(rule, "rule");
        Objects.requireNonNull(description, "description");
        Objects.requireNonNull(enforces, "enforces");
        devices = List.copyOf(devices);
    }

    /** Returns what it has by the firmware's table or the log, for people; empty where neither tells. */
    public String serves() {
        StringBuilder words = new StringBuilder();
        for (ScopeEntry entry : description.scope()) {
            words.append(words.length() == 0 ? "" : ", ").append(entry);
        }
        if (description.includeAll() == Answer.YES) {
            words.append(words.length() == 0 ? "" : ", and ").append("every function that no other unit serves");
        }
        int segment = description.segment().orElse(0);
        return words + (segment == 0 ? "" : String.format(" (segment %04x)", segment));
    }

    /** Returns the stages of translation that it has, for people. */
    public String stagesInWords() {
        UnitAbilities abilities = description.abilities();
        if (abilities.secondStage() == Answer.UNKNOWN) {
            return "?";
        }
        return (abilities.firstStage() == Answer.YES ? "1st, " : "")
                + (abilities.secondStage() == Answer.YES ? "2nd" : "none")
                + (abilities.levels() > 0 ? " (" + abilities.levels() + "-level)" : "")
                + (abilities.nested() == Answer.YES ? ", nested" : "");
    }

    /** Returns the sizes of its pages, for people. */
    public String pageSizesInWords() {
        long sizes = description.abilities().pageSizes();
        if (sizes == 0) {
            return "?";
        }
        if (Long.bitCount(sizes) > 4) {
            return "4K and up";
        }
        StringBuilder text = new StringBuilder();
        for (int bit = 0; bit < 64; bit++) {
            if (((sizes >>> bit) & 1) != 0) {
                String size = (1 << (bit % 10)) + (bit < 20 ? "K" : bit < 30 ? "M" : "G");
                text.append(text.length() == 0 ? "" : " ").append(size);
            }
        }
        return text.toString();
    }

    /** Returns its registers, each with its value and its fields by the manual's mnemonics. */
    public List<Line> registers() {
        List<Line> lines = new ArrayList<>();
        description.registers().forEach((register, value) -> {
            StringBuilder words = new StringBuilder(Hex.of(value)).append(':');
            description.fields().forEach((field, number) -> {
                if (field.startsWith(register + ".")) {
                    words.append(' ')
                            .append(field.substring(register.length() + 1))
                            .append('=')
                            .append(number > 9 ? Hex.of(number) : number);
                }
            });
            lines.add(new Line(description.id() + " " + register, words.toString()));
        });
        return lines;
    }
}
