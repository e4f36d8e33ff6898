// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.intel.acpi.DmarBytes;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.RegisterValues;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What each release does about no-snoop, told by what ends up in the tables. */
class IntelRulesTest {
    private static final long K4 = 4096;
    private static final String DEVICE = "0000:00:02.0";
    private static final String OTHER = "0000:00:04.0";
    private static final String LOCKED = "0000:00:03.0";
    private static final long SNP = 0x800;
    private static final long PGSNP = 1L << 24;

    private static void assertErrno(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        e -> assertThat(e.errno()).as(e.getMessage()).isEqualTo(errno));
    }

    /** A driver of a release over two units, and a device behind each. */
    private static final class Host {
        final Bench bench;
        final Iommu iommu;
        final IommuDevice first;
        final IommuDevice second;

        Host(String release, long ecap0, long ecap1) {
            bench = Bench.pair(Bench.CAP_LARGE, ecap0, Bench.CAP_LARGE, ecap1);
            bench.function(OTHER, 0x020000);
            bench.release = LinuxRelease.of(release);
            iommu = bench.open();
            first = bench.probe(iommu, DEVICE);
            second = bench.probe(iommu, OTHER);
        }

        IommuDomain attached() {
            IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, first);
            assertThat(domain.attach(first).attached()).isTrue();
            return domain;
        }

        long leaf(long iova) {
            return bench.leaf(0x10, iova);
        }
    }

    private static boolean enforce(IommuDomain domain) {
        return domain.cacheCoherencyEnforcement().orElseThrow().enforce();
    }

    static Iterable<LinuxRelease> releases() {
        return LinuxRelease.known();
    }

    @ParameterizedTest
    @MethodSource("releases")
    void everyKnownReleaseOpensMapsAndCloses(LinuxRelease release) {
        Host host = new Host(release.toString(), Bench.ECAP_SC, Bench.ECAP_SC);
        IommuDomain domain = host.attached();
        domain.map(0x1000, 0x2000, K4, 1, Prot.READ | Prot.CACHE);
        assertThat(domain.translate(0x1000)).isEqualTo(0x2000);
        assertThat(host.iommu.capable(host.first, IommuCapability.CACHE_COHERENCY))
                .isTrue();
        domain.detach(host.first);
        host.iommu.close();
        assertThat(host.bench.pool.inUse()).isZero();
    }

    // ---- before 5.19: the overloaded flag ---------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(strings = {"5.15", "5.18"})
    void oneFlagMeantTwoThings(String release) {
        Host host = new Host(release, Bench.ECAP_SC, Bench.ECAP_SC);
        IommuDomain domain = host.attached();
        assertThat(domain.cacheCoherencyEnforcement()).as("nobody can be asked").isEmpty();
        domain.map(0x1000, 0x2000, K4, 1, Prot.READ_WRITE | Prot.CACHE);
        domain.map(0x2000, 0x2000, K4, 1, Prot.READ_WRITE);

        // S11: a kernel driver that says its DMA is coherent loses no-snoop, one that forgets lets a guest use it.
        assertThat(host.leaf(0x1000)).isEqualTo(0x2803);
        assertThat(host.leaf(0x2000)).isEqualTo(0x2003);
        assertThat(host.iommu.capable(host.first, IommuCapability.CACHE_COHERENCY))
                .isTrue();
        assertThat(host.iommu.capable(host.first, IommuCapability.ENFORCE_CACHE_COHERENCY))
                .isFalse();
    }

    @Test
    void oneUnitWithoutSnoopControlTookItFromTheWholeMachine() {
        Host host = new Host("5.18", Bench.ECAP_SC, Bench.ECAP);
        IommuDomain domain = host.attached();
        domain.map(0x1000, 0x2000, K4, 1, Prot.READ_WRITE | Prot.CACHE);

        assertThat(host.leaf(0x1000)).isEqualTo(0x2003);
        assertThat(host.iommu.capable(host.first, IommuCapability.CACHE_COHERENCY))
                .as("meant that every unit can block no-snoop")
                .isFalse();
        // S14: never set where some unit would refuse the bit.
        assertThat(domain.attach(host.second).attached()).isTrue();
    }

    // ---- the series as posted
    // -----------------------------------------------------------------------------------------

    @Test
    void thePostedSeriesAsksEveryUnitOfTheMachine() {
        Host all = new Host("5.19-posted", Bench.ECAP_SC, Bench.ECAP_SC);
        assertThat(enforce(all.attached())).isTrue();
        Host mixed = new Host("5.19-posted", Bench.ECAP_SC, Bench.ECAP);
        assertThat(enforce(mixed.attached())).as("the other unit lacks it").isFalse();
        // A unit in scalable mode counts as one that can.
        Host scalable = new Host("5.19-posted", Bench.ECAP_SC, Bench.ECAP_SECOND_STAGE);
        IommuDomain domain = scalable.attached();
        assertThat(enforce(domain)).isTrue();
        assertThat(domain.attach(scalable.second).attached()).isTrue();
    }

    @Test
    void thePostedSeriesLetsAnyDeviceJoinAnEnforcedDomain() {
        Host host = new Host("5.19-posted", Bench.ECAP_SC, Bench.ECAP_SC);
        IommuDomain domain = host.attached();
        assertThat(enforce(domain)).isTrue();
        assertThat(domain.attach(host.second).attached()).isTrue();
        domain.map(0x1000, 0x2000, K4, 1, Prot.READ);
        assertThat(host.leaf(0x1000)).isEqualTo(0x2801);
    }

    // ---- 5.19 to 6.6
    // ---------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(strings = {"5.19", "6.0", "6.3", "6.6"})
    void anUpgradeAfterMappingCoversLaterMappingsOnly(String release) {
        // S1, partial coherence: early pages let no-snoop pass while everybody believes that they do not.
        Host host = new Host(release, Bench.ECAP, Bench.ECAP_SC);
        IommuDomain domain = host.attached();
        assertThat(enforce(domain)).as("X has no snoop control").isFalse();
        domain.map(0x1000, 0x2000, K4, 1, Prot.READ_WRITE);
        domain.detach(host.first);
        assertThat(domain.attach(host.second).attached()).isTrue();

        assertThat(enforce(domain)).as("Y has").isTrue();

        domain.map(0x2000, 0x3000, K4, 1, Prot.READ_WRITE);
        long root =
                host.bench.contextEntry(host.bench.units.get(0xfed91000L).values.get(0x20) & ~0xfffL, 0x20)[0];
        assertThat(host.bench.leafBelow(root, 4, 0x1000) & SNP)
                .as("mapped before")
                .isZero();
        assertThat(host.bench.leafBelow(root, 4, 0x2000) & SNP)
                .as("mapped after")
                .isNotZero();
        assertThat(enforce(domain)).as("asked again").isTrue();
    }

    @ParameterizedTest
    @CsvSource({"5.19, EOPNOTSUPP", "6.1, EOPNOTSUPP", "6.2, EINVAL", "6.7, EINVAL", "6.17, EINVAL", "7.1, EINVAL"})
    void aDeviceWithoutSnoopControlIsRefusedHardFirst(String release, Errno errno) {
        Host host = new Host(release, Bench.ECAP_SC, Bench.ECAP);
        IommuDomain kernel = host.iommu.allocate(DomainType.DMA, host.first);
        assertThat(enforce(kernel)).as("an empty domain").isTrue();
        if (errno == Errno.EINVAL) {
            assertThat(kernel.attach(host.second).reason()).contains("ECAP.SC");
        } else {
            assertErrno(errno, () -> kernel.attach(host.second));
        }
    }

    /** 00:03.0 has an RMRR of its own; of what stands against it, that comes first. */
    @ParameterizedTest
    @ValueSource(strings = {"5.19", "6.2"})
    void thatADeviceIsLockedIsFoundBeforeItsUnitIsLookedAt(String release) {
        Host host = new Host(release, Bench.ECAP_SC, Bench.ECAP);
        IommuDomain domain = host.attached();
        assertThat(enforce(domain)).isTrue();
        IommuDevice locked = host.bench.probe(host.iommu, LOCKED);
        assertErrno(Errno.EPERM, () -> domain.attach(locked));
    }

    @Test
    void aDomainTooWideForAUnitIsRefusedHardFirst() {
        for (String release : new String[] {"5.15", "6.1", "6.2", "7.1"}) {
            Bench bench = Bench.pair(Bench.CAP_LARGE, Bench.ECAP, Bench.CAP_LARGE & ~(9L << 16), Bench.ECAP);
            bench.release = LinuxRelease.named(release);
            Iommu iommu = bench.open();
            IommuDomain domain = iommu.allocate(DomainType.DMA, bench.probe(iommu, DEVICE));
            domain.map(1L << 39, 0x2000, K4, 1, Prot.READ);
            IommuDevice narrow = bench.probe(iommu, LOCKED);
            if (bench.release.isAtLeast(6, 2)) {
                assertThat(domain.attach(narrow).reason()).contains("39 bits");
            } else {
                assertErrno(Errno.EFAULT, () -> domain.attach(narrow));
            }
        }
    }

    @Test
    void aDeviceLockedByFirmwareStaysWithTheKernelUntilTheCoreSawToIt() {
        Host old = new Host("6.5", Bench.ECAP_SC, Bench.ECAP_SC);
        IommuDevice locked = old.bench.probe(old.iommu, LOCKED);
        IommuDomain domain = old.iommu.allocate(DomainType.UNMANAGED, locked);
        assertErrno(Errno.EPERM, () -> domain.attach(locked));
        IommuDomain kernel = old.iommu.allocate(DomainType.DMA, locked);
        assertThat(kernel.attach(locked).attached()).isTrue();
        // That is looked at before the device is blocked.
        assertErrno(Errno.EPERM, () -> domain.attach(locked));
        kernel.detach(locked);
        // The graphics unit's RMRR is relaxable.
        assertThat(domain.attach(old.first).attached()).isTrue();
        Host later = new Host("6.6", Bench.ECAP_SC, Bench.ECAP_SC);
        IommuDevice free = later.bench.probe(later.iommu, LOCKED);
        assertThat(later.iommu.allocate(DomainType.UNMANAGED, free).attach(free).attached())
                .isTrue();
    }

    // ---- 6.7 and later
    // ---------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(strings = {"6.7", "6.16", "6.17", "6.18"})
    void whatWasEverMappedCantBePromised(String release) {
        Host host = new Host(release, Bench.ECAP_SC, Bench.ECAP_SC);
        IommuDomain domain = host.attached();
        domain.map(0x1000, 0x2000, K4, 1, Prot.READ_WRITE);
        assertThat(enforce(domain)).isFalse();
        IotlbGather gather = new IotlbGather();
        domain.unmap(0x1000, K4, gather);
        domain.sync(gather);
        assertThat(enforce(domain)).as("unmapped again").isFalse();
        assertThat(domain.attach(host.second).attached()).isTrue();
        domain.map(0x1000, 0x2000, K4, 1, Prot.READ_WRITE);
        assertThat(host.leaf(0x1000)).isEqualTo(0x2003);
    }

    /** Asked at once; where another unit of the machine can't; with something mapped; and again then. */
    @ParameterizedTest
    @CsvSource({
        "5.19-posted, true, false, true, true",
        "5.19, true, true, true, true",
        "6.6, true, true, true, true",
        "6.7, true, true, false, true",
        "6.16, true, true, false, true",
        "6.17, true, true, false, false",
        "6.18, true, true, false, false",
        "6.19, true, true, true, true",
        "7.1, true, true, true, true"
    })
    void whatAPromiseLooksAt(String release, boolean atOnce, boolean mixed, boolean mapped, boolean again) {
        Host host = new Host(release, Bench.ECAP_SC, Bench.ECAP_SC);
        IommuDomain promised = host.attached();
        assertThat(enforce(promised)).as("at once").isEqualTo(atOnce);
        promised.map(0x1000, 0x2000, K4, 1, Prot.READ_WRITE);
        assertThat(enforce(promised)).as("again, with something mapped").isEqualTo(again);
        assertThat(enforce(new Host(release, Bench.ECAP_SC, Bench.ECAP).attached()))
                .as("another unit can't")
                .isEqualTo(mixed);
        IommuDomain late = new Host(release, Bench.ECAP_SC, Bench.ECAP_SC).attached();
        late.map(0x1000, 0x2000, K4, 1, Prot.READ_WRITE);
        assertThat(enforce(late)).as("with something mapped").isEqualTo(mapped);
    }

    @Test
    void askingAgainAfterMappingIsAnsweredDifferently() {
        for (String release : new String[] {"5.19", "6.6", "6.7", "6.16", "6.17", "6.18", "6.19", "7.1"}) {
            Host host = new Host(release, Bench.ECAP_SC, Bench.ECAP_SC);
            IommuDomain domain = host.attached();
            assertThat(enforce(domain)).isTrue();
            assertThat(enforce(domain)).as(release).isTrue();
            domain.map(0x1000, 0x2000, K4, 1, Prot.READ_WRITE);
            boolean lostShortCut = release.equals("6.17") || release.equals("6.18");
            assertThat(enforce(domain)).as(release + ", something is mapped").isEqualTo(!lostShortCut);
            // The promise stands whatever the answer.
            domain.map(0x2000, 0x2000, K4, 1, Prot.READ_WRITE);
            assertThat(host.leaf(0x2000)).isEqualTo(0x2803);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.19", "7.0", "7.1"})
    void since619NobodyLooksAtMappings(String release) {
        // S8: the second stage lost the check when the page tables became generic; S1 is possible again.
        Host host = new Host(release, Bench.ECAP_SC, Bench.ECAP_SC);
        IommuDomain domain = host.attached();
        domain.map(0x1000, 0x2000, K4, 1, Prot.READ_WRITE);
        assertThat(enforce(domain)).isTrue();
        domain.map(0x2000, 0x3000, K4, 1, Prot.READ_WRITE);
        assertThat(host.leaf(0x1000)).isEqualTo(0x2003);
        assertThat(host.leaf(0x2000)).isEqualTo(0x3803);
    }

    // ---- first stage
    // ----------------------------------------------------------------------------------------------------------

    private static IommuDomain firstStage(Host host) {
        IommuDomain domain = host.iommu.allocate(DomainType.DMA, host.first);
        assertThat(domain.format()).isEqualTo("vtd-first-stage");
        assertThat(domain.attach(host.first).attached()).isTrue();
        return domain;
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.19", "6.6", "6.16", "7.1"})
    void aFirstStageBlocksByItsPasidEntryWhateverIsMapped(String release) {
        Host host = new Host(release, Bench.ECAP_SCALABLE | 0x80, Bench.ECAP_SCALABLE | 0x80);
        IommuDomain domain = firstStage(host);
        domain.map(0x1000, 0x2000, K4, 1, Prot.READ_WRITE);
        assertThat(host.bench.pasidEntry(0x10, 0)[1] & PGSNP).isZero();
        host.bench.first().recording = true;

        assertThat(enforce(domain)).isTrue();

        assertThat(host.bench.pasidEntry(0x10, 0)[1] & PGSNP).isNotZero();
        // S9: the unit holds the entry without the bit, until the PASID cache and then the IOTLB of that PASID forget.
        assertThat(host.bench.first().takeLog())
                .filteredOn(descriptor -> !descriptor.matches("[0-9a-f]*25 .*"))
                .containsExactly("20017 0", "20026 0");
        // Who comes later has it from the start.
        assertThat(domain.attach(host.second).attached()).isTrue();
        assertThat(host.bench.pasidEntry(host.bench.units.get(0xfed91000L), 0x20, 0)[1] & PGSNP)
                .isNotZero();
        assertThat(enforce(domain)).isTrue();
    }

    /** S8: the check went with the generic tables; a unit without snoop control gets a bit that is reserved for it. */
    @ParameterizedTest
    @CsvSource({
        "5.19, EOPNOTSUPP",
        "6.1, EOPNOTSUPP",
        "6.2, EINVAL",
        "6.18, EINVAL",
        "6.19, none",
        "7.0, none",
        "7.1, none"
    })
    void howAFirstStageRefusesADeviceWithoutSnoopControl(String release, String errno) {
        Host host = new Host(release, Bench.ECAP_SCALABLE | 0x80, Bench.ECAP_SCALABLE);
        IommuDomain domain = firstStage(host);
        assertThat(enforce(domain)).isTrue();
        switch (errno) {
            case "none" -> {
                assertThat(domain.attach(host.second).attached()).isTrue();
                assertThat(enforce(domain)).as("promised already").isTrue();
            }
            case "EINVAL" -> assertThat(domain.attach(host.second).reason()).contains("ECAP.SC");
            default -> assertErrno(Errno.valueOf(errno), () -> domain.attach(host.second));
        }
    }

    @Test
    void aFirstStageBehindAUnitWithoutSnoopControlPromisesNothing() {
        Host host = new Host("7.1", Bench.ECAP_SCALABLE, Bench.ECAP_SCALABLE | 0x80);
        IommuDomain domain = firstStage(host);
        assertThat(enforce(domain)).isFalse();
        assertThat(host.bench.pasidEntry(0x10, 0)[1] & PGSNP).isZero();
    }

    @Test
    void pasidsAreNeitherAskedNorChanged() {
        // S8: a PASID that came before the promise goes on letting no-snoop pass.
        Bench bench = new Bench();
        bench.unit(0xfed90000L, Bench.CAP_LARGE, Bench.ECAP_SCALABLE | 0x80);
        bench.cachingFunction("0000:00:02.0", 8);
        bench.dmar = new DmarBytes(48, 1).drhd(true, 0, 0xfed90000L).bytes();
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        assertThat(domain.format()).isEqualTo("vtd-first-stage");
        domain.attach(device);
        domain.pasidAttachment().orElseThrow().attach(device, 5);

        assertThat(enforce(domain)).isTrue();

        assertThat(bench.pasidEntry(0x10, 0)[1] & PGSNP).isNotZero();
        assertThat(bench.pasidEntry(0x10, 5)[1] & PGSNP).isZero();
        domain.pasidAttachment().orElseThrow().attach(device, 6);
        assertThat(bench.pasidEntry(0x10, 6)[1] & PGSNP).as("attached later").isNotZero();
    }

    @Test
    void beforeTheSeriesScalableModeBlockedForUsersWithoutBeingAsked() {
        for (String release : new String[] {"5.15", "5.19-posted", "5.19"}) {
            Host host = new Host(release, Bench.ECAP_SECOND_STAGE, Bench.ECAP_SECOND_STAGE);
            host.attached();
            boolean hardCoded = !release.equals("5.19");
            assertThat((host.bench.pasidEntry(0x10, 0)[1] & PGSNP) != 0)
                    .as(release)
                    .isEqualTo(hardCoded);
            Host kernel = new Host(release, Bench.ECAP_SECOND_STAGE, Bench.ECAP_SECOND_STAGE);
            kernel.iommu.allocate(DomainType.DMA, kernel.first).attach(kernel.first);
            assertThat(kernel.bench.pasidEntry(0x10, 0)[1] & PGSNP).isZero();
        }
    }

    // ---- units that differ ------------------------------------------------------------------------------------------

    /** A driver of a release over two units that differ, and a domain made for the first. */
    private static final class Pair {
        final Bench bench;
        final IommuDevice second;
        final IommuDomain domain;

        Pair(String release, long cap0, long ecap0, long cap1, long ecap1) {
            bench = Bench.pair(cap0, ecap0, cap1, ecap1);
            bench.function(OTHER, 0x020000);
            bench.release = LinuxRelease.of(release);
            Iommu iommu = bench.open();
            IommuDevice first = bench.probe(iommu, DEVICE);
            second = bench.probe(iommu, OTHER);
            domain = iommu.allocate(DomainType.UNMANAGED, first);
            assertThat(domain.attach(first).attached()).isTrue();
        }

        String refusal() {
            AttachResult result = domain.attach(second);
            return result.attached() ? "" : result.reason();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.15", "6.1", "6.12"})
    void onceADomainHadThePageSizesOfAllUnitsAndTookAnyOfThem(String release) {
        for (boolean firstLarge : new boolean[] {true, false}) {
            long first = firstLarge ? Bench.CAP_LARGE : Bench.CAP;
            long other = firstLarge ? Bench.CAP : Bench.CAP_LARGE;
            Pair pair = new Pair(release, first, Bench.ECAP, other, Bench.ECAP);
            assertThat(pair.domain.pageSizes()).isEqualTo(K4);
            assertThat(pair.refusal()).isEmpty();
        }
        // What no unit has, is refused once a device is attached too.
        Pair alike = new Pair(release, Bench.CAP, Bench.ECAP, Bench.CAP, Bench.ECAP);
        assertErrno(Errno.ENXIO, () -> alike.domain.map(0, 0, 1L << 21, 1, Prot.READ));
        // The same of the first stage, whose 2M are always there.
        long without1G = Bench.CAP_LARGE & ~(1L << 56);
        long firstStage = Bench.ECAP_SCALABLE & ~(1L << 46);
        Pair stages = new Pair(release, Bench.CAP_LARGE, firstStage, without1G, firstStage);
        assertThat(stages.domain.format()).isEqualTo("vtd-first-stage");
        assertThat(stages.domain.pageSizes()).isEqualTo(K4 | 1L << 21);
        assertThat(stages.refusal()).isEmpty();
    }

    @Test
    void thenTheirPageSizesHadToBeAlikeAndLaterEnough() {
        for (String release : new String[] {"6.13", "6.16", "6.17", "7.1"}) {
            Pair more = new Pair(release, Bench.CAP_LARGE, Bench.ECAP, Bench.CAP, Bench.ECAP);
            assertThat(more.domain.pageSizes()).isEqualTo(K4 | 1L << 21 | 1L << 30);
            assertThat(more.refusal()).as(release).contains("dmar1 lacks page sizes 0x40200000");
            Pair less = new Pair(release, Bench.CAP, Bench.ECAP, Bench.CAP_LARGE, Bench.ECAP);
            assertThat(less.domain.pageSizes()).isEqualTo(K4);
            if (less.bench.release.isAtLeast(6, 17)) {
                assertThat(less.refusal()).as(release).isEmpty();
            } else {
                assertThat(less.refusal())
                        .as(release)
                        .contains("dmar1 has page sizes 0x40201000, the domain only 0x1000");
            }
        }
    }

    @Test
    void howUnitsWalkHadToBeAlikeAndLaterGoodEnough() {
        for (String release : new String[] {"6.13", "6.18", "6.19", "7.1"}) {
            Pair stale = new Pair(release, Bench.CAP, Bench.ECAP, Bench.CAP, Bench.ECAP_NONCOHERENT);
            assertThat(stale.refusal()).as(release).contains("ECAP.C", "not written back");
            Pair needless = new Pair(release, Bench.CAP, Bench.ECAP_NONCOHERENT, Bench.CAP, Bench.ECAP);
            if (needless.bench.release.isAtLeast(6, 19)) {
                assertThat(needless.refusal()).as(release).isEmpty();
            } else {
                assertThat(needless.refusal()).as(release).contains("ECAP.C", "are written back");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.15", "6.1", "6.12"})
    void onceTablesWereWrittenBackWhileAUnitNeededIt(String release) {
        Pair pair = new Pair(release, Bench.CAP, Bench.ECAP, Bench.CAP, Bench.ECAP_NONCOHERENT);
        pair.bench.memory.recording = true;
        pair.domain.map(0x1000, 0x2000, K4, 1, Prot.READ);
        assertThat(pair.bench.memory.writtenBack)
                .as("attached: a unit that snoops")
                .isEmpty();

        assertThat(pair.refusal()).isEmpty();
        pair.bench.memory.writtenBack.clear();
        pair.domain.map(0x2000, 0x2000, K4, 1, Prot.READ);
        assertThat(pair.bench.memory.writtenBack).as("attached: both").isNotEmpty();

        pair.domain.detach(pair.second);
        pair.bench.memory.writtenBack.clear();
        pair.domain.map(0x3000, 0x2000, K4, 1, Prot.READ);
        assertThat(pair.bench.memory.writtenBack).as("detached again").isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.7", "6.12"})
    void tablesBelowThoseOfAGuestWereWrittenBackWhileItsUnitNeedsIt(String release) {
        Host host = new Host(release, Bench.ECAP_SCALABLE, Bench.ECAP_SCALABLE & ~(1L << 48));
        IommuDomain parent = host.iommu.allocate(DomainType.UNMANAGED, host.first, Set.of(DomainFlag.NEST_PARENT));
        assertThat(parent.attach(host.first).attached()).isTrue();
        IommuDomain nested =
                parent.nesting().orElseThrow().allocateNested(host.second, new FirstStageTable(0x3000, 48, 0));
        assertThat(nested.attach(host.second).attached()).isTrue();
        host.bench.memory.recording = true;
        parent.map(0x1000, 0x2000, K4, 1, Prot.READ_WRITE);
        assertThat(host.bench.memory.writtenBack)
                .as("a nested domain's unit does not snoop")
                .isNotEmpty();

        nested.detach(host.second);
        host.bench.memory.writtenBack.clear();
        parent.map(0x2000, 0x2000, K4, 1, Prot.READ_WRITE);
        assertThat(host.bench.memory.writtenBack).as("detached again").isEmpty();
    }

    /** What went back to 6.12.y spares domains the question, and refuses no unit. */
    @Test
    void onceAnyUnitWasToldOfNewMappings() {
        for (String release : new String[] {"5.15", "6.12.117", "6.16", "6.17", "7.1"}) {
            Pair pair = new Pair(release, Bench.CAP, Bench.ECAP, Bench.CAP | 0x80, Bench.ECAP);
            if (pair.bench.release.isAtLeast(6, 17)) {
                assertThat(pair.refusal()).as(release).contains("CAP.CM");
                continue;
            }
            assertThat(pair.refusal()).as(release).isEmpty();
            pair.domain.map(0x1000, 0x2000, K4, 1, Prot.READ);
            for (RegistersDouble unit : pair.bench.units.values()) {
                unit.recording = true;
            }
            pair.domain.syncMap(0x1000, K4);
            assertThat(pair.bench.first().takeLog()).as("no caching mode").isEmpty();
            assertThat(pair.bench.units.get(0xfed91000L).takeLog())
                    .as(release)
                    .filteredOn(descriptor -> descriptor.matches("[0-9a-f]*2 .*"))
                    .hasSize(1);
        }
    }

    // ---- what else changed
    // -------------------------------------------------------------------------------------------------------

    @Test
    void thePredictionCameLaterThanThePromise() {
        for (String release : new String[] {"6.1", "6.2"}) {
            Host host = new Host(release, Bench.ECAP_SC, Bench.ECAP);
            assertThat(host.iommu.capable(host.first, IommuCapability.ENFORCE_CACHE_COHERENCY))
                    .isEqualTo(release.equals("6.2"));
            assertThat(host.iommu.capable(host.second, IommuCapability.ENFORCE_CACHE_COHERENCY))
                    .isFalse();
        }
    }

    @ParameterizedTest
    @CsvSource({"6.19, 0x4, false", "7.0, 0x4, false", "7.1, 0x4, true", "7.1, 0, false"})
    void thatADeviceHasATlbIsToldSince71(String release, String deviceTlbs, boolean told) {
        Bench bench = new Bench();
        bench.unit(0xfed90000L, Bench.CAP_LARGE, (Bench.ECAP_SCALABLE & ~4L) | Long.decode(deviceTlbs));
        bench.cachingFunction(DEVICE, 8);
        bench.dmar = new DmarBytes(48, 1).drhd(true, 0, 0xfed90000L).bytes();
        bench.release = LinuxRelease.named(release);
        Iommu iommu = bench.open();
        assertThat(iommu.capable(bench.probe(iommu, DEVICE), IommuCapability.PCI_ATS_SUPPORTED))
                .isEqualTo(told);
    }

    @ParameterizedTest
    @CsvSource({"5.15, true", "7.0, true", "7.1, false"})
    void thatAFlushMayBeDeferredIsToldUntil70(String release, boolean told) {
        Host host = new Host(release, Bench.ECAP, Bench.ECAP);
        assertThat(host.iommu.capable(host.first, IommuCapability.DEFERRED_FLUSH))
                .isEqualTo(told);
    }

    @Test
    void aWriteOnlyMappingWasReadableToo() {
        for (String release : new String[] {"5.15", "6.15", "6.16", "7.1"}) {
            Host host = new Host(release, Bench.ECAP, Bench.ECAP);
            host.attached().map(0x1000, 0x2000, K4, 1, Prot.WRITE);
            boolean alone = host.bench.release.isAtLeast(6, 16);
            assertThat(host.leaf(0x1000)).as(release).isEqualTo(alone ? 0x2002 : 0x2003);
        }
    }

    @Test
    void executionWasForbiddenUntilTheManualDroppedIt() {
        long firstStage = Bench.ECAP_SCALABLE & ~(1L << 46);
        for (String release :
                new String[] {"5.15", "6.1.15", "6.1.16", "6.2", "6.2.12", "6.3", "6.10", "6.11", "7.1"}) {
            Host host = new Host(release, firstStage, firstStage);
            IommuDomain domain = firstStage(host);
            domain.map(0x1000, 0x2000, K4, 1, Prot.READ_WRITE);
            long word2 = host.bench.pasidEntry(0x10, 0)[2];
            LinuxRelease linux = host.bench.release;
            assertThat(host.bench.leafBelow(word2, 4, 0x1000) >>> 63)
                    .as("XD of a leaf in " + release)
                    .isEqualTo(linux.isAtLeast(6, 11) ? 0 : 1);
            assertThat(word2 >>> 5 & 1)
                    .as("NXE, absolute bit 133, in " + release)
                    .isEqualTo(Set.of("6.1.16", "6.2.12", "6.3", "6.10").contains(release) ? 1 : 0);
        }
    }

    @Test
    void theStageIsChosenAsTheReleaseDoes() {
        record Case(String release, long ecap0, long ecap1, DomainType type, String format) {}
        long both = Bench.ECAP_SCALABLE;
        long second = Bench.ECAP_SECOND_STAGE;
        long first = both & ~(1L << 46);
        long legacy = Bench.ECAP;
        for (Case each : new Case[] {
            new Case("6.12", both, both, DomainType.UNMANAGED, "vtd-second-stage"),
            new Case("6.12", both, both, DomainType.DMA, "vtd-first-stage"),
            new Case("6.13", both, both, DomainType.UNMANAGED, "vtd-first-stage"),
            new Case("7.1", both, both, DomainType.DMA, "vtd-first-stage"),
            new Case("6.1", second, second, DomainType.DMA, "vtd-second-stage"),
            new Case("7.1", second, second, DomainType.DMA, "vtd-second-stage"),
            new Case("6.1", first, first, DomainType.UNMANAGED, "vtd-first-stage"),
            new Case("7.1", first, first, DomainType.UNMANAGED, "vtd-first-stage"),
            // One legacy unit decided for all of them, and does not any more.
            new Case("6.12", both, legacy, DomainType.DMA, "vtd-second-stage"),
            new Case("6.13", both, legacy, DomainType.DMA, "vtd-first-stage"),
        }) {
            Host host = new Host(each.release, each.ecap0, each.ecap1);
            assertThat(host.iommu.allocate(each.type, host.first).format())
                    .as(each.toString())
                    .isEqualTo(each.format);
        }
    }

    @Test
    void abilitiesComeWithTheirReleases() {
        record Case(String release, boolean pasids, boolean userDomains) {}
        for (Case each :
                new Case[] {new Case("6.5", false, false), new Case("6.6", true, false), new Case("6.7", true, true)}) {
            Host host = new Host(each.release, Bench.ECAP_SCALABLE, Bench.ECAP_SCALABLE);
            IommuDomain domain = host.iommu.allocate(DomainType.UNMANAGED, host.first);
            assertThat(domain.pasidAttachment().isPresent()).as(each.toString()).isEqualTo(each.pasids);
            assertThat(host.iommu.capable(host.first, IommuCapability.DIRTY_TRACKING))
                    .isEqualTo(each.userDomains);
            for (DomainFlag flag : new DomainFlag[] {DomainFlag.DIRTY_TRACKING, DomainFlag.NEST_PARENT}) {
                if (each.userDomains) {
                    assertThat(host.iommu
                                    .allocate(DomainType.UNMANAGED, host.first, Set.of(flag))
                                    .format())
                            .isEqualTo("vtd-second-stage");
                } else {
                    assertErrno(
                            Errno.EOPNOTSUPP,
                            () -> host.iommu.allocate(DomainType.UNMANAGED, host.first, Set.of(flag)));
                }
            }
        }
    }

    /** A unit with both stages joins a second stage that came first; until it has ops of its own. */
    @ParameterizedTest
    @CsvSource({"5.15, true", "6.13, true", "6.16, true", "6.17, false", "7.3, false"})
    void bothStagesHadTheSameOpsUntil616(String release, boolean same) {
        Host host = new Host(release, Bench.ECAP_SECOND_STAGE, Bench.ECAP_SCALABLE);
        assertThat(host.iommu.sharesOps()).isEqualTo(same);
        IommuDomain second = host.attached();
        assertThat(second.format()).isEqualTo("vtd-second-stage");
        assertThat(second.attach(host.second).attached()).isTrue();
    }

    @Test
    void aUsersDomainHasASecondStageFrom67To612() {
        record Case(String release, long ecap, String format) {}
        long both = Bench.ECAP_SCALABLE;
        long first = both & ~(1L << 46);
        for (Case each : new Case[] {
            new Case("6.6", first, "vtd-first-stage"),
            new Case("6.7", first, "vtd-second-stage"),
            new Case("6.12", first, "vtd-second-stage"),
            new Case("6.12", both, "vtd-second-stage"),
            new Case("6.13", first, "vtd-first-stage"),
            new Case("6.13", both, "vtd-first-stage"),
        }) {
            Host host = new Host(each.release, each.ecap, each.ecap);
            IommuDomain domain = host.iommu.allocateForUser(host.first, Set.of());
            assertThat(domain.format()).as(each.toString()).isEqualTo(each.format);
            // A unit without a second stage refuses what was made for it.
            assertThat(domain.attach(host.first).attached())
                    .as(each.toString())
                    .isEqualTo(each.ecap == both || each.format.equals("vtd-first-stage"));
        }
    }

    @Test
    void aUserMayAskForPasidsOfAnyUnitSince615() {
        for (String release : new String[] {"6.14", "6.15"}) {
            Host host = new Host(release, Bench.ECAP, Bench.ECAP);
            Set<DomainFlag> flags = Set.of(DomainFlag.PASID);
            if (release.equals("6.14")) {
                assertErrno(Errno.EOPNOTSUPP, () -> host.iommu.allocateForUser(host.first, flags));
            } else {
                assertThat(host.iommu.allocateForUser(host.first, flags).format())
                        .isEqualTo("vtd-second-stage");
            }
        }
    }

    @Test
    void aDomainThatRecordsTakesPasidsSince71() {
        for (String release : new String[] {"6.7", "7.0", "7.1"}) {
            Bench bench = new Bench();
            bench.unit(0xfed90000L, Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
            bench.cachingFunction(DEVICE, 8);
            bench.dmar = new DmarBytes(48, 1).drhd(true, 0, 0xfed90000L).bytes();
            bench.release = LinuxRelease.of(release);
            Iommu iommu = bench.open();
            IommuDevice device = bench.probe(iommu, DEVICE);
            IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.DIRTY_TRACKING));
            domain.attach(device);
            AttachResult result = domain.pasidAttachment().orElseThrow().attach(device, 5);
            if (!release.equals("7.1")) {
                assertThat(result.reason()).as(release).contains("written pages");
                continue;
            }
            assertThat(result.attached()).isTrue();
            domain.dirtyTracking().orElseThrow().setDirtyTracking(true);
            domain.pasidAttachment().orElseThrow().attach(device, 6);
            for (int pasid : new int[] {0, 5, 6}) {
                assertThat(bench.pasidEntry(0x10, pasid)[0] & 1 << 9)
                        .as("SSADE of PASID " + pasid)
                        .isNotZero();
            }
        }
    }

    @Test
    void aDomainWithoutTablesCantBeAsked() {
        Host host = new Host("7.1", Bench.ECAP_SCALABLE | 0x80, Bench.ECAP_SC);
        Optional<CacheCoherencyEnforcement> none = Optional.empty();
        assertThat(host.iommu.allocate(DomainType.IDENTITY, host.first).cacheCoherencyEnforcement())
                .isEqualTo(none);
        assertThat(host.iommu.allocate(DomainType.BLOCKED, host.first).cacheCoherencyEnforcement())
                .isEqualTo(none);
    }

    // ---- firmware ---------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @CsvSource({"7.2, 8, true", "7.3, 8, false", "7.3, 7, true", "7.3, 13, false"})
    void firmwareMayForbidRemappingSince73(String release, int flags, boolean used) {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP_SC);
        bench.dmar = new DmarBytes(48, flags).drhd(true, 0, 0xfed90000L).bytes();
        bench.release = LinuxRelease.named(release);
        bench.commandLine = "intel_iommu=on";
        HostDescription described = new IntelVendor()
                .describe(
                        signature -> Optional.of(bench.dmar),
                        () -> List.of(bench.function(OTHER, 0x020000)),
                        RegisterValues.UNKNOWN,
                        bench.release);
        assertThat(described.devices().get(0).translated()).isEqualTo(Answer.of(used));
        if (used) {
            bench.open().close();
            return;
        }
        assertThat(described.warnings()).anyMatch(warning -> warning.contains("firmware wants DMA not to be remapped"));
        assertErrno(Errno.ENODEV, bench::open);
        assertThat(bench.pool.inUse()).isZero();
    }
}
