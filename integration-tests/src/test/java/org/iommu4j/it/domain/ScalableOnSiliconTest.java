// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.READ_WRITE;
import static org.iommu4j.it.domain.Bench.SCRATCH;
import static org.iommu4j.it.domain.ScalableMachines.CAP;
import static org.iommu4j.it.domain.ScalableMachines.CAP_5_LEVELS;
import static org.iommu4j.it.domain.ScalableMachines.COHERENT;
import static org.iommu4j.it.domain.ScalableMachines.ECAP;
import static org.iommu4j.it.domain.ScalableMachines.EVERYTHING;
import static org.iommu4j.it.domain.ScalableMachines.FIRST_STAGE;
import static org.iommu4j.it.domain.ScalableMachines.NESTING_PASID_DIRTY;
import static org.iommu4j.it.domain.ScalableMachines.SECOND_STAGE;

import java.util.List;
import java.util.Set;
import org.iommu4j.AttachResult;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.intel.nesting.FirstStageInvalidation;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.it.sabotage.ForgetfulMemory;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * VT-d's scalable mode, driver and silicon together: what the tables say is what requests meet, with CPU caches in
 * front of memory, so that a no-snoop request that passes leaves a stale line behind.
 */
class ScalableOnSiliconTest {
    private static final long PAGE = 4096;
    private static final int PASID = 5;
    private static final int OTHER_PASID = 70;

    private static Bench bench(long ecap, boolean ats) {
        return new Bench(ScalableMachines.withDevices(ScalableMachines.of("unit", CAP, ecap), ats));
    }

    private static IommuDomain allocate(Bench bench, DomainFlag... flags) {
        return bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(flags));
    }

    private static boolean enforce(IommuDomain domain) {
        return domain.cacheCoherencyEnforcement().orElseThrow().enforce();
    }

    private static PasidAttachment pasids(IommuDomain domain) {
        return domain.pasidAttachment().orElseThrow();
    }

    // ---- no-snoop --------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aFirstStageIsSnoopedFromThePromiseOnWhateverIsMappedAndCached(boolean ats) {
        Bench bench = bench(ECAP | FIRST_STAGE, ats);
        IommuDomain domain = bench.attached();
        assertThat(domain.format()).isEqualTo("vtd-first-stage");
        bench.map(domain, IOVA, SCRATCH);
        assertThat(bench.isSnooped(bench.endpoint(), IOVA, SCRATCH)).isFalse();

        assertThat(enforce(domain)).isTrue();

        assertThat(bench.isSnooped(bench.endpoint(), IOVA, SCRATCH))
                .as("the unit forgot the old entry")
                .isTrue();
        bench.attach(domain, bench.second());
        assertThat(bench.isSnooped(bench.secondEndpoint(), IOVA, SCRATCH))
                .as("who comes later")
                .isTrue();
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aSecondStageIsSnoopedWhereItIsMappedAfterThePromise(boolean ats) {
        Bench bench = bench(ECAP | SECOND_STAGE, ats);
        IommuDomain domain = bench.attached();
        assertThat(domain.format()).isEqualTo("vtd-second-stage");
        bench.map(domain, IOVA, SCRATCH);
        assertThat(bench.isSnooped(bench.endpoint(), IOVA, SCRATCH)).isFalse();

        assertThat(enforce(domain)).isTrue();
        bench.map(domain, IOVA + PAGE, SCRATCH + PAGE);

        assertThat(bench.isSnooped(bench.endpoint(), IOVA + PAGE, SCRATCH + PAGE))
                .isTrue();
        // Linux 7.1 lost the question whether anything is mapped.
        assertThat(bench.isSnooped(bench.endpoint(), IOVA, SCRATCH)).isFalse();
    }

    // ---- PASIDs ----------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void eachPasidGoesThroughItsOwnDomainUntilItIsDetached(boolean ats) {
        for (long ecap : new long[] {EVERYTHING, EVERYTHING & ~FIRST_STAGE}) {
            Bench bench = bench(ecap, ats);
            assertThat(bench.device().maxPasids()).isEqualTo(1 << 16);
            IommuDomain ordinary = bench.attached();
            IommuDomain own = allocate(bench, DomainFlag.PASID);
            bench.map(ordinary, IOVA, SCRATCH);
            bench.map(own, IOVA, SCRATCH + PAGE);
            Endpoint first = bench.withPasid(PASID);
            Endpoint other = bench.withPasid(OTHER_PASID);
            bench.assertRefused(first, IOVA);

            assertThat(pasids(own).attach(bench.device(), PASID)).isEqualTo(AttachResult.ATTACHED);
            assertThat(pasids(ordinary).attach(bench.device(), OTHER_PASID)).isEqualTo(AttachResult.ATTACHED);

            bench.assertReaches(bench.endpoint(), IOVA, SCRATCH);
            bench.assertReaches(first, IOVA, SCRATCH + PAGE);
            bench.assertReaches(other, IOVA, SCRATCH);

            // From domain to domain.
            assertThat(pasids(own).attach(bench.device(), OTHER_PASID)).isEqualTo(AttachResult.ATTACHED);
            bench.assertReaches(other, IOVA, SCRATCH + PAGE);
            bench.assertReaches(bench.endpoint(), IOVA, SCRATCH);

            // One unmap reaches both PASIDs, and no one else.
            bench.unmap(own, IOVA, PAGE);
            bench.assertRefused(first, IOVA);
            bench.assertRefused(other, IOVA);
            bench.assertReaches(bench.endpoint(), IOVA, SCRATCH);
            bench.map(own, IOVA, SCRATCH + PAGE);
            bench.assertReaches(first, IOVA, SCRATCH + PAGE);

            pasids(own).detach(bench.device(), PASID);
            bench.assertRefused(first, IOVA);
            bench.assertReaches(other, IOVA, SCRATCH + PAGE);
            ordinary.detach(bench.device());
            bench.assertRefused(IOVA);
            bench.assertReaches(other, IOVA, SCRATCH + PAGE);

            pasids(own).detach(bench.device(), OTHER_PASID);
            bench.assertRefused(other, IOVA);
            own.close();
            ordinary.close();
            bench.iommu().close();
            assertThat(bench.framesInUse()).isZero();
        }
    }

    @Test
    void pasidsThatWereThereBeforeThePromiseGoOnWithoutSnooping() {
        Bench bench = bench(EVERYTHING, false);
        IommuDomain domain = bench.attached();
        bench.map(domain, IOVA, SCRATCH);
        Endpoint early = bench.withPasid(PASID);
        Endpoint late = bench.withPasid(OTHER_PASID);
        pasids(domain).attach(bench.device(), PASID);
        assertThat(bench.isSnooped(early, IOVA, SCRATCH)).isFalse();

        assertThat(enforce(domain)).isTrue();

        pasids(domain).attach(bench.device(), OTHER_PASID);
        assertThat(bench.isSnooped(bench.endpoint(), IOVA, SCRATCH)).isTrue();
        assertThat(bench.isSnooped(late, IOVA, SCRATCH)).isTrue();
        assertThat(bench.isSnooped(early, IOVA, SCRATCH))
                .as("as in Linux, the promise is not kept for it")
                .isFalse();
    }

    /** Linux asks the units of the domain's devices; a PASID's is not in that list. */
    @Test
    void theUnitBehindAPasidIsNotAskedBeforeTheDomainPromises() {
        for (long stage : new long[] {FIRST_STAGE, SECOND_STAGE}) {
            long has = ECAP | stage | NESTING_PASID_DIRTY;
            Bench bench = new Bench(
                    ScalableMachines.withDevices(ScalableMachines.twoUnits(CAP, has, CAP, has & ~0x80L), false));
            IommuDomain domain = bench.attached();
            pasids(domain).attach(bench.second(), PASID);
            assertThat(enforce(domain)).as("ECAP.SC of the PASID's unit is 0").isTrue();

            Bench other = new Bench(
                    ScalableMachines.withDevices(ScalableMachines.twoUnits(CAP, has & ~0x80L, CAP, has), false));
            IommuDomain weak = other.attached();
            pasids(weak).attach(other.second(), PASID);
            assertThat(enforce(weak)).as("ECAP.SC of the device's unit is 0").isFalse();
        }
    }

    @Test
    void refusedRequestsAreReportedWithTheirPasid() {
        Bench bench = bench(EVERYTHING, false);
        IommuDomain domain = bench.attached();
        pasids(domain).attach(bench.device(), PASID);
        assertThat(bench.iommu().takeFaults()).isEmpty();

        bench.withPasid(PASID).write(IOVA + 0x18, 1, false);
        bench.endpoint().read(IOVA + PAGE, false);

        List<DmaFault> faults = bench.iommu().takeFaults();
        assertThat(faults)
                .extracting(DmaFault::requester, DmaFault::pasid, DmaFault::address, DmaFault::write)
                .containsExactly(
                        tuple(Bench.DEVICE, PASID, IOVA, true),
                        tuple(Bench.DEVICE, DmaFault.NO_PASID, IOVA + PAGE, false));
        assertThat(faults.get(0).toString()).contains("PASID 0x5");
        assertThat(bench.iommu().takeFaults()).isEmpty();
    }

    // ---- nesting ---------------------------------------------------------------------------------------------------

    /**
     * Where a guest has its first-stage table: guest-physical, four frames from the top down, then a page of data each.
     */
    private static final long GUEST_TABLE = 0x10_0000;

    private static final long GUEST_DATA = GUEST_TABLE + 4 * PAGE;

    /** The guest maps this. */
    private static final long GUEST_VIRTUAL = 0x7f00_1234_5000L;

    /** Makes a parent that gives a guest 16 frames, and the guest's table with one page. */
    private static IommuDomain parentWithGuest(Bench bench) {
        IommuDomain parent = allocate(bench, DomainFlag.NEST_PARENT);
        bench.map(parent, GUEST_TABLE, SCRATCH, PAGE, 16, READ_WRITE);
        for (int level = 4; level >= 1; level--) {
            int index = (int) (GUEST_VIRTUAL >>> (12 + 9 * (level - 1)) & 511);
            long table = SCRATCH + (4 - level) * PAGE;
            long next = level == 1 ? GUEST_DATA : GUEST_TABLE + (5 - level) * PAGE;
            // P, R/W, U/S
            bench.store(table + index * 8L, next | 7);
        }
        return parent;
    }

    /** Returns where the guest's leaf is. */
    private static long guestLeaf() {
        return SCRATCH + 3 * PAGE + (GUEST_VIRTUAL >>> 12 & 511) * 8;
    }

    private static IommuDomain nested(Bench bench, IommuDomain parent) {
        return parent.nesting().orElseThrow().allocateNested(bench.device(), new FirstStageTable(GUEST_TABLE, 48, 0));
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aGuestsChangeCountsOnceItsInvalidationIsPassedOn(boolean ats) {
        Bench bench = bench(EVERYTHING, ats);
        IommuDomain parent = parentWithGuest(bench);
        IommuDomain nested = nested(bench, parent);
        bench.attach(nested, bench.device());
        long host = SCRATCH + 4 * PAGE;
        bench.assertReaches(GUEST_VIRTUAL, host);

        bench.store(guestLeaf(), (GUEST_DATA + PAGE) | 7);
        bench.assertReaches(GUEST_VIRTUAL, host);
        nested.guestInvalidation().orElseThrow().invalidate(new FirstStageInvalidation(GUEST_VIRTUAL, 1, true));
        bench.assertReaches(GUEST_VIRTUAL, host + PAGE);

        // All of it, and a table this time.
        long entry = SCRATCH + 2 * PAGE + (GUEST_VIRTUAL >>> 21 & 511) * 8;
        bench.store(entry, 0);
        bench.assertReaches(GUEST_VIRTUAL, host + PAGE);
        nested.guestInvalidation()
                .orElseThrow()
                .invalidate(new FirstStageInvalidation(0, FirstStageInvalidation.ALL_PAGES, false));
        bench.assertRefused(GUEST_VIRTUAL);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void whatTheHostTakesFromAGuestIsGoneBehindTheGuestsTable(boolean ats) {
        Bench bench = bench(EVERYTHING, ats);
        IommuDomain parent = parentWithGuest(bench);
        IommuDomain nested = nested(bench, parent);
        bench.attach(nested, bench.device());
        bench.assertReaches(GUEST_VIRTUAL, SCRATCH + 4 * PAGE);

        assertThat(bench.unmap(parent, GUEST_DATA, PAGE)).isEqualTo(PAGE);
        bench.assertRefused(GUEST_VIRTUAL);
        bench.map(parent, GUEST_DATA, SCRATCH + 8 * PAGE);
        bench.assertReaches(GUEST_VIRTUAL, SCRATCH + 8 * PAGE);

        nested.detach(bench.device());
        bench.assertRefused(GUEST_VIRTUAL);
        nested.close();
        parent.close();
        bench.iommu().close();
        assertThat(bench.framesInUse()).isZero();
    }

    @Test
    void aGuestsTableIsSnoopedWhenItsParentHadPromisedBeforeTheDeviceCame() {
        Bench bench = bench(EVERYTHING, false);
        IommuDomain parent = parentWithGuest(bench);
        IommuDomain nested = nested(bench, parent);
        long host = SCRATCH + 4 * PAGE;
        bench.attach(nested, bench.device());
        assertThat(bench.isSnooped(bench.endpoint(), GUEST_VIRTUAL, host)).isFalse();
        assertThat(enforce(parent)).isTrue();
        assertThat(bench.isSnooped(bench.endpoint(), GUEST_VIRTUAL, host)).isFalse();
        nested.detach(bench.device());
        bench.attach(nested, bench.device());
        assertThat(bench.isSnooped(bench.endpoint(), GUEST_VIRTUAL, host)).isTrue();
    }

    // ---- dirty tracking --------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void pagesThatADeviceWritesAreMarkedAndNoOthers(boolean ats) {
        Bench bench = bench(EVERYTHING, ats);
        IommuDomain domain = allocate(bench, DomainFlag.DIRTY_TRACKING);
        bench.map(domain, IOVA, SCRATCH, PAGE, 32, READ_WRITE);
        long large = IOVA + (2L << 20);
        bench.map(domain, large, SCRATCH + (2L << 20), 2L << 20, 1, READ_WRITE);
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
        endpoint.write(large + PAGE, 2, false);
        tracking.readAndClearDirty(written, true);
        assertThat(written.count()).isEqualTo(1 + 512);
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

    // ---- device TLBs -----------------------------------------------------------------------------------------------

    @Test
    void aDeviceKeepsItsTranslationsUntilTheSync() {
        // In legacy mode, too.
        for (long ecap : new long[] {EVERYTHING, EVERYTHING & ~FIRST_STAGE, VtdUnitProvider.ECAP_SNOOP_CONTROL}) {
            Bench bench = bench(ecap, true);
            IommuDomain domain = bench.attached();
            bench.map(domain, IOVA, SCRATCH, PAGE, 8, READ_WRITE);
            for (int page = 0; page < 8; page++) {
                bench.assertReaches(IOVA + page * PAGE, SCRATCH + page * PAGE);
            }
            IotlbGather gather = new IotlbGather();
            assertThat(domain.unmap(IOVA, 4 * PAGE, gather)).isEqualTo(4 * PAGE);
            assertThat(bench.endpoint().write(IOVA, 1, false)).as("stale").isTrue();
            domain.sync(gather);
            for (int page = 0; page < 4; page++) {
                bench.assertRefused(IOVA + page * PAGE);
            }
            for (int page = 4; page < 8; page++) {
                bench.assertReaches(IOVA + page * PAGE, SCRATCH + page * PAGE);
            }

            // By itself the device would go on after its entry is gone.
            domain.detach(bench.device());
            bench.assertRefused(IOVA + 5 * PAGE);
            IommuDomain other = bench.attached();
            bench.map(other, IOVA + 6 * PAGE, SCRATCH);
            bench.assertRefused(IOVA + 5 * PAGE);
            bench.assertReaches(IOVA + 6 * PAGE, SCRATCH);
            bench.attach(domain, bench.device());
            bench.assertReaches(IOVA + 6 * PAGE, SCRATCH + 6 * PAGE);
        }
    }

    @Test
    void aDeviceThatIsNotToldGoesOnWithItsTranslations() {
        Configuration configuration =
                ScalableMachines.withDevices(ScalableMachines.of("untold device", CAP, EVERYTHING), true);
        Bench bench = new Bench(
                configuration,
                context -> ForgetfulMemory.withoutVtdDeviceTlbInvalidation(
                        context, Bench.DEVICE.requesterId(), Bench.SECOND.requesterId()));
        IommuDomain domain = bench.attached();
        // Who gets the other's invalidations must be there to answer them.
        bench.attach(domain, bench.second());
        bench.map(domain, IOVA, SCRATCH);
        bench.assertReaches(IOVA, SCRATCH);
        bench.unmap(domain, IOVA, PAGE);
        // The unit forgot the page and would grant it to nobody; the device does not ask.
        bench.assertReaches(IOVA, SCRATCH);
        bench.assertRefused(bench.endpoint(), IOVA + PAGE);
    }

    // ---- walks past the caches -------------------------------------------------------------------------------------

    static List<Configuration> nonCoherent() {
        return List.of(
                ScalableMachines.of("first stage", CAP, (ECAP | FIRST_STAGE) & ~COHERENT),
                ScalableMachines.of("first stage of 5 levels", CAP_5_LEVELS, (ECAP | FIRST_STAGE) & ~COHERENT),
                ScalableMachines.of("second stage", CAP, (ECAP | SECOND_STAGE) & ~COHERENT),
                ScalableMachines.withDevices(
                        ScalableMachines.of("PASIDs", CAP, (ECAP | FIRST_STAGE | NESTING_PASID_DIRTY) & ~COHERENT),
                        true));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("nonCoherent")
    void tablesAreWrittenBackForAUnitThatDoesNotSnoop(Configuration configuration) {
        Bench bench = new Bench(configuration);
        IommuDomain domain = bench.attached();
        bench.map(domain, IOVA, SCRATCH, PAGE, 8, READ_WRITE);
        bench.assertReaches(IOVA, SCRATCH);
        bench.assertReaches(IOVA + 7 * PAGE, SCRATCH + 7 * PAGE);
        bench.unmap(domain, IOVA, PAGE);
        bench.assertRefused(IOVA);
        assertThat(enforce(domain)).isTrue();
        bench.map(domain, IOVA, SCRATCH);
        assertThat(bench.isSnooped(bench.endpoint(), IOVA, SCRATCH)).isTrue();
        if (bench.device().maxPasids() > 0) {
            Endpoint endpoint = bench.withPasid(OTHER_PASID);
            pasids(domain).attach(bench.device(), OTHER_PASID);
            bench.assertReaches(endpoint, IOVA, SCRATCH);
            pasids(domain).detach(bench.device(), OTHER_PASID);
            bench.assertRefused(endpoint, IOVA);
        }
        domain.detach(bench.device());
        bench.assertRefused(IOVA);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("nonCoherent")
    void aDriverThatForgetsToWriteBackReachesNothing(Configuration configuration) {
        Bench bench = new Bench(configuration, ForgetfulMemory::withoutWriteBack);
        IommuDomain domain = bench.attached();
        bench.map(domain, IOVA, SCRATCH);
        bench.assertRefused(IOVA);
    }

    // ---- caching mode ----------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(longs = {EVERYTHING, EVERYTHING & ~FIRST_STAGE})
    void inCachingModeWhatWasRefusedPassesOnceItIsAttachedAndMapped(long ecap) {
        Bench bench = new Bench(ScalableMachines.withDevices(
                ScalableMachines.of("caching mode", CAP | VtdUnitProvider.CAP_CM, ecap), false));
        Endpoint withPasid = bench.withPasid(PASID);
        bench.assertRefused(IOVA);
        bench.assertRefused(withPasid, IOVA);

        IommuDomain ordinary = bench.attached();
        bench.assertRefused(IOVA);
        bench.map(ordinary, IOVA, SCRATCH);
        bench.assertReaches(IOVA, SCRATCH);

        IommuDomain own = allocate(bench, DomainFlag.PASID);
        bench.assertRefused(withPasid, IOVA);
        bench.map(own, IOVA, SCRATCH + PAGE);
        assertThat(pasids(own).attach(bench.device(), PASID)).isEqualTo(AttachResult.ATTACHED);
        bench.assertReaches(withPasid, IOVA, SCRATCH + PAGE);
        bench.assertRefused(withPasid, IOVA + PAGE);
        bench.map(own, IOVA + PAGE, SCRATCH);
        bench.assertReaches(withPasid, IOVA + PAGE, SCRATCH);

        // Refused once more, as a device and as a PASID, and then of the other's domain.
        ordinary.detach(bench.device());
        pasids(own).detach(bench.device(), PASID);
        bench.assertRefused(IOVA);
        bench.assertRefused(withPasid, IOVA);
        bench.attach(own, bench.device());
        assertThat(pasids(ordinary).attach(bench.device(), PASID)).isEqualTo(AttachResult.ATTACHED);
        bench.assertReaches(IOVA, SCRATCH + PAGE);
        bench.assertReaches(withPasid, IOVA, SCRATCH);
    }

    @Test
    void inCachingModeAGuestReachesWhatItsHostMapsAfterItWasRefused() {
        Bench bench = new Bench(ScalableMachines.of("caching mode", CAP | VtdUnitProvider.CAP_CM, EVERYTHING));
        IommuDomain parent = parentWithGuest(bench);
        bench.unmap(parent, GUEST_DATA, PAGE);
        IommuDomain nested = nested(bench, parent);
        bench.assertRefused(GUEST_VIRTUAL);
        bench.attach(nested, bench.device());
        bench.assertRefused(GUEST_VIRTUAL);

        bench.map(parent, GUEST_DATA, SCRATCH + 8 * PAGE);

        bench.assertReaches(GUEST_VIRTUAL, SCRATCH + 8 * PAGE);
    }

    // ---- several units ---------------------------------------------------------------------------------------------

    @Test
    void aLegacyAndAScalableUnitShareASecondStage() {
        long legacy = ECAP & ~(1L << 43);
        Bench bench = new Bench(ScalableMachines.twoUnits(CAP, ECAP | SECOND_STAGE, CAP, legacy));
        IommuDomain domain = bench.attached();
        bench.attach(domain, bench.second());
        assertThat(enforce(domain)).isTrue();
        bench.map(domain, IOVA, SCRATCH, PAGE, 4, READ_WRITE);
        for (Endpoint endpoint : List.of(bench.endpoint(), bench.secondEndpoint())) {
            bench.assertReaches(endpoint, IOVA + PAGE, SCRATCH + PAGE);
            assertThat(bench.isSnooped(endpoint, IOVA, SCRATCH)).isTrue();
        }
        bench.unmap(domain, IOVA, 4 * PAGE);
        bench.assertRefused(bench.endpoint(), IOVA + PAGE);
        bench.assertRefused(bench.secondEndpoint(), IOVA + PAGE);
    }

    @Test
    void aUnitThatLacksWhatADomainHasStaysOut() {
        long first = ECAP | FIRST_STAGE;
        assertStaysOut(CAP, first, CAP, ECAP | SECOND_STAGE, "first stage");
        assertStaysOut(CAP, ECAP | SECOND_STAGE, CAP, first, "second stage");
        assertStaysOut(CAP_5_LEVELS, first, CAP, first, "5 levels");
        assertStaysOut(CAP_5_LEVELS, first, CAP_5_LEVELS & ~(1L << 60), first, "FL5LP");
        assertStaysOut(CAP, first, CAP & ~(1L << 56), first, "page sizes");
        assertStaysOut(CAP, first, CAP, first & ~COHERENT, "SMPWC");
    }

    private static void assertStaysOut(long cap1, long ecap1, long cap0, long ecap0, String reason) {
        Bench bench = new Bench(ScalableMachines.twoUnits(cap1, ecap1, cap0, ecap0));
        IommuDomain domain = bench.attached();
        bench.map(domain, IOVA, SCRATCH);
        IommuDomain own = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        bench.map(own, IOVA, SCRATCH + PAGE);
        bench.attach(own, bench.second());

        AttachResult result = domain.attach(bench.second());

        assertThat(result.attached()).isFalse();
        assertThat(result.reason()).contains(reason);
        // As in Linux, whose driver blocks first.
        bench.assertRefused(bench.secondEndpoint(), IOVA);
        bench.attach(own, bench.second());
        bench.assertReaches(bench.secondEndpoint(), IOVA, SCRATCH + PAGE);
        bench.assertReaches(IOVA, SCRATCH);
    }

    @Test
    void aUnitWithoutSnoopControlComesIntoAFirstStageThatPromisedAndIsThenOfNoUse() {
        long first = ECAP | FIRST_STAGE;
        Bench bench = new Bench(ScalableMachines.twoUnits(CAP, first, CAP, first & ~0x80L));
        IommuDomain domain = bench.attached();
        assertThat(enforce(domain)).isTrue();
        bench.map(domain, IOVA, SCRATCH);

        // Nobody asks in Linux 7.1; the entry then has a bit (PGSNP) that this unit reserves.
        bench.attach(domain, bench.second());

        bench.assertRefused(bench.secondEndpoint(), IOVA);
        assertThat(bench.isSnooped(bench.endpoint(), IOVA, SCRATCH)).isTrue();
        domain.detach(bench.second());
        bench.assertReaches(IOVA, SCRATCH);
    }

    @Test
    void requestsWithoutPasidAreNotTakenForThoseOfAPasid() {
        Bench bench = bench(EVERYTHING, false);
        IommuDomain own = allocate(bench, DomainFlag.PASID);
        bench.map(own, IOVA, SCRATCH);
        pasids(own).attach(bench.device(), PASID);
        Endpoint endpoint = bench.withPasid(PASID);
        bench.assertReaches(endpoint, IOVA, SCRATCH);
        endpoint.usePasid(TranslationUnit.NO_PASID);
        bench.assertRefused(endpoint, IOVA);
    }
}
