// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Homes.FAR;
import static org.iommu4j.tck.driver.Homes.all;
import static org.iommu4j.tck.driver.Homes.attach;
import static org.iommu4j.tck.driver.Homes.detach;
import static org.iommu4j.tck.driver.Homes.domain;
import static org.iommu4j.tck.driver.Homes.pasids;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link PasidAttachment#attach}. */
@NeedsAbility(Ability.PASID)
public abstract class PasidContract {
    private static final EnumSet<Errno> OUT_OF_ROOM = EnumSet.of(Errno.ENOMEM, Errno.ENOSPC);
    private static final EnumSet<Errno> FAILURES = EnumSet.of(Errno.ENOMEM, Errno.ENOSPC, Errno.ETIMEDOUT, Errno.EIO);

    /** The first of PASIDs that take all ids. */
    private static final int FIRST_TAKEN = 100;

    /** Made by JUnit. */
    protected PasidContract() {}

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
        // Those of a device that is blocked are not taken for those of a PASID.
        bench.detach(homes.one, bench.device());
        homes.assertNowhere(bench.requester());
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
                if (ordinary != null && ordinary.type() == DomainType.IDENTITY) {
                    bench.assertReaches(bench.scratch(), bench.scratch());
                    bench.assertBlocked(homes.with(5), bench.scratch());
                }
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
            CountedFrames frames = new CountedFrames();
            Homes homes = new Homes(whole.on(frames::in));
            Bench bench = homes.bench;
            if (moves) {
                attach(bench, homes.one, FAR);
            } else {
                // Of domains that were refused nothing is kept, an id for example.
                for (int i = 0; i < 40; i++) {
                    IommuDomain next = domain(bench);
                    frames.exhausted(true);
                    Errnos.of(() -> pasids(next).attach(bench.device(), FAR));
                    frames.exhausted(false);
                    Errnos.of(() -> pasids(next).detach(bench.device(), FAR));
                    next.close();
                }
            }
            int refused = 0;
            for (int pasid : List.of(FAR, 1, 2 * FAR, bench.device().maxPasids() - 1)) {
                long inUse = bench.framesInUse();
                frames.exhausted(true);
                boolean[] attached = new boolean[1];
                boolean done = Errnos.isDone(
                        OUT_OF_ROOM,
                        () -> attached[0] =
                                pasids(homes.two).attach(bench.device(), pasid).attached());
                assertThat(attached[0]).as("attached").isEqualTo(done);
                if (!done) {
                    refused++;
                    assertThat(bench.framesInUse()).as("frames in use").isEqualTo(inUse);
                    if (moves && pasid == FAR) {
                        homes.assertIn(homes.one, homes.with(pasid));
                    } else {
                        homes.assertNowhere(homes.with(pasid));
                    }
                    assertRefused(Errno.EINVAL, () -> pasids(homes.two).detach(bench.device(), pasid));
                }
                frames.exhausted(false);
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

                    @Override
                    public void leave() {
                        homes.leave(9, FAR);
                    }
                };
            });
        }
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise({"attach-pasid-6", "attach-pasid-8"})
    void aUnitThatDoesNotAnswerLeavesAPasidWhereItWas(Bench whole) {
        Silence silence = new Silence();
        Homes homes = new Homes(whole.on(silence::in));
        attach(homes.bench, homes.one, 5);
        homes.assertIn(homes.one, homes.with(5));
        silence.during(() ->
                assertRefused(NOT_COMPLETED, () -> pasids(homes.two).attach(homes.bench.device(), 5)));
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
}
