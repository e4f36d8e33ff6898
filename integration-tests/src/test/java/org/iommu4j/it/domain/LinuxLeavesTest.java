// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.READ_WRITE;
import static org.iommu4j.it.domain.Bench.SCRATCH;

import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.it.domain.Configuration.Enforcement;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The words in tables are those that Linux writes, and a walk by hand finds what was mapped. */
class LinuxLeavesTest {
    private static final long PAGE = 4096;
    private static final long LARGE = 2L << 20;

    static Stream<Configuration> configurations() {
        return Stream.of(
                        IntelConfigurations.configurations(),
                        IntelScalableConfigurations.configurations(),
                        AmdConfigurations.configurations(),
                        AmdGuestConfigurations.configurations())
                .flatMap(List::stream);
    }

    private static boolean ask(IommuDomain domain) {
        return domain.cacheCoherencyEnforcement()
                .map(control -> control.enforce())
                .orElse(false);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void leafEntriesAreThoseOfLinux(Configuration configuration) {
        Bench bench = new Bench(configuration);
        IommuDomain domain = bench.attached();
        boolean enforced = ask(domain) && configuration.enforcement() == Enforcement.GRANTED;
        LeafFormat leaves = configuration.leaves();
        long iova = IOVA;
        for (long size : List.of(PAGE, 2 * PAGE, 4 * PAGE, 16 * PAGE, LARGE, 2 * LARGE, 1L << 30)) {
            if ((domain.pageSizes() & size) == 0) {
                continue;
            }
            for (int prot : List.of(Prot.READ, Prot.WRITE, Prot.READ_WRITE, READ_WRITE)) {
                bench.map(domain, iova, 0, size, 1, prot);
                long expected = leaves.linuxLeaf(0, size, prot, enforced);
                long replica = size / leaves.replicas(size);
                for (long at = 0; at < size; at += replica) {
                    assertThat(bench.walk(iova + at).entry())
                            .as("%s of 0x%x, at 0x%x", Prot.toString(prot), size, at)
                            .isEqualTo(expected);
                }
                iova += 1L << 30;
            }
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void leafEntriesBeforeAnybodyAskedAreThoseOfTheDmaApi(Configuration configuration) {
        Bench bench = new Bench(configuration);
        IommuDomain domain = bench.iommu().allocate(DomainType.DMA, bench.device());
        bench.attach(domain, bench.device());
        bench.map(domain, IOVA, SCRATCH);
        assertThat(bench.walk(IOVA).entry())
                .isEqualTo(configuration.leaves().linuxLeaf(SCRATCH, PAGE, READ_WRITE, false));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void aWalkByHandFindsEachPageAndThatItBlocksNoSnoopWhereThatWasPromised(Configuration configuration) {
        Bench bench = new Bench(configuration);
        IommuDomain domain = bench.attached();
        boolean blocks = ask(domain) && configuration.enforcement().isKept();
        long size = (domain.pageSizes() & LARGE) == 0 ? PAGE : LARGE;
        long first = IOVA + LARGE - 100 * PAGE;
        bench.map(domain, first, SCRATCH, PAGE, 100, READ_WRITE);
        bench.map(domain, IOVA + LARGE, SCRATCH + LARGE, size, 1, READ_WRITE);
        bench.unmap(domain, first + 7 * PAGE, 3 * PAGE);

        for (int page = 0; page < 100; page++) {
            LeafFormat.Leaf leaf = bench.walk(first + page * PAGE);
            assertThat(leaf.present()).as("page %d is there", page).isEqualTo(page < 7 || page > 9);
            if (leaf.present()) {
                assertThat(leaf.physicalAddress()).isEqualTo(SCRATCH + page * PAGE);
                assertThat(leaf.pageSize()).isEqualTo(PAGE);
                assertThat(leaf.forcesSnoop()).isEqualTo(blocks);
            }
        }
        LeafFormat.Leaf large = bench.walk(IOVA + LARGE + size - 8);
        assertThat(large.pageSize()).isEqualTo(size);
        assertThat(large.physicalAddress()).isEqualTo(SCRATCH + LARGE + size - 8);
        assertThat(large.forcesSnoop()).isEqualTo(blocks);
        assertThat(bench.walk(first - PAGE).present()).isFalse();
        assertThat(bench.walk(IOVA + LARGE + size).present()).isFalse();
    }
}
