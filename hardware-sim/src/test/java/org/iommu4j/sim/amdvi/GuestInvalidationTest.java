// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.GuestBed.GCR3;
import static org.iommu4j.sim.amdvi.GuestBed.GUEST_ROOT;
import static org.iommu4j.sim.amdvi.GuestBed.PASID;
import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.IR_IW;

import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is cached of guest tables, without host tables below. */
class GuestInvalidationTest {
    private static final long IOVA = 0x40205000L;
    private static final long OLD = Translation.to(0x6000, false);
    private static final long NEW = Translation.to(0x7000, false);
    private static final long GN = 4;
    private static final long PDE = 2;
    private static final long ALL = 0x7ffffffffffff001L;

    private final GuestBed guest = new GuestBed();
    private final TestBed bed = guest.bed;
    private long entry;

    @BeforeEach
    void cache() {
        guest.attach(0, 0);
        entry = guest.map(IOVA, 4, 1, 0x6007);
        assertThat(guest.read(IOVA)).isEqualTo(OLD);
        bed.memory.store(entry, 0x7007);
    }

    @ParameterizedTest
    @CsvSource({
        "0x3000000500000003, 0x40205004", // the page
        "0x3000000500000003, 0x40207005", // 64K around it
        "0x3000000500000003, 0x7ffffffffffff005",
        "0x3000000500000003, 0x7ffffffffffff007",
        "-0x8000000000000000, 0"
    })
    void anInvalidationOfItsPasidReachesAPage(long word0, long word1) {
        assertThat(guest.read(IOVA)).isEqualTo(OLD);
        bed.command(word0, word1);

        assertThat(guest.read(IOVA)).isEqualTo(NEW);
    }

    @ParameterizedTest
    @CsvSource({
        "0x3000000500000003, 0x40206004", // another page
        "0x3000000500000002, 0x7ffffffffffff007", // another PASID
        "0x3000000600000003, 0x7ffffffffffff007", // another domain
        "0x3000000500000000, 0x7ffffffffffff003", // host addresses
        "0x3000000500000000, 0x40205002",
        "0x2000000000000110, 0"
    })
    void otherInvalidationsDoNot(long word0, long word1) {
        bed.command(word0, word1);

        assertThat(guest.read(IOVA)).isEqualTo(OLD);
    }

    @Test
    void thePlaceOfATableIsStaleUntilAnInvalidationWithPde() {
        bed.memory.store(GUEST_ROOT + 0x2000 + TestBed.index(IOVA, 2) * 8, 0x780007);
        bed.memory.store(0x780000 + TestBed.index(IOVA, 1) * 8, 0x9007);

        bed.command(0x3000000500000003L, ALL | GN);
        assertThat(guest.read(IOVA)).as("walked the old table").isEqualTo(NEW);
        bed.command(0x3000000500000003L, ALL | GN | PDE);
        assertThat(guest.read(IOVA)).isEqualTo(Translation.to(0x9000, false));
    }

    @Test
    void aPasidsNewRootIsSeenAfterAnInvalidationOfAllItsAddresses() {
        bed.memory.store(GCR3 + PASID * 8L, 0);
        assertThat(guest.read(IOVA)).isEqualTo(OLD);
        bed.command(0x3000000500000003L, ALL | GN | PDE);

        assertThat(Translation.isFault(guest.read(IOVA))).isTrue();
    }

    @Test
    void pagesOfHostAndGuestTablesOfOneDomainAreKeptApart() {
        bed.entry(TestBed.OTHER_DEVICE, IR_IW | TestBed.ROOT | 3 << 9 | 3, 5);
        bed.map(IOVA, 3, 1, IR_IW | 0x8000 | 1);

        assertThat(bed.unit.translate(TestBed.OTHER_DEVICE, -1, IOVA, RequestFlags.READ))
                .isEqualTo(Translation.to(0x8000, false));
        assertThat(guest.read(IOVA)).isEqualTo(OLD);
        bed.command(0x3000000500000003L, ALL | GN | PDE);
        bed.map(IOVA, 3, 1, IR_IW | 0x9000 | 1);
        assertThat(bed.unit.translate(TestBed.OTHER_DEVICE, -1, IOVA, RequestFlags.READ))
                .isEqualTo(Translation.to(0x8000, false));
    }

    @Test
    void aUnitWithNpCacheRemembersWhatIsNotPresent() {
        GuestBed caching = new GuestBed(GuestBed.EFR, AmdViUnitProvider.CAP | 1 << 26);
        caching.attach(0, 0);
        long at = caching.map(IOVA, 4, 1, 0);
        assertThat(Translation.isFault(caching.read(IOVA))).isTrue();
        caching.bed.memory.store(at, 0x6007);
        assertThat(Translation.isFault(caching.write(IOVA))).isTrue();
        assertThat(caching.bed.events())
                .extracting(TestBed.LoggedEvent::word0)
                .containsExactly(0x2001000300000110L, 0x2021000300000110L);

        caching.bed.command(0x3000000500000003L, IOVA | GN);
        assertThat(caching.read(IOVA)).isEqualTo(OLD);
    }

    @Test
    void aHostsNotPresentEntriesAreCachedLikewise() {
        TestBed caching = new TestBed(TestBed.EFR, AmdViUnitProvider.CAP | 1 << 26);
        caching.attach(DEVICE, 3);
        long at = caching.map(IOVA, 3, 2, 0);
        assertThat(Translation.isFault(caching.read(IOVA))).isTrue();
        caching.memory.store(at, IR_IW | 0x600000 | 1);
        assertThat(Translation.isFault(caching.read(IOVA + 0x100000))).isTrue();
        assertThat(caching.events()).extracting(TestBed.LoggedEvent::word0).containsOnly(0x2000000500000110L);

        caching.command(0x3000000500000000L, IOVA);
        assertThat(caching.read(IOVA)).isEqualTo(Translation.to(0x605000, false));
    }
}
