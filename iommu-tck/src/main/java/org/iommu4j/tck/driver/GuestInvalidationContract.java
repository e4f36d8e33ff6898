// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Guest.invalidate;
import static org.iommu4j.tck.driver.Guest.invalidation;

import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.capability.GuestInvalidation;
import org.iommu4j.capability.GuestInvalidationRequest;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.GuestTables.Entry;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link GuestInvalidation}. */
@NeedsAbility(Ability.NESTING)
public abstract class GuestInvalidationContract {
    /** Made by JUnit. */
    protected GuestInvalidationContract() {}

    /** A request as no vendor has it. */
    private record StrangeRequest() implements GuestInvalidationRequest {}

    @Test
    @Promise("invalidate-1")
    void aGuestsChangeCountsOnceItsInvalidationIsPassedOn(Bench bench) {
        Guest guest = new Guest(bench);
        IommuDomain nested = guest.attached();
        bench.attach(nested, bench.second());
        Requester second = bench.secondRequester();
        for (int round = 0; round < 3; round++) {
            for (int changed = 0; changed < 4; changed++) {
                for (int i = 0; i < 4; i++) {
                    guest.assertReaches(i, i);
                    bench.assertReaches(second, guest.at(i), guest.hostOf(i));
                }
                guest.write(changed, changed + 4, Entry.READ_WRITE);
                invalidate(bench, nested, round == 2 ? guest.tables.all() : guest.tables.page(guest.at(changed)));
                guest.assertReaches(changed, changed + 4);
                bench.assertReaches(second, guest.at(changed), guest.hostOf(changed + 4));
                guest.write(changed, 0, Entry.ABSENT);
                invalidate(bench, nested, guest.tables.page(guest.at(changed)));
                bench.assertBlocked(guest.at(changed));
                bench.assertBlocked(second, guest.at(changed));
                guest.write(changed, changed, Entry.READ_WRITE);
                invalidate(bench, nested, guest.tables.page(guest.at(changed)));
                guest.assertReaches(changed, changed);
            }
        }
        // Fewer rights.
        bench.assertReaches(second, guest.at(1), guest.hostOf(1));
        guest.write(1, 1, Entry.READ_ONLY);
        invalidate(bench, nested, guest.tables.page(guest.at(1)));
        assertThat(bench.requester().write(guest.at(1), 1, false)).isFalse();
        assertThat(second.write(guest.at(1), 1, false)).isFalse();
        // A table this time.
        guest.assertReaches(2, 2);
        bench.assertReaches(second, guest.at(3), guest.hostOf(3));
        guest.tables.cut((address, value) -> bench.store(guest.host(address), value), guest.root, guest.at(0));
        invalidate(bench, nested, guest.tables.all());
        for (int i = 3; i >= 0; i--) {
            bench.assertBlocked(guest.at(i));
            bench.assertBlocked(second, guest.at(i));
        }
    }

    @Test
    @Promise("invalidate-2")
    void whatIsForgottenBesidesIsFoundAgain(Bench bench) {
        Guest guest = new Guest(bench);
        guest.write(guest.otherRoot, 0, guest.data + 7 * guest.page, Entry.READ_WRITE);
        IommuDomain nested = guest.attached();
        IommuDomain other = guest.nested(guest.otherRoot);
        bench.attach(other, bench.second());
        for (GuestInvalidationRequest request :
                new GuestInvalidationRequest[] {guest.tables.page(guest.at(1)), guest.tables.all()}) {
            guest.assertAll();
            invalidate(bench, nested, request);
            guest.assertAll();
            bench.assertReaches(bench.secondRequester(), guest.at(0), guest.hostOf(7));
            bench.assertBlocked(guest.at(5));
        }
        bench.unmap(guest.parent, guest.data + 3 * guest.page, guest.page);
        invalidate(bench, nested, guest.tables.page(guest.at(0)));
        bench.assertBlocked(guest.at(3));
        guest.assertReaches(0, 0);
    }

    @Test
    @Promise("invalidate-3")
    void aMalformedRequestIsRefused(Bench bench) {
        Guest guest = new Guest(bench);
        IommuDomain nested = guest.attached();
        assertThat(guest.tables.malformed()).isNotEmpty();
        for (int round = 0; round < 2; round++) {
            for (GuestInvalidationRequest request : guest.tables.malformed()) {
                assertRefused(Errno.EINVAL, () -> invalidate(bench, nested, request));
            }
            assertRefused(Errno.EINVAL, () -> invalidate(bench, nested, new StrangeRequest()));
            guest.assertAll();
        }
        invalidate(bench, nested, guest.tables.page(guest.at(0)));
    }

    @Test
    @Promise("invalidate-4")
    void aClosedDomainTakesNoInvalidations(Bench bench) {
        Guest guest = new Guest(bench);
        IommuDomain nested = guest.attached();
        GuestInvalidation kept = invalidation(nested);
        nested.detach(bench.device());
        kept.invalidate(guest.tables.all());
        nested.close();
        assertRefused(Errno.ENODEV, () -> kept.invalidate(guest.tables.all()));
        assertRefused(Errno.ENODEV, () -> kept.invalidate(guest.tables.page(guest.at(0))));
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("invalidate-5")
    void aUnitThatDoesNotAnswerIsTold(Bench whole) {
        for (boolean all : new boolean[] {false, true}) {
            Silence silence = new Silence();
            Guest guest = new Guest(whole.on(silence::in));
            IommuDomain nested = guest.attached();
            guest.assertAll();
            silence.during(() -> assertRefused(
                    NOT_COMPLETED,
                    () -> invalidate(guest.bench, nested, all ? guest.tables.all() : guest.tables.page(guest.at(1)))));
            assertRefused(NOT_COMPLETED, () -> invalidate(guest.bench, nested, guest.tables.all()));
        }
        new EachFailure(whole).of(NOT_COMPLETED, bench -> {
            Guest guest = new Guest(bench);
            IommuDomain nested = guest.attached();
            guest.assertAll();
            guest.write(1, 6, Entry.READ_WRITE);
            return new EachFailure.Attempt() {
                @Override
                public void run() {
                    invalidate(bench, nested, guest.tables.page(guest.at(1)));
                }

                @Override
                public void assertDone() {
                    guest.assertReaches(1, 6);
                }

                @Override
                public void assertFailed(Errno errno) {
                    guest.assertReaches(0, 0);
                }

                @Override
                public void leave() {
                    Detaching.quietly(nested, bench);
                }
            };
        });
    }
}
