// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Places.frame;
import static org.iommu4j.tck.driver.Places.page;
import static org.iommu4j.tck.driver.UsedPages.requester;
import static org.iommu4j.tck.driver.UsedPages.use;
import static org.iommu4j.tck.driver.UsedPages.useAgain;

import java.util.List;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#detach}. */
public abstract class DetachingContract {
    /** Made by JUnit. */
    protected DetachingContract() {}

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
        CountedFrames frames = new CountedFrames();
        Bench bench = ignored.on(frames::in);
        IommuDomain domain = bench.attached();
        bench.attach(domain, bench.second());
        use(bench, domain, bench.device(), 0);
        for (int round = 0; round < 3; round++) {
            long calls = frames.calls();
            frames.exhausted(true);
            bench.detach(domain, bench.device());
            bench.detach(domain, bench.second());
            frames.exhausted(false);
            assertThat(frames.calls()).as("frames asked for").isEqualTo(calls);
            bench.assertBlocked(page(bench, 0));
            bench.attach(domain, bench.second());
            bench.attach(domain, bench.device());
            useAgain(bench, bench.device());
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
        useAgain(bench, bench.device());
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
        Silence silence = new Silence();
        Bench bench = ignored.on(silence::in);
        IommuDomain domain = bench.attached();
        use(bench, domain, bench.device(), 0);

        silence.during(() -> assertRefused(Errno.ETIMEDOUT, () -> domain.detach(bench.device())));

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
        Silence silence = new Silence();
        Bench bench = ignored.on(silence::in);
        IommuDomain domain = bench.attached();
        use(bench, domain, bench.device(), 0);
        var gather = bench.unmapOnly(domain, page(bench, 0), bench.granule());
        silence.during(() -> assertRefused(Errno.ETIMEDOUT, () -> domain.sync(gather)));

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

        useAgain(bench, bench.device());
        useAgain(other, other.device());
        IommuDomain closed = bench.domain();
        closed.close();
        assertRefused(Errno.ENODEV, () -> closed.detach(bench.device()));
        assertRefused(Errno.ENODEV, () -> closed.detach(bench.second()));
        useAgain(bench, bench.device());
        bench.detach(domain, bench.device());
        domain.close();
        assertRefused(Errno.ENODEV, () -> domain.detach(bench.device()));
    }
}
