// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import org.iommu4j.IommuDomain;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.core.IommuMapper;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.CacheFeatures;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.page.PageCase;
import org.iommu4j.workbench.page.PageReader;
import org.iommu4j.workbench.report.WordStory.Flush;
import org.iommu4j.workbench.report.WordStory.Row;
import org.iommu4j.workbench.report.WordStory.Stay;
import org.iommu4j.workbench.report.WordStory.WrongRead;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.DeviceAccess;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.Scenario;
import org.junit.jupiter.api.Test;

/** The replay of a word against all memory types, instructions and features of caches. */
class ProcessorStoryTest {
    private static final Workbench WORKBENCH = Workbench.create();

    private static final int PROGRAMS = 200;
    private static final int STEPS = 40;
    private static final List<MemoryType> TYPES = List.of(MemoryType.values());

    private static final CacheFeatures INCLUSIVE = CacheFeatures.ORDINARY.withInclusive(true);
    private static final CacheFeatures DIRECT = CacheFeatures.ORDINARY.withDataDirectIo(true);

    private static final List<CacheFeatures> FEATURES = List.of(
            CacheFeatures.ORDINARY,
            CacheFeatures.ORDINARY.withSelfSnoop(false).withCombiningBuffers(1),
            INCLUSIVE,
            DIRECT,
            INCLUSIVE.withDataDirectIo(true).withSelfSnoop(false));

    /** What a program has: a device, and CPUs that use a word of its buffer. */
    private record World(Machine machine, Endpoint device, long word) {
        Processor cpu(int number) {
            return machine.processors().get(number);
        }

        long read(boolean noSnoop) {
            return DeviceAccess.read(device, Scenario.IOVA, noSnoop);
        }

        void write(int offset, long value, boolean noSnoop) {
            DeviceAccess.write(device, Scenario.IOVA + offset, value, noSnoop);
        }
    }

    private static Outcome run(CacheFeatures features, Consumer<World> program) {
        Case story = new Case() {
            @Override
            public String name() {
                return "program";
            }

            @Override
            public String about() {
                return "What a test does.";
            }

            @Override
            public void run(Scenario scenario) {
                Machine machine = scenario.machine();
                long page = machine.frames().allocate(0);
                IommuDomain domain = scenario.newDomain(scenario.device());
                IommuMapper.map(domain, Scenario.IOVA, page, 4096, Prot.READ_WRITE | Prot.CACHE);
                scenario.attach(scenario.device(), domain);
                Endpoint device = machine.endpoint(scenario.device());
                DeviceAccess.enableBusMaster(device.config());
                DeviceAccess.enableNoSnoop(device.config(), true);
                program.accept(new World(machine, device, page));
            }
        };
        return WORKBENCH.runner().run(story, machine(features), LinuxRelease.NEWEST);
    }

    private static MachineDescription machine(CacheFeatures features) {
        MachineDescription machine = WORKBENCH.machines().named("intel-nosc");
        return machine.withProcessors(machine.processors().withFeatures(features));
    }

    private static WordStory story(CacheFeatures features, Consumer<World> program) {
        Outcome outcome = run(features, program);
        return WordStory.of(
                outcome,
                outcome.timeline().stream()
                        .filter(entry -> entry.event().iova() == Scenario.IOVA)
                        .findFirst()
                        .orElseThrow()
                        .event()
                        .address());
    }

    /** Random programs find values where the replay has them, and the verdict's wrong reads read old ones. */
    @Test
    void everyReadOfARandomProgramFindsItsValueWhereTheReplayHasIt() {
        long seed = Long.getLong("iommu4j.seed", System.nanoTime());
        Random random = new Random(seed);
        for (int i = 0; i < PROGRAMS; i++) {
            CacheFeatures features = FEATURES.get(i % FEATURES.size());
            Outcome outcome = run(features, world -> program(world, random));
            List<StaleRead> shown = new ArrayList<>();
            for (WordStory story : WordStory.of(outcome)) {
                String what = "-Diommu4j.seed=" + seed + ", program " + i + ", " + features + ":\n"
                        + String.join(
                                "\n",
                                outcome.timeline().stream()
                                        .map(entry -> entry.at() + " " + entry.who() + " " + entry.text() + " flags "
                                                + entry.event().flags())
                                        .toList());
                assertThat(story.unexplained()).as(what).isEmpty();
                for (WrongRead wrong : story.wrongReads()) {
                    shown.add(wrong.read());
                    assertThat(story.rows()
                                    .get(wrong.row())
                                    .copies()
                                    .get(wrong.source())
                                    .freshness())
                            .as(what)
                            .isEqualTo(Freshness.OLD);
                }
            }
            assertThat(shown)
                    .as("-Diommu4j.seed=" + seed + ", program " + i)
                    .containsAll(outcome.staleReads().stream()
                            .filter(read ->
                                    WordStory.of(outcome).stream().anyMatch(story -> story.word() == read.address()))
                            .toList());
        }
    }

    /** The unit reads the driver's tables first, before INVD can drop what is only cached of them. */
    private static void program(World world, Random random) {
        world.read(false);
        for (int step = 1; step <= STEPS; step++) {
            Processor cpu = world.cpu(random.nextInt(2));
            MemoryType type = TYPES.get(random.nextInt(TYPES.size()));
            int offset = random.nextInt(4) == 0 ? 8 : 0;
            switch (random.nextInt(16)) {
                case 0, 1, 2, 3 -> cpu.store(world.word() + offset, step * 0x1111L, type);
                case 4, 5, 6 -> cpu.load(world.word(), type);
                case 7 -> world.write(offset, step * 0x1111L, random.nextBoolean());
                case 8, 9 -> world.read(random.nextBoolean());
                case 10 -> {
                    switch (random.nextInt(3)) {
                        case 0 -> cpu.clflush(world.word());
                        case 1 -> cpu.clflushopt(world.word());
                        default -> cpu.clwb(world.word());
                    }
                }
                case 11 -> {
                    switch (random.nextInt(4)) {
                        case 0 -> cpu.wbinvd();
                        case 1, 2 -> cpu.wbnoinvd();
                        default -> cpu.invd();
                    }
                }
                case 12 -> cpu.sfence();
                case 13 -> world.machine().evict(cpu.id(), world.word());
                case 14 -> world.machine().prefetch(cpu.id(), world.word());
                default -> world.machine().caches().orElseThrow().evictPrivate(cpu.id(), world.word());
            }
        }
        world.read(true);
    }

    @Test
    void aCombinedWordIsInTheBufferUntilAFenceDrainsIt() {
        WordStory story = story(CacheFeatures.ORDINARY, world -> {
            world.cpu(1).store(world.word(), 0x1111, MemoryType.WC);
            world.read(false);
            world.cpu(1).sfence();
            world.read(true);
        });

        assertThat(story.places()).contains(Place.buffer(1));
        assertThat(story.rows())
                .extracting(Row::words)
                .containsExactly("stores 1111 as WC", "reads 0, snooped", "SFENCE", "drains", "reads 1111, no-snoop");
        assertThat(story.wrongReads()).hasSize(1);
        assertThat(story.wrongReads().get(0).holders()).containsExactly(Place.buffer(1));
    }

    @Test
    void aFlushThatWaitsForAFenceIsNamedAsWaiting() {
        Outcome outcome = run(CacheFeatures.ORDINARY, world -> {
            world.cpu(0).store(world.word(), 0x1111, MemoryType.WB);
            world.cpu(0).clwb(world.word());
            world.read(true);
            world.cpu(0).sfence();
            world.read(true);
        });
        WordStory story = WordStory.of(outcome).get(0);

        assertThat(story.wrongReads()).hasSize(1);
        assertThat(story.wrongReads().get(0).flushes()).extracting(Flush::later).containsExactly(true);
        assertThat(Summary.of(outcome, List.of(story)))
                .contains("still in the cache of cpu0")
                .contains("cpu0 asked for a flush that still waited for a fence");
        assertThat(story.rows()).extracting(Row::words).contains("CLWB, done by a fence", "SFENCE", "writes back");
    }

    @Test
    void aDevicesDirectWriteIsInTheSharedCacheAndOnlyThere() {
        WordStory story = story(DIRECT, world -> {
            world.write(0, 0x1111, false);
            world.read(false);
            world.read(true);
        });

        assertThat(story.rows().get(0).copies().get(Place.SHARED_CACHE).freshness())
                .isEqualTo(Freshness.ONLY_CACHED);
        assertThat(story.wrongReads()).hasSize(1);
        assertThat(story.wrongReads().get(0).holders()).containsExactly(Place.SHARED_CACHE);
    }

    @Test
    void aDevicesDirectWriteBesideTheWordTakesItsNewestValueIntoTheSharedCache() {
        WordStory story = story(DIRECT.withInclusive(true), world -> {
            world.cpu(0).store(world.word(), 0x1111, MemoryType.WB);
            world.write(8, 0x2222, false);
            world.read(false);
        });

        assertThat(story.unexplained()).isEmpty();
        assertThat(story.rows()).extracting(Row::words).last().isEqualTo("reads 1111, snooped");
        assertThat(story.stays())
                .filteredOn(stay -> stay.place().equals(Place.SHARED_CACHE))
                .extracting(Stay::freshness)
                .containsExactly(Freshness.NEWEST, Freshness.OLD, Freshness.ONLY_CACHED);
    }

    @Test
    void aStoreThroughTheCacheIsInMemoryAndInTheOwnCacheAtOnce() {
        WordStory story = story(CacheFeatures.ORDINARY, world -> {
            world.cpu(0).load(world.word(), MemoryType.WT);
            world.cpu(0).store(world.word(), 0x1111, MemoryType.WT);
            world.read(true);
        });

        Row store = story.rows().get(1);
        assertThat(store.words()).isEqualTo("stores 1111 as WT");
        assertThat(store.copies().get(Place.cache(0)).freshness()).isEqualTo(Freshness.NEWEST);
        assertThat(store.copies().get(Place.MEMORY).freshness()).isEqualTo(Freshness.NEWEST);
        assertThat(story.wrongReads()).isEmpty();
    }

    /** The driver's tables are in that cache too, so the unit reads them before. */
    @Test
    void aLineThatInvdDropsIsNamedAsDropped() {
        Outcome outcome = run(CacheFeatures.ORDINARY, world -> {
            world.read(false);
            world.cpu(0).store(world.word(), 0x1111, MemoryType.WB);
            world.cpu(0).invd();
            world.read(false);
        });

        assertThat(Summary.of(outcome, WordStory.of(outcome)))
                .contains("the cache of cpu0 dropped that value and wrote it nowhere");
    }

    /** KVM makes the memory of a guest without no-snoop DMA write-back, so the device of this one has it. */
    @Test
    void aPageThatMapsItsBufferWriteCombiningHasABufferInItsPicture() {
        Case page = new PageCase(PageReader.read("combining.yaml", """
                case: combining
                about: A guest's driver stores write-combining and rings without a fence.
                sources: [Intel SDM volume 3, section 12.3.1]
                actors:
                  vcpu0: {vm: guest, cpu: 1}
                  gpu:   {device: first, vm: guest, no-snoop: true}
                memory:
                  buffer: {of: guest}
                steps:
                  - vcpu0: map buffer as WC
                  - vcpu0: store buffer = 0x1111
                  - gpu:   read buffer
                expect:
                  - {verdict: CORRUPTED, blame: GUEST_DRIVER}
                """.getBytes(StandardCharsets.UTF_8)));
        Outcome outcome = WORKBENCH.runner().run(page, machine(CacheFeatures.ORDINARY), LinuxRelease.NEWEST);

        assertThat(RunHtml.of(outcome))
                .contains("buffer of cpu1")
                .contains("that value was still in the write-combining buffer of cpu1")
                .contains("It was stored write-combining at 5, and no fence drained it since.");
    }
}
