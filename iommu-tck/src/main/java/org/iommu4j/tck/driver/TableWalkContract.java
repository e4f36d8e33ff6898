// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;

import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.LongUnaryOperator;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.junit.jupiter.api.Test;

/**
 * What a device reaches, as driver and silicon say it, and as a walk says it that was written apart from both.
 *
 * <p>Driver and silicon of one house may read a manual wrongly alike; {@link org.iommu4j.tck.TableWalk} is the witness.
 */
public abstract class TableWalkContract {
    private static final int ROUNDS = 40;

    /** Made by JUnit. */
    protected TableWalkContract() {}

    @Test
    @NeedsAbility({Ability.PCI_DEVICES, Ability.TABLE_WALK})
    @Promise({"translate-1", "translate-2"})
    void driverSiliconAndAnIndependentWalkAgree(Bench bench) {
        Random random = bench.random();
        IommuDomain domain = bench.attached();
        IommuDomain other = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        bench.map(other, bench.iova(), bench.scratch() + 7 * bench.granule());
        bench.attach(other, bench.second());
        List<Long> sizes = bench.pageSizes(domain);
        TreeMap<Long, Long> mapped = new TreeMap<>();
        for (int round = 0; round < ROUNDS; round++) {
            long page = sizes.get(Math.min(random.nextInt(sizes.size()), random.nextInt(sizes.size())));
            long places = Math.max(1, Math.min(bench.room() / page, 8));
            long iova = (bench.iova() & -page) + random.nextInt((int) places) * page;
            boolean fits = iova >= bench.iova() && iova - bench.iova() <= bench.room() - page;
            Long before = mapped.floorKey(iova + page - 1);
            if (before != null && before + mapped.get(before) > iova) {
                assertThat(bench.unmap(domain, before, mapped.remove(before))).isPositive();
            } else if (fits) {
                bench.map(domain, iova, bench.scratch() & -page, page, 1, READ_WRITE);
                mapped.put(iova, page);
            }
            for (long at : new long[] {iova, iova + page - 1, iova + page, iova ^ page, bench.iova()}) {
                assertAgree(bench, domain, bench.device(), at);
            }
            assertAgree(bench, domain, bench.device(), iova + (random.nextLong() & (page - 1)));
            assertAgree(bench, other, bench.second(), bench.iova());
        }
        assertThat(walk(bench, bench.second(), bench.iova())).isEqualTo(bench.scratch() + 7 * bench.granule());
        bench.detach(domain, bench.device());
        for (long iova : mapped.keySet()) {
            assertThat(walk(bench, bench.device(), iova)).as("detached").isEqualTo(IommuDomain.UNMAPPED);
        }
        bench.attach(other, bench.device());
        assertAgree(bench, other, bench.device(), bench.iova());
        assertThat(walk(bench, bench.device(), bench.iova())).isNotEqualTo(IommuDomain.UNMAPPED);
    }

    private static void assertAgree(Bench bench, IommuDomain domain, IommuDevice device, long iova) {
        if (Long.compareUnsigned(iova, bench.traits().firstIova()) < 0
                || Long.compareUnsigned(iova, bench.traits().lastIova()) > 0) {
            return;
        }
        TranslationUnit unit = bench.unitOf(device.id());
        PciAddress address = (PciAddress) device.id();
        long answer = unit.translate(
                unit.spec().sourceId(address.segment(), address.requesterId()),
                TranslationUnit.NO_PASID,
                iova,
                RequestFlags.READ);
        long silicon = Translation.isFault(answer) ? IommuDomain.UNMAPPED : Translation.address(answer);
        assertThat(walk(bench, device, iova)).as("a walk for 0x%x", iova).isEqualTo(silicon);
        assertThat(domain.translate(iova)).as("translate(0x%x)", iova).isEqualTo(silicon);
    }

    private static long walk(Bench bench, IommuDevice device, long iova) {
        LongUnaryOperator memory = bench.traits().snoopedWalks()
                ? address -> bench.machine().memory(0).load(address)
                : address -> bench.machine().peekDram(address);
        TranslationUnitSpec unit = bench.unitOf(device.id()).spec();
        RegisterWindow registers = bench.machine().registers().map(unit.registerBase(), unit.registerSize());
        return bench.traits().walk().orElseThrow().translate(registers, memory, device.id(), iova);
    }
}
