// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.READ_WRITE;
import static org.iommu4j.it.domain.Bench.SCRATCH;

import java.util.List;
import java.util.Set;
import org.iommu4j.AttachResult;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.it.sabotage.ForgetfulMemory;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.spi.VendorContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** AMD-Vi's guest tables, PASIDs, record of written pages and devices' IOTLBs, driver and silicon together. */
class GuestTablesOnSiliconTest {
    private static final long PAGE = 4096;
    private static final int PASID = 5;
    private static final int OTHER_PASID = 700;

    /** PPRSup, GTSup, GLXSup 2, PASmax 15, GIoSup, HASup, HDSup. */
    private static final long EFR =
            AmdViUnitProvider.EFR_6_LEVEL | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 3L << 48 | 1L << 52;

    private static Configuration configuration(boolean iotlbs) {
        MachineDescription machine = AmdViUnitProvider.machine("amd-guest", EFR, 0);
        return AmdConfigurations.of("guest tables", Machines.withPasids(machine, iotlbs));
    }

    private static Bench bench(boolean iotlbs) {
        return new Bench(configuration(iotlbs));
    }

    private static IommuDomain guest(Bench bench) {
        IommuDomain domain = allocate(bench, DomainFlag.PASID);
        assertThat(domain.format()).isEqualTo("amd-guest-v2");
        return domain;
    }

    private static IommuDomain allocate(Bench bench, DomainFlag... flags) {
        return bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(flags));
    }

    private static PasidAttachment pasids(IommuDomain domain) {
        return domain.pasidAttachment().orElseThrow();
    }

    private static void attach(Bench bench, IommuDomain domain, int pasid) {
        assertThat(pasids(domain).attach(bench.device(), pasid)).isEqualTo(AttachResult.ATTACHED);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void eachPasidGoesThroughItsOwnDomainUntilItIsDetached(boolean iotlbs) {
        Bench bench = bench(iotlbs);
        IommuDomain ordinary = guest(bench);
        IommuDomain own = guest(bench);
        bench.attach(ordinary, bench.device());
        bench.map(ordinary, IOVA, SCRATCH);
        bench.map(own, IOVA, SCRATCH + PAGE);
        attach(bench, own, PASID);
        attach(bench, ordinary, OTHER_PASID);
        Endpoint first = bench.withPasid(PASID);
        Endpoint other = bench.withPasid(OTHER_PASID);

        bench.assertReaches(IOVA, SCRATCH);
        bench.assertReaches(first, IOVA, SCRATCH + PAGE);
        bench.assertReaches(other, IOVA, SCRATCH);
        bench.assertRefused(bench.withPasid(PASID + 1), IOVA);

        // From domain to domain.
        attach(bench, own, OTHER_PASID);
        bench.assertReaches(other, IOVA, SCRATCH + PAGE);

        // One unmap reaches both PASIDs, and no one else.
        bench.unmap(own, IOVA, PAGE);
        bench.assertRefused(first, IOVA);
        bench.assertRefused(other, IOVA);
        bench.assertReaches(IOVA, SCRATCH);
        bench.map(own, IOVA, SCRATCH + 2 * PAGE);
        bench.assertReaches(first, IOVA, SCRATCH + 2 * PAGE);
        bench.assertReaches(other, IOVA, SCRATCH + 2 * PAGE);

        pasids(own).detach(bench.device(), PASID);
        bench.assertRefused(first, IOVA);
        bench.assertReaches(other, IOVA, SCRATCH + 2 * PAGE);
        pasids(own).detach(bench.device(), OTHER_PASID);
        bench.assertRefused(other, IOVA);
        bench.assertReaches(IOVA, SCRATCH);
        ordinary.detach(bench.device());
        bench.assertRefused(IOVA);
        own.close();
        ordinary.close();
        bench.iommu().close();
        assertThat(bench.framesInUse()).isZero();
    }

    /** What 6.17 gave the top bit up for: with a PASID it is a sign, without one it is an address bit. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void until616TheTopHalfOfTheApertureIsReachedWithoutAPasidOnly(boolean iotlbs) {
        Bench bench = new Bench(
                configuration(iotlbs),
                context -> new VendorContext(
                        context.memory(),
                        context.frames(),
                        context.registers(),
                        context.waiter(),
                        context.firmware(),
                        context.topology(),
                        context.bootOptions(),
                        new LinuxRelease(6, 16)));
        IommuDomain domain = guest(bench);
        long top = 1L << 47;
        assertThat(domain.apertureEnd()).isEqualTo(2 * top - 1);
        bench.attach(domain, bench.device());
        attach(bench, domain, PASID);
        Endpoint withPasid = bench.withPasid(PASID);
        bench.map(domain, IOVA, SCRATCH);
        bench.map(domain, top, SCRATCH + PAGE);

        bench.assertReaches(IOVA, SCRATCH);
        bench.assertReaches(withPasid, IOVA, SCRATCH);
        bench.assertReaches(top, SCRATCH + PAGE);
        bench.assertRefused(withPasid, top);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void pasidsWorkBesideAnIdentityDomain(boolean iotlbs) {
        Bench bench = bench(iotlbs);
        IommuDomain identity = bench.iommu().allocate(DomainType.IDENTITY, bench.device());
        IommuDomain own = guest(bench);
        bench.map(own, IOVA, SCRATCH + PAGE);
        bench.attach(identity, bench.device());
        attach(bench, own, PASID);
        Endpoint endpoint = bench.withPasid(PASID);
        bench.assertReaches(SCRATCH, SCRATCH);
        bench.assertReaches(endpoint, IOVA, SCRATCH + PAGE);
        bench.assertRefused(endpoint, SCRATCH);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aGuestTablesPromiseIsNotKeptAndTheCpuReadsAStaleLine(boolean iotlbs) {
        Bench bench = bench(iotlbs);
        IommuDomain guest = guest(bench);
        bench.attach(guest, bench.device());
        assertThat(bench.iommu().capable(bench.device(), IommuCapability.ENFORCE_CACHE_COHERENCY))
                .isTrue();
        assertThat(guest.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        bench.map(guest, IOVA, SCRATCH);
        attach(bench, guest, PASID);

        assertThat(bench.isSnooped(bench.endpoint(), IOVA, SCRATCH)).isFalse();
        assertThat(bench.isSnooped(bench.withPasid(PASID), IOVA, SCRATCH)).isFalse();
        bench.store(SCRATCH, 11);
        assertThat(bench.endpoint().read(IOVA, true))
                .as("what is in memory, not what the CPU wrote")
                .isNotEqualTo(11);
        pasids(guest).detach(bench.device(), PASID);

        // The same answer, kept.
        IommuDomain host = allocate(bench);
        assertThat(host.format()).isEqualTo("amd-host-v1");
        assertThat(host.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        bench.map(host, IOVA, SCRATCH);
        bench.attach(host, bench.device());
        assertThat(bench.isSnooped(bench.endpoint(), IOVA, SCRATCH)).isTrue();
    }

    @Test
    void aDeviceKeepsItsTranslationsUntilTheSync() {
        for (boolean guest : new boolean[] {false, true}) {
            Bench bench = bench(true);
            IommuDomain domain = guest ? guest(bench) : allocate(bench);
            bench.attach(domain, bench.device());
            bench.map(domain, IOVA, SCRATCH, PAGE, 8, READ_WRITE);
            for (int page = 0; page < 8; page++) {
                bench.assertReaches(IOVA + page * PAGE, SCRATCH + page * PAGE);
            }
            IotlbGather gather = new IotlbGather();
            assertThat(domain.unmap(IOVA, 4 * PAGE, gather)).isEqualTo(4 * PAGE);
            assertThat(bench.endpoint().write(IOVA, 1, false)).as("stale").isTrue();
            domain.sync(gather);
            for (int page = 0; page < 8; page++) {
                if (page < 4) {
                    bench.assertRefused(IOVA + page * PAGE);
                } else {
                    bench.assertReaches(IOVA + page * PAGE, SCRATCH + page * PAGE);
                }
            }
            domain.detach(bench.device());
            bench.assertRefused(IOVA + 5 * PAGE);

            // From domain to domain the device's cache stays on, and must forget.
            IommuDomain[] domains = {domain, guest(bench), allocate(bench)};
            bench.map(domains[1], IOVA + 6 * PAGE, SCRATCH);
            bench.map(domains[2], IOVA + 6 * PAGE, SCRATCH + PAGE);
            for (int move = 0; move < 6; move++) {
                bench.attach(domains[move % 3], bench.device());
                bench.assertReaches(IOVA + 6 * PAGE, SCRATCH + (move % 3 == 0 ? 6 * PAGE : (move % 3 - 1) * PAGE));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aDeviceThatIsNotToldGoesOnWithItsTranslations(boolean guest) {
        Bench bench = new Bench(
                configuration(true),
                context -> ForgetfulMemory.withoutAmdIotlbInvalidation(
                        context, Bench.DEVICE.requesterId(), Bench.SECOND.requesterId()));
        IommuDomain domain = guest ? guest(bench) : allocate(bench);
        bench.attach(domain, bench.device());
        // Who gets the other's invalidations must be there to answer them.
        bench.attach(domain, bench.second());
        bench.map(domain, IOVA, SCRATCH);
        bench.assertReaches(IOVA, SCRATCH);
        bench.unmap(domain, IOVA, PAGE);
        // The unit forgot the page and would grant it to nobody; the device does not ask.
        bench.assertReaches(IOVA, SCRATCH);
        bench.assertRefused(IOVA + PAGE);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void pagesThatADeviceWritesAreMarkedAndNoOthers(boolean iotlbs) {
        Bench bench = bench(iotlbs);
        IommuDomain domain = allocate(bench, DomainFlag.DIRTY_TRACKING);
        bench.map(domain, IOVA, SCRATCH, PAGE, 32, READ_WRITE);
        long large = IOVA + (2L << 20);
        // Eight slots of one table, which stand for one page.
        bench.map(domain, large, SCRATCH + (2L << 20), 8 * PAGE, 1, READ_WRITE);
        bench.attach(domain, bench.device());
        DirtyTracking tracking = domain.dirtyTracking().orElseThrow();
        // Known to unit and device before anybody records.
        bench.assertReaches(IOVA + 3 * PAGE, SCRATCH + 3 * PAGE);
        tracking.setDirtyTracking(true);
        DirtyBitmap written = new DirtyBitmap(IOVA, PAGE, 1024);
        tracking.readAndClearDirty(written, true);
        assertThat(written.count()).isZero();

        Endpoint endpoint = bench.endpoint();
        endpoint.read(IOVA, false);
        endpoint.write(IOVA + 3 * PAGE, 1, false);
        endpoint.write(IOVA + 31 * PAGE + 8, 1, false);
        endpoint.read(large, false);

        tracking.readAndClearDirty(written, false);
        assertThat(written.count()).isEqualTo(2);
        assertThat(written.isMarked(IOVA + 3 * PAGE)).isTrue();
        assertThat(written.isMarked(IOVA + 31 * PAGE)).isTrue();
        written.clear();
        tracking.readAndClearDirty(written, true);
        assertThat(written.count()).as("reading did not clear").isEqualTo(2);
        written.clear();
        tracking.readAndClearDirty(written, true);
        assertThat(written.count()).as("clearing did").isZero();

        // Unit and device held the page as written: they had to forget it.
        endpoint.write(IOVA + 3 * PAGE, 2, false);
        endpoint.write(large + 5 * PAGE, 2, false);
        tracking.readAndClearDirty(written, true);
        assertThat(written.count()).isEqualTo(1 + 8);
        assertThat(written.isMarked(IOVA + 3 * PAGE)).isTrue();

        // One that comes later is recorded too; nobody is after the end.
        bench.attach(domain, bench.second());
        bench.secondEndpoint().write(IOVA + 7 * PAGE, 1, false);
        written.clear();
        tracking.readAndClearDirty(written, true);
        assertThat(written.count()).isEqualTo(1);
        tracking.setDirtyTracking(false);
        endpoint.write(IOVA + 9 * PAGE, 1, false);
        tracking.setDirtyTracking(true);
        written.clear();
        tracking.readAndClearDirty(written, true);
        assertThat(written.count()).isZero();
    }

    @Test
    void refusedRequestsAreReportedWithTheirPasid() {
        Bench bench = bench(false);
        IommuDomain domain = guest(bench);
        bench.attach(domain, bench.device());
        attach(bench, domain, PASID);
        assertThat(bench.iommu().takeFaults()).isEmpty();

        bench.withPasid(PASID).write(IOVA, 1, false);
        bench.endpoint().read(IOVA + PAGE, false);

        List<DmaFault> faults = bench.iommu().takeFaults();
        assertThat(faults)
                .extracting(DmaFault::requester, DmaFault::pasid, DmaFault::address, DmaFault::write)
                .containsExactly(
                        tuple(Bench.DEVICE, PASID, IOVA, true),
                        // GIOV: what comes without PASID is reported as of PASID 0.
                        tuple(Bench.DEVICE, 0, IOVA + PAGE, false));
        assertThat(bench.iommu().takeFaults()).isEmpty();
    }
}
