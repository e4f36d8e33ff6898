// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.IntFunction;
import java.util.stream.Stream;
import org.iommu4j.sim.spi.MachineDescription;

/**
 * Random sequences on one boot of a kernel, and here: every answer is compared. A difference is shrunk, on the same
 * boot, to its shortest sequence.
 */
final class LiveComparison {
    private static final int LONGEST = 40;
    private static final int BATCH = 50;

    /** As many differences are shrunk and shown. */
    private static final int MOST_DIFFERENCES = 5;

    private final LiveKernel kernel;
    private final MachineDescription machine;
    private final List<String> differences = new ArrayList<>();
    private int calls;
    private int sequences;
    private int different;
    private final Map<String, Integer> answers = new TreeMap<>();

    /**
     * What a function behind a bridge does that moves to another container; asked once, since the unit remembers.
     * Empty where the unit does not know it.
     */
    private final Optional<Difference> moved;

    /** Makes a comparison; a function behind a bridge moves to another container on both sides. */
    LiveComparison(LiveKernel kernel) {
        this.kernel = kernel;
        machine = kernel.description();
        moved = kernel.machine().doesDma() && kernel.machine().knowsBuses()
                ? Optional.of(moveFunction())
                : Optional.empty();
    }

    private Difference moveFunction() {
        VfioSequence sequence = VfioSequence.ofMovedFunction(LiveKernel.BEHIND_BRIDGE, 0);
        return new Difference(sequence, kernel.perform(List.of(sequence)).get(0), perform(sequence));
    }

    /**
     * Returns how many of the functions may do DMA in any sequence. Those behind a bridge may not where a driver leaves
     * the context entry of the bridge's id in the unit, as it did from 6.11 to 7.2: it would lead to tables that an
     * earlier sequence freed. Nor may they where the unit does not know them. None may where the kernel believes in
     * what the unit does not do.
     */
    int functionsForDma() {
        if (!kernel.machine().doesDma()) {
            return 0;
        }
        return moved.filter(answered -> Stream.of(answered.theirs, answered.ours)
                        .noneMatch(answers -> answers.get(answers.size() - 1).contains(" 0+0x1010=")))
                .map(known -> LiveKernel.FUNCTIONS.size())
                .orElse(LiveKernel.BEHIND_BRIDGE);
    }

    /** Compares what the function behind a bridge did. */
    void compareMovedFunction() {
        moved.ifPresent(answered -> {
            calls += answered.sequence.calls().size();
            sequences++;
            if (!answered.ours.equals(answered.theirs)) {
                different++;
                differences.add(answered.toString());
            }
        });
    }

    /**
     * Compares random sequences.
     *
     * @param most until as many calls were made
     * @param random makes the next sequence, of up to as many calls
     */
    void compare(int most, IntFunction<VfioSequence> random) {
        while (calls < most) {
            List<VfioSequence> batch = new ArrayList<>();
            for (int i = 0; i < BATCH && calls < most; i++) {
                VfioSequence sequence = random.apply(LONGEST);
                batch.add(sequence);
                calls += sequence.calls().size();
            }
            sequences += batch.size();
            for (Difference difference : differences(batch)) {
                different++;
                if (differences.size() < MOST_DIFFERENCES) {
                    differences.add(shrink(difference).toString());
                }
            }
        }
    }

    /** Returns the differences that were found, each with its shortest sequence. */
    List<String> differences() {
        return differences;
    }

    /** Returns how often each call was answered with each errno. */
    Map<String, Integer> answers() {
        return answers;
    }

    @Override
    public String toString() {
        return calls + " calls in " + sequences + " sequences, " + different + " different";
    }

    /** Returns the first difference of each sequence that has one. */
    private List<Difference> differences(List<VfioSequence> batch) {
        List<List<String>> theirs = kernel.perform(batch);
        List<Difference> found = new ArrayList<>();
        for (int i = 0; i < batch.size(); i++) {
            VfioSequence sequence = batch.get(i);
            for (int step = 0; step < sequence.calls().size(); step++) {
                String[] words = theirs.get(i).get(step).split(" ", 3);
                String kind = sequence.calls().get(step).kind().name();
                answers.merge(kind + " " + words[words.length > 1 ? 1 : 0], 1, Integer::sum);
            }
            List<String> ours = perform(sequence);
            for (int step = 0; step < ours.size(); step++) {
                if (step == theirs.get(i).size()
                        || !ours.get(step).equals(theirs.get(i).get(step))) {
                    List<VfioCall> upTo = sequence.calls()
                            .subList(0, Math.min(step + 1, sequence.calls().size()));
                    found.add(new Difference(sequence.with(upTo), theirs.get(i), ours));
                    break;
                }
            }
        }
        return found;
    }

    /** Returns our answers; behind them what was wrong at the end, or went wrong. */
    private List<String> perform(VfioSequence sequence) {
        SimulatedVfio vfio =
                new SimulatedVfio(machine, kernel.release(), LiveKernel.FUNCTIONS, LiveKernel.KERNELS, sequence);
        List<String> answers = vfio.perform(sequence.calls());
        try {
            vfio.exit();
        } catch (AssertionError leak) {
            answers.add(leak.getMessage());
        }
        return answers;
    }

    /** Leaves out calls as long as a difference is left, many candidates at once. */
    private Difference shrink(Difference difference) {
        Difference shortest = difference;
        int chunk = Math.max(1, shortest.sequence.calls().size() / 2);
        while (true) {
            List<VfioSequence> candidates = new ArrayList<>();
            List<VfioCall> all = shortest.sequence.calls();
            for (int from = 0; from < all.size(); from += chunk) {
                List<VfioCall> fewer = new ArrayList<>(all);
                fewer.subList(from, Math.min(from + chunk, all.size())).clear();
                candidates.add(shortest.sequence.with(fewer));
            }
            List<Difference> left = differences(candidates);
            if (!left.isEmpty()) {
                shortest = left.get(0);
            } else if (chunk == 1) {
                return shortest;
            } else {
                chunk /= 2;
            }
        }
    }

    /** A sequence, of which the last call may be answered differently. */
    private record Difference(VfioSequence sequence, List<String> theirs, List<String> ours) {
        @Override
        public String toString() {
            StringBuilder text =
                    new StringBuilder("\n" + sequence.with(List.of()).text(0));
            for (int i = 0; i < sequence.calls().size(); i++) {
                text.append(sequence.calls().get(i))
                        .append(" -> ")
                        .append(ours.get(i))
                        .append('\n');
            }
            int last = sequence.calls().size() - 1;
            if (ours.size() > sequence.calls().size() && ours.get(last).equals(theirs.get(last))) {
                return text + "ours at the end: " + ours.get(last + 1) + "\n";
            }
            return text + "the kernel's last answer: " + theirs.get(last) + "\n";
        }
    }
}
