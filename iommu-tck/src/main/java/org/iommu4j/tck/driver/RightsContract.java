// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.driver.Mapped.attachSecond;

import java.util.List;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#map}: rights to read and to write. */
public abstract class RightsContract {
    /** Made by JUnit. */
    protected RightsContract() {}

    @Test
    @Promise("map-5")
    void aReadOnlyPageCantBeWritten(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch(), bench.granule(), 1, Prot.READ | Prot.CACHE);
        bench.store(bench.scratch(), 0x1234);

        assertThat(bench.requester().read(bench.iova(), false))
                .as("the device reads")
                .isEqualTo(0x1234);
        assertThat(bench.requester().write(bench.iova(), 5, false))
                .as("a write is accepted")
                .isFalse();
        assertThat(bench.load(bench.scratch())).as("memory").isEqualTo(0x1234);
    }

    @Test
    @Promise("map-5")
    void pagesOfEverySizeHaveTheRightsOfTheirRunAndNoOther(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            int count = spot.iova() == bench.iova() && size <= 1L << 30 ? 3 : 1;
            for (int prot : new int[] {Prot.READ | Prot.CACHE, READ_WRITE}) {
                bench.map(domain, spot.iova(), spot.physicalAddress(), size, count, prot);
                long iova = spot.iova() + spot.offset();
                for (Requester who : List.of(bench.requester(), other)) {
                    assertRights(bench, who, iova, bench.scratch(), (prot & Prot.WRITE) != 0);
                    // Reading first must not grant writing, nor the other way round.
                    assertRights(bench, who, iova, bench.scratch(), (prot & Prot.WRITE) != 0);
                }
                for (int i = 1; i < count; i++) {
                    long at = spot.iova() + i * size;
                    assertThat(bench.requester().write(at, 7, false))
                            .as("a write to page %d of 0x%x", i, size)
                            .isEqualTo((prot & Prot.WRITE) != 0);
                }
                assertThat(bench.unmap(domain, spot.iova(), count * size)).isEqualTo(count * size);
            }
        }
    }

    @Test
    @Promise("map-5")
    void neighboursKeepTheirRightsWhenOneIsMappedAnew(Bench bench) {
        IommuDomain domain = bench.attached();
        long page = bench.granule();
        int[] rights = {Prot.READ | Prot.CACHE, READ_WRITE, Prot.READ | Prot.CACHE, READ_WRITE};
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < rights.length; i++) {
                if (round == 0 || i == round) {
                    bench.map(domain, bench.iova() + i * page, bench.scratch() + i * page, page, 1, rights[i]);
                }
            }
            for (int i = 0; i < rights.length; i++) {
                assertRights(
                        bench,
                        bench.requester(),
                        bench.iova() + i * page,
                        bench.scratch() + i * page,
                        rights[i] == READ_WRITE);
            }
            int next = round + 1;
            assertThat(bench.unmap(domain, bench.iova() + next * page, page)).isEqualTo(page);
            rights[next] ^= Prot.WRITE;
        }
    }

    private static void assertRights(Bench bench, Requester who, long iova, long physicalAddress, boolean writable) {
        long word = iova * 7 + physicalAddress;
        bench.store(physicalAddress, word);
        assertThat(who.read(iova, false)).as("a read at 0x%x", iova).isEqualTo(word);
        assertThat(who.write(iova, word + 1, false))
                .as("a write at 0x%x is accepted", iova)
                .isEqualTo(writable);
        assertThat(bench.load(physicalAddress)).as("memory").isEqualTo(writable ? word + 1 : word);
    }

    @Test
    @NeedsAbility(Ability.WRITE_ONLY)
    @Promise({"map-5", "map-6"})
    void aWriteOnlyPageCantBeRead(Bench bench) {
        IommuDomain domain = bench.attached();
        Requester other = attachSecond(bench, domain);
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            long iova = spot.iova() + spot.offset();
            bench.map(domain, spot.iova(), spot.physicalAddress(), size, 1, Prot.WRITE | Prot.CACHE);
            for (Requester who : List.of(bench.requester(), other)) {
                bench.store(bench.scratch(), 0x1234);
                assertThat(who.read(iova, false)).as("the device reads").isNotEqualTo(0x1234);
                assertThat(who.write(iova, 5, false)).as("a write is accepted").isTrue();
                assertThat(bench.load(bench.scratch())).as("memory").isEqualTo(5);
            }
            assertThat(bench.unmap(domain, spot.iova(), size)).isEqualTo(size);
        }
    }

    @Test
    @Promise("map-6")
    void whatMayBeWrittenMayBeReadWhereTheFormatCantTellThemApart(Bench bench) {
        IommuDomain domain = bench.attached();
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            long iova = spot.iova() + spot.offset();
            bench.map(domain, spot.iova(), spot.physicalAddress(), size, 1, Prot.WRITE | Prot.CACHE);
            bench.store(bench.scratch(), 0x1234);
            assertThat(bench.requester().write(iova + 8, 5, false))
                    .as("a write is accepted")
                    .isTrue();
            assertThat(bench.requester().read(iova, false) == 0x1234)
                    .as("a page of 0x%x that is mapped for writing alone can be read", size)
                    .isEqualTo(!bench.traits().has(Ability.WRITE_ONLY));
            assertThat(bench.unmap(domain, spot.iova(), size)).isEqualTo(size);
        }
    }
}
