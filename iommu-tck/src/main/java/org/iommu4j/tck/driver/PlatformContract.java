// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Places.frame;
import static org.iommu4j.tck.driver.Places.page;

import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.device.DeviceId;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Subject;
import org.junit.jupiter.api.Test;

/** What becomes of a driver whose ports fail, and of drivers on other platforms. */
public abstract class PlatformContract {
    /** Made by JUnit. */
    protected PlatformContract() {}

    // Failures.

    @Test
    @Promise("port-5")
    void whenAPortFailsInOpeningNothingIsLeftAndTheNextAttemptSucceeds(Bench given) {
        Subject subject = given.subject().flat();
        IommuVendor vendor = subject.claimant();
        for (long n = 1; ; n = NthFailure.next(n)) {
            FailNth failures = new FailNth();
            Machine machine = subject.build();
            VendorContext context = subject.context(machine).failing(failures);
            Iommu[] iommu = new Iommu[1];
            failures.arm(n);
            Optional<Errno> errno = Errnos.of(() -> iommu[0] = vendor.open(context));
            failures.disarm();
            if (errno.isPresent()) {
                assertThat(errno.get())
                        .as("failure %d", n)
                        .isIn(Errno.ENOMEM, Errno.ETIMEDOUT, Errno.ENODEV, Errno.EIO);
                assertThat(machine.frames().inUse())
                        .as("frames in use after failure %d", n)
                        .isZero();
                iommu[0] = vendor.open(context);
            }
            assertThat(iommu[0].quarantinedFrames()).isZero();
            iommu[0].close();
            assertThat(machine.frames().inUse())
                    .as("frames in use when it is closed")
                    .isZero();
            if (!failures.fired()) {
                assertThat(errno).isEmpty();
                return;
            }
        }
    }

    @Test
    @Promise("port-5")
    void whenAPortFailsTheStateIsAsBeforeAndTheNextAttemptSucceeds(Bench given) {
        NthFailure failures = NthFailure.ofEveryPort(given.subject());
        DeviceId first = given.ids().get(0);
        Set<Errno> seen = EnumSet.noneOf(Errno.class);
        seen.addAll(failures.everyStep(Bench::unprobed, bench -> new Probing(bench, first)));
        seen.addAll(failures.everyStep(bench -> new Allocating(bench, DomainType.UNMANAGED, Set.of())));
        seen.addAll(failures.everyStep(bench -> new Moving(bench, DomainType.UNMANAGED)));
        seen.addAll(failures.everyStep(Detaching::new));
        seen.addAll(failures.everyStep(Mapping::new));
        seen.addAll(failures.everyStep(Unmapping::new));
        assertThat(seen).contains(Errno.ENOMEM);
    }

    // Other platforms.

    @Test
    @Promise("port-6")
    void driversOnTwoPlatformsDontSeeEachOther(Bench one) {
        Bench two = new Bench(one.subject());
        IommuDomain here = one.attached();
        one.map(here, page(one, 0), frame(one, 0));
        one.assertReaches(page(one, 0), frame(one, 0));
        one.machine().runPending();
        long digest = one.machine().digest();
        long frames = one.framesInUse();

        IommuDomain there = two.attached();
        two.assertBlocked(page(two, 0));
        two.map(there, page(two, 0), frame(two, 9));
        two.map(there, page(two, 5), frame(two, 5));
        two.assertReaches(page(two, 0), frame(two, 9));
        two.unmap(there, page(two, 0), two.granule());
        two.assertBlocked(page(two, 0));
        two.attach(there, two.second());
        two.detach(there, two.second());
        there.cacheCoherencyEnforcement().ifPresent(control -> control.enforce());
        two.secondRequester().read(page(two, 3), false);
        assertThat(one.machine().digest()).as("the first machine").isEqualTo(digest);
        assertThat(one.framesInUse()).as("frames of the first machine").isEqualTo(frames);
        assertThat(one.iommu().takeFaults()).as("faults of the first machine").isEmpty();
        assertThat(here.translate(page(one, 5))).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(here.translate(page(one, 0))).isEqualTo(frame(one, 0));
        assertThat(one.iommu().units()).isEqualTo(two.iommu().units());
        if (one.traits().has(Ability.FAULT_REPORTS)) {
            assertThat(two.iommu().takeFaults())
                    .as("faults of the second machine")
                    .isNotEmpty();
        }
        one.assertReaches(page(one, 0), frame(one, 0));

        // The one is closed, and the other goes on; one that is opened then begins anew.
        two.detach(there, two.device());
        two.iommu().close();
        one.assertReaches(page(one, 0), frame(one, 0));
        one.map(here, page(one, 1), frame(one, 1));
        one.assertReaches(page(one, 1), frame(one, 1));
        assertRefused(Errno.EBUSY, one.iommu()::close);
        Bench three = new Bench(one.subject());
        three.assertBlocked(page(three, 0));
        assertThat(three.framesInUse()).as("frames of a new machine").isEqualTo(new Bench(one.subject()).framesInUse());
        assertThat(three.device()).isNotSameAs(one.device());
        IommuDomain fresh = three.attached();
        assertThat(fresh.translate(page(three, 0))).isEqualTo(IommuDomain.UNMAPPED);
        three.assertBlocked(page(three, 0));
        one.detach(here, one.device());
        one.iommu().close();
        three.map(fresh, page(three, 0), frame(three, 3));
        three.assertReaches(page(three, 0), frame(three, 3));
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("port-6")
    void aBrokenUnitBreaksNoOtherPlatform(Bench one) {
        Silence silence = new Silence();
        Bench two = one.on(silence::in);
        IommuDomain here = one.attached();
        IommuDomain there = two.attached();
        two.map(there, page(two, 0), frame(two, 0));
        two.assertReaches(page(two, 0), frame(two, 0));
        IotlbGather gather = two.unmapOnly(there, page(two, 0), two.granule());
        silence.during(() -> assertRefused(Errno.ETIMEDOUT, () -> there.sync(gather)));

        assertThat(one.iommu().quarantinedFrames()).isZero();
        one.map(here, page(one, 0), frame(one, 0));
        one.assertReaches(page(one, 0), frame(one, 0));
        one.unmap(here, page(one, 0), one.granule());
        one.assertBlocked(page(one, 0));
        one.detach(here, one.device());
        one.iommu().close();
        assertThat(one.framesInUse()).isZero();
    }
}
