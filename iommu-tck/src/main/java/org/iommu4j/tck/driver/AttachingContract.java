// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.device.DeviceId;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#attach} and {@link IommuDomain#detach}. */
public abstract class AttachingContract {
    private static final Set<Errno> BROKEN = EnumSet.of(Errno.ETIMEDOUT, Errno.EIO);

    /** Made by JUnit. */
    protected AttachingContract() {}

    private static Requester requester(Bench bench, IommuDevice device) {
        return Requester.of(bench.machine(), device.id());
    }

    /** Maps pages 0 to 3 to the frames from {@code first} on, and has the device use each. */
    private static void use(Bench bench, IommuDomain domain, IommuDevice device, int first) {
        for (int page = 0; page < 4; page++) {
            bench.map(domain, page(bench, page), frame(bench, first + page));
            bench.assertReaches(requester(bench, device), page(bench, page), frame(bench, first + page));
        }
    }

    private static long page(Bench bench, int page) {
        return bench.iova() + page * bench.granule();
    }

    private static long frame(Bench bench, int frame) {
        return bench.scratch() + frame * bench.granule();
    }

    // ---- attaching -------------------------------------------------------------------------------------------------

    @Test
    @Promise("attach-1")
    void aMovedDeviceReachesItsNewDomainAndNothingOfTheOldOne(Bench bench) {
        for (IommuDevice device : List.of(bench.device(), bench.second())) {
            Requester requester = requester(bench, device);
            IommuDomain old = bench.iommu().allocate(DomainType.UNMANAGED, device);
            bench.attach(old, device);
            use(bench, old, device, 0);
            IommuDomain next = bench.iommu().allocate(DomainType.UNMANAGED, device);
            bench.map(next, page(bench, 0), frame(bench, 8));
            bench.map(next, page(bench, 9), frame(bench, 9));

            for (int round = 0; round < 3; round++) {
                bench.attach(next, device);
                for (int page = 1; page < 4; page++) {
                    bench.assertBlocked(requester, page(bench, page));
                }
                bench.assertReaches(requester, page(bench, 0), frame(bench, 8));
                bench.assertReaches(requester, page(bench, 9), frame(bench, 9));

                bench.attach(old, device);
                bench.assertBlocked(requester, page(bench, 9));
                for (int page = 0; page < 4; page++) {
                    bench.assertReaches(requester, page(bench, page), frame(bench, page));
                }
            }
            bench.detach(old, device);
            old.close();
            next.close();
        }
    }

    /** A domain that takes over the frames and the id of the old one finds no trace of it. */
    @Test
    @Promise("attach-1")
    void aDeviceFindsNothingOfADomainThatWasClosed(Bench bench) {
        for (int round = 0; round < 6; round++) {
            IommuDomain domain = bench.attached();
            for (int page = 0; page < 4; page++) {
                bench.assertBlocked(page(bench, page));
            }
            use(bench, domain, bench.device(), round % 3 * 4);
            bench.detach(domain, bench.device());
            for (int page = 0; page < 4; page++) {
                bench.assertBlocked(page(bench, page));
            }
            domain.close();
        }
    }

    @Test
    @Promise("attach-1")
    void aPageThatIsUnmappedWhileTheDeviceIsAwayIsGoneWhenItIsBack(Bench bench) {
        IommuDomain domain = bench.attached();
        use(bench, domain, bench.device(), 0);
        IommuDomain other = bench.domain();
        for (boolean moves : new boolean[] {false, true}) {
            int page = moves ? 1 : 0;
            if (moves) {
                bench.attach(other, bench.device());
            } else {
                bench.detach(domain, bench.device());
            }
            assertThat(bench.unmap(domain, page(bench, page), bench.granule())).isEqualTo(bench.granule());
            bench.map(domain, page(bench, 5 + page), frame(bench, 5 + page));
            bench.attach(domain, bench.device());
            bench.assertBlocked(page(bench, page));
            bench.assertReaches(page(bench, 5 + page), frame(bench, 5 + page));
            bench.assertReaches(page(bench, 2), frame(bench, 2));
        }
    }

    @Test
    @NeedsAbility(Ability.IDENTITY)
    @Promise("attach-1")
    void ofIdentityAndOfBlockingNothingIsLeft(Bench bench) {
        IommuDomain identity = bench.iommu().allocate(DomainType.IDENTITY, bench.device());
        IommuDomain blocked = bench.iommu().allocate(DomainType.BLOCKED, bench.device());
        IommuDomain domain = bench.domain();
        bench.map(domain, frame(bench, 0), frame(bench, 2));
        for (int round = 0; round < 2; round++) {
            bench.attach(identity, bench.device());
            bench.assertReaches(frame(bench, 0), frame(bench, 0));
            bench.assertReaches(frame(bench, 1), frame(bench, 1));
            bench.attach(domain, bench.device());
            bench.assertReaches(frame(bench, 0), frame(bench, 2));
            bench.assertBlocked(frame(bench, 1));
            bench.attach(blocked, bench.device());
            bench.assertBlocked(frame(bench, 0));
            bench.assertBlocked(frame(bench, 1));
        }
        bench.detach(blocked, bench.device());
        bench.attach(identity, bench.device());
        bench.detach(identity, bench.device());
        bench.assertBlocked(frame(bench, 0));
    }

    @Test
    @Promise("attach-2")
    void theOldDomainServesItsOtherDevicesAndCanBeClosedWithoutAny(Bench bench) {
        IommuDomain old = bench.attached();
        bench.attach(old, bench.second());
        use(bench, old, bench.device(), 0);
        IommuDomain next = bench.domain();
        bench.map(next, page(bench, 0), frame(bench, 8));

        bench.attach(next, bench.device());

        for (int page = 0; page < 4; page++) {
            bench.assertReaches(bench.secondRequester(), page(bench, page), frame(bench, page));
        }
        bench.map(old, page(bench, 6), frame(bench, 6));
        bench.assertReaches(bench.secondRequester(), page(bench, 6), frame(bench, 6));
        bench.unmap(old, page(bench, 1), bench.granule());
        bench.assertBlocked(bench.secondRequester(), page(bench, 1));
        bench.assertReaches(page(bench, 0), frame(bench, 8));
        assertRefused(Errno.EBUSY, old::close);
        bench.assertReaches(bench.secondRequester(), page(bench, 0), frame(bench, 0));

        bench.attach(next, bench.second());
        old.close();
        bench.assertReaches(page(bench, 0), frame(bench, 8));
        bench.assertReaches(bench.secondRequester(), page(bench, 0), frame(bench, 8));
    }

    @Test
    @Promise({"attach-2", "detach-1"})
    void aDetachedDeviceLeavesTheOthersInTheDomain(Bench bench) {
        for (boolean first : new boolean[] {true, false}) {
            IommuDevice leaving = first ? bench.device() : bench.second();
            IommuDevice staying = first ? bench.second() : bench.device();
            IommuDomain domain = bench.attached();
            bench.attach(domain, bench.second());
            use(bench, domain, leaving, 0);
            use2(bench, staying);
            bench.detach(domain, leaving);
            for (int page = 0; page < 4; page++) {
                bench.assertBlocked(requester(bench, leaving), page(bench, page));
                bench.assertReaches(requester(bench, staying), page(bench, page), frame(bench, page));
            }
            bench.unmap(domain, page(bench, 0), bench.granule());
            bench.assertBlocked(requester(bench, staying), page(bench, 0));
            bench.detach(domain, staying);
            domain.close();
        }
    }

    private static void use2(Bench bench, IommuDevice device) {
        for (int page = 0; page < 4; page++) {
            bench.assertReaches(requester(bench, device), page(bench, page), frame(bench, page));
        }
    }

    @Test
    @Promise("attach-3")
    void attachingAgainChangesNothing(Bench bench) {
        IommuDomain domain = bench.attached();
        use(bench, domain, bench.device(), 0);
        bench.machine().runPending();
        long frames = bench.framesInUse();
        long digest = bench.machine().digest();
        for (int i = 0; i < 3; i++) {
            bench.attach(domain, bench.device());
        }
        assertThat(bench.machine().digest()).as("the machine").isEqualTo(digest);
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        use2(bench, bench.device());
        bench.detach(domain, bench.device());
        bench.assertBlocked(page(bench, 0));
        assertRefused(Errno.EINVAL, () -> domain.detach(bench.device()));
        domain.close();
    }

    @Test
    @Promise("attach-4")
    void idsComeBackAtDetachment(Bench bench) {
        int ids = capacity(bench);
        IommuDomain one = bench.domain();
        IommuDomain two = bench.domain();
        long frames = bench.framesInUse();
        for (int i = 0; i < 300; i++) {
            bench.attach(one, bench.device());
            if (i % 3 == 0) {
                bench.attach(one, bench.second());
                bench.attach(two, bench.device());
                bench.detach(one, bench.second());
                bench.detach(two, bench.device());
            } else if (i % 3 == 1) {
                bench.attach(two, bench.device());
                bench.attach(one, bench.device());
                bench.detach(one, bench.device());
            } else {
                bench.attach(one, bench.device());
                bench.detach(one, bench.device());
            }
        }
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        one.close();
        two.close();
        assertThat(capacity(bench)).as("domains that can be attached").isEqualTo(ids);
    }

    /** Returns how many devices can be in a domain of their own at the same time. */
    private static int capacity(Bench bench) {
        List<IommuDevice> devices = new ArrayList<>();
        List<IommuDomain> domains = new ArrayList<>();
        for (DeviceId id : bench.ids()) {
            IommuDevice device = bench.probe(id);
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            Optional<Errno> errno = Errnos.of(() -> bench.attach(domain, device));
            if (errno.isPresent()) {
                assertThat(errno).contains(Errno.ENOSPC);
                domain.close();
                break;
            }
            devices.add(device);
            domains.add(domain);
        }
        for (int i = 0; i < devices.size(); i++) {
            domains.get(i).detach(devices.get(i));
            domains.get(i).close();
        }
        return devices.size();
    }

    @Test
    @Promise("attach-5")
    void attachingAnswers(Bench bench) {
        for (IommuDevice device : List.of(bench.device(), bench.second())) {
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            assertThat(domain.attach(device)).isEqualTo(AttachResult.ATTACHED);
            assertThat(domain.attach(device)).as("again").isEqualTo(AttachResult.ATTACHED);
            for (IommuDevice other : List.of(bench.device(), bench.second())) {
                AttachResult result = domain.attach(other);
                assertThat(result).isNotNull();
                if (result.attached()) {
                    bench.map(domain, bench.iova(), bench.scratch());
                    bench.assertReaches(requester(bench, other), bench.iova(), bench.scratch());
                    bench.unmap(domain, bench.iova(), bench.granule());
                } else {
                    assertThat(result.reason()).isNotBlank();
                    assertRefused(Errno.EINVAL, () -> domain.detach(other));
                }
            }
            for (IommuDevice each : List.of(bench.device(), bench.second())) {
                assertThat(Errnos.of(() -> domain.detach(each)).orElse(Errno.EINVAL))
                        .isEqualTo(Errno.EINVAL);
            }
            IommuDomain blocked = bench.iommu().allocate(DomainType.BLOCKED, device);
            assertThat(blocked.attach(device)).isEqualTo(AttachResult.ATTACHED);
            blocked.detach(device);
        }
    }

    /** A domain that promised to block no-snoop is the incompatible one, where the two units differ. */
    @Test
    @NeedsAbility(Ability.INCOMPATIBLE)
    @Promise({"attach-12", "blocks-first-2"})
    void anIncompatibleDeviceGoesOnWhereItWasOrIsBlocked(Bench bench) {
        IommuDomain own = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        bench.attach(own, bench.second());
        use(bench, own, bench.second(), 0);
        IommuDomain domain = bench.attached();
        assertThat(domain.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        bench.map(domain, page(bench, 0), frame(bench, 8));
        bench.map(domain, page(bench, 9), frame(bench, 9));
        long frames = bench.framesInUse();

        for (int i = 0; i < 3; i++) {
            AttachResult result = domain.attach(bench.second());
            assertThat(result.attached()).isFalse();
            assertThat(result.reason()).isNotBlank();
            bench.assertBlocked(bench.secondRequester(), page(bench, 9));
            if (bench.iommu().blocksBeforeAttach()) {
                bench.assertBlocked(bench.secondRequester(), page(bench, 0));
                assertRefused(Errno.EINVAL, () -> own.detach(bench.second()));
                bench.attach(own, bench.second());
            }
            use2(bench, bench.second());
        }

        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        bench.assertReaches(page(bench, 0), frame(bench, 8));
        assertRefused(Errno.EINVAL, () -> domain.detach(bench.second()));
        bench.unmap(own, page(bench, 0), bench.granule());
        bench.assertBlocked(bench.secondRequester(), page(bench, 0));
        assertRefused(Errno.EBUSY, own::close);
        bench.detach(own, bench.second());
        // A device that is in no domain stays blocked.
        assertThat(domain.attach(bench.second()).attached()).isFalse();
        bench.assertBlocked(bench.secondRequester(), page(bench, 9));
        own.close();
        bench.detach(domain, bench.device());
        domain.close();
    }

    @Test
    @Promise({"attach-7", "attach-11"})
    void attachingWithoutFramesIsRefusedWithEnomemAndNothingHasChanged(Bench bench) {
        Set<Errno> seen = EnumSet.noneOf(Errno.class);
        for (DomainType type : List.of(DomainType.UNMANAGED, DomainType.DMA)) {
            seen.addAll(NthFailure.ofFrames(bench.subject()).everyStep(machine -> new Moving(machine, type)));
        }
        assertThat(seen).isSubsetOf(Errno.ENOMEM);

        IommuDomain old = bench.attached();
        use(bench, old, bench.device(), 0);
        IommuDomain next = bench.domain();
        bench.map(next, page(bench, 0), frame(bench, 8));
        long frames = bench.framesInUse();
        List<Long> taken = Frames.takeAll(bench.context().frames());
        Optional<Errno> errno = Errnos.of(() -> bench.attach(next, bench.device()));
        if (errno.isPresent()) {
            assertThat(errno).contains(Errno.ENOMEM);
            use2(bench, bench.device());
        } else {
            bench.assertReaches(page(bench, 0), frame(bench, 8));
        }
        Frames.giveBack(bench.context().frames(), taken);
        if (errno.isPresent()) {
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
            bench.attach(next, bench.device());
        }
        bench.assertReaches(page(bench, 0), frame(bench, 8));
        bench.assertBlocked(page(bench, 1));
    }

    @Test
    @NeedsAbility(Ability.ID_PER_ATTACHMENT)
    @Promise({"attach-8", "attach-11", "attach-4"})
    void domainsWithDevicesRunOutOfIds(Bench bench) {
        int ids = capacity(bench);
        List<IommuDomain> domains = new ArrayList<>();
        List<IommuDevice> devices = new ArrayList<>();
        for (DeviceId id : bench.ids().subList(0, ids)) {
            IommuDevice device = bench.probe(id);
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            bench.attach(domain, device);
            domains.add(domain);
            devices.add(device);
        }
        IommuDevice late = bench.probe(bench.ids().get(ids));
        use(bench, domains.get(0), bench.device(), 0);
        bench.attach(domains.get(0), late);
        use2(bench, late);
        IommuDomain more = bench.iommu().allocate(DomainType.UNMANAGED, late);
        bench.map(more, page(bench, 9), frame(bench, 9));
        long frames = bench.framesInUse();

        for (int i = 0; i < 3; i++) {
            assertRefused(Errno.ENOSPC, () -> more.attach(late));
            use2(bench, late);
            bench.assertBlocked(requester(bench, late), page(bench, 9));
        }

        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        assertRefused(Errno.EINVAL, () -> more.detach(late));
        bench.detach(domains.get(1), devices.get(1));
        bench.attach(more, late);
        bench.assertReaches(requester(bench, late), page(bench, 9), frame(bench, 9));
        bench.assertBlocked(requester(bench, late), page(bench, 0));
        assertRefused(Errno.ENOSPC, () -> domains.get(1).attach(devices.get(1)));
        bench.assertBlocked(requester(bench, devices.get(1)), page(bench, 0));
        bench.detach(more, late);
        more.close();
        for (int i = 0; i < ids; i++) {
            if (i != 1) {
                domains.get(i).detach(devices.get(i));
            }
            domains.get(i).close();
        }
        assertThat(capacity(bench)).as("ids that can be taken again").isEqualTo(ids);
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise({"attach-9", "attach-11"})
    void anAttachmentThatIsNotConfirmedLeavesTheDeviceWhereItWas(Bench ignored) {
        Silence silence = new Silence(ignored.subject());
        Bench bench = silence.bench();
        IommuDomain old = bench.attached();
        use(bench, old, bench.device(), 0);
        IommuDomain next = bench.domain();
        bench.map(next, page(bench, 0), frame(bench, 8));
        bench.map(next, page(bench, 9), frame(bench, 9));

        silence.begin();
        assertRefused(Errno.ETIMEDOUT, () -> next.attach(bench.device()));
        silence.end();

        use2(bench, bench.device());
        bench.assertBlocked(page(bench, 9));
        assertRefused(Errno.EIO, () -> next.attach(bench.device()));
        use2(bench, bench.device());
        assertRefused(Errno.EINVAL, () -> next.detach(bench.device()));
        assertRefused(Errno.EBUSY, old::close);
        bench.attach(old, bench.device());
        closeBroken(bench, old, next);
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise({"attach-9", "attach-11"})
    void everyFailureOfAPortInAnAttachmentLeavesTheDeviceWhereItWas(Bench bench) {
        assertThat(NthFailure.ofEveryPort(bench.subject())
                        .everyStep(machine -> new Moving(machine, DomainType.UNMANAGED)))
                .contains(Errno.ETIMEDOUT);
    }

    /** Detaches what a broken unit refuses to confirm, and closes all: what is kept is counted. */
    private static void closeBroken(Bench bench, IommuDomain attached, IommuDomain... others) {
        assertRefused(BROKEN, () -> attached.detach(bench.device()));
        attached.close();
        for (IommuDomain domain : others) {
            domain.close();
        }
        bench.iommu().close();
        assertThat(bench.framesInUse())
                .as("frames in use when all is closed")
                .isEqualTo(bench.iommu().quarantinedFrames());
    }

    @Test
    @Promise({"attach-10", "attach-11"})
    void anotherDriversDeviceIsNotAttached(Bench bench) {
        Bench other = new Bench(bench.subject());
        IommuDomain domain = bench.attached();
        use(bench, domain, bench.device(), 0);
        IommuDomain theirs = other.attached();
        use(other, theirs, other.device(), 0);
        long digest = other.machine().digest();

        assertRefused(Errno.ENODEV, () -> domain.attach(other.device()));
        assertRefused(Errno.ENODEV, () -> domain.attach(other.second()));
        assertRefused(
                Errno.ENODEV,
                () -> bench.iommu().allocate(DomainType.BLOCKED, bench.device()).attach(other.device()));

        assertThat(other.machine().digest()).as("the other machine").isEqualTo(digest);
        use2(bench, bench.device());
        use2(other, other.device());
        bench.assertBlocked(bench.secondRequester(), page(bench, 0));
    }

    @Test
    @Promise({"attach-10", "attach-11"})
    void aClosedDomainTakesNoDevice(Bench bench) {
        IommuDomain domain = bench.attached();
        use(bench, domain, bench.device(), 0);
        for (DomainType type : List.of(DomainType.UNMANAGED, DomainType.DMA, DomainType.BLOCKED)) {
            IommuDomain closed = bench.iommu().allocate(type, bench.device());
            closed.close();
            long frames = bench.framesInUse();
            for (IommuDevice device : List.of(bench.device(), bench.second())) {
                assertRefused(Errno.ENODEV, () -> closed.attach(device));
            }
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        }
        use2(bench, bench.device());
        bench.assertBlocked(bench.secondRequester(), page(bench, 0));
        bench.detach(domain, bench.device());
        domain.close();
        assertRefused(Errno.ENODEV, () -> domain.attach(bench.device()));
        bench.assertBlocked(page(bench, 0));
    }

    // ---- detaching -------------------------------------------------------------------------------------------------

    @Test
    @Promise("detach-1")
    void aDetachedDeviceIsBlocked(Bench bench) {
        for (IommuDevice device : List.of(bench.device(), bench.second())) {
            Requester requester = requester(bench, device);
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            for (int round = 0; round < 3; round++) {
                bench.attach(domain, device);
                for (int page = 0; page < 4; page++) {
                    if (round == 0) {
                        bench.map(domain, page(bench, page), frame(bench, page));
                    }
                    bench.assertReaches(requester, page(bench, page), frame(bench, page));
                }
                bench.detach(domain, device);
                bench.store(frame(bench, 0), 0x1234);
                for (int page = 3; page >= 0; page--) {
                    bench.assertBlocked(requester, page(bench, page));
                }
                bench.assertBlocked(requester, frame(bench, 0));
                bench.assertBlocked(requester, page(bench, 9));
                assertThat(bench.load(frame(bench, 0))).as("memory").isEqualTo(0x1234);
                assertThat(domain.translate(page(bench, 0)))
                        .as("the domain's table")
                        .isEqualTo(frame(bench, 0));
            }
            domain.close();
        }
        if (bench.traits().has(Ability.IDENTITY)) {
            IommuDomain identity = bench.iommu().allocate(DomainType.IDENTITY, bench.device());
            bench.attach(identity, bench.device());
            bench.assertReaches(frame(bench, 0), frame(bench, 0));
            bench.detach(identity, bench.device());
            bench.assertBlocked(frame(bench, 0));
        }
    }

    @Test
    @Promise("detach-2")
    void detachingTakesNoFrame(Bench ignored) {
        CountedFrames[] frames = new CountedFrames[1];
        Bench bench = new Bench(ignored.subject().withPorts(context -> {
            frames[0] = new CountedFrames(context.frames());
            return Ports.withFrames(context, frames[0]);
        }));
        IommuDomain domain = bench.attached();
        bench.attach(domain, bench.second());
        use(bench, domain, bench.device(), 0);
        for (int round = 0; round < 3; round++) {
            frames[0].refuse(true);
            bench.detach(domain, bench.device());
            bench.detach(domain, bench.second());
            frames[0].refuse(false);
            assertThat(frames[0].asked()).as("frames that were asked for").isZero();
            bench.assertBlocked(page(bench, 0));
            bench.attach(domain, bench.second());
            bench.attach(domain, bench.device());
            use2(bench, bench.device());
        }
    }

    @Test
    @Promise("detach-3")
    void aDeviceThatIsNotAttachedCantBeDetached(Bench bench) {
        IommuDomain domain = bench.domain();
        assertRefused(Errno.EINVAL, () -> domain.detach(bench.device()));
        bench.attach(domain, bench.device());
        use(bench, domain, bench.device(), 0);
        IommuDomain other = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        IommuDomain blocked = bench.iommu().allocate(DomainType.BLOCKED, bench.second());
        bench.attach(other, bench.second());
        long frames = bench.framesInUse();

        for (int i = 0; i < 2; i++) {
            assertRefused(Errno.EINVAL, () -> domain.detach(bench.second()));
            assertRefused(Errno.EINVAL, () -> other.detach(bench.device()));
            assertRefused(Errno.EINVAL, () -> blocked.detach(bench.device()));
        }

        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        use2(bench, bench.device());
        bench.map(other, page(bench, 0), frame(bench, 8));
        bench.assertReaches(bench.secondRequester(), page(bench, 0), frame(bench, 8));
        bench.detach(domain, bench.device());
        assertRefused(Errno.EINVAL, () -> domain.detach(bench.device()));
        assertRefused(Errno.EINVAL, () -> other.detach(bench.device()));
        bench.assertReaches(bench.secondRequester(), page(bench, 0), frame(bench, 8));
        assertRefused(Errno.EBUSY, other::close);
        domain.close();
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("detach-4")
    void aDetachmentThatIsNotConfirmedIsDoneAllTheSameAndBreaksTheUnit(Bench ignored) {
        Silence silence = new Silence(ignored.subject());
        Bench bench = silence.bench();
        IommuDomain domain = bench.attached();
        use(bench, domain, bench.device(), 0);

        silence.begin();
        assertRefused(Errno.ETIMEDOUT, () -> domain.detach(bench.device()));
        silence.end();

        assertRefused(Errno.EINVAL, () -> domain.detach(bench.device()));
        IommuDomain next = bench.domain();
        assertRefused(Errno.EIO, () -> next.attach(bench.device()));
        assertRefused(Errno.EIO, () -> domain.attach(bench.device()));
        bench.machine().runPending();
        bench.assertBlocked(page(bench, 7));
        next.close();
        domain.close();
        long kept = bench.framesInUse();
        assertThat(bench.iommu().quarantinedFrames()).as("quarantined frames").isPositive();
        bench.iommu().close();
        assertThat(bench.framesInUse())
                .as("frames in use when all is closed")
                .isEqualTo(bench.iommu().quarantinedFrames())
                .isLessThanOrEqualTo(kept);
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("detach-4")
    void aDetachmentFromABrokenUnitIsDoneAllTheSame(Bench ignored) {
        Silence silence = new Silence(ignored.subject());
        Bench bench = silence.bench();
        IommuDomain domain = bench.attached();
        use(bench, domain, bench.device(), 0);
        var gather = bench.unmapOnly(domain, page(bench, 0), bench.granule());
        silence.begin();
        assertRefused(Errno.ETIMEDOUT, () -> domain.sync(gather));
        silence.end();

        assertRefused(Errno.EIO, () -> domain.detach(bench.device()));
        assertRefused(Errno.EINVAL, () -> domain.detach(bench.device()));
        domain.close();
        bench.iommu().close();
        assertThat(bench.framesInUse()).isEqualTo(bench.iommu().quarantinedFrames());
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("detach-4")
    void everyFailureOfAPortInADetachmentLeavesTheDeviceDetached(Bench bench) {
        assertThat(NthFailure.ofEveryPort(bench.subject()).everyStep(Detaching::new))
                .contains(Errno.ETIMEDOUT)
                .doesNotContain(Errno.ENOMEM);
    }

    @Test
    @Promise("detach-5")
    void anotherDriversDeviceOrAClosedDomainIsRefused(Bench bench) {
        Bench other = new Bench(bench.subject());
        IommuDomain domain = bench.attached();
        use(bench, domain, bench.device(), 0);
        IommuDomain theirs = other.attached();
        use(other, theirs, other.device(), 0);

        assertRefused(Errno.ENODEV, () -> domain.detach(other.device()));
        assertRefused(Errno.ENODEV, () -> domain.detach(other.second()));
        assertRefused(Errno.ENODEV, () -> theirs.detach(bench.device()));

        use2(bench, bench.device());
        use2(other, other.device());
        IommuDomain closed = bench.domain();
        closed.close();
        assertRefused(Errno.ENODEV, () -> closed.detach(bench.device()));
        assertRefused(Errno.ENODEV, () -> closed.detach(bench.second()));
        use2(bench, bench.device());
        bench.detach(domain, bench.device());
        domain.close();
        assertRefused(Errno.ENODEV, () -> domain.detach(bench.device()));
    }
}
