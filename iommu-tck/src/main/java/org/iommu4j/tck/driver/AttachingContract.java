// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Attachments.capacity;
import static org.iommu4j.tck.driver.Places.frame;
import static org.iommu4j.tck.driver.Places.page;
import static org.iommu4j.tck.driver.UsedPages.requester;
import static org.iommu4j.tck.driver.UsedPages.use;
import static org.iommu4j.tck.driver.UsedPages.useAgain;

import java.util.List;
import java.util.Set;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#attach}: the device is in its new domain, and nothing is left of the old one. */
public abstract class AttachingContract {
    /** Made by JUnit. */
    protected AttachingContract() {}

    @Test
    @Promise("attach-1")
    void aMovedDeviceReachesItsNewDomainAndNothingOfTheOldOne(Bench bench) {
        assertMoves(bench, Set.of());
        if (bench.traits().has(Ability.PASID)) {
            // A domain that may have another format.
            assertMoves(bench, Set.of(DomainFlag.PASID));
        }
    }

    private static void assertMoves(Bench bench, Set<DomainFlag> flags) {
        for (IommuDevice device : List.of(bench.device(), bench.second())) {
            Requester requester = requester(bench, device);
            IommuDomain old = bench.iommu().allocate(DomainType.UNMANAGED, device);
            bench.attach(old, device);
            use(bench, old, device, 0);
            IommuDomain next = bench.iommu().allocate(DomainType.UNMANAGED, device, flags);
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
            useAgain(bench, staying);
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
        useAgain(bench, bench.device());
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
}
