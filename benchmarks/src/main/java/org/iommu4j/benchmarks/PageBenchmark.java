// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.iommu4j.LinuxRelease;
import org.iommu4j.explorer.Cover;
import org.iommu4j.explorer.World;
import org.iommu4j.workbench.PageWorlds;
import org.iommu4j.workbench.scenario.Kernel;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * A transition of a page over the shipped drivers: two vCPUs and a device on two pages of memory, no steps of the VMM.
 * An invocation is the whole exploration, from setting up the machine on. {@link ExplorerBenchmark#oneWorker} is the
 * engine alone.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 5, time = 2)
@Measurement(iterations = 5, time = 2)
@State(Scope.Thread)
public class PageBenchmark {
    private static final int STATES = 93_827;
    private static final int TRANSITIONS = 417_118;

    private static final String PAGE = """
            case: two-buffers
            about: two vCPUs write two buffers, one of them flushes, and the device reads and writes
            actors:
              vcpu0: {vm: guest, cpu: 1}
              vcpu1: {vm: guest, cpu: 2}
              gpu:   {device: first, vm: guest, no-snoop: true}
            memory:
              buffer: {of: guest}
              other:  {of: guest}
            programs:
              vcpu0: [store buffer = 0x1111, wbinvd, ring gpu, await gpu,
                      store buffer = 0x2222, wbinvd, ring gpu, await gpu]
              vcpu1: [store other = 0x3333, load buffer, clflush other, store other = 0x4444, load other]
              gpu:   [await vcpu0, read buffer, done, await vcpu0, write other = 0x5555, read buffer, done]
            may:
              scheduler: {move: vcpu0, preempt: vcpu0, at-most: 3}
              hardware:  {evict: buffer, prefetch: other}
            never: [unexpected fault]
            """;

    private final World world = PageWorlds.world(
            "two-buffers.yaml",
            PAGE.getBytes(StandardCharsets.UTF_8),
            "intel-nosc",
            Kernel.of(LinuxRelease.of("6.12")),
            Set.of());
    private final PageWorlds worlds = new PageWorlds();

    /** One worker. */
    @Benchmark
    @OperationsPerInvocation(TRANSITIONS)
    public Cover oneWorker() {
        return explore(1);
    }

    /** Two workers. */
    @Benchmark
    @OperationsPerInvocation(TRANSITIONS)
    public Cover twoWorkers() {
        return explore(2);
    }

    private Cover explore(int workers) {
        return ExplorerBenchmark.explore(() -> worlds.open(world.input()), workers, STATES, TRANSITIONS);
    }
}
