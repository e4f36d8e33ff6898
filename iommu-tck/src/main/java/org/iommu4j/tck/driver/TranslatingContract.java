// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.EveryType.ofEveryType;

import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import java.util.function.LongUnaryOperator;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.Promise;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#translate}. */
public abstract class TranslatingContract {
    /** Made by JUnit. */
    protected TranslatingContract() {}

    @Test
    @Promise({"translate-1", "translate-2"})
    void everyByteOfAPageIsTranslated(Bench bench) {
        IommuDomain domain = bench.attached();
        for (long size : bench.pageSizes(domain)) {
            Spot spot = Spot.of(bench, domain, size);
            bench.map(domain, spot.iova(), spot.physicalAddress(), size, 1, READ_WRITE);
            for (long page : new long[] {0, size / 2 & -bench.granule(), size - bench.granule()}) {
                for (long at : new long[] {0, 1, 7, 8, 63, 255, 2047, 4095, bench.granule() - 1}) {
                    assertThat(domain.translate(spot.iova() + page + at))
                            .as("byte 0x%x of a page of 0x%x", page + at, size)
                            .isEqualTo(spot.physicalAddress() + page + at);
                }
            }
            assertThat(domain.translate(spot.iova() + size)).isEqualTo(IommuDomain.UNMAPPED);
            if (spot.iova() != 0) {
                assertThat(domain.translate(spot.iova() - 1)).isEqualTo(IommuDomain.UNMAPPED);
            }
            assertThat(bench.unmap(domain, spot.iova(), size)).isEqualTo(size);
            assertThat(domain.translate(spot.iova())).isEqualTo(IommuDomain.UNMAPPED);
        }
        // What is mapped elsewhere is found there.
        for (int i = 0; i < 3; i++) {
            bench.map(domain, bench.iova(), bench.scratch() + i * bench.granule());
            assertThat(domain.translate(bench.iova() + 9)).isEqualTo(bench.scratch() + i * bench.granule() + 9);
            bench.assertReaches(bench.iova(), bench.scratch() + i * bench.granule());
            assertThat(bench.unmap(domain, bench.iova(), bench.granule())).isEqualTo(bench.granule());
            assertThat(domain.translate(bench.iova() + 9)).isEqualTo(IommuDomain.UNMAPPED);
        }
        // Rights make no difference: the page is mapped.
        bench.map(domain, bench.iova(), bench.scratch(), bench.granule(), 1, Prot.READ);
        bench.map(domain, bench.iova() + bench.granule(), bench.scratch(), bench.granule(), 1, Prot.WRITE);
        assertThat(domain.translate(bench.iova() + 5)).isEqualTo(bench.scratch() + 5);
        assertThat(domain.translate(bench.iova() + bench.granule() + 5)).isEqualTo(bench.scratch() + 5);
    }

    @Test
    @Promise("translate-2")
    void translationsAgreeWithTheHardwareForEveryAddress(Bench bench) {
        IommuDomain domain = bench.attached();
        Random random = bench.random();
        long page = bench.granule();
        List<Long> sizes = bench.pageSizes(domain).stream()
                .filter(size -> size <= 32 * bench.tableSpan() || size <= 1L << 30)
                .toList();
        TreeSet<Long> looked = new TreeSet<>();
        for (long at = page; at != 0; at <<= 1) {
            looked.add(at);
            looked.add(at - 8);
            looked.add(at + bench.iova());
        }
        looked.addAll(List.of(0L, -8L, domain.apertureEnd() - 7, domain.apertureEnd() + 1, domain.apertureStart()));
        for (int step = 0; step < 60; step++) {
            long size = sizes.get(random.nextInt(sizes.size()));
            long place = random.nextInt(4) == 0
                    ? random.nextLong() & domain.apertureEnd() & -size
                    : bench.iova() + (random.nextLong() & 15 * bench.tableSpan() / 4 & -size);
            long physical = bench.scratch() & -size;
            Errnos.isDone(EnumSet.of(Errno.EADDRINUSE, Errno.ERANGE), () -> {
                bench.mapOnly(domain, place, physical, size, 1, READ_WRITE);
                domain.syncMap(place, size);
            });
            if (step % 5 == 4) {
                bench.unmap(domain, place, page);
            }
            long offset = bench.scratch() - physical;
            looked.addAll(List.of(place, place - 8, place + size - 8, place + size, place + offset));
        }
        assertAgreement(bench, domain, looked);
        bench.detach(domain, bench.device());
        looked.forEach(iova -> assertWalked(bench, iova, IommuDomain.UNMAPPED));
    }

    /** Asks the vendor's second witness, where there is one. */
    private static void assertWalked(Bench bench, long iova, long expected) {
        LongUnaryOperator memory = bench.traits().snoopedWalks() ? bench::load : bench.machine()::peekDram;
        TranslationUnitSpec unit = bench.unitOf(bench.device().id()).spec();
        RegisterWindow registers = bench.machine().registers().map(unit.registerBase(), unit.registerSize());
        bench.traits()
                .walk()
                .ifPresent(walk -> assertThat(
                                walk.translate(registers, memory, bench.device().id(), iova))
                        .as("what the vendor's own walk finds at 0x%x", iova)
                        .isEqualTo(expected));
    }

    /** Asks driver, silicon and the vendor's second witness for each address. */
    static void assertAgreement(Bench bench, IommuDomain domain, Iterable<Long> iovas) {
        long token = 0x0c0f_fee0_0000L;
        for (long iova : iovas) {
            long translated = domain.translate(iova);
            String at = "0x" + Long.toHexString(iova);
            for (int i = 1; i < 8; i += 3) {
                assertThat(domain.translate(iova + i))
                        .as("byte %d at %s", i, at)
                        .isEqualTo(translated == IommuDomain.UNMAPPED ? IommuDomain.UNMAPPED : translated + i);
            }
            assertWalked(bench, iova, translated);
            boolean inScratch = translated >= bench.scratch()
                    && translated < bench.subject().machine().memoryBytes();
            if (inScratch) {
                bench.store(translated, ++token);
            }
            bench.steps().note("device reads at %s", at);
            long read = bench.requester().read(iova, false);
            assertThat(bench.requester().status() == RequestStatus.TRANSLATION_FAULT)
                    .as("a read at %s is refused by the unit, where the driver says 0x%x", at, translated)
                    .isEqualTo(translated == IommuDomain.UNMAPPED);
            if (inScratch) {
                assertThat(read).as("what the device reads at %s", at).isEqualTo(token);
            }
        }
    }

    @Test
    @Promise("translate-3")
    void identityTranslatesToItselfAndBlockedToNothing(Bench bench) {
        long[] addresses = {
            0,
            1,
            bench.scratch(),
            bench.scratch() + 5,
            bench.iova(),
            bench.iova() + 7,
            1L << 40,
            (1L << 52) | 3,
            Long.MIN_VALUE,
            -2
        };
        IommuDomain blocked = bench.iommu().allocate(DomainType.BLOCKED, bench.device());
        for (int round = 0; round < 2; round++) {
            for (long address : addresses) {
                assertThat(blocked.translate(address)).isEqualTo(IommuDomain.UNMAPPED);
            }
            bench.attach(blocked, bench.device());
        }
        if (bench.traits().has(Ability.IDENTITY)) {
            IommuDomain identity = bench.iommu().allocate(DomainType.IDENTITY, bench.device());
            for (int round = 0; round < 2; round++) {
                for (long address : addresses) {
                    assertThat(identity.translate(address)).isEqualTo(address);
                }
                bench.attach(identity, bench.device());
            }
        }
    }

    @Test
    @Promise("translate-2")
    void whatIsBeyondTheApertureIsNoOtherNameOfWhatIsInIt(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        for (int bit = bench.traits().addressBits(); bit < Long.SIZE; bit++) {
            assertThat(domain.translate(bench.iova() | (1L << bit)))
                    .as("with bit %d", bit)
                    .isEqualTo(IommuDomain.UNMAPPED);
        }
    }

    @Test
    @Promise("translate-1")
    void everyBitOfAPhysicalAddressIsKept(Bench bench) {
        IommuDomain domain = bench.domain();
        for (int bit = Long.numberOfTrailingZeros(bench.granule());
                bit < bench.traits().physicalBits();
                bit++) {
            domain.map(bench.iova(), 1L << bit, bench.granule(), 1, Bench.READ_WRITE);
            assertThat(domain.translate(bench.iova() + 5)).as("bit %d", bit).isEqualTo((1L << bit) | 5);
            bench.unmap(domain, bench.iova(), bench.granule());
        }
    }

    @Test
    @Promise("translate-4")
    void aClosedDomainTranslatesNothing(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.detach(domain, bench.device());
        List<IommuDomain> all = ofEveryType(bench);
        all.add(domain);
        for (IommuDomain each : all) {
            each.close();
            for (int round = 0; round < 2; round++) {
                assertRefused(Errno.ENODEV, () -> each.translate(bench.iova()));
                assertRefused(Errno.ENODEV, () -> each.translate(0));
                assertRefused(Errno.ENODEV, () -> each.translate(-1));
            }
        }
    }
}
