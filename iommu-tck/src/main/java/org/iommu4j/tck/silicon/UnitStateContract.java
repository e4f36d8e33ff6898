// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.SiliconBench.digest;
import static org.iommu4j.tck.silicon.Units.reaches;
import static org.iommu4j.tck.silicon.Units.words;
import static org.iommu4j.tck.silicon.Units.write;
import static org.iommu4j.tck.silicon.Watched.READ;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.iommu4j.IommuDomain;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.NoMemory;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.SiliconBench;
import org.junit.jupiter.api.Test;

/** {@link org.iommu4j.sim.spi.TranslationUnit}: its state as a whole. */
public abstract class UnitStateContract {
    /** Made by JUnit. */
    protected UnitStateContract() {}

    @Test
    @Promise("unit-reset-1")
    void aResetUnitIsANewOne(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        for (int page = 0; page < Watched.PAGES + 2; page++) {
            watched.translate(watched.iova(page), READ);
        }
        TranslationUnit fresh = silicon.provider(watched.unit.spec()).create(watched.unit.spec(), new NoMemory());
        for (int round = 0; round < 2; round++) {
            watched.unit.reset();
            assertThat(digest(watched.unit)).as("the digest after a reset").isEqualTo(digest(fresh));
            assertSameRegisters(silicon, watched.unit, fresh);
            assertThat(watched.unit.step()).as("a unit that was reset has work").isFalse();
            assertThat(watched.translate(watched.iova(0), READ))
                    .as("a translation after a reset, as by a new unit")
                    .isEqualTo(fresh.translate(watched.sourceId, TranslationUnit.NO_PASID, watched.iova(0), READ));
            fresh.reset();
            watched.unit.writes.forEach(write -> write.repeat(watched.unit.unit));
            watched.unit.requestPage(watched.sourceId, 3, watched.iova(0), READ | RequestFlags.LAST, 5);
        }
    }

    @Test
    @Promise("unit-reset-1")
    void aUnitIsResetFromAnyState(SiliconBench silicon) {
        Random random = silicon.random();
        Ram memory = new Ram(random);
        TranslationUnit unit = silicon.create(memory);
        long fresh = digest(unit);
        for (int round = 0; round < 8; round++) {
            for (int i = 0; i < 40; i++) {
                write(silicon, unit, random);
                unit.translate(random.nextInt(1 << 9), TranslationUnit.NO_PASID, random.nextLong() >>> 20, READ);
                if (random.nextInt(4) == 0) {
                    unit.step();
                }
            }
            unit.reset();
            assertThat(digest(unit)).as("the digest after reset %d", round).isEqualTo(fresh);
            assertThat(unit.step()).as("work after a reset").isFalse();
            assertSameRegisters(silicon, unit, silicon.create(new NoMemory()));
        }
    }

    private static void assertSameRegisters(SiliconBench silicon, TranslationUnit unit, TranslationUnit other) {
        assertThat(words(silicon, unit)).as("registers, in words").isEqualTo(words(silicon, other));
    }

    @Test
    @Promise("unit-digest-1")
    void unitsWithOneHistoryHaveOneDigest(SiliconBench silicon) {
        Watched one = Watched.on(silicon);
        Watched two = Watched.on(silicon);
        assertThat(digest(two.unit)).as("after opening").isEqualTo(digest(one.unit));
        one.map();
        two.map();
        assertThat(digest(two.unit)).as("after mapping").isEqualTo(digest(one.unit));
        one.translate(one.iova(0), READ);
        two.translate(two.iova(0), READ);
        assertThat(digest(two.unit)).as("after a translation").isEqualTo(digest(one.unit));
        assertThat(digest(one.unit)).as("asked again").isEqualTo(digest(one.unit));
    }

    @Test
    @Promise("unit-digest-1")
    void theDigestIsAddedToWhatIsThere(SiliconBench silicon) {
        TranslationUnit unit = silicon.create(new NoMemory());
        StateDigest one = new StateDigest();
        one.add(1);
        StateDigest two = new StateDigest();
        two.add(2);
        long nothing = two.value();
        unit.addTo(one);
        unit.addTo(two);
        assertThat(two.value()).as("a digest of something more").isNotEqualTo(one.value());
        assertThat(two.value()).as("a digest to which a unit was added").isNotEqualTo(nothing);
    }

    @Test
    @Promise("unit-digest-1")
    void everyRegisterThatReadsDifferentlyIsInTheDigest(SiliconBench silicon) {
        Random random = silicon.random();
        int window = silicon.spec().registerSize();
        TranslationUnit fresh = silicon.create(new NoMemory());
        long[] values = {-1, 1, 0x1000, random.nextLong(), random.nextLong(), random.nextLong() & ~0xfffL};
        int changes = 0;
        TranslationUnit next = silicon.create(new NoMemory());
        for (int offset = 0; offset < window; offset += 8) {
            for (long value : values) {
                TranslationUnit unit = next;
                unit.writeRegister64(offset, value);
                if (unit.readRegister64(offset) != fresh.readRegister64(offset)) {
                    changes++;
                    next = silicon.create(new NoMemory());
                    assertThat(digest(unit))
                            .as("the digest after 0x%x was written at 0x%x, which reads differently", value, offset)
                            .isNotEqualTo(digest(fresh));
                }
            }
        }
        assertThat(changes).as("registers that can be written").isPositive();
    }

    @Test
    @Promise("unit-digest-1")
    void everyWriteOfTheDriverThatMattersIsInTheDigest(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        // Of each value that a register had, the unit's state has to tell it from the other values.
        Map<Integer, Map<Long, Long>> byOffset = new HashMap<>();
        TranslationUnit unit = silicon.provider(watched.unit.spec()).create(watched.unit.spec(), new NoMemory());
        Set<Long> digests = new HashSet<>();
        digests.add(digest(unit));
        for (WatchedUnit.RegisterWrite write : watched.unit.writes) {
            write.repeat(unit);
            int at = write.offset() & -8;
            long value = unit.readRegister64(at);
            long now = digest(unit);
            digests.add(now);
            Long before =
                    byOffset.computeIfAbsent(at, ignored -> new HashMap<>()).putIfAbsent(now, value);
            if (before != null) {
                assertThat(value).as("the register at 0x%x in one state", at).isEqualTo(before);
            }
        }
        assertThat(digests).as("states while the driver sets the unit up").hasSizeGreaterThan(1);
    }

    @Test
    @Promise("unit-digest-1")
    @NeedsAbility(Ability.TRANSLATION_CACHE)
    void translationsThatAreRememberedAreInTheDigest(SiliconBench silicon) {
        List<Watched> units = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            Watched watched = Watched.on(silicon);
            IommuDomain domain = watched.map();
            // Which page is remembered differs: none, the first, the second, both.
            for (int page = 0; page < 2; page++) {
                if ((i >>> page & 1) != 0) {
                    watched.translate(watched.iova(page), READ);
                }
            }
            watched.bench.unmapOnly(domain, watched.iova(0), 2 * watched.bench.granule());
            units.add(watched);
        }
        List<Long> digests = units.stream().map(each -> digest(each.unit)).toList();
        List<List<Boolean>> futures = new ArrayList<>();
        for (Watched watched : units) {
            List<Boolean> future = new ArrayList<>();
            for (int page = 0; page < 2; page++) {
                future.add(reaches(watched.translate(watched.iova(page), READ), watched.page(page)));
            }
            futures.add(future);
        }
        assertThat(Set.copyOf(futures))
                .as("futures of units that remember different pages")
                .hasSizeGreaterThan(1);
        for (int i = 0; i < units.size(); i++) {
            for (int j = 0; j < i; j++) {
                if (!futures.get(i).equals(futures.get(j))) {
                    assertThat(digests.get(i))
                            .as("digests of units %d and %d, which answer differently", i, j)
                            .isNotEqualTo(digests.get(j));
                }
            }
        }
    }

    @Test
    @Promise("unit-digest-1")
    @NeedsAbility(Ability.FAULT_REPORTS)
    void recordedFaultsAreInTheDigest(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        Set<Long> digests = new HashSet<>();
        for (int i = 0; i < 4; i++) {
            // What the unit remembers of the way to a page that is not there is remembered by the second time.
            watched.translate(watched.iova(30), READ);
            digests.add(digest(watched.unit));
        }
        assertThat(digests).as("digests with 1 to 4 faults in the log").hasSize(4);
    }
}
