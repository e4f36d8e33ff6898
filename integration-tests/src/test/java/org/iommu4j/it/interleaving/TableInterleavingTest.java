// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.interleaving;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.it.domain.Bench.READ_WRITE;
import static org.iommu4j.it.domain.Bench.SCRATCH;

import java.util.List;
import java.util.function.Consumer;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.it.domain.Bench;
import org.iommu4j.it.domain.Configuration;
import org.iommu4j.it.domain.DomainConfigurations;
import org.iommu4j.it.domain.LeafFormat;
import org.iommu4j.spi.VendorContext;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Two operations on disjoint ranges that share tables: whichever order their accesses take, what an operation mapped
 * can be walked from the moment it returns, and no frame is lost.
 */
class TableInterleavingTest {
    private static final int PREEMPTIONS = 2;
    private static final long PAGE = 4096;
    private static final long LARGE = 2L << 20;
    private static final long IOVA = Bench.IOVA;

    private SteppedMemory memory;
    private Bench bench;

    static List<Configuration> configurations() {
        return DomainConfigurations.interleaved();
    }

    private VendorContext step(VendorContext context) {
        memory = new SteppedMemory(context.memory());
        return new VendorContext(
                memory,
                context.frames(),
                context.registers(),
                context.waiter(),
                context.firmware(),
                context.topology(),
                context.bootOptions(),
                context.release());
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void twoThatNeedTheSameTablesInstallThemOnce(Configuration configuration) {
        long orders = explore(
                configuration,
                domain -> {},
                domain -> map(domain, IOVA, SCRATCH, PAGE),
                domain -> map(domain, IOVA + PAGE, SCRATCH + PAGE, PAGE),
                () -> {
                    assertMapped(IOVA, SCRATCH);
                    assertMapped(IOVA + PAGE, SCRATCH + PAGE);
                });
        assertThat(orders).as("orders tried").isGreaterThan(200);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void aTableIsFreedWhileItsNeighbourIsInstalled(Configuration configuration) {
        long orders = explore(
                configuration,
                domain -> map(domain, IOVA, SCRATCH, PAGE),
                domain -> unmap(domain, IOVA, LARGE, PAGE),
                domain -> map(domain, IOVA + LARGE, SCRATCH + PAGE, PAGE),
                () -> {
                    assertThat(walk(IOVA).present()).isFalse();
                    assertMapped(IOVA + LARGE, SCRATCH + PAGE);
                });
        assertThat(orders).as("orders tried").isGreaterThan(200);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void aLargePageReplacesAnEmptyTableBesideAMapping(Configuration configuration) {
        long orders = explore(
                configuration,
                domain -> {
                    map(domain, IOVA, SCRATCH, PAGE);
                    // A range that is less than the table covers leaves the table, empty.
                    unmap(domain, IOVA, PAGE, PAGE);
                },
                domain -> map(domain, IOVA, SCRATCH, LARGE),
                domain -> map(domain, IOVA + LARGE, SCRATCH + PAGE, PAGE),
                () -> {
                    assertMapped(IOVA + LARGE - PAGE, SCRATCH + LARGE - PAGE);
                    assertMapped(IOVA + LARGE, SCRATCH + PAGE);
                });
        assertThat(orders).as("orders tried").isGreaterThan(200);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void twoTablesUnderOneAreFreedAtTheSameTime(Configuration configuration) {
        long orders = explore(
                configuration,
                domain -> {
                    map(domain, IOVA, SCRATCH, PAGE);
                    map(domain, IOVA + LARGE, SCRATCH + PAGE, PAGE);
                },
                domain -> unmap(domain, IOVA, LARGE, PAGE),
                domain -> unmap(domain, IOVA + LARGE, LARGE, PAGE),
                () -> {
                    assertThat(walk(IOVA).present()).isFalse();
                    assertThat(walk(IOVA + LARGE).present()).isFalse();
                });
        assertThat(orders).as("orders tried").isGreaterThan(50);
    }

    private long explore(
            Configuration configuration,
            Consumer<IommuDomain> before,
            Consumer<IommuDomain> first,
            Consumer<IommuDomain> second,
            Runnable check) {
        bench = new Bench(configuration, this::step);
        long frames = bench.framesInUse();
        return Interleavings.explore(PREEMPTIONS, explorer -> {
            IommuDomain domain = bench.attached();
            before.accept(domain);
            memory.beforeEach(explorer::step);
            return new Interleavings.Trial() {
                @Override
                public void run(int operation) {
                    (operation == 0 ? first : second).accept(domain);
                }

                @Override
                public void check() {
                    memory.beforeEach(() -> {});
                    check.run();
                    domain.detach(bench.device());
                    domain.close();
                    assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
                }
            };
        });
    }

    /** Maps a page, which its unit must find as soon as this returns, whatever the other operation is doing. */
    private void map(IommuDomain domain, long iova, long physicalAddress, long size) {
        domain.map(iova, physicalAddress, size, 1, READ_WRITE);
        domain.syncMap(iova, size);
        assertMapped(iova, physicalAddress);
    }

    private void unmap(IommuDomain domain, long iova, long size, long expected) {
        IotlbGather gather = new IotlbGather();
        long unmapped = 0;
        // A hole ends an unmap; the rest of the range is asked for again, so that its table goes.
        while (unmapped < size) {
            long done = domain.unmap(iova + unmapped, size - unmapped, gather);
            if (done == 0) {
                break;
            }
            unmapped += done;
        }
        domain.sync(gather);
        assertThat(unmapped).isEqualTo(expected);
        assertThat(walk(iova).present()).isFalse();
    }

    private void assertMapped(long iova, long physicalAddress) {
        LeafFormat.Leaf leaf = walk(iova);
        assertThat(leaf.present()).as("0x%x is mapped", iova).isTrue();
        assertThat(leaf.physicalAddress()).isEqualTo(physicalAddress);
    }

    private LeafFormat.Leaf walk(long iova) {
        Configuration configuration = bench.configuration();
        return configuration
                .leaves()
                .walk(
                        bench.machine().registers(),
                        configuration.coherentWalk() ? bench.machine().memory(0)::load : memory::dram,
                        Bench.DEVICE,
                        iova);
    }
}
