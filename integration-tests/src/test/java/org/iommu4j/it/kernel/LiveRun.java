// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * A kernel and a machine on which random sequences are compared.
 *
 * <p>{@code -Diommu4j.kernel=FOLDER} names what {@code src/test/agent/prepare} made, several with the path's separator
 * between; {@code -Diommu4j.kernel.machines} the machines, {@code -Diommu4j.kernel.calls} the number of calls, and
 * {@code -Diommu4j.seed} replays what a failure printed.
 *
 * @param folder what {@code prepare} made
 * @param machine where it is booted
 */
record LiveRun(Path folder, LiveMachine machine) {
    /**
     * Returns all runs that this build names.
     *
     * @param machines their names with commas between, where the build names none
     */
    static Stream<LiveRun> all(String machines) {
        String[] names = System.getProperty("iommu4j.kernel.machines", machines).split(",", -1);
        return LiveKernel.folders()
                .flatMap(folder -> Stream.of(names).map(name -> new LiveRun(folder, LiveMachine.valueOf(name))));
    }

    /** Boots the kernel, with one CPU. */
    LiveKernel boot() {
        return LiveKernel.boot(folder, machine, 1);
    }

    /**
     * Compares random sequences.
     *
     * @param what whose calls they are
     * @param kernel the kernel, booted
     * @param comparison its comparison, which may have compared something already
     * @param oddIovas addresses that the calls use seldom
     * @param random makes what adds the calls
     * @throws AssertionError where an answer differs, or the kernel complained
     */
    static void compare(
            String what,
            LiveKernel kernel,
            LiveComparison comparison,
            long[] oddIovas,
            Function<SequenceDraft, RandomCalls> random) {
        long seed = Long.getLong("iommu4j.seed", System.nanoTime());
        int most = Integer.getInteger("iommu4j.kernel.calls", 2000);
        SequenceDraft draft = new SequenceDraft(
                new Random(seed), LiveKernel.FUNCTIONS.size(), comparison.functionsForDma(), oddIovas);
        comparison.compare(most, new RandomSequences(draft, random.apply(draft))::next);
        System.out.printf(
                "%s beside Linux %s on %s in %s: %s; -Diommu4j.seed=%d%n",
                what, kernel.release(), kernel.machine(), kernel.qemu(), comparison, seed);
        System.out.println(comparison.answers());
        assertThat(comparison.differences())
                .as("-Diommu4j.seed=%d -Diommu4j.kernel.calls=%d", seed, most)
                .isEmpty();
        assertThat(kernel.complaints()).isEmpty();
    }

    @Override
    public String toString() {
        return folder + " " + machine;
    }
}
