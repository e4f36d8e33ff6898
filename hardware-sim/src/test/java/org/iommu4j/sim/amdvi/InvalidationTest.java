// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.FC;
import static org.iommu4j.sim.amdvi.TestBed.IR;
import static org.iommu4j.sim.amdvi.TestBed.IR_IW;
import static org.iommu4j.sim.amdvi.TestBed.OTHER_DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.ROOT;

import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class InvalidationTest {
    private static final long IOVA = 0x40205000L;
    private static final long OLD = Translation.to(0x6000, true);
    private static final long NEW = Translation.to(0x7000, false);

    private static final long INVALIDATE_PAGES_OF_5 = 0x3000000500000000L;
    private static final long INVALIDATE_ALL = 0x8000000000000000L;
    private static final long OTHER_ROOT = 0x600000;
    private static final long S = 1;
    private static final long PDE = 2;

    private final TestBed bed = new TestBed();
    private long entryAddress;

    /** A page that the unit has cached and software has since moved. */
    @BeforeEach
    void makeAStalePage() {
        bed.attach(DEVICE, 3);
        entryAddress = bed.map(IOVA, 3, 1, IR_IW | FC | 0x6000 | 1);
        assertThat(bed.read(IOVA)).isEqualTo(OLD);
        bed.memory.store(entryAddress, IR_IW | 0x7000 | 1);
        assertThat(bed.read(IOVA)).as("not invalidated yet").isEqualTo(OLD);
    }

    @ParameterizedTest
    @CsvSource({
        // address field with flags; whether it is about 0x40205000
        "0x40205000, true",
        "0x40204000, false",
        "0x40206000, false",
        "0x40205002, true",
        "0x40204001, true", // 8K at 40204000
        "0x40206001, false",
        "0x40205001, true", // 16K at 40204000
        "0x40201001, false",
        "0x40200001, false", // 16K at 40200000; 8K at 40200000
        "0x40203001, true", // 32K at 40200000
        "0x4020b001, false", // 32K at 40208000
        "0x402ff001, true", // 2M at 40200000
        "0x400ff001, false", // 2M at 40000000
        "0x400ff003, false",
        "0x7fffffff001, true",
        "0x5fffffff001, false", // 16T at 0; 4T at 4T
        "0x7ffffffffffff001, true", // everything
        "0xfffffffffffff003, true"
    })
    void anInvalidationOfPagesReachesItsRange(String address, boolean reached) {
        bed.command(INVALIDATE_PAGES_OF_5, Long.parseUnsignedLong(address.substring(2), 16));

        assertThat(bed.read(IOVA)).isEqualTo(reached ? NEW : OLD);
    }

    @ParameterizedTest
    @CsvSource({
        "0x3000000600000000, 0x7ffffffffffff003", // another domain's pages
        "0x3000000500000000, 0x7ffffffffffff007", // guest pages of the domain
        "0x2000000000000110, 0", // the device's entry
        "0x4000000000000110, 0x7ffffffffffff001", // the device's own IOTLB
        "0x5000000000000110, 0", // its interrupt table
        "0x1000000000000004, 0" // a wait
    })
    void whatIsAboutSomethingElseLeavesThePage(String word0, String word1) {
        bed.command(Long.decode(word0), Long.decode(word1));

        assertThat(bed.unit.readRegister64(0x2000)).as("executed").isEqualTo(16);
        assertThat(bed.read(IOVA)).isEqualTo(OLD);
    }

    @Test
    void invalidateAllReachesThePageTheTablesAndTheEntry() {
        bed.memory.store(ROOT + TestBed.index(IOVA, 3) * 8, 0);
        bed.command(0x8000000000000000L, 0);
        assertThat(Translation.isFault(bed.read(IOVA))).isTrue();

        bed.entry(DEVICE, 3, 5);
        bed.command(0x8000000000000000L, 0);
        assertThat(Translation.isFault(bed.read(IOVA))).isTrue();
        assertThat(bed.events()).last().isEqualTo(new TestBed.LoggedEvent(0x2050000500000110L, IOVA));
    }

    @Test
    void permissionsAndForceCoherentAreStaleToo() {
        bed.memory.store(entryAddress, IR | 0x6000 | 1);

        assertThat(bed.write(IOVA)).isEqualTo(OLD);
        bed.command(INVALIDATE_PAGES_OF_5, IOVA);
        assertThat(bed.read(IOVA)).isEqualTo(Translation.to(0x6000, false));
        assertThat(Translation.isFault(bed.write(IOVA))).isTrue();

        bed.memory.store(entryAddress, IR_IW | 0x6000 | 1);
        assertThat(Translation.isFault(bed.write(IOVA))).as("cached without IW").isTrue();
    }

    @Test
    void aSinglePageInvalidationReachesTheLargePageAroundIt() {
        long large = 0x80000000L;
        long at = bed.map(large, 3, 2, IR_IW | 0x600000 | 1);
        bed.read(large);
        bed.memory.store(at, IR_IW | 0xa00000 | 1);
        assertThat(bed.read(large + 0x123456)).isEqualTo(Translation.to(0x723456, false));

        bed.command(INVALIDATE_PAGES_OF_5, large + 0x1000);
        assertThat(bed.read(large + 0x123456)).isEqualTo(Translation.to(0xb23456, false));
    }

    @Test
    void thePlaceOfATableIsStaleUntilAnInvalidationWithPde() {
        bed.memory.store(ROOT + 0x1000 + TestBed.index(IOVA, 2) * 8, IR_IW | 0x480000 | 1 << 9 | 1);
        bed.memory.store(0x480000 + TestBed.index(IOVA, 1) * 8, IR_IW | 0x9000 | 1);

        bed.command(INVALIDATE_PAGES_OF_5, IOVA);
        assertThat(bed.read(IOVA)).as("walked the old table").isEqualTo(NEW);
        bed.command(INVALIDATE_PAGES_OF_5, 0x40400000L | PDE);
        bed.command(INVALIDATE_PAGES_OF_5, IOVA);
        assertThat(bed.read(IOVA)).as("another table's place").isEqualTo(NEW);

        bed.command(INVALIDATE_PAGES_OF_5, IOVA | PDE);
        assertThat(bed.read(IOVA)).isEqualTo(Translation.to(0x9000, false));
    }

    @Test
    void aCachedTableKeepsThePermissionsAboveIt() {
        bed.memory.store(ROOT + TestBed.index(IOVA, 3) * 8, IR | 0x401000 | 2 << 9 | 1);
        bed.command(INVALIDATE_PAGES_OF_5, 0x7ffffffffffff000L | S | PDE);
        assertThat(bed.read(IOVA)).isEqualTo(NEW);
        bed.memory.store(entryAddress + 8, IR_IW | 0x8000 | 1);

        assertThat(bed.read(IOVA + 0x1000)).isEqualTo(Translation.to(0x8000, false));
        assertThat(Translation.isFault(bed.write(IOVA + 0x1000))).isTrue();
    }

    @Test
    void devicesOfOneDomainShareCachedPagesButNotPermissions() {
        bed.entry(OTHER_DEVICE, IR | ROOT | 3 << 9 | 3, 5);

        assertThat(bed.unit.translate(OTHER_DEVICE, TranslationUnit.NO_PASID, IOVA, RequestFlags.READ))
                .isEqualTo(OLD);
        assertThat(Translation.isFault(
                        bed.unit.translate(OTHER_DEVICE, TranslationUnit.NO_PASID, IOVA, RequestFlags.WRITE)))
                .isTrue();
        assertThat(bed.write(IOVA)).isEqualTo(OLD);
    }

    @Test
    void domainsDoNotShareCachedPages() {
        bed.entry(OTHER_DEVICE, IR_IW | ROOT | 3 << 9 | 3, 6);

        assertThat(bed.unit.translate(OTHER_DEVICE, TranslationUnit.NO_PASID, IOVA, RequestFlags.READ))
                .isEqualTo(NEW);
        assertThat(bed.read(IOVA)).isEqualTo(OLD);
    }

    @Test
    void aDeviceTableEntryIsStaleUntilItsOwnInvalidation() {
        bed.entry(DEVICE, 3, 5); // blocked
        assertThat(bed.read(IOVA)).isEqualTo(OLD);
        bed.command(INVALIDATE_PAGES_OF_5, 0x7ffffffffffff000L | S | PDE);
        bed.command(0x2000000000000111L, 0); // another device
        assertThat(bed.read(IOVA)).isEqualTo(NEW);

        bed.command(0x2000000000000110L, 0);
        assertThat(Translation.isFault(bed.read(IOVA))).isTrue();
    }

    @Test
    void nothingIsCachedOfAWalkWhoseDeviceTableEntryWasInvalidatedAfterItWasRead() {
        bed.command(0x8000000000000000L, 0);
        bed.fabric.afterNextRead(ROOT + TestBed.index(IOVA, 3) * 8, () -> {
            bed.entry(DEVICE, 3, 5); // blocked
            bed.command(0x2000000000000110L, 0);
            bed.command(INVALIDATE_PAGES_OF_5, 0x7ffffffffffff000L | S | PDE);
        });
        assertThat(bed.read(IOVA)).as("in flight").isEqualTo(NEW);
        assertThat(Translation.isFault(bed.read(IOVA))).isTrue();

        // No device has the domain: its tables go without a further invalidation.
        bed.memory.store(entryAddress + 8, IR_IW | 0x8000 | 1);
        bed.memory.store(ROOT + TestBed.index(IOVA, 3) * 8, 0);
        bed.attach(DEVICE, 3);
        bed.command(0x2000000000000110L, 0);
        assertThat(Translation.isFault(bed.read(IOVA))).as("the page").isTrue();
        assertThat(Translation.isFault(bed.read(IOVA + 0x1000))).as("the table").isTrue();
    }

    /** As a driver moves a device whose old entry had tables of three levels in domain 5. */
    private void moveToDomain6() {
        long entry = TestBed.DEVICE_TABLE + DEVICE * 32L;
        bed.memory.store(entry, 3);
        bed.memory.store(entry + 8, 6);
        bed.memory.store(entry, IR_IW | OTHER_ROOT | 1 << 9 | 3);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 8, 16, 24})
    void aDeviceTableEntryIsReadAsAWhole(int word) {
        bed.map(0x1000, 3, 1, IR_IW | 0x8000 | 1);
        bed.memory.store(OTHER_ROOT + 8, IR_IW | 0x9000 | 1);
        bed.command(INVALIDATE_ALL, 0);
        bed.fabric.afterNextRead(TestBed.DEVICE_TABLE + DEVICE * 32L + word, this::moveToDomain6);
        bed.read(0x1000);

        bed.command(0x2000000000000110L, 0);
        bed.command(INVALIDATE_PAGES_OF_5, 0x7ffffffffffff000L | S | PDE);

        assertThat(bed.read(0x1000))
                .as("nothing of the old tables is under the new id")
                .isEqualTo(Translation.to(0x9000, false));
    }

    @Test
    void notPresentEntriesAreNotCached() {
        assertThat(Translation.isFault(bed.read(IOVA + 0x1000))).isTrue();
        bed.memory.store(entryAddress + 8, IR_IW | 0x8000 | 1);

        assertThat(bed.read(IOVA + 0x1000)).isEqualTo(Translation.to(0x8000, false));
    }

    @Test
    void resetForgetsEverything() {
        StateDigest fresh = new StateDigest();
        new TestBed().unit.addTo(fresh);
        StateDigest warm = new StateDigest();
        bed.unit.addTo(warm);
        assertThat(warm.value()).isNotEqualTo(fresh.value());

        bed.unit.reset();

        StateDigest reset = new StateDigest();
        bed.unit.addTo(reset);
        StateDigest powerOn = new StateDigest();
        new AmdViUnitProvider().create(bed.unit.spec(), bed.fabric).addTo(powerOn);
        assertThat(reset.value()).isEqualTo(powerOn.value());
        assertThat(bed.read(IOVA)).as("off").isEqualTo(Translation.to(IOVA, false));
    }
}
