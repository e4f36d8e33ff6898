// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.SiliconBench.digest;
import static org.iommu4j.tck.silicon.Units.reaches;
import static org.iommu4j.tck.silicon.Units.write;
import static org.iommu4j.tck.silicon.Watched.READ;
import static org.iommu4j.tck.silicon.Watched.WRITE;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.NoMemory;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.SiliconBench;
import org.iommu4j.tck.Traits;
import org.junit.jupiter.api.Test;

/** {@link org.iommu4j.sim.spi.TranslationUnit}: registers, steps, threads, memory. */
public abstract class UnitContract {
    /** Made by JUnit. */
    protected UnitContract() {}

    /** Has the driver do some of everything, with batches of several lengths. */
    private static void live(Watched watched) {
        IommuDomain domain = watched.map();
        watched.translate(watched.iova(0), READ);
        IotlbGather gather = new IotlbGather();
        for (int page = 0; page < Watched.PAGES; page += 2) {
            watched.bench.unmap(domain, watched.iova(page), watched.bench.granule(), gather);
        }
        watched.bench.sync(domain, gather);
        watched.bench.attach(watched.bench.domain(), watched.bench.second());
        watched.bench.unmap(domain, watched.iova(1), watched.bench.granule());
        watched.bench.attach(
                watched.bench.iommu().allocate(DomainType.BLOCKED, watched.bench.device()), watched.bench.device());
        watched.settle();
    }

    // Registers and steps.

    @Test
    @Promise("unit-1")
    void aRegisterWriteReachesNoMemoryWhateverTheDriverDoes(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.watch();
        live(watched);
        for (WatchedUnit unit : watched.units) {
            assertThat(unit.insideWrites)
                    .as("accesses of memory inside register writes")
                    .isEmpty();
        }
        assertThat(watched.unit.writes).as("the driver's register writes").isNotEmpty();
    }

    @Test
    @Promise("unit-1")
    @NeedsAbility(Ability.COMPLETION)
    void theWorkThatARegisterWriteMakesIsLeftToSteps(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        IommuDomain domain = watched.map();
        watched.settle();
        watched.watch();
        watched.bench.unmap(domain, watched.iova(0), watched.bench.granule());
        assertThat(watched.unit.steps)
                .as("steps that did something while the driver invalidated")
                .anyMatch(WatchedUnit.Step::worked);
    }

    @Test
    @Promise({"unit-1", "unit-step-1"})
    void eachStepTakesOneEventFromItsQueue(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.watch();
        live(watched);
        for (WatchedUnit unit : watched.units) {
            // Commands of one queue have one size.
            Set<Integer> sizes = new HashSet<>();
            for (WatchedUnit.Step step : unit.steps) {
                int reads = (int) step.accesses().stream()
                        .filter(access -> !access.writes())
                        .map(Access::address)
                        .distinct()
                        .count();
                if (reads > 0) {
                    sizes.add(reads);
                }
            }
            assertThat(sizes).as("words that steps read").hasSizeLessThan(2);
        }
    }

    @Test
    @Promise({"unit-1", "unit-step-2"})
    void noRegisterWriteReachesMemoryAndStepsEndWhateverIsWritten(SiliconBench silicon) {
        Random random = silicon.random();
        for (int round = 0; round < 8; round++) {
            WatchedFabric fabric = new WatchedFabric(new Ram(random));
            fabric.watch();
            TranslationUnit unit = silicon.create(fabric);
            for (int i = 0; i < 200; i++) {
                write(silicon, unit, random);
                assertThat(fabric.take())
                        .as("accesses of memory inside a register write")
                        .isEmpty();
                for (int steps = random.nextInt(3); steps > 0; steps--) {
                    unit.step();
                }
                fabric.take();
            }
            assertStepsEnd(unit);
        }
    }

    private static void assertStepsEnd(TranslationUnit unit) {
        Watched.settle(unit);
        assertThat(unit.step()).as("more work").isFalse();
    }

    @Test
    @Promise("unit-step-2")
    void stepsEndAfterEverythingThatADriverDoes(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        assertStepsEnd(watched.unit);
        for (int group = 0; group < 4; group++) {
            watched.unit.requestPage(
                    watched.sourceId, TranslationUnit.NO_PASID, watched.iova(group), READ | RequestFlags.LAST, group);
            watched.translate(watched.iova(20 + group), WRITE);
        }
        assertStepsEnd(watched.unit);
    }

    @Test
    @Promise("unit-step-1")
    void aStepSaysWhetherItDidSomething(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.watch();
        live(watched);
        for (WatchedUnit unit : watched.units) {
            unit.step();
            for (WatchedUnit.Step step : unit.steps) {
                boolean did = step.changed() || step.accesses().stream().anyMatch(Access::writes);
                if (step.worked()) {
                    assertThat(did || !step.accesses().isEmpty())
                            .as("a step that says it worked did something")
                            .isTrue();
                } else {
                    assertThat(did)
                            .as("a step that says it did nothing changed something")
                            .isFalse();
                }
            }
        }
    }

    @Test
    @Promise("unit-step-1")
    void aNewUnitHasNothingToDo(SiliconBench silicon) {
        WatchedFabric fabric = new WatchedFabric(new Ram());
        fabric.watch();
        TranslationUnit unit = silicon.create(fabric);
        long before = digest(unit);
        for (int i = 0; i < 3; i++) {
            assertThat(unit.step()).as("a new unit has work").isFalse();
        }
        assertThat(fabric.take()).isEmpty();
        assertThat(digest(unit)).as("the digest after steps that did nothing").isEqualTo(before);
    }

    @Test
    @Promise("unit-spec-1")
    void aUnitReturnsItsSpecification(SiliconBench silicon) {
        assertThat(silicon.create(new NoMemory()).spec()).isEqualTo(silicon.spec());
        Watched watched = Watched.on(silicon);
        watched.map();
        assertThat(watched.bench.machine().units().stream().map(TranslationUnit::spec))
                .isEqualTo(silicon.subject().machine().units());
        watched.unit.reset();
        assertThat(silicon.subject().machine().units()).contains(watched.unit.spec());
    }

    // Threads.

    @Test
    @Promise("unit-2")
    void translatesWhileAStepWaitsForMemory(SiliconBench silicon) {
        Watched watched = Watched.flat(silicon);
        IommuDomain domain = watched.map();
        watched.translate(watched.iova(1), READ);
        Thread stepping = Thread.currentThread();
        AtomicInteger turns = new AtomicInteger();
        List<String> wrong = new ArrayList<>();
        watched.unit.fabric.beforeReads(() -> {
            if (Thread.currentThread() == stepping && turns.incrementAndGet() < 4) {
                // Page 1 was translated before, page 2 was not.
                int page = 1 + turns.get() % 2;
                AtomicReference<Long> answer = new AtomicReference<>();
                Thread other = new Thread(() -> answer.set(watched.translate(watched.iova(page), READ)));
                other.setDaemon(true);
                other.start();
                join(other);
                if (answer.get() == null) {
                    wrong.add("no answer while a step waits for memory");
                } else if (!reaches(answer.get(), watched.page(page))) {
                    wrong.add("page " + page + ": " + Translation.toString(answer.get()));
                }
            }
        });
        watched.bench.unmap(domain, watched.iova(0), watched.bench.granule());
        watched.unit.fabric.beforeReads(() -> {});
        assertThat(wrong).isEmpty();
        assertThat(watched.translate(watched.iova(1), READ)).matches(answer -> reaches(answer, watched.page(1)));
    }

    private static void join(Thread thread) {
        try {
            thread.join(1_000);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Test
    @Promise("unit-2")
    void threadsTranslateBesideRegistersAndSteps(SiliconBench silicon) {
        Watched watched = Watched.flat(silicon);
        IommuDomain domain = watched.map();
        AtomicBoolean stop = new AtomicBoolean();
        List<AtomicReference<String>> wrong = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        for (int page = 1; page < Watched.PAGES; page++) {
            AtomicReference<String> first = new AtomicReference<>();
            wrong.add(first);
            Thread thread = new Thread(translating(watched, page, stop, first));
            threads.add(thread);
            thread.start();
        }
        long granule = watched.bench.granule();
        long pages = 20;
        try {
            for (int i = 0; i < 60; i++) {
                for (int offset = 0; offset < Math.min(silicon.spec().registerSize(), 256); offset += 8) {
                    watched.unit.readRegister64(offset);
                    watched.unit.readRegister32(offset + 4);
                }
                watched.bench.map(domain, watched.iova((int) pages), watched.page((int) pages));
                watched.translate(watched.iova((int) pages), READ);
                watched.bench.unmap(domain, watched.iova((int) pages), granule);
                watched.unit.step();
            }
        } finally {
            stop.set(true);
            threads.forEach(UnitContract::join);
        }
        assertThat(wrong).allSatisfy(first -> assertThat(first).hasValue(null));
    }

    private static Runnable translating(Watched watched, int page, AtomicBoolean stop, AtomicReference<String> wrong) {
        long iova = watched.iova(page) + 8L * page;
        return () -> {
            int turn = 0;
            while (!stop.get() || turn < 2_000) {
                long answer = watched.translate(iova, turn % 2 == 0 ? READ : WRITE);
                if (!reaches(answer, watched.page(page) + 8L * page)) {
                    wrong.compareAndSet(null, "page " + page + ", turn " + turn + ": " + Translation.toString(answer));
                    return;
                }
                turn++;
            }
        };
    }

    @Test
    @Promise("unit-2")
    void registerWritesOfSeveralThreadsAreAllTaken(SiliconBench silicon) throws InterruptedException {
        // Each thread has a register of its own, so that the order carries no meaning.
        List<Integer> writable = writable(silicon);
        TranslationUnit one = silicon.create(new NoMemory());
        TranslationUnit two = silicon.create(new NoMemory());
        for (int round = 0; round < 20; round++) {
            List<Thread> threads = new ArrayList<>();
            for (int offset : writable) {
                long value = 0x1000L * round;
                one.writeRegister64(offset, value);
                threads.add(new Thread(() -> two.writeRegister64(offset, value)));
            }
            threads.forEach(Thread::start);
            for (Thread thread : threads) {
                thread.join();
            }
            assertThat(digest(two)).as("after writes by several threads").isEqualTo(digest(one));
        }
    }

    /** Returns a few registers that keep an address in them. */
    private static List<Integer> writable(SiliconBench silicon) {
        List<Integer> writable = new ArrayList<>();
        for (int offset = 0; offset < Math.min(silicon.spec().registerSize(), 256); offset += 8) {
            TranslationUnit unit = silicon.create(new NoMemory());
            unit.writeRegister64(offset, 0x13000);
            boolean keeps = unit.readRegister64(offset) == 0x13000;
            unit.writeRegister64(offset, 0);
            if (keeps && digest(unit) == digest(silicon.create(new NoMemory())) && writable.size() < 3) {
                writable.add(offset);
            }
        }
        return writable;
    }

    // Memory.

    @Test
    @Promise("unit-3")
    void aUnitWithoutMemoryFindsNoTables(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        TranslationUnit blind = silicon.provider(watched.unit.spec()).create(watched.unit.spec(), new NoMemory());
        for (WatchedUnit.RegisterWrite write : watched.unit.writes) {
            write.repeat(blind);
            Watched.settle(blind);
        }
        if (silicon.traits().tables() == Traits.Tables.IN_FRAMES) {
            for (int page = 0; page < Watched.PAGES; page++) {
                long answer = blind.translate(watched.sourceId, TranslationUnit.NO_PASID, watched.iova(page), READ);
                assertThat(reaches(answer, watched.page(page)))
                        .as("page %d is found by a unit that has no memory", page)
                        .isFalse();
            }
        }
    }

    @Test
    @Promise("unit-3")
    void tablesAreReadThroughTheFabric(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        watched.watch();
        assertThat(watched.translate(watched.iova(0), READ)).matches(answer -> reaches(answer, watched.page(0)));
        boolean read = !watched.unit.fabric.take().isEmpty();
        // What the driver's attaching left in caches is never the page itself.
        assertThat(read).as("a walk reads memory").isEqualTo(silicon.traits().tables() == Traits.Tables.IN_FRAMES);
    }

    @Test
    @Promise("unit-3")
    void walksAreSnoopedAsTheVendorSays(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        watched.bench.attach(watched.bench.domain(), watched.bench.second());
        watched.watch();
        for (int page = 0; page < Watched.PAGES; page++) {
            watched.translate(watched.iova(page), page % 2 == 0 ? READ : WRITE);
        }
        watched.translate(watched.iova(Watched.readOnly()), READ);
        watched.translate(watched.iova(60), READ);
        watched.translate(watched.iova(0) + watched.bench.tableSpan(), READ);
        List<Access> walk = watched.unit.fabric.take().stream()
                .filter(access -> !access.writes())
                .toList();
        if (silicon.traits().snoopedWalks()) {
            assertThat(walk).allMatch(Access::snoop);
        } else {
            assertThat(walk).as("walks that are not snooped").anyMatch(access -> !access.snoop());
        }
        assertConstant(walk);
    }

    @Test
    @Promise("unit-3")
    void aWordIsSnoopedAlwaysOrNever(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        IommuDomain domain = watched.map();
        watched.watch();
        List<Access> all = new ArrayList<>();
        for (int round = 0; round < 6; round++) {
            watched.bench.map(domain, watched.iova(20), watched.page(20));
            watched.translate(watched.iova(20), READ);
            watched.translate(watched.iova(0), READ);
            watched.bench.unmap(domain, watched.iova(20), watched.bench.granule());
            // Faults and commands reach memory too.
            watched.translate(watched.iova(20), WRITE);
            watched.bench.iommu().takeFaults();
            all.addAll(watched.unit.fabric.take());
            watched.unit.steps.forEach(step -> all.addAll(step.accesses()));
        }
        assertConstant(all);
        Watched again = Watched.on(silicon);
        again.map();
        again.watch();
        again.translate(again.iova(0), READ);
        Watched third = Watched.on(silicon);
        third.map();
        third.watch();
        third.translate(third.iova(0), READ);
        assertThat(third.unit.fabric.take()).as("the same walk").isEqualTo(again.unit.fabric.take());
    }

    private static void assertConstant(List<Access> accesses) {
        Map<Long, Boolean> snoops = new HashMap<>();
        for (Access access : accesses) {
            Boolean before = snoops.putIfAbsent(access.address(), access.snoop());
            if (before != null) {
                assertThat(access.snoop())
                        .as("snooping of the word at 0x%x", access.address())
                        .isEqualTo(before);
            }
        }
    }
}
