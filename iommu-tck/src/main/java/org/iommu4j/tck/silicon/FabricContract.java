// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.spi.InvalidationAnswer.DONE;
import static org.iommu4j.sim.spi.InvalidationAnswer.NEVER;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.FunctionConfig;
import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.InvalidationAnswer;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Machines;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.SiliconBench;
import org.iommu4j.tck.support.Allocations;
import org.junit.jupiter.api.Test;

/**
 * {@link org.iommu4j.sim.spi.Fabric}, as a unit gets it from the machine.
 *
 * <p>A vendor's silicon gets the simulator's. A platform that has memory of its own puts that into the subject.
 */
public abstract class FabricContract {
    private static final long LINE = 64;

    /** Made by JUnit. */
    protected FabricContract() {}

    /** The fabric of the first device's unit, and the other ways to the same memory. */
    private record Ways(Watched watched, Fabric fabric, Machine machine, SystemMemory cpu, SystemMemory otherCpu) {
        static Ways of(Watched watched) {
            Machine machine = watched.bench.machine();
            int cpus = machine.description().processors().cpus();
            return new Ways(watched, watched.unit.fabric.fabric, machine, machine.memory(0), machine.memory(cpus - 1));
        }

        static Ways of(SiliconBench silicon) {
            return of(Watched.on(silicon));
        }

        boolean caches() {
            return machine.caches().isPresent();
        }

        /** Returns an address of its own for each number. */
        long at(int line) {
            return watched.page(100) + line * LINE;
        }

        /** Writes something to DRAM that no cache holds. */
        void inDram(long address, long value) {
            cpu.store(address, value);
            machine.drainCaches();
        }

        /** Leaves a value in a CPU's cache, and the old one in DRAM where there are caches. */
        void dirty(long address, long old, long value) {
            inDram(address, old);
            cpu.store(address, value);
        }
    }

    @Test
    @Promise("fabric-1")
    void aSnoopedReadSeesWhatCpusWrote(SiliconBench silicon) {
        Ways ways = Ways.of(silicon);
        for (int line = 0; line < 8; line++) {
            long word = ways.at(line) + line * 8L;
            ways.dirty(word, 1 + line, 0x100 + line);
            assertThat(ways.fabric.read(word, true)).as("a snooped read").isEqualTo(0x100 + line);
            ways.otherCpu.store(word, 0x200 + line);
            assertThat(ways.fabric.read(word, true)).as("a snooped read").isEqualTo(0x200 + line);
            assertThat(ways.cpu.load(word)).isEqualTo(0x200 + line);
        }
    }

    @Test
    @Promise("fabric-1")
    void aSnoopedWriteLeavesNoStaleLines(SiliconBench silicon) {
        Ways ways = Ways.of(silicon);
        for (int line = 0; line < 8; line++) {
            long word = ways.at(line) + line * 8L;
            ways.dirty(word, 1, 2);
            ways.cpu.store(ways.at(line) + (line + 1) % 8 * 8L, 77);
            ways.otherCpu.load(word);
            ways.fabric.write(word, 3 + line, true);
            assertSeen(ways, word, 3 + line);
            ways.dirty(word, 4, 5);
            ways.fabric.write32(word + 4, 9, true);
            assertSeen(ways, word, 9L << 32 | 5);
            ways.dirty(word, 6, 7);
            assertThat(ways.fabric.compareAndSet(word, 7, 8 + line, true))
                    .as("a snooped compare")
                    .isTrue();
            assertSeen(ways, word, 8 + line);
            assertThat(ways.cpu.load(ways.at(line) + (line + 1) % 8 * 8L))
                    .as("the rest of the line")
                    .isEqualTo(77);
        }
    }

    private static void assertSeen(Ways ways, long word, long value) {
        assertThat(ways.cpu.load(word)).as("what a CPU loads").isEqualTo(value);
        assertThat(ways.otherCpu.load(word)).as("what another CPU loads").isEqualTo(value);
        assertThat(ways.fabric.read(word, true)).as("a snooped read").isEqualTo(value);
        ways.machine.drainCaches();
        assertThat(ways.machine.peekDram(word)).as("memory in the end").isEqualTo(value);
    }

    @Test
    @Promise("fabric-2")
    void whatIsNotSnoopedGoesPastTheCaches(SiliconBench silicon) {
        Ways ways = Ways.of(silicon);
        for (int line = 0; line < 8; line++) {
            long word = ways.at(line) + line * 8L;
            ways.dirty(word, 11, 12);
            assertThat(ways.fabric.read(word, false))
                    .as("a read that is not snooped")
                    .isEqualTo(ways.caches() ? 11 : 12);
            assertThat(ways.cpu.load(word)).as("the CPU's line stays").isEqualTo(12);
            ways.fabric.write(word, 13, false);
            assertThat(ways.machine.peekDram(word))
                    .as("DRAM after a write that is not snooped")
                    .isEqualTo(13);
            assertThat(ways.cpu.load(word)).isEqualTo(ways.caches() ? 12 : 13);
            ways.dirty(word, 14, 15);
            ways.fabric.write32(word, 16, false);
            assertThat(ways.machine.peekDram(word)).isEqualTo(16);
            assertThat(ways.cpu.load(word)).isEqualTo(ways.caches() ? 15 : 16);
            ways.dirty(word, 17, 18);
            long there = ways.caches() ? 17 : 18;
            assertThat(ways.fabric.compareAndSet(word, 99, 19, false)).isFalse();
            assertThat(ways.fabric.compareAndSet(word, there, 19, false)).isTrue();
            assertThat(ways.machine.peekDram(word)).isEqualTo(19);
            assertThat(ways.cpu.load(word)).isEqualTo(ways.caches() ? 18 : 19);
        }
    }

    @Test
    @Promise("fabric-3")
    void nothingAllocates(SiliconBench silicon) {
        Ways ways = Ways.of(silicon);
        Fabric fabric = ways.fabric;
        long word = ways.at(0);
        int sourceId = ways.watched.sourceId;
        long[] sum = new long[1];
        for (boolean snoop : new boolean[] {true, false}) {
            Allocations.assertNone("reading", () -> sum[0] += fabric.read(word, snoop));
            Allocations.assertNone("reading nothing", () -> sum[0] += fabric.read(1L << 50, snoop));
            Allocations.assertNone("writing", () -> fabric.write(word, sum[0], snoop));
            Allocations.assertNone("writing 4 bytes", () -> fabric.write32(word + 4, 5, snoop));
            Allocations.assertNone("comparing", () -> fabric.compareAndSet(word, 1, 2, snoop));
            Allocations.assertNone(
                    "asking the status", () -> sum[0] += fabric.status(word, snoop) == AccessStatus.OK ? 1 : 0);
            Allocations.assertNone("asking what is unreadable", () -> fabric.isUnreadable(word, snoop));
        }
        Allocations.assertNone("asking for memory", () -> fabric.isMemory(word));
        Allocations.assertNone(
                "invalidating",
                () -> fabric.invalidateDevice(sourceId, TranslationUnit.NO_PASID, false, 0, Long.MIN_VALUE, 0));
        Allocations.assertNone(
                "answering", () -> fabric.respondToPageRequest(sourceId, TranslationUnit.NO_PASID, 0, 0));
    }

    /** Returns addresses that are no memory. */
    private static List<Long> outside(Ways ways) {
        long end = ways.machine.description().memoryBytes();
        return List.of(end, end + 8, end + (1L << 32), 1L << 51, Long.MIN_VALUE, -8L);
    }

    @Test
    @Promise("fabric-memory-1")
    void whatIsNoMemoryReadsAsAllOnesAndSwallowsWrites(SiliconBench silicon) {
        Ways ways = Ways.of(silicon);
        long end = ways.machine.description().memoryBytes();
        for (long inside : new long[] {0, 8, end / 2, end - 8}) {
            assertThat(ways.fabric.isMemory(inside))
                    .as("memory at 0x%x", inside)
                    .isTrue();
        }
        long before = ways.machine.digest();
        for (long outside : outside(ways)) {
            assertThat(ways.fabric.isMemory(outside))
                    .as("memory at 0x%x", outside)
                    .isFalse();
            for (boolean snoop : new boolean[] {true, false}) {
                ways.fabric.write(outside, 5, snoop);
                ways.fabric.write32(outside + 4, 6, snoop);
                assertThat(ways.fabric.compareAndSet(outside, -1, 7, snoop)).isFalse();
                assertThat(ways.fabric.read(outside, snoop))
                        .as("a read at 0x%x", outside)
                        .isEqualTo(-1);
            }
        }
        assertThat(ways.machine.digest())
                .as("the machine after writes to no memory")
                .isEqualTo(before);
    }

    @Test
    @Promise("fabric-status-1")
    void onlyAWordThatIsIntactReadsAsItself(SiliconBench silicon) {
        Ways ways = Ways.of(silicon);
        ways.inDram(ways.at(0), -1);
        ways.inDram(ways.at(1), 5);
        ways.inDram(ways.at(2), 6);
        ways.machine.poison(ways.at(2) + 16);
        ways.machine.drainCaches();
        for (boolean snoop : new boolean[] {true, false}) {
            assertThat(ways.fabric.status(ways.at(0), snoop))
                    .as("a word of ones")
                    .isEqualTo(AccessStatus.OK);
            assertThat(ways.fabric.status(ways.at(1), snoop)).isEqualTo(AccessStatus.OK);
            for (int word = 0; word < 8; word++) {
                long corrupt = ways.at(2) + word * 8L;
                assertThat(ways.fabric.status(corrupt, snoop))
                        .as("a corrupt word")
                        .isEqualTo(AccessStatus.POISON);
                assertThat(ways.fabric.read(corrupt, snoop))
                        .as("a corrupt word")
                        .isEqualTo(-1);
            }
            for (long outside : outside(ways)) {
                assertThat(ways.fabric.status(outside, snoop)).isEqualTo(AccessStatus.ACCESS_FAULT);
                assertThat(ways.fabric.read(outside, snoop)).isEqualTo(-1);
            }
        }
    }

    @Test
    @Promise("fabric-unreadable-1")
    void whatIsUnreadableIsWhatIsNotIntact(SiliconBench silicon) {
        Ways ways = Ways.of(silicon);
        ways.inDram(ways.at(0), -1);
        ways.machine.poison(ways.at(2));
        ways.machine.drainCaches();
        for (boolean snoop : new boolean[] {true, false}) {
            assertThat(ways.fabric.isUnreadable(ways.at(0), snoop))
                    .as("a word of ones")
                    .isFalse();
            assertThat(ways.fabric.isUnreadable(ways.at(1), snoop)).isFalse();
            assertThat(ways.fabric.isUnreadable(ways.at(2), snoop))
                    .as("a corrupt word")
                    .isTrue();
            assertThat(ways.fabric.isUnreadable(ways.at(2) + 56, snoop))
                    .as("a corrupt word")
                    .isTrue();
            for (long outside : outside(ways)) {
                assertThat(ways.fabric.isUnreadable(outside, snoop))
                        .as("0x%x", outside)
                        .isTrue();
            }
        }
    }

    @Test
    @Promise("fabric-read-1")
    void aReadBringsTheWordOfItsAddress(SiliconBench silicon) {
        Ways ways = Ways.of(silicon);
        Random random = silicon.random();
        long[] values = random.longs(64).toArray();
        for (int i = 0; i < values.length; i++) {
            ways.cpu.store(ways.at(0) + i * 8L, values[i]);
        }
        ways.machine.drainCaches();
        for (boolean snoop : new boolean[] {true, false}) {
            for (int i = 0; i < values.length; i++) {
                assertThat(ways.fabric.read(ways.at(0) + i * 8L, snoop)).isEqualTo(values[i]);
            }
        }
    }

    @Test
    @Promise("fabric-write-1")
    void aWriteChangesOneWordAndMakesItIntact(SiliconBench silicon) {
        Ways ways = Ways.of(silicon);
        for (boolean snoop : new boolean[] {true, false}) {
            ways.inDram(ways.at(0), 1);
            ways.inDram(ways.at(0) + 8, 2);
            ways.inDram(ways.at(0) + 16, 3);
            ways.fabric.write(ways.at(0) + 8, 0x1122_3344_5566_7788L, snoop);
            ways.machine.drainCaches();
            assertThat(ways.cpu.load(ways.at(0))).isEqualTo(1);
            assertThat(ways.cpu.load(ways.at(0) + 8)).isEqualTo(0x1122_3344_5566_7788L);
            assertThat(ways.cpu.load(ways.at(0) + 16)).isEqualTo(3);
            ways.machine.poison(ways.at(3));
            ways.machine.drainCaches();
            ways.fabric.write(ways.at(3) + 8, 4, snoop);
            ways.machine.drainCaches();
            assertThat(ways.fabric.status(ways.at(3) + 8, snoop))
                    .as("the word written")
                    .isEqualTo(AccessStatus.OK);
            assertThat(ways.fabric.read(ways.at(3) + 8, snoop)).isEqualTo(4);
            assertThat(ways.fabric.status(ways.at(3), snoop))
                    .as("its neighbour")
                    .isEqualTo(AccessStatus.POISON);
        }
    }

    @Test
    @Promise("fabric-write-half-1")
    void aWriteOf4BytesLeavesTheOtherHalfAndACorruptWord(SiliconBench silicon) {
        Ways ways = Ways.of(silicon);
        for (boolean snoop : new boolean[] {true, false}) {
            ways.inDram(ways.at(0), 0x1111_1111_2222_2222L);
            ways.fabric.write32(ways.at(0), 0x8888_8888, snoop);
            ways.machine.drainCaches();
            assertThat(ways.cpu.load(ways.at(0))).isEqualTo(0x1111_1111_8888_8888L);
            ways.machine.drainCaches();
            ways.fabric.write32(ways.at(0) + 4, 0x9999_9999, snoop);
            ways.machine.drainCaches();
            assertThat(ways.cpu.load(ways.at(0))).isEqualTo(0x9999_9999_8888_8888L);
            ways.machine.poison(ways.at(4));
            ways.machine.drainCaches();
            ways.fabric.write32(ways.at(4) + 12, 5, snoop);
            ways.fabric.write32(ways.at(4), 5, snoop);
            ways.machine.drainCaches();
            assertThat(ways.fabric.status(ways.at(4) + 8, snoop))
                    .as("a corrupt word")
                    .isEqualTo(AccessStatus.POISON);
            assertThat(ways.fabric.status(ways.at(4), snoop))
                    .as("a corrupt word")
                    .isEqualTo(AccessStatus.POISON);
        }
    }

    @Test
    @Promise("fabric-cas-1")
    void aWordIsExchangedIfItIsAsExpected(SiliconBench silicon) {
        Ways ways = Ways.of(silicon);
        for (boolean snoop : new boolean[] {true, false}) {
            ways.inDram(ways.at(0), 5L << 32 | 6);
            assertThat(ways.fabric.compareAndSet(ways.at(0), 6, 7, snoop))
                    .as("half of the word fits")
                    .isFalse();
            assertThat(ways.fabric.compareAndSet(ways.at(0), 5L << 32, 7, snoop))
                    .isFalse();
            ways.machine.drainCaches();
            assertThat(ways.cpu.load(ways.at(0))).isEqualTo(5L << 32 | 6);
            ways.machine.drainCaches();
            assertThat(ways.fabric.compareAndSet(ways.at(0), 5L << 32 | 6, 7, snoop))
                    .isTrue();
            ways.machine.drainCaches();
            assertThat(ways.cpu.load(ways.at(0))).isEqualTo(7);
        }
    }

    @Test
    @Promise("fabric-cas-1")
    void exchangesOfSeveralThreadsAreAllKept(SiliconBench silicon) throws InterruptedException {
        Ways ways = Ways.of(Watched.flat(silicon));
        int turns = 2_000;
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            threads.add(new Thread(() -> {
                for (int turn = 0; turn < turns; turn++) {
                    long old = ways.fabric.read(ways.at(0), true);
                    while (!ways.fabric.compareAndSet(ways.at(0), old, old + 1, true)) {
                        old = ways.fabric.read(ways.at(0), true);
                    }
                }
            }));
        }
        ways.cpu.store(ways.at(0), 0);
        threads.forEach(Thread::start);
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(ways.cpu.load(ways.at(0))).as("turns that were counted").isEqualTo(3L * turns);
    }

    @Test
    @Promise("fabric-writable-1")
    void whatIsMemoryTakesWrites(SiliconBench silicon) {
        Ways ways = Ways.of(silicon);
        ways.machine.poison(ways.at(2));
        ways.machine.drainCaches();
        for (int line : new int[] {0, 2}) {
            assertThat(ways.fabric.isWritable(ways.at(line))).as("line %d", line).isTrue();
        }
        for (long outside : outside(ways)) {
            assertThat(ways.fabric.isWritable(outside)).as("0x%x", outside).isFalse();
        }
    }

    // Wires.

    @Test
    @Promise("fabric-wire-1")
    void aWireKeepsItsLevel(SiliconBench silicon) {
        Ways ways = Ways.of(silicon);
        String unit = ways.watched.unit.spec().name();
        for (int wire : new int[] {0, 5, 31}) {
            assertThat(ways.machine.isWireHigh(unit, wire)).isFalse();
            ways.fabric.setWire(wire, true);
            assertThat(ways.machine.isWireHigh(unit, wire)).isTrue();
        }
        ways.fabric.setWire(5, false);
        assertThat(ways.machine.isWireHigh(unit, 5)).isFalse();
        assertThat(ways.machine.isWireHigh(unit, 31)).isTrue();
        ways.machine.reset();
        assertThat(ways.machine.isWireHigh(unit, 31)).as("after power-on").isFalse();
    }

    // Devices.

    @Test
    @Promise("fabric-invalidate-1")
    @NeedsAbility(Ability.TRANSLATION_REQUESTS)
    void aDeviceForgetsTheTranslationsOfARange(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        Fabric fabric = watched.unit.fabric.fabric;
        int none = TranslationUnit.NO_PASID;
        int device = watched.sourceId;
        long iova = watched.iova(0);
        long granule = watched.bench.granule();
        for (int round = 0; round < 2; round++) {
            assertThat(requests(watched, 0)).as("requests for a page not known").isEqualTo(1);
            assertThat(requests(watched, 1)).isEqualTo(1);
            assertThat(requests(watched, 0))
                    .as("requests for a page that is known")
                    .isZero();
            assertThat(invalidate(fabric, device, none, iova, granule))
                    .as("a device answered")
                    .isEqualTo(DONE);
            assertThat(requests(watched, 0))
                    .as("requests after an invalidation")
                    .isEqualTo(1);
            assertThat(requests(watched, 1)).as("requests for another page").isZero();
            assertThat(invalidate(fabric, device, 5, iova, granule)).isEqualTo(DONE);
            assertThat(invalidate(fabric, device, none, iova, 2 * granule)).isEqualTo(DONE);
            assertThat(requests(watched, 1))
                    .as("requests after an invalidation of two pages")
                    .isEqualTo(1);
            assertThat(invalidate(fabric, device, none, 0, Long.MIN_VALUE)).isEqualTo(DONE);
            assertThat(requests(watched, 1))
                    .as("requests after an invalidation of all")
                    .isEqualTo(1);
            assertThat(invalidate(fabric, device, none, 0, Long.MIN_VALUE)).isEqualTo(DONE);
        }
    }

    private static InvalidationAnswer invalidate(Fabric fabric, int device, int pasid, long address, long size) {
        return fabric.invalidateDevice(device, pasid, false, address, size, 0);
    }

    @Test
    @Promise("fabric-invalidate-1")
    @NeedsAbility(Ability.TRANSLATION_REQUESTS)
    void aDeviceForgetsARangeOfAllPasids(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        Fabric fabric = watched.unit.fabric.fabric;
        assertThat(requests(watched, 0)).isEqualTo(1);
        assertThat(fabric.invalidateDevice(watched.sourceId, 5, true, watched.iova(0), watched.bench.granule(), 0))
                .isEqualTo(DONE);
        assertThat(requests(watched, 0))
                .as("requests after an invalidation of all PASIDs")
                .isEqualTo(1);
    }

    /** Returns how many translations the first device requests to read a page. */
    private static int requests(Watched watched, int page) {
        int before = watched.unit.translationRequests;
        watched.bench.requester().read(watched.iova(page), false);
        return watched.unit.translationRequests - before;
    }

    @Test
    @Promise("fabric-invalidate-1")
    void nobodyAnswersWithoutATranslationCache(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        Fabric fabric = watched.unit.fabric.fabric;
        long granule = watched.bench.granule();
        assertThat(invalidate(fabric, 0xfff8, TranslationUnit.NO_PASID, 0, granule))
                .as("the answer of a device that is not there")
                .isEqualTo(NEVER);
        watched.map();
        assertThat(invalidate(fabric, watched.sourceId, TranslationUnit.NO_PASID, watched.iova(0), granule))
                .as("the first device's answer")
                .isEqualTo(silicon.traits().has(Ability.TRANSLATION_REQUESTS) ? DONE : NEVER);
    }

    /** Uses a machine whose first device can request pages, without a driver. */
    @Test
    @Promise("fabric-respond-1")
    @NeedsAbility(Ability.PCI_DEVICES)
    void anAnswerReachesTheDeviceThatWaits(SiliconBench silicon) {
        MachineDescription plain = silicon.subject().machine();
        PciAddress address = Machines.firstEndpoint(plain);
        List<WatchedUnit> units = new ArrayList<>();
        Machine machine = Watched.build(silicon.subject(), Machines.withPageRequests(plain), units);
        Fabric fabric = units.stream()
                .filter(unit -> unit.spec().name().equals(silicon.unit(address)))
                .findFirst()
                .orElseThrow()
                .fabric
                .fabric;
        Endpoint endpoint = machine.endpoint(address);
        FunctionConfig config = endpoint.config();
        config.write(4, 2, 6);
        int pasids = config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_PASID);
        config.write(pasids + 6, 2, 1);
        int pri = config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_PRI);
        config.write(pri + 12, 4, 8);
        config.write(pri + 4, 2, 1);
        int sourceId = silicon.sourceId(address);
        int[] codes = {0, 1, 0, 1, 15};
        for (int group = 0; group < codes.length; group++) {
            int pasid = group % 2 == 0 ? 5 : TranslationUnit.NO_PASID;
            endpoint.usePasid(pasid);
            assertThat(endpoint.requestPages(false, 0x1000L * group))
                    .as("a page was requested")
                    .isTrue();
            int before = endpoint.lastPageResponse();
            fabric.respondToPageRequest(0xfff8, pasid, group, codes[group]);
            fabric.respondToPageRequest(sourceId, pasid, group + 7, codes[group]);
            fabric.respondToPageRequest(sourceId, 6, group, codes[group]);
            assertThat(endpoint.lastPageResponse()).as("the answer to others").isEqualTo(before);
            fabric.respondToPageRequest(sourceId, pasid, group, codes[group]);
            assertThat(endpoint.lastPageResponse()).as("the answer").isEqualTo(codes[group]);
        }
    }
}
