// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.workbench.Workbench;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A live kernel and our VFIO answer random sequences of calls alike, and their devices reach the same memory.
 *
 * <p>{@code -Diommu4j.kernel=FOLDER} names what {@code src/test/agent/prepare} made, several with the path's separator
 * between; {@code -Diommu4j.kernel.machines} the machines, {@code -Diommu4j.kernel.calls} the number of calls, and
 * {@code -Diommu4j.seed} replays what a failure printed.
 */
class LiveVfioIT {
    private static final int LONGEST = 40;
    private static final int BATCH = 50;

    /** As many differences are shrunk and shown. */
    private static final int MOST_DIFFERENCES = 5;

    static Stream<String> kernels() {
        return LiveKernel.folders()
                .flatMap(folder -> Stream.of(System.getProperty("iommu4j.kernel.machines", "INTEL")
                                .split(",", -1))
                        .map(machine -> folder + " " + machine));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("kernels")
    void everyAnswerIsTheKernels(String named) {
        Path folder = Path.of(named.substring(0, named.lastIndexOf(' ')));
        LiveMachine machine = LiveMachine.valueOf(named.substring(named.lastIndexOf(' ') + 1));
        long seed = Long.getLong("iommu4j.seed", System.nanoTime());
        int most = Integer.getInteger("iommu4j.kernel.calls", 2000);
        long began = System.nanoTime();
        try (LiveKernel kernel = LiveKernel.boot(folder, machine, 1)) {
            double booted = secondsSince(began);
            Run run = new Run(kernel, new Random(seed));
            run.compare(most);
            System.out.printf(
                    "VFIO beside Linux %s on %s in %s: %d calls in %d sequences, %d different, %.0f s (boot %.0f s);"
                            + " -Diommu4j.seed=%d%n",
                    kernel.release(),
                    machine,
                    kernel.qemu(),
                    run.calls,
                    run.sequences,
                    run.different,
                    secondsSince(began),
                    booted,
                    seed);
            System.out.println(run.answers);
            assertThat(run.differences)
                    .as("-Diommu4j.seed=%d -Diommu4j.kernel.calls=%d", seed, most)
                    .isEmpty();
            assertThat(kernel.complaints()).isEmpty();
        }
    }

    private static double secondsSince(long nanos) {
        return (System.nanoTime() - nanos) / 1e9;
    }

    /** Sequences on one boot of a kernel, and here. */
    private static final class Run {
        private final LiveKernel kernel;
        private final RandomVfioSequences random;
        private final MachineDescription machine;
        private final List<String> differences = new ArrayList<>();
        private int calls;
        private int sequences;
        private int different;
        private final Map<String, Integer> answers = new TreeMap<>();

        Run(LiveKernel kernel, Random random) {
            this.kernel = kernel;
            this.random = new RandomVfioSequences(random, kernel.usableFunctions());
            Workbench workbench = Workbench.create();
            machine = workbench.describe(workbench.read(kernel.capture()));
        }

        void compare(int most) {
            while (calls < most) {
                List<VfioSequence> batch = new ArrayList<>();
                for (int i = 0; i < BATCH && calls < most; i++) {
                    VfioSequence sequence = random.next(LONGEST);
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
    }

    /** A sequence whose last call is answered differently. */
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
