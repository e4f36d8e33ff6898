// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.SCRATCH;

import java.util.function.LongUnaryOperator;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDomain;
import org.iommu4j.LinuxRelease;
import org.iommu4j.it.domain.Configuration.Enforcement;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.MachineDescription;
import org.junit.jupiter.api.Test;

/** Two units that differ: what may share a domain, and what happens to a device that may not. */
class IntelCompatibilityTest {
    private static final long PAGE = 4096;

    /** A machine whose first device is behind the unit with snoop control, the second behind one that is changed. */
    private static Bench bench(LongUnaryOperator cap, LongUnaryOperator ecap) {
        return bench(LinuxRelease.NEWEST, cap, ecap);
    }

    private static Bench bench(LinuxRelease release, LongUnaryOperator cap, LongUnaryOperator ecap) {
        MachineDescription mixed = MachineFactory.load().named("intel-mixed");
        MachineDescription machine =
                Machines.withRegister(Machines.withRegister(mixed, "dmar0", "CAP", cap), "dmar0", "ECAP", ecap);
        return new Bench(
                new Configuration(
                        "intel-mixed",
                        machine,
                        true,
                        true,
                        false,
                        Enforcement.GRANTED,
                        new VtdLeaves(machine.units().get(1).registerBase())),
                release);
    }

    private static long same(long value) {
        return value;
    }

    private static void assertStaysOut(Bench bench, IommuDomain domain, String reason) {
        IommuDomain own = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        own.map(IOVA, SCRATCH + PAGE, PAGE, 1, Bench.READ_WRITE);
        bench.attach(own, bench.second());
        bench.assertReaches(bench.secondEndpoint(), IOVA, SCRATCH + PAGE);

        AttachResult result = domain.attach(bench.second());

        assertThat(result.attached()).isFalse();
        assertThat(result.reason()).contains(reason);
        // As in Linux, whose driver blocks first. The other stays where it was.
        bench.assertRefused(bench.secondEndpoint(), IOVA);
        bench.assertReaches(bench.endpoint(), IOVA, SCRATCH);
        bench.attach(own, bench.second());
        bench.assertReaches(bench.secondEndpoint(), IOVA, SCRATCH + PAGE);
        own.detach(bench.second());
        domain.detach(bench.device());
        domain.close();
        own.close();
    }

    private static IommuDomain mapped(Bench bench) {
        IommuDomain domain = bench.attached();
        bench.map(domain, IOVA, SCRATCH);
        return domain;
    }

    @Test
    void unitsThatDifferInSnoopControlShareADomainThatPromisedNothing() {
        Bench bench = bench(IntelCompatibilityTest::same, IntelCompatibilityTest::same);
        IommuDomain domain = mapped(bench);
        bench.attach(domain, bench.second());

        assertThat(domain.cacheCoherencyEnforcement().orElseThrow().enforce())
                .as("one of two devices can't")
                .isFalse();
        assertThat(bench.walk(IOVA).forcesSnoop()).isFalse();
        bench.assertReaches(bench.secondEndpoint(), IOVA, SCRATCH);
        // Invalidation reaches both units.
        bench.unmap(domain, IOVA, PAGE);
        bench.assertRefused(bench.endpoint(), IOVA);
        bench.assertRefused(bench.secondEndpoint(), IOVA);
    }

    @Test
    void aDeviceWithoutSnoopControlStaysOutOfADomainThatPromised() {
        Bench bench = bench(IntelCompatibilityTest::same, IntelCompatibilityTest::same);
        IommuDomain domain = bench.attached();
        assertThat(domain.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        bench.map(domain, IOVA, SCRATCH);
        assertStaysOut(bench, domain, "no-snoop");
    }

    @Test
    void aUnitThatDoesNotSnoopItsWalksStaysOutOfADomainThatIsNotWrittenBack() {
        Bench bench = bench(IntelCompatibilityTest::same, ecap -> ecap & ~1L);
        assertStaysOut(bench, mapped(bench), "snoop");
    }

    @Test
    void aUnitInCachingModeStaysOutOfADomainThatAnnouncesNothing() {
        Bench bench = bench(cap -> cap | (1 << 7), IntelCompatibilityTest::same);
        assertStaysOut(bench, mapped(bench), "CM");
    }

    @Test
    void aUnitWithoutLargePagesStaysOutOfADomainThatMayHaveThem() {
        Bench bench = bench(cap -> cap & ~(0xfL << 34), IntelCompatibilityTest::same);
        assertStaysOut(bench, mapped(bench), "page sizes");
    }

    @Test
    void aUnitWithNarrowerTablesStaysOut() {
        Bench bench = bench(
                cap -> (cap & ~(0x1fL << 8) & ~(0x3fL << 16)) | (2 << 8) | (38 << 16), IntelCompatibilityTest::same);
        assertStaysOut(bench, mapped(bench), "levels");
    }

    // ---- until 6.12 nobody compared ---------------------------------------------------------------------------------

    private static final LinuxRelease UNCOMPARED = LinuxRelease.named("6.12");

    @Test
    void onceAUnitThatDoesNotSnoopItsWalksCameInAndMissedWhatWasMappedBefore() {
        Bench bench = bench(UNCOMPARED, IntelCompatibilityTest::same, ecap -> ecap & ~1L);
        IommuDomain domain = mapped(bench);

        bench.attach(domain, bench.second());

        // The tables down to that page are in CPU caches still, where this unit does not look.
        bench.assertRefused(bench.secondEndpoint(), IOVA);
        bench.assertReaches(IOVA, SCRATCH);
        // Under tables of its own, what is mapped from now on is written back for it, but for the way there.
        domain.detach(bench.device());
        IommuDomain fresh = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        bench.attach(fresh, bench.second());
        bench.attach(fresh, bench.device());
        bench.map(fresh, IOVA, SCRATCH + PAGE);
        bench.assertReaches(bench.secondEndpoint(), IOVA, SCRATCH + PAGE);
        bench.assertReaches(IOVA, SCRATCH + PAGE);
    }

    @Test
    void onceAUnitInCachingModeCameInAndWasToldOfEveryMapping() {
        Bench bench = bench(UNCOMPARED, cap -> cap | (1 << 7), IntelCompatibilityTest::same);
        IommuDomain domain = mapped(bench);
        bench.attach(domain, bench.second());
        bench.assertRefused(bench.secondEndpoint(), IOVA + PAGE);

        bench.map(domain, IOVA + PAGE, SCRATCH + PAGE);

        bench.assertReaches(bench.secondEndpoint(), IOVA + PAGE, SCRATCH + PAGE);
    }

    @Test
    void onceADomainHadThePageSizesOfAllUnits() {
        Bench bench = bench(UNCOMPARED, cap -> cap & ~(0xfL << 34), IntelCompatibilityTest::same);
        IommuDomain domain = mapped(bench);
        assertThat(domain.pageSizes()).isEqualTo(PAGE);
        bench.attach(domain, bench.second());
        bench.assertReaches(bench.secondEndpoint(), IOVA, SCRATCH);
    }
}
