// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Set;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** How large Linux makes a table, and which unit may walk it. */
class TableSizeTest {
    private static final long K4 = 4096;
    private static final String DEVICE = "0000:00:02.0";
    private static final String OTHER = "0000:00:03.0";
    private static final long SAGAW_AND_MGAW = 0x1fL << 8 | 0x3fL << 16;

    /** Levels as digits, "34" for 3 and 4. */
    private static long cap(String levels, int addressWidth, boolean fiveInFirstStage) {
        long sagaw = levels.chars().mapToLong(digit -> 1L << (digit - '0' - 2)).sum();
        return (Bench.CAP_LARGE & ~SAGAW_AND_MGAW)
                | sagaw << 8
                | (addressWidth - 1L) << 16
                | (fiveInFirstStage ? 1L << 60 : 0);
    }

    private static int levels(IommuDomain domain) {
        return ((PagingDomain) domain).table().levels();
    }

    private static int width(IommuDomain domain) {
        return 64 - Long.numberOfLeadingZeros(domain.apertureEnd());
    }

    @ParameterizedTest
    @CsvSource({
        // release, levels of SAGAW, MGAW, levels, width
        "5.15, 34, 48, 4, 48",
        "5.15, 345, 48, 5, 48",
        "6.18, 345, 48, 5, 48",
        "6.19, 345, 48, 5, 48",
        "6.18, 345, 39, 5, 39",
        "6.19, 345, 39, 4, 39",
        "6.18, 34, 39, 4, 39",
        "6.19, 34, 39, 4, 39",
        "6.18, 35, 39, 5, 39",
        "6.19, 35, 39, 5, 39",
        "6.19, 3, 39, 3, 39",
        "6.19, 3, 48, 3, 39",
        "6.19, 4, 52, 4, 48",
        "6.19, 345, 52, 5, 52",
        "7.3, 45, 57, 5, 57",
        "6.0, 3, 46, 3, 39",
        "6.0, 45, 46, 5, 46"
    })
    void howManyLevelsTablesHave(String release, String sagaw, int addressWidth, int levels, int width) {
        Bench bench = Bench.single(cap(sagaw, addressWidth, false), Bench.ECAP);
        bench.release = LinuxRelease.of(release);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        assertThat(levels(domain)).isEqualTo(levels);
        assertThat(width(domain)).isEqualTo(width);
        assertThat(domain.attach(device).attached()).isTrue();
        domain.map(domain.apertureEnd() - K4 + 1, 0x2000, K4, 1, Prot.READ);
        assertThat(domain.translate(domain.apertureEnd())).isEqualTo(0x2fff);
    }

    /** The top bit of min(48 or 57, MGAW) is not used, although the manual takes it from 48 or 57 alone. */
    @ParameterizedTest
    @CsvSource({
        // release, levels of SAGAW, MGAW, 5 levels in the first stage, levels, width
        "5.15, 34, 48, false, 4, 47",
        "5.15, 34, 39, false, 4, 38",
        "6.12, 34, 39, false, 4, 38",
        "6.18, 34, 46, false, 4, 45",
        "7.3, 34, 39, false, 4, 38",
        "7.3, 34, 48, false, 4, 47",
        "6.0, 345, 57, false, 4, 47",
        "6.0, 345, 57, true, 5, 56",
        "6.18, 345, 52, true, 5, 51",
        "6.18, 34, 52, true, 4, 47",
        "6.18, 345, 48, true, 5, 47",
        "6.19, 34, 52, true, 5, 51",
        "6.19, 345, 48, true, 4, 47"
    })
    void aFirstStageLeavesOutTheTopBitOfWhatTheUnitReaches(
            String release, String sagaw, int addressWidth, boolean five, int levels, int width) {
        Bench bench = Bench.single(cap(sagaw, addressWidth, five), Bench.ECAP_SCALABLE);
        bench.release = LinuxRelease.of(release);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        IommuDomain domain = iommu.allocate(DomainType.DMA, device);
        assertThat(domain.format()).isEqualTo("vtd-first-stage");
        assertThat(levels(domain)).isEqualTo(levels);
        assertThat(width(domain)).isEqualTo(width);
        assertThat(domain.attach(device).attached()).isTrue();
    }

    /** Its levels were those of SAGAW, which says nothing of it: 5 where it has 4, or 3, which no first stage has. */
    @ParameterizedTest
    @CsvSource({"5.15, 345, false", "5.15, 3, false", "6.0, 345, true", "6.18, 345, true"})
    void aFirstStageOfOtherLevelsThanItsUnitsIsRefusedByItsOwnUnit(String release, String sagaw, boolean fits) {
        Bench bench = Bench.single(cap(sagaw, 57, false), Bench.ECAP_SCALABLE);
        bench.release = LinuxRelease.of(release);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        IommuDomain domain = iommu.allocate(DomainType.DMA, device);
        assertThat(domain.format()).isEqualTo("vtd-first-stage");
        assertThat(domain.attach(device).attached()).isEqualTo(fits);
    }

    /** A unit of both stages keeps to levels that both have, until each stage is asked by itself. */
    @ParameterizedTest
    @CsvSource({"5.15, 5", "6.0, 4", "6.18, 4", "6.19, 5"})
    void aSecondStageHadNoMoreLevelsThanAFirst(String release, int levels) {
        Bench bench = Bench.single(cap("345", 57, false), Bench.ECAP_SCALABLE);
        bench.release = LinuxRelease.of(release);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        boolean byDefault = !bench.release.isAtLeast(6, 13);
        IommuDomain domain =
                iommu.allocate(DomainType.UNMANAGED, device, byDefault ? Set.of() : Set.of(DomainFlag.DIRTY_TRACKING));
        assertThat(domain.format()).isEqualTo("vtd-second-stage");
        assertThat(levels(domain)).isEqualTo(levels);
    }

    @Test
    void aUnitWithoutLevelsHasNoTables() {
        for (String release : new String[] {"6.18", "6.19"}) {
            Bench bench = Bench.single(cap("", 48, false), Bench.ECAP);
            bench.release = LinuxRelease.of(release);
            Iommu iommu = bench.open();
            IommuDevice device = bench.probe(iommu, DEVICE);
            assertErrno(Errno.EOPNOTSUPP, () -> iommu.allocate(DomainType.UNMANAGED, device));
        }
    }

    // ---- which unit may walk it -------------------------------------------------------------------------------------

    /** A driver over two units, and a domain for users made for the first. */
    private static final class Pair {
        final Iommu iommu;
        final IommuDevice first;
        final IommuDevice second;

        Pair(String release, long cap0, long ecap0, long cap1, long ecap1) {
            Bench bench = Bench.pair(cap0, ecap0, cap1, ecap1);
            bench.release = LinuxRelease.of(release);
            iommu = bench.open();
            first = bench.probe(iommu, DEVICE);
            second = bench.probe(iommu, OTHER);
        }

        IommuDomain attached(DomainType type) {
            IommuDomain domain = iommu.allocate(type, first);
            assertThat(domain.attach(first).attached()).isTrue();
            return domain;
        }
    }

    private static Pair narrowing(String release, long ecap) {
        return new Pair(release, cap("34", 48, false), ecap, cap("34", 39, false), ecap);
    }

    private static void assertErrno(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        e -> assertThat(e.errno()).as(e.getMessage()).isEqualTo(errno));
    }

    /** An empty domain, one mapped low and one mapped high, and a first stage. */
    @ParameterizedTest
    @CsvSource({
        "5.15, true, true, false, true",
        "6.1, true, true, false, true",
        "6.2, true, true, false, true",
        "6.12, true, true, false, true",
        "6.13, false, false, false, false",
        "6.18, false, false, false, false",
        "6.19, false, false, false, true",
        "7.3, false, false, false, true"
    })
    void whichWidthIsCompared(String release, boolean empty, boolean low, boolean high, boolean firstStage) {
        Pair pair = narrowing(release, Bench.ECAP);
        IommuDomain domain = pair.attached(DomainType.DMA);
        assertThat(domain.attach(pair.second).attached()).as("empty").isEqualTo(empty);

        pair = narrowing(release, Bench.ECAP);
        domain = pair.attached(DomainType.DMA);
        domain.map((1L << 39) - K4, 0x2000, K4, 1, Prot.READ);
        assertThat(domain.attach(pair.second).attached()).as("mapped low").isEqualTo(low);

        Pair last = narrowing(release, Bench.ECAP);
        IommuDomain wide = last.attached(DomainType.DMA);
        wide.map(1L << 39, 0x2000, K4, 1, Prot.READ);
        wide.unmap(1L << 39, K4, new IotlbGather());
        if (LinuxRelease.of(release).isAtLeast(6, 2)) {
            assertThat(wide.attach(last.second).attached())
                    .as("was mapped high")
                    .isEqualTo(high);
        } else {
            assertErrno(Errno.EFAULT, () -> wide.attach(last.second));
        }
        assertThat(width(wide)).as("refused, so nothing is narrower").isEqualTo(48);

        pair = narrowing(release, Bench.ECAP_SCALABLE);
        domain = pair.attached(DomainType.DMA);
        assertThat(domain.format()).isEqualTo("vtd-first-stage");
        assertThat(domain.attach(pair.second).attached()).as("first stage").isEqualTo(firstStage);
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.15", "6.12"})
    void aUnitThatJoinedMadeTheDomainNarrower(String release) {
        Pair pair = narrowing(release, Bench.ECAP);
        IommuDomain domain = pair.attached(DomainType.DMA);
        assertThat(width(domain)).isEqualTo(48);
        assertThat(domain.attach(pair.second).attached()).isTrue();
        assertThat(width(domain)).isEqualTo(39);
        assertErrno(Errno.ERANGE, () -> domain.map(1L << 39, 0x2000, K4, 1, Prot.READ));
        // Nobody makes it wider again, not even when the narrow unit's device is gone.
        domain.detach(pair.second);
        assertThat(width(domain)).isEqualTo(39);
    }

    @Test
    void whatIommufdAskedForByItselfStartedAtItsWholeWidth() {
        for (String release : new String[] {"6.6", "6.7", "6.12"}) {
            Pair pair = narrowing(release, Bench.ECAP);
            IommuDomain domain = pair.iommu.allocateForUser(pair.first, Set.of());
            assertThat(domain.attach(pair.second).attached()).as(release).isEqualTo(release.equals("6.6"));
        }
    }

    @ParameterizedTest
    @CsvSource({"5.19, EOPNOTSUPP", "6.1, EOPNOTSUPP"})
    void snoopControlIsLookedAtBeforeTheWidth(String release, Errno errno) {
        Pair pair = new Pair(release, cap("34", 48, false), Bench.ECAP_SC, cap("34", 39, false), Bench.ECAP);
        IommuDomain domain = pair.attached(DomainType.DMA);
        assertThat(domain.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        domain.map(1L << 39, 0x2000, K4, 1, Prot.READ);
        assertErrno(errno, () -> domain.attach(pair.second));
    }

    @ParameterizedTest
    @CsvSource({"5.15, true", "6.12, true", "6.13, true", "6.18, true", "6.19, false", "7.3, false"})
    void aTableOfFewerLevelsThanTheUnitsWasTakenUnasked(String release, boolean taken) {
        Pair pair = new Pair(release, cap("3", 39, false), Bench.ECAP, cap("4", 39, false), Bench.ECAP);
        assertThat(pair.attached(DomainType.DMA).attach(pair.second).attached()).isEqualTo(taken);
    }

    static Iterable<LinuxRelease> releases() {
        return LinuxRelease.known();
    }

    /** In every release: {@code intel_iommu_attach_device} blocks a device, and then looks. */
    @ParameterizedTest
    @MethodSource("releases")
    void aDeviceThatADomainRefusedIsBlocked(LinuxRelease release) {
        Bench bench = Bench.pair(cap("4", 39, false), Bench.ECAP, cap("3", 39, false), Bench.ECAP);
        bench.release = release;
        Iommu iommu = bench.open();
        assertThat(iommu.blocksBeforeAttach()).isTrue();
        IommuDevice device = bench.probe(iommu, OTHER);
        IommuDomain own = iommu.allocate(DomainType.DMA, device);
        assertThat(own.attach(device).attached()).isTrue();
        long rootTable = bench.units.get(0xfed91000L).values.get(0x20) & ~0xfffL;
        assertThat(bench.contextEntry(rootTable, 0x18)[0] & 1).as("present").isOne();

        IommuDomain other = iommu.allocate(DomainType.DMA, bench.probe(iommu, DEVICE));
        assertThat(other.attach(device).attached()).isFalse();

        assertThat(bench.contextEntry(rootTable, 0x18)[0] & 1).as("present").isZero();
        assertErrno(Errno.EINVAL, () -> own.detach(device));
        assertThat(own.attach(device).attached()).isTrue();
        own.detach(device);
    }

    /** Until 6.12 Linux takes the top levels off, under the other device's entry too: that is not done here. */
    @ParameterizedTest
    @ValueSource(strings = {"5.15", "6.12", "6.13", "6.18", "6.19", "7.3"})
    void aTableOfMoreLevelsThanTheUnitsIsRefused(String release) {
        Pair pair = new Pair(release, cap("4", 39, false), Bench.ECAP, cap("3", 39, false), Bench.ECAP);
        assertThat(pair.attached(DomainType.DMA).attach(pair.second).reason()).contains("levels");
    }
}
