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

import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.junit.jupiter.api.Test;

/** {@link PasidAttachment#detach}. */
@NeedsAbility(Ability.PASID)
public abstract class PasidDetachingContract {
    /** Made by JUnit. */
    protected PasidDetachingContract() {}

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
        CountedFrames frames = new CountedFrames();
        Homes homes = new Homes(whole.on(frames::in));
        List<Integer> all = all(homes.bench.device());
        for (int pasid : all) {
            attach(homes.bench, homes.one, pasid);
        }
        attach(homes.bench, homes.two, 5);
        long calls = frames.calls();
        frames.exhausted(true);
        for (int pasid : all) {
            detach(homes.bench, homes.one, pasid);
            homes.assertNowhere(homes.with(pasid));
        }
        detach(homes.bench, homes.two, 5);
        assertRefused(Errno.EINVAL, () -> pasids(homes.two).detach(homes.bench.device(), 5));
        assertThat(frames.calls()).as("frames asked for").isEqualTo(calls);
        frames.exhausted(false);
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
        Silence silence = new Silence();
        Homes homes = new Homes(whole.on(silence::in));
        Bench bench = homes.bench;
        attach(bench, homes.one, 5);
        attach(bench, homes.one, 6);
        homes.assertIn(homes.one, homes.with(5));
        silence.during(() -> assertRefused(NOT_COMPLETED, () -> detach(bench, homes.one, 5)));
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

                @Override
                public void leave() {
                    homes.leave();
                }
            };
        });
    }
}
