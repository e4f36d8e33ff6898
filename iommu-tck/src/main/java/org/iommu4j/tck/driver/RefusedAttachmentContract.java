// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Attachments.capacity;
import static org.iommu4j.tck.driver.Places.frame;
import static org.iommu4j.tck.driver.Places.page;
import static org.iommu4j.tck.driver.UsedPages.requester;
import static org.iommu4j.tck.driver.UsedPages.use;
import static org.iommu4j.tck.driver.UsedPages.useAgain;

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
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#attach}: what is refused, and leaves the device where it was. */
public abstract class RefusedAttachmentContract {
    /** Made by JUnit. */
    protected RefusedAttachmentContract() {}

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
            useAgain(bench, bench.second());
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
            useAgain(bench, bench.device());
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
        useAgain(bench, late);
        IommuDomain more = bench.iommu().allocate(DomainType.UNMANAGED, late);
        bench.map(more, page(bench, 9), frame(bench, 9));
        long frames = bench.framesInUse();

        for (int i = 0; i < 3; i++) {
            assertRefused(Errno.ENOSPC, () -> more.attach(late));
            useAgain(bench, late);
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
        Silence silence = new Silence();
        Bench bench = ignored.on(silence::in);
        IommuDomain old = bench.attached();
        use(bench, old, bench.device(), 0);
        IommuDomain next = bench.domain();
        bench.map(next, page(bench, 0), frame(bench, 8));
        bench.map(next, page(bench, 9), frame(bench, 9));

        silence.during(() -> assertRefused(Errno.ETIMEDOUT, () -> next.attach(bench.device())));

        useAgain(bench, bench.device());
        bench.assertBlocked(page(bench, 9));
        assertRefused(Errno.EIO, () -> next.attach(bench.device()));
        useAgain(bench, bench.device());
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
        assertRefused(NOT_COMPLETED, () -> attached.detach(bench.device()));
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
        useAgain(bench, bench.device());
        useAgain(other, other.device());
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
        useAgain(bench, bench.device());
        bench.assertBlocked(bench.secondRequester(), page(bench, 0));
        bench.detach(domain, bench.device());
        domain.close();
        assertRefused(Errno.ENODEV, () -> domain.attach(bench.device()));
        bench.assertBlocked(page(bench, 0));
    }
}
