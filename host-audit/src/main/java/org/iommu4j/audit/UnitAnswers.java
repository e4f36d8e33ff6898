// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.function.Function;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.UnitDescription;

/** Says of a host's units what holds behind each, where units differ. */
final class UnitAnswers {
    /** The order of reports: what costs comes first. */
    private static final List<Answer> ORDER = List.of(Answer.NO, Answer.YES, Answer.UNKNOWN);

    private UnitAnswers() {}

    /** Returns what all units answer, UNKNOWN where they differ or there is none. */
    static Answer alike(Collection<AuditedUnit> units) {
        List<Answer> answers =
                units.stream().map(AuditedUnit::enforces).distinct().toList();
        return answers.size() == 1 ? answers.get(0) : Answer.UNKNOWN;
    }

    /** Returns whether the answers of the units differ. */
    static boolean differ(Collection<AuditedUnit> units) {
        return units.stream().map(AuditedUnit::enforces).distinct().count() > 1;
    }

    /** Returns what a guest is behind which units: {@code NONCOHERENT behind dmar0, COHERENT behind dmar1}. */
    static String guests(Collection<AuditedUnit> units) {
        return each(units, answer -> Guest.of(answer).name());
    }

    /** Returns the answers of VFIO: {@code 0 behind dmar0, 1 behind dmar1}. */
    static String vfio(Collection<AuditedUnit> units) {
        return each(units, UnitAnswers::vfio);
    }

    /** Returns the value of VFIO_DMA_CC_IOMMU. */
    static String vfio(Answer answer) {
        return switch (answer) {
            case YES -> "1";
            case NO -> "0";
            case UNKNOWN -> "unknown";
        };
    }

    /** Returns the units that have an answer, for people. */
    static String with(Collection<AuditedUnit> units, Answer answer) {
        return UnitDescription.range(units.stream()
                .filter(unit -> unit.enforces() == answer)
                .map(unit -> unit.description().id())
                .toList());
    }

    private static String each(Collection<AuditedUnit> units, Function<Answer, String> words) {
        List<String> parts = new ArrayList<>();
        for (Answer answer : ORDER) {
            String ids = with(units, answer);
            if (!ids.isEmpty()) {
                parts.add(words.apply(answer) + " behind " + ids);
            }
        }
        return String.join(", ", parts);
    }
}
