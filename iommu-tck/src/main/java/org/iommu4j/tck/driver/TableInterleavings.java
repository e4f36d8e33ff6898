// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;

import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Bench;

/**
 * Two operations on disjoint ranges that share tables: whichever order their accesses take, what an operation mapped is
 * reached from the moment it returns, and no frame is lost.
 *
 * <p>{@code -Diommu4j.tck.preemptions=N} tries orders with more preemptions than one.
 */
final class TableInterleavings {
    private static final int PREEMPTIONS = Integer.getInteger("iommu4j.tck.preemptions", 1);

    private final Bench bench;
    private final long page;
    private final long span;
    private final long iova;
    private final long target;
    private SteppedMemory memory;
    private Interleavings explorer;

    TableInterleavings(Bench whole) {
        bench = whole.on(this::step);
        page = bench.granule();
        span = bench.tableSpan();
        iova = bench.iova();
        target = bench.scratch();
    }

    private VendorContext step(VendorContext context) {
        memory = new SteppedMemory(context.memory());
        return context.withMemory(memory);
    }

    /** Tries all pairs of operations. */
    void all() {
        twoThatNeedTheSameTablesInstallThemOnce();
        aTableIsFreedWhileItsNeighbourIsInstalled();
        twoTablesUnderOneAreFreedAtTheSameTime();
        bench.pageSizes(bench.domain()).stream()
                .filter(size -> size > page && size <= span)
                .reduce((first, last) -> last)
                .ifPresent(this::aLargePageReplacesEmptyTablesBesideAMapping);
    }

    private void twoThatNeedTheSameTablesInstallThemOnce() {
        explore(
                domain -> {},
                domain -> map(domain, iova, target, page),
                domain -> map(domain, iova + page, target + page, page),
                List.of(iova, iova + page),
                List.of(target, target + page));
    }

    private void aTableIsFreedWhileItsNeighbourIsInstalled() {
        explore(
                domain -> fill(domain, iova),
                domain -> unmap(domain, iova, span),
                domain -> map(domain, iova + span, target + page, page),
                List.of(iova, iova + span - page, iova + span),
                List.of(IommuDomain.UNMAPPED, IommuDomain.UNMAPPED, target + page));
    }

    private void twoTablesUnderOneAreFreedAtTheSameTime() {
        explore(
                domain -> {
                    fill(domain, iova);
                    fill(domain, iova + span);
                },
                domain -> unmap(domain, iova, span),
                domain -> unmap(domain, iova + span, span),
                List.of(iova, iova + span),
                List.of(IommuDomain.UNMAPPED, IommuDomain.UNMAPPED));
    }

    /** Maps all that a table covers, so that it goes when that is unmapped. */
    private void fill(IommuDomain domain, long at) {
        domain.map(at, target & -span, page, span / page, READ_WRITE);
        domain.syncMap(at, span);
    }

    private void aLargePageReplacesEmptyTablesBesideAMapping(long size) {
        long large = target & -size;
        explore(
                domain -> {
                    map(domain, iova, target, page);
                    // A range that is less than the table covers leaves the table, empty.
                    unmap(domain, iova, page);
                },
                domain -> map(domain, iova, large, size),
                domain -> map(domain, iova + size, target + page, page),
                List.of(iova, iova + size - page, iova + size),
                List.of(large, large + size - page, target + page));
    }

    private void explore(
            Consumer<IommuDomain> before,
            Consumer<IommuDomain> first,
            Consumer<IommuDomain> second,
            List<Long> iovas,
            List<Long> targets) {
        long frames = bench.framesInUse();
        Interleavings.explore(PREEMPTIONS, bench.machine()::release, interleavings -> {
            explorer = interleavings;
            IommuDomain domain = bench.attached();
            before.accept(domain);
            memory.tell((access, address, value) -> interleavings.step(() -> text(access, address, value)));
            return new Interleavings.Trial() {
                @Override
                public void run(int operation) {
                    (operation == 0 ? first : second).accept(domain);
                }

                @Override
                public void check() {
                    memory.tell((access, address, value) -> {});
                    for (int i = 0; i < iovas.size(); i++) {
                        assertAt(domain, iovas.get(i), targets.get(i));
                    }
                    domain.detach(bench.device());
                    domain.close();
                    assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
                }
            };
        });
    }

    private static String text(SteppedMemory.Access access, long address, long value) {
        String name = access.name().toLowerCase(Locale.ROOT).replace('_', ' ');
        return access == SteppedMemory.Access.LOAD
                ? String.format(Locale.ROOT, "%s 0x%x", name, address)
                : String.format(Locale.ROOT, "%s 0x%x, 0x%x", name, address, value);
    }

    /** Maps a page, which a device must reach as soon as this returns, whatever the other operation is doing. */
    private void map(IommuDomain domain, long at, long physicalAddress, long size) {
        domain.map(at, physicalAddress, size, 1, READ_WRITE);
        domain.syncMap(at, size);
        assertAt(domain, at, physicalAddress);
    }

    private void unmap(IommuDomain domain, long at, long size) {
        IotlbGather gather = new IotlbGather();
        assertThat(domain.unmap(at, size, gather)).as("bytes unmapped").isEqualTo(size);
        domain.sync(gather);
        assertAt(domain, at, IommuDomain.UNMAPPED);
    }

    private void assertAt(IommuDomain domain, long at, long physicalAddress) {
        assertThat(domain.translate(at)).as("translation of 0x%x", at).isEqualTo(physicalAddress);
        explorer.step(() -> String.format(Locale.ROOT, "device writes at 0x%x", at));
        assertThat(bench.requester().write(at, 1, false))
                .as("a write at 0x%x", at)
                .isEqualTo(physicalAddress != IommuDomain.UNMAPPED);
        if (physicalAddress == IommuDomain.UNMAPPED) {
            assertThat(bench.requester().status()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        }
    }
}
