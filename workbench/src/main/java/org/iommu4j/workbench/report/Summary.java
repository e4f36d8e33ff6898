// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.workbench.report.WordStory.Flush;
import org.iommu4j.workbench.report.WordStory.WrongRead;
import org.iommu4j.workbench.scenario.Decision;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.TimelineEntry;
import org.iommu4j.workbench.scenario.TracedEvent;

/** Says in two or three sentences what happened in a run, from its events. */
final class Summary {
    private Summary() {}

    /** Returns the sentences of a run: its first wrong read, or how its no-snoop requests came to the right value. */
    static String of(Outcome outcome, List<WordStory> stories) {
        if (outcome.reason() != null) {
            return "The case can't be shown here: " + outcome.refusal() + ".";
        }
        if (outcome.refusal() != null) {
            return "Refused before any DMA: " + outcome.refusal() + ".";
        }
        return stories.stream()
                .filter(story -> !story.wrongReads().isEmpty())
                .findFirst()
                .map(story -> of(outcome, story, story.wrongReads().get(0)))
                .orElseGet(() -> coherent(outcome, stories));
    }

    /** Returns the sentences about a wrong read. */
    static String of(Outcome outcome, WordStory story, WrongRead wrong) {
        StaleRead read = wrong.read();
        String observed = Values.of(read.observed());
        String expected = Values.of(read.expected());
        StringBuilder text = new StringBuilder();
        if (read.ofMemory()) {
            text.append("At the end memory had ").append(observed).append(" and should have had ");
        } else {
            text.append("At ").append(read.at()).append(' ').append(reader(story, wrong));
            text.append(" read ").append(observed).append(" and should have read ");
        }
        text.append(expected).append(": ").append(where(story, wrong)).append('.');
        text.append(' ').append(duty(outcome, story, wrong));
        if (read.leaked()) {
            text.append(' ').append(leak(outcome, story, wrong));
        }
        return text.toString().strip();
    }

    private static String reader(WordStory story, WrongRead wrong) {
        WordStory.Move move = story.rows().get(wrong.row()).moves().get(0);
        return move.to().kind() == Place.Kind.DEVICE
                ? "the device " + move.to().name()
                : move.to().name();
    }

    /** Where the right value was, or how it was lost. */
    private static String where(WordStory story, WrongRead wrong) {
        Set<String> holders = new TreeSet<>();
        wrong.holders().forEach(place -> holders.add(place.inWords()));
        Place loser = wrong.loser();
        if (holders.isEmpty()) {
            return loser == null
                    ? "no place has that value any more"
                    : "at " + story.rows().get(wrong.lostAt()).first() + " " + loser.inWords()
                            + " wrote its older line over that value";
        }
        if (wrong.holders().contains(Place.MEMORY)) {
            return "that value was in memory already, and " + wrong.source().inWords() + " still had an older one";
        }
        return "that value was still in " + Values.join(holders);
    }

    private static String leak(Outcome outcome, WordStory story, WrongRead wrong) {
        return story.rows().subList(0, wrong.row()).stream()
                .filter(row -> isWrite(row)
                        && event(outcome, row).value() == wrong.read().observed())
                .reduce((first, second) -> second)
                .map(row -> "What was read is another owner's: "
                        + row.moves().get(0).from().name() + " wrote it at " + row.last() + ".")
                .orElse("");
    }

    private static boolean isWrite(WordStory.Row row) {
        return row.kind() == TraceKind.STORE || row.kind() == TraceKind.DMA_WRITE;
    }

    /** The event that a row is about: its last one. */
    private static TracedEvent event(Outcome outcome, WordStory.Row row) {
        return outcome.timeline().get(row.last() - 1).event();
    }

    /** Who had to flush, who asked, and what was done. */
    private static String duty(Outcome outcome, WordStory story, WrongRead wrong) {
        if (wrong.write() < 0) {
            return "That value was written before the case began.";
        }
        WordStory.Row write = story.rows().get(wrong.write());
        if (event(outcome, write).has(Trace.WRITE_COMBINING)) {
            return "The driver stored it at " + write.last() + " to write-combining memory, and no fence followed.";
        }
        if (event(outcome, write).has(Trace.UC_WISHED) && !event(outcome, write).has(Trace.UNCACHEABLE)) {
            return "The guest had mapped it uncached; the host let it be cached at " + write.last() + ".";
        }
        if (!wrong.flushes().isEmpty()) {
            Flush last = wrong.flushes().get(wrong.flushes().size() - 1);
            String done = flushed(last);
            return last.byGuest()
                    ? "The guest had asked for a flush at " + last.at() + "; KVM " + done + reason(outcome, last) + "."
                    : "At " + last.at() + " " + last.who() + " " + done + ".";
        }
        if (wrong.lostAt() >= 0) {
            return dirtied(outcome, story, wrong, write);
        }
        if (outcome.blame() == Blame.GUEST_DRIVER) {
            return "The guest's driver asked for no flush between " + write.last() + " and "
                    + wrong.read().at() + ".";
        }
        return write.kind() == TraceKind.STORE
                ? "It was stored at " + write.last() + " by "
                        + write.moves().get(0).from().name() + ", and nothing was flushed since."
                : "";
    }

    /** Who made the line dirty that went over the right value. */
    private static String dirtied(Outcome outcome, WordStory story, WrongRead wrong, WordStory.Row write) {
        return story.rows().stream()
                .filter(row -> row.kind() == TraceKind.STORE
                        && row.last() < write.first()
                        && row.moves().get(0).to().equals(wrong.loser()))
                .reduce((first, second) -> second)
                .map(row -> "That line was dirty since " + row.last() + " by a store of "
                        + row.moves().get(0).from().name()
                        + (outcome.blame() == Blame.GUEST_DRIVER
                                ? ", and the guest's driver asked for no flush before the device wrote at "
                                : ", and nothing flushed it before the device wrote at ")
                        + write.last() + ".")
                .orElse("");
    }

    /** KVM flushes nothing where it knows of no DMA that needs it. */
    private static String reason(Outcome outcome, Flush flush) {
        Decision decision = outcome.decision();
        boolean coherentToKvm = decision != null && Boolean.FALSE.equals(decision.kvmNoncoherentDma());
        return flush.caches().isEmpty() && coherentToKvm ? ", for it took all DMA for coherent" : "";
    }

    static String flushed(Flush flush) {
        if (flush.caches().isEmpty()) {
            return "flushed nothing";
        }
        return "flushed "
                + Values.join(flush.caches().stream().map(Summary::cpu).toList()) + " only";
    }

    private static String cpu(Place cache) {
        return cache.kind() == Place.Kind.CACHE ? "cpu" + cache.number() : cache.inWords();
    }

    private static String coherent(Outcome outcome, List<WordStory> stories) {
        int reads = 0;
        for (TimelineEntry entry : outcome.timeline()) {
            TraceKind kind = entry.event().kind();
            reads += kind == TraceKind.LOAD || kind == TraceKind.DMA_READ ? 1 : 0;
        }
        StringBuilder text = new StringBuilder(
                reads == 1
                        ? "The one read saw the value last written."
                        : "Each of the " + reads + " reads saw the value last written.");
        stories.stream()
                .flatMap(story -> story.rows().stream().map(row -> route(outcome, story, row)))
                .filter(sentence -> !sentence.isEmpty())
                .findFirst()
                .ifPresent(sentence -> text.append(' ').append(sentence));
        return text.toString();
    }

    /** How a read of a device came to the right value. */
    private static String route(Outcome outcome, WordStory story, WordStory.Row row) {
        if (row.kind() != TraceKind.DMA_READ || row.copies().isEmpty()) {
            return "";
        }
        TracedEvent event = event(outcome, row);
        if (event.has(Trace.FAULT)) {
            return "";
        }
        WordStory.Move move = row.moves().get(0);
        String begin = "At " + row.last() + " the device " + move.to().name() + " read " + Values.of(event.value());
        if (event.has(Trace.NO_SNOOP_BLOCKED)) {
            return begin + " with no-snoop, which the IOMMU blocked: it was found in "
                    + move.from().inWords() + ".";
        }
        if (!event.has(Trace.UNSNOOPED)) {
            return begin + ", snooped: it was found in " + move.from().inWords() + ".";
        }
        return story.rows().stream()
                .filter(earlier -> earlier.last() < row.first()
                        && earlier.moves().stream().anyMatch(each -> each.to().equals(Place.MEMORY)))
                .reduce((first, second) -> second)
                .map(earlier -> begin + " past the caches, and "
                        + earlier.moves().get(0).from().inWords() + " had put it into memory at " + earlier.last()
                        + ".")
                .orElse(begin + " past the caches; it was in memory all along.");
    }
}
