// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link PasidAttachment}. */
@NeedsAbility(Ability.PASID)
public abstract class PasidContract {
    private static final EnumSet<Errno> NOT_COMPLETED = EnumSet.of(Errno.ETIMEDOUT, Errno.EIO);
    private static final EnumSet<Errno> OUT_OF_ROOM = EnumSet.of(Errno.ENOMEM, Errno.ENOSPC);
    private static final EnumSet<Errno> FAILURES = EnumSet.of(Errno.ENOMEM, Errno.ENOSPC, Errno.ETIMEDOUT, Errno.EIO);

    /** Beyond the first table of PASIDs of most formats, so that it takes a frame. */
    private static final int FAR = 700;

    /** The first of PASIDs that take all ids. */
    private static final int FIRST_TAKEN = 100;

    /** Made by JUnit. */
    protected PasidContract() {}

    /** Allocates a domain that devices with PASIDs use. */
    static IommuDomain domain(Bench bench) {
        return bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.PASID));
    }

    static PasidAttachment pasids(IommuDomain domain) {
        return domain.pasidAttachment().orElseThrow();
    }

    /** Attaches a PASID of the first device, which must succeed. */
    static void attach(Bench bench, IommuDomain domain, int pasid) {
        attach(bench, domain, bench.device(), pasid);
    }

    private static void attach(Bench bench, IommuDomain domain, IommuDevice device, int pasid) {
        bench.steps().note("attach(%s, PASID %d)", device.id(), pasid);
        assertThat(pasids(domain).attach(device, pasid)).isEqualTo(AttachResult.ATTACHED);
    }

    static void detach(Bench bench, IommuDomain domain, int pasid) {
        bench.steps().note("detach(%s, PASID %d)", bench.device().id(), pasid);
        pasids(domain).detach(bench.device(), pasid);
    }

    /**
     * Two domains for PASIDs, and two that the devices' ordinary requests use; in each the same IOVA leads elsewhere.
     */
    private static final class Homes {
        final Bench bench;
        final IommuDomain ordinary;
        final IommuDomain second;
        final IommuDomain one;
        final IommuDomain two;
        final long page;

        Homes(Bench bench) {
            this.bench = bench;
            page = bench.granule();
            ordinary = mapped(0);
            second = mapped(1);
            one = mapped(2);
            two = mapped(3);
            bench.attach(ordinary, bench.device());
            bench.attach(second, bench.second());
        }

        /** Makes a domain with four pages of its own, and one that is at another place in each domain. */
        private IommuDomain mapped(int number) {
            IommuDomain domain = domain(bench);
            bench.map(domain, bench.iova(), bench.scratch() + 8L * number * page, page, 4, READ_WRITE);
            bench.map(domain, bench.iova() + (16 + number) * page, bench.scratch() + (8L * number + 5) * page);
            return domain;
        }

        int number(IommuDomain domain) {
            return List.of(ordinary, second, one, two).indexOf(domain);
        }

        Requester with(int pasid) {
            return bench.requester().withPasid(pasid);
        }

        /** Asserts that a requester reaches all of one domain, and nothing of others. */
        void assertIn(IommuDomain domain, Requester who) {
            int number = number(domain);
            for (int i = 0; i < 4; i++) {
                bench.assertReaches(who, bench.iova() + i * page, bench.scratch() + (8 * number + i) * page);
            }
            for (int other = 0; other < 4; other++) {
                long iova = bench.iova() + (16 + other) * page;
                if (other == number) {
                    bench.assertReaches(who, iova, bench.scratch() + (8L * number + 5) * page);
                } else {
                    bench.assertBlocked(who, iova);
                }
            }
        }

        void assertNowhere(Requester who) {
            for (int i : new int[] {3, 0, 16, 17, 18, 19}) {
                bench.assertBlocked(who, bench.iova() + i * page);
            }
        }

        void assertOrdinaryGoOn() {
            assertIn(ordinary, bench.requester());
            assertIn(second, bench.secondRequester());
        }
    }

    private static List<Integer> all(IommuDevice device) {
        int most = device.maxPasids();
        assertThat(most).as("PASIDs of %s", device.id()).isGreaterThan(1);
        List<Integer> some = new ArrayList<>();
        for (int pasid : new int[] {1, 2, 3, 63, 64, 65, 511, 512, 513, FAR, most / 2, most - 2, most - 1}) {
            if (pasid > 0 && pasid < most && !some.contains(pasid)) {
                some.add(pasid);
            }
        }
        return some;
    }

    // Attaching.

    @Test
    @Promise("attach-pasid-1")
    void aPasidGoesToADomainFromWherever(Bench bench) {
        Homes homes = new Homes(bench);
        for (int pasid : all(bench.device())) {
            Requester who = homes.with(pasid);
            homes.assertNowhere(who);
            attach(bench, homes.one, pasid);
            homes.assertIn(homes.one, who);
            for (IommuDomain next : List.of(homes.two, homes.one, homes.one, homes.ordinary, homes.two)) {
                attach(bench, next, pasid);
                homes.assertIn(next, who);
            }
        }
        // All at once, and the pages that come and go.
        for (int pasid : all(bench.device())) {
            homes.assertIn(homes.two, homes.with(pasid));
        }
        long late = bench.iova() + 30 * homes.page;
        bench.map(homes.two, late, bench.scratch() + 50 * homes.page);
        for (int pasid : all(bench.device())) {
            bench.assertReaches(homes.with(pasid), late, bench.scratch() + 50 * homes.page);
        }
        bench.unmap(homes.two, late, homes.page);
        for (int pasid : all(bench.device())) {
            bench.assertBlocked(homes.with(pasid), late);
        }
    }

    @Test
    @Promise("attach-pasid-1")
    void theSamePasidOfAnotherDeviceIsAnother(Bench bench) {
        Homes homes = new Homes(bench);
        Requester other = bench.secondRequester().withPasid(5);
        attach(bench, homes.one, 5);
        homes.assertNowhere(other);
        attach(bench, homes.two, bench.second(), 5);
        homes.assertIn(homes.two, other);
        homes.assertIn(homes.one, homes.with(5));
        attach(bench, homes.two, 5);
        attach(bench, homes.one, bench.second(), 5);
        homes.assertIn(homes.one, other);
        homes.assertIn(homes.two, homes.with(5));
        detach(bench, homes.two, 5);
        homes.assertIn(homes.one, other);
        homes.assertNowhere(homes.with(5));
        homes.assertOrdinaryGoOn();
    }

    @Test
    @Promise("attach-pasid-2")
    void ordinaryRequestsAndOtherPasidsGoOn(Bench bench) {
        Homes homes = new Homes(bench);
        homes.assertOrdinaryGoOn();
        attach(bench, homes.two, 6);
        attach(bench, homes.ordinary, FAR % bench.device().maxPasids());
        for (int pasid : List.of(5, 7, 1)) {
            for (IommuDomain next : List.of(homes.one, homes.two, homes.ordinary, homes.one)) {
                attach(bench, next, pasid);
                homes.assertOrdinaryGoOn();
                homes.assertIn(homes.two, homes.with(6));
                homes.assertIn(homes.ordinary, homes.with(FAR % bench.device().maxPasids()));
                homes.assertIn(next, homes.with(pasid));
                homes.assertNowhere(homes.with(8));
            }
            detach(bench, homes.one, pasid);
            homes.assertOrdinaryGoOn();
            homes.assertIn(homes.two, homes.with(6));
        }
        // The other way round: ordinary requests move, and leave the PASIDs where they are.
        bench.attach(homes.one, bench.device());
        homes.assertIn(homes.one, bench.requester());
        homes.assertIn(homes.two, homes.with(6));
    }

    @Test
    @Promise("attach-pasid-3")
    void whatDoesNotFitChangesNothing(Bench bench) {
        Homes homes = new Homes(bench);
        attach(bench, homes.one, 5);
        homes.ordinary.detach(bench.device());
        List<IommuDomain> beside = new ArrayList<>();
        beside.add(bench.iommu().allocate(DomainType.BLOCKED, bench.device()));
        if (bench.traits().has(Ability.IDENTITY)) {
            beside.add(bench.iommu().allocate(DomainType.IDENTITY, bench.device()));
        }
        beside.add(bench.domain());
        beside.add(homes.ordinary);
        beside.add(null);
        for (IommuDomain ordinary : beside) {
            if (ordinary != null && !ordinary.attach(bench.device()).attached()) {
                continue;
            }
            boolean reached = bench.requester().withPasid(5).write(bench.iova(), 1, false);
            bench.steps().note("attach(PASID 5) beside %s", ordinary == null ? null : ordinary.type());
            AttachResult result = pasids(homes.two).attach(bench.device(), 5);
            assertThat(result).isNotNull();
            if (result.attached()) {
                homes.assertIn(homes.two, homes.with(5));
                attach(bench, homes.one, 5);
            } else {
                assertThat(result.reason()).isNotBlank();
                assertThat(homes.with(5).write(bench.iova(), 1, false)).isEqualTo(reached);
                // Where it is already it may stay.
                assertThat(pasids(homes.one).attach(bench.device(), 5)).isNotNull();
                assertThat(homes.with(5).write(bench.iova(), 1, false)).isEqualTo(reached);
            }
            if (ordinary != null) {
                ordinary.detach(bench.device());
            }
        }
        bench.attach(homes.ordinary, bench.device());
        homes.assertIn(homes.one, homes.with(5));
        assertRefused(Errno.EINVAL, () -> pasids(homes.two).detach(bench.device(), 5));
        homes.assertIn(homes.one, homes.with(5));
        homes.assertOrdinaryGoOn();
    }

    @Test
    @Promise({"attach-pasid-4", "attach-pasid-8"})
    void aPasidOutOfRangeIsRefused(Bench bench) {
        Homes homes = new Homes(bench);
        int most = bench.device().maxPasids();
        attach(bench, homes.one, 1);
        attach(bench, homes.one, most - 1);
        for (int pasid : new int[] {0, -1, most, most + 1, 1 << 20, Integer.MIN_VALUE, Integer.MAX_VALUE, 1 - most}) {
            for (IommuDomain domain : List.of(homes.two, homes.one, homes.ordinary)) {
                assertRefused(Errno.EINVAL, () -> pasids(domain).attach(bench.device(), pasid));
            }
        }
        homes.assertIn(homes.one, homes.with(1));
        homes.assertIn(homes.one, homes.with(most - 1));
        homes.assertOrdinaryGoOn();
    }

    @Test
    @Promise("attach-pasid-5")
    void aDeviceWithoutPasidsIsRefused(Bench bench) {
        IommuDomain domain = domain(bench);
        int without = 0;
        for (FunctionDescription function : bench.subject().machine().functions()) {
            if (function.unit().isEmpty()) {
                continue;
            }
            IommuDevice device = bench.probe(function.address());
            if (device.maxPasids() == 0) {
                without++;
                for (int pasid : new int[] {1, 5}) {
                    assertRefused(Errno.EOPNOTSUPP, () -> pasids(domain).attach(device, pasid));
                }
            }
        }
        assertThat(without).as("devices without PASIDs on %s", bench.subject()).isPositive();
    }

    @Test
    @Promise({"attach-pasid-6", "attach-pasid-8"})
    void withoutFramesThereIsOneErrnoAndNothingChanges(Bench whole) {
        for (boolean moves : new boolean[] {false, true}) {
            Ports.CountedFrames[] frames = new Ports.CountedFrames[1];
            Homes homes = new Homes(whole.on(context -> {
                frames[0] = new Ports.CountedFrames(context.frames());
                return Ports.with(context, context.memory(), frames[0]);
            }));
            Bench bench = homes.bench;
            if (moves) {
                attach(bench, homes.one, FAR);
            }
            int refused = 0;
            for (int pasid : List.of(FAR, 1, 2 * FAR, bench.device().maxPasids() - 1)) {
                long inUse = bench.framesInUse();
                frames[0].exhausted(true);
                try {
                    assertThat(pasids(homes.two).attach(bench.device(), pasid).attached())
                            .isTrue();
                } catch (IommuException e) {
                    refused++;
                    assertThat(e.errno()).isIn(OUT_OF_ROOM);
                    assertThat(bench.framesInUse()).as("frames in use").isEqualTo(inUse);
                    if (moves && pasid == FAR) {
                        homes.assertIn(homes.one, homes.with(pasid));
                    } else {
                        homes.assertNowhere(homes.with(pasid));
                    }
                    assertRefused(Errno.EINVAL, () -> pasids(homes.two).detach(bench.device(), pasid));
                } finally {
                    frames[0].exhausted(false);
                }
                homes.assertOrdinaryGoOn();
                attach(bench, homes.two, pasid);
                homes.assertIn(homes.two, homes.with(pasid));
            }
            assertThat(refused).as("attachments that needed a frame").isNotNegative();
        }
    }

    @Test
    @Promise({"attach-pasid-6", "attach-pasid-8"})
    void whateverFailsThePasidStaysWhereItWas(Bench whole) {
        for (boolean moves : new boolean[] {false, true}) {
            new EachFailure(whole).of(FAILURES, bench -> {
                Homes homes = new Homes(bench);
                attach(bench, homes.ordinary, 9);
                if (moves) {
                    attach(bench, homes.one, FAR);
                    homes.assertIn(homes.one, homes.with(FAR));
                }
                return new EachFailure.Attempt() {
                    @Override
                    public void run() {
                        assertThat(pasids(homes.two).attach(bench.device(), FAR))
                                .isEqualTo(AttachResult.ATTACHED);
                    }

                    @Override
                    public void assertDone() {
                        homes.assertIn(homes.two, homes.with(FAR));
                        homes.assertOrdinaryGoOn();
                    }

                    @Override
                    public void assertFailed(Errno errno) {
                        boolean broken = NOT_COMPLETED.contains(errno);
                        if (moves) {
                            bench.assertReaches(homes.with(FAR), bench.iova(), bench.scratch() + 16 * homes.page);
                        } else if (!broken) {
                            homes.assertNowhere(homes.with(FAR));
                        }
                        bench.assertReaches(bench.iova(), bench.scratch());
                        bench.assertReaches(homes.with(9), bench.iova(), bench.scratch());
                        assertRefused(Errno.EINVAL, () -> pasids(homes.two).detach(bench.device(), FAR));
                        if (!broken) {
                            run();
                            assertDone();
                        }
                    }
                };
            });
        }
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise({"attach-pasid-6", "attach-pasid-8"})
    void aUnitThatDoesNotAnswerLeavesAPasidWhereItWas(Bench whole) {
        Ports.Silencer unit = new Ports.Silencer();
        Homes homes = new Homes(whole.on(unit::apply));
        attach(homes.bench, homes.one, 5);
        homes.assertIn(homes.one, homes.with(5));
        unit.during(() -> assertRefused(NOT_COMPLETED, () -> pasids(homes.two).attach(homes.bench.device(), 5)));
        homes.bench.assertReaches(homes.with(5), homes.bench.iova(), homes.bench.scratch() + 16 * homes.page);
        homes.bench.assertReaches(homes.bench.iova(), homes.bench.scratch());
        assertRefused(Errno.EINVAL, () -> pasids(homes.two).detach(homes.bench.device(), 5));
    }

    @Test
    @NeedsAbility(Ability.ID_PER_ATTACHMENT)
    @Promise({"attach-pasid-6", "attach-pasid-8"})
    void pasidsRunOutOfDomainIdsAndStayWhereTheyWere(Bench bench) {
        Homes homes = new Homes(bench);
        attach(bench, homes.one, 5);
        List<IommuDomain> taken = takeAllIds(bench);
        long frames = bench.framesInUse();
        for (int i = 0; i < 3; i++) {
            assertRefused(Errno.ENOSPC, () -> pasids(homes.two).attach(bench.device(), 6));
            homes.assertNowhere(homes.with(6));
            Optional<Errno> moved = Errnos.of(() -> pasids(homes.two).attach(bench.device(), 5));
            homes.assertIn(moved.isPresent() ? homes.one : homes.two, homes.with(5));
            assertThat(moved.orElse(Errno.ENOSPC)).isEqualTo(Errno.ENOSPC);
            if (moved.isEmpty()) {
                attach(bench, homes.one, 5);
            }
        }
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        // A domain that has an id takes more PASIDs.
        attach(bench, homes.one, 6);
        homes.assertIn(homes.one, homes.with(6));
        int ids = taken.size();
        detach(bench, taken.get(ids / 2), FIRST_TAKEN + ids / 2);
        attach(bench, homes.two, 7);
        homes.assertIn(homes.two, homes.with(7));
        detach(bench, homes.two, 7);
        attach(bench, taken.get(ids / 2), FIRST_TAKEN + ids / 2);
        homes.assertOrdinaryGoOn();
        for (int i = 0; i < ids; i++) {
            detach(bench, taken.get(i), FIRST_TAKEN + i);
            taken.get(i).close();
        }
        assertThat(takeAllIds(bench)).as("ids that can be taken again").hasSize(ids);
    }

    /** Attaches PASIDs of the first device, each to a domain of its own, until there is no id. */
    private static List<IommuDomain> takeAllIds(Bench bench) {
        List<IommuDomain> taken = new ArrayList<>();
        while (FIRST_TAKEN + taken.size() < bench.device().maxPasids()) {
            IommuDomain domain = domain(bench);
            int pasid = FIRST_TAKEN + taken.size();
            Optional<Errno> errno = Errnos.of(() -> attach(bench, domain, pasid));
            if (errno.isPresent()) {
                assertThat(errno).contains(Errno.ENOSPC);
                domain.close();
                return taken;
            }
            taken.add(domain);
        }
        throw new AssertionError("every PASID is in a domain of its own, expected ENOSPC before");
    }

    /** All ids are taken before the device is in a domain, so that the table of its PASIDs may lack one. */
    @Test
    @NeedsAbility(Ability.ID_PER_DOMAIN)
    @Promise({"attach-pasid-6", "attach-pasid-8", "attach-8", "attach-11"})
    void aDeviceAndItsPasidsStayWhereTheyWereWhenDomainsHaveTakenAllIds(Bench bench) {
        IommuDomain old = bench.attached();
        bench.map(old, bench.iova(), bench.scratch() + bench.granule());
        IommuDomain ordinary = domain(bench);
        bench.map(ordinary, bench.iova(), bench.scratch());
        IommuDomain domain = domain(bench);
        bench.map(domain, bench.iova(), bench.scratch() + 2 * bench.granule());
        DomainType type = bench.traits().has(Ability.IDENTITY) ? DomainType.IDENTITY : DomainType.BLOCKED;
        List<IommuDomain> taken = new ArrayList<>();
        Optional<Errno> errno = Optional.empty();
        while (errno.isEmpty()) {
            errno = Errnos.of(() -> taken.add(bench.iommu().allocate(type, bench.device())));
        }
        assertThat(errno).contains(Errno.ENOSPC);
        long frames = bench.framesInUse();

        Optional<Errno> refused = Errnos.of(() -> bench.attach(ordinary, bench.device()));

        assertThat(refused.orElse(Errno.ENOSPC)).isEqualTo(Errno.ENOSPC);
        if (refused.isPresent()) {
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
            bench.assertReaches(bench.iova(), bench.scratch() + bench.granule());
            taken.remove(0).close();
            bench.attach(ordinary, bench.device());
        }
        bench.assertReaches(bench.iova(), bench.scratch());
        Requester requester = bench.requester().withPasid(5);
        refused = Errnos.of(() -> attach(bench, domain, 5));
        assertThat(refused.orElse(Errno.ENOSPC)).isEqualTo(Errno.ENOSPC);
        if (refused.isPresent()) {
            bench.assertBlocked(requester, bench.iova());
            taken.remove(0).close();
            attach(bench, domain, 5);
        }
        bench.assertReaches(requester, bench.iova(), bench.scratch() + 2 * bench.granule());
        bench.assertReaches(bench.iova(), bench.scratch());
    }

    @Test
    @Promise({"attach-pasid-7", "detach-pasid-5", "attach-pasid-8"})
    void strangersAndClosedDomainsAreRefused(Bench bench) {
        Homes homes = new Homes(bench);
        attach(bench, homes.one, 5);
        Bench stranger = bench.on(UnaryOperator.identity());
        assertRefused(Errno.ENODEV, () -> pasids(homes.one).attach(stranger.device(), 5));
        assertRefused(Errno.ENODEV, () -> pasids(homes.one).attach(stranger.second(), 6));
        assertRefused(Errno.ENODEV, () -> pasids(homes.one).detach(stranger.device(), 5));
        IommuDomain closed = domain(bench);
        PasidAttachment kept = pasids(closed);
        closed.close();
        assertRefused(Errno.ENODEV, () -> kept.attach(bench.device(), 5));
        assertRefused(Errno.ENODEV, () -> kept.attach(bench.device(), 6));
        assertRefused(Errno.ENODEV, () -> kept.detach(bench.device(), 5));
        homes.assertIn(homes.one, homes.with(5));
        homes.assertNowhere(homes.with(6));
        // A domain that had it, and has it no longer.
        attach(bench, homes.two, 5);
        PasidAttachment old = pasids(homes.one);
        homes.one.close();
        assertRefused(Errno.ENODEV, () -> old.attach(bench.device(), 5));
        assertRefused(Errno.ENODEV, () -> old.detach(bench.device(), 5));
        homes.assertIn(homes.two, homes.with(5));
        homes.assertOrdinaryGoOn();
    }

    // Detaching.

    @Test
    @Promise("detach-pasid-1")
    void aDetachedPasidIsBlockedAtOnce(Bench bench) {
        Homes homes = new Homes(bench);
        for (int round = 0; round < 2; round++) {
            for (int pasid : all(bench.device())) {
                attach(bench, homes.one, pasid);
                homes.assertIn(homes.one, homes.with(pasid));
            }
            for (int pasid : all(bench.device())) {
                homes.assertIn(homes.one, homes.with(pasid));
                detach(bench, homes.one, pasid);
                homes.assertNowhere(homes.with(pasid));
            }
            homes.assertOrdinaryGoOn();
        }
        // One of two of the same domain, and one that moved before.
        attach(bench, homes.one, 5);
        attach(bench, homes.one, 6);
        attach(bench, homes.one, bench.second(), 5);
        attach(bench, homes.two, 5);
        attach(bench, homes.one, 5);
        homes.assertIn(homes.one, homes.with(5));
        homes.assertIn(homes.one, homes.with(6));
        detach(bench, homes.one, 5);
        homes.assertNowhere(homes.with(5));
        homes.assertIn(homes.one, homes.with(6));
        homes.assertIn(homes.one, bench.secondRequester().withPasid(5));
        // A domain that ordinary requests use as well.
        attach(bench, homes.ordinary, 5);
        detach(bench, homes.ordinary, 5);
        homes.assertNowhere(homes.with(5));
        homes.assertOrdinaryGoOn();
    }

    @Test
    @Promise("detach-pasid-2")
    void detachingTakesNoFrameAndWorksWithoutAny(Bench whole) {
        Ports.CountedFrames[] frames = new Ports.CountedFrames[1];
        Homes homes = new Homes(whole.on(context -> {
            frames[0] = new Ports.CountedFrames(context.frames());
            return Ports.with(context, context.memory(), frames[0]);
        }));
        List<Integer> all = all(homes.bench.device());
        for (int pasid : all) {
            attach(homes.bench, homes.one, pasid);
        }
        attach(homes.bench, homes.two, 5);
        long calls = frames[0].calls();
        frames[0].exhausted(true);
        for (int pasid : all) {
            detach(homes.bench, homes.one, pasid);
            homes.assertNowhere(homes.with(pasid));
        }
        detach(homes.bench, homes.two, 5);
        assertRefused(Errno.EINVAL, () -> pasids(homes.two).detach(homes.bench.device(), 5));
        assertThat(frames[0].calls()).as("frames asked for").isEqualTo(calls);
        frames[0].exhausted(false);
    }

    @Test
    @Promise("detach-pasid-3")
    void aDomainGivesUpOnlyWhatItHas(Bench bench) {
        Homes homes = new Homes(bench);
        int most = bench.device().maxPasids();
        for (int pasid : new int[] {0, -1, 1, 5, FAR, most - 1, most, most + 1, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
            for (IommuDomain domain : List.of(homes.one, homes.ordinary)) {
                assertRefused(Errno.EINVAL, () -> pasids(domain).detach(bench.device(), pasid));
            }
        }
        attach(bench, homes.one, 5);
        assertRefused(Errno.EINVAL, () -> pasids(homes.two).detach(bench.device(), 5));
        assertRefused(Errno.EINVAL, () -> pasids(homes.ordinary).detach(bench.device(), 5));
        assertRefused(Errno.EINVAL, () -> pasids(homes.one).detach(bench.device(), 6));
        assertRefused(Errno.EINVAL, () -> pasids(homes.one).detach(bench.second(), 5));
        homes.assertIn(homes.one, homes.with(5));
        attach(bench, homes.two, 5);
        assertRefused(Errno.EINVAL, () -> pasids(homes.one).detach(bench.device(), 5));
        homes.assertIn(homes.two, homes.with(5));
        detach(bench, homes.two, 5);
        assertRefused(Errno.EINVAL, () -> pasids(homes.two).detach(bench.device(), 5));
        assertRefused(Errno.EINVAL, () -> pasids(homes.two).detach(bench.device(), 5));
        homes.assertNowhere(homes.with(5));
        homes.assertOrdinaryGoOn();
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("detach-pasid-4")
    void whereTheUnitDoesNotAnswerThePasidIsDetachedAllTheSame(Bench whole) {
        Ports.Silencer unit = new Ports.Silencer();
        Homes homes = new Homes(whole.on(unit::apply));
        Bench bench = homes.bench;
        attach(bench, homes.one, 5);
        attach(bench, homes.one, 6);
        homes.assertIn(homes.one, homes.with(5));
        unit.during(() -> assertRefused(NOT_COMPLETED, () -> detach(bench, homes.one, 5)));
        assertRefused(Errno.EINVAL, () -> detach(bench, homes.one, 5));
        assertRefused(Errno.EIO, () -> pasids(homes.one).attach(bench.device(), 7));
        assertRefused(Errno.EIO, () -> pasids(homes.two).attach(bench.device(), 6));
        bench.assertReaches(bench.iova(), bench.scratch());
        bench.assertReaches(homes.with(6), bench.iova(), bench.scratch() + 16 * homes.page);
        // Nothing is left in the domain but the other PASID.
        assertRefused(Errno.EBUSY, homes.one::close);
        assertRefused(NOT_COMPLETED, () -> detach(bench, homes.one, 6));
        homes.one.close();
    }

    @Test
    @Promise("detach-pasid-4")
    void detachingEndsInNothingButATimeOut(Bench whole) {
        new EachFailure(whole).of(NOT_COMPLETED, bench -> {
            Homes homes = new Homes(bench);
            attach(bench, homes.one, FAR);
            homes.assertIn(homes.one, homes.with(FAR));
            return new EachFailure.Attempt() {
                @Override
                public void run() {
                    detach(bench, homes.one, FAR);
                }

                @Override
                public void assertDone() {
                    homes.assertNowhere(homes.with(FAR));
                    homes.assertOrdinaryGoOn();
                    homes.one.close();
                }

                @Override
                public void assertFailed(Errno errno) {
                    assertRefused(Errno.EINVAL, () -> detach(bench, homes.one, FAR));
                    bench.assertReaches(bench.iova(), bench.scratch());
                    homes.one.close();
                }
            };
        });
    }
}
