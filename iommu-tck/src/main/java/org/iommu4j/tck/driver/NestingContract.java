// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Guest.DATA;
import static org.iommu4j.tck.driver.Guest.invalidate;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.capability.Nesting;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.GuestTables.Entry;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link Nesting}. */
@NeedsAbility(Ability.NESTING)
public abstract class NestingContract {
    /** Made by JUnit. */
    protected NestingContract() {}

    // Translation.

    @Test
    @Promise("nest-1")
    void theGuestsTableTranslatesFirstAndTheParentTheResult(Bench bench) {
        Guest guest = new Guest(bench);
        IommuDomain old = bench.attached();
        bench.map(old, guest.at(0), bench.scratch() + 60 * guest.page);
        IommuDomain nested = guest.nested();
        assertThat(nested.type()).isEqualTo(DomainType.NESTED);
        bench.assertReaches(guest.at(0), bench.scratch() + 60 * guest.page);
        bench.attach(nested, bench.device());
        guest.assertAll();
        // An address of the parent's alone is none of the guest's.
        bench.assertBlocked(guest.data);
        bench.assertBlocked(guest.root);
        // The parent moves a page of the guest's data, and one of its tables.
        bench.unmap(guest.parent, guest.data + guest.page, guest.page);
        bench.map(guest.parent, guest.data + guest.page, bench.scratch() + 70 * guest.page);
        bench.assertReaches(guest.at(1), bench.scratch() + 70 * guest.page);
        guest.assertReaches(0, 0);
        // Crossed over, and two addresses of one page.
        guest.write(4, 6, Entry.READ_WRITE);
        guest.write(5, 6, Entry.READ_WRITE);
        guest.write(6, 5, Entry.READ_WRITE);
        invalidate(bench, nested, guest.tables.all());
        guest.assertReaches(4, 6);
        guest.assertReaches(5, 6);
        guest.assertReaches(6, 5);
        nested.detach(bench.device());
        bench.assertBlocked(guest.at(0));
        bench.assertBlocked(guest.data);
    }

    @Test
    @Promise("nest-1")
    void nestedDomainsOfOneParentHaveTablesOfTheirOwn(Bench bench) {
        Guest guest = new Guest(bench);
        guest.write(guest.otherRoot, 0, guest.data + 7 * guest.page, Entry.READ_WRITE);
        guest.write(guest.otherRoot, 2, guest.data + 6 * guest.page, Entry.READ_WRITE);
        IommuDomain one = guest.attached();
        IommuDomain two = guest.nested(guest.otherRoot);
        bench.attach(two, bench.second());
        guest.assertAll();
        Requester second = bench.secondRequester();
        bench.assertReaches(second, guest.at(0), guest.hostOf(7));
        bench.assertReaches(second, guest.at(2), guest.hostOf(6));
        bench.assertBlocked(second, guest.at(1));
        // From the one to the other, and back.
        bench.attach(two, bench.device());
        bench.assertReaches(guest.at(0), guest.hostOf(7));
        bench.assertBlocked(guest.at(1));
        bench.attach(one, bench.second());
        bench.assertReaches(second, guest.at(0), guest.hostOf(0));
        bench.assertReaches(second, guest.at(1), guest.hostOf(1));
        bench.attach(one, bench.device());
        guest.assertAll();
        // Two devices below one table; and the parent alone, as an ordinary domain.
        bench.assertReaches(second, guest.at(3), guest.hostOf(3));
        bench.attach(guest.parent, bench.second());
        bench.assertReaches(second, guest.data, guest.hostOf(0));
        bench.assertBlocked(second, guest.at(0));
        guest.assertAll();
        bench.unmap(guest.parent, guest.data, guest.page);
        bench.assertBlocked(second, guest.data);
        bench.assertBlocked(guest.at(0));
        guest.assertReaches(1, 1);
    }

    @Test
    @Promise("nest-2")
    void whatEitherStageMissesIsAFault(Bench bench) {
        Guest guest = new Guest(bench);
        IommuDomain nested = guest.attached();
        guest.assertAll();
        // The first stage.
        bench.assertBlocked(guest.at(4));
        bench.assertBlocked(guest.at(0) + (1L << 34));
        guest.write(0, 0, Entry.ABSENT);
        guest.write(1, 1, Entry.RESERVED);
        guest.write(2, 2, Entry.READ_ONLY);
        invalidate(bench, nested, guest.tables.all());
        bench.assertBlocked(guest.at(0));
        bench.assertBlocked(guest.at(1));
        bench.requester().read(guest.at(2), false);
        assertThat(bench.requester().status()).isEqualTo(RequestStatus.DONE);
        assertThat(bench.requester().write(guest.at(2), 1, false)).isFalse();
        guest.assertReaches(3, 3);
        // The second, below data; a page that the parent never had, and one that it has no longer.
        guest.write(guest.root, 4, guest.data + (DATA + 3) * guest.page, Entry.READ_WRITE);
        bench.assertBlocked(guest.at(4));
        bench.unmap(guest.parent, guest.data + 3 * guest.page, guest.page);
        bench.assertBlocked(guest.at(3));
        bench.map(guest.parent, guest.data + 3 * guest.page, guest.hostOf(3));
        guest.assertReaches(3, 3);
        // The second, below the tables.
        for (long table = 0; table < guest.tables.tableBytes(); table += guest.page) {
            bench.unmap(guest.parent, guest.root + table, guest.page);
            bench.assertBlocked(guest.at(3));
            bench.map(guest.parent, guest.root + table, guest.host(guest.root + table));
            guest.assertReaches(3, 3);
        }
    }

    @Test
    @Promise("nest-2")
    void anEntryOfTheParentWithReservedBitsIsAFault(Bench whole) {
        SteppedMemory[] memory = new SteppedMemory[1];
        Bench bench = whole.on(context -> {
            memory[0] = new SteppedMemory(context.memory());
            return context.withMemory(memory[0]);
        });
        Guest guest = new Guest(bench);
        guest.attached();
        guest.assertReaches(1, 1);
        long spoilt = guest.data + 2 * guest.page;
        bench.unmap(guest.parent, spoilt, guest.page);
        bench.assertBlocked(guest.at(2));
        long[] last = new long[2];
        memory[0].tell((access, address, value) -> {
            if (access.stores() && value != 0) {
                last[0] = address;
                last[1] = value;
            }
        });
        bench.mapOnly(guest.parent, spoilt, guest.hostOf(2), guest.page, 1, READ_WRITE);
        memory[0].tell((access, address, value) -> {});
        bench.store(last[0], guest.tables.reserved(last[1]));
        bench.assertBlocked(guest.at(2));
        guest.assertReaches(1, 1);
    }

    // The life of nested domains.

    @Test
    @Promise("nest-3")
    void aParentStaysWhileNestedDomainsDo(Bench bench) {
        Guest guest = new Guest(bench);
        IommuDomain one = guest.nested();
        assertRefused(Errno.EBUSY, guest.parent::close);
        IommuDomain two = guest.nested(guest.otherRoot);
        bench.attach(one, bench.device());
        assertRefused(Errno.EBUSY, guest.parent::close);
        guest.assertAll();
        two.close();
        two.close();
        assertRefused(Errno.EBUSY, guest.parent::close);
        one.detach(bench.device());
        assertRefused(Errno.EBUSY, guest.parent::close);
        bench.attach(one, bench.device());
        guest.assertAll();
        assertRefused(Errno.EBUSY, one::close);
        one.detach(bench.device());
        one.close();
        // What could not be made does not count.
        assertRefused(Errno.EOPNOTSUPP, () -> guest.nesting.allocateNested(bench.device(), new StrangeTable()));
        guest.tables.refused(guest.root).forEach(table -> assertCannotBeWalked(guest, bench.device(), table));
        guest.parent.close();
        bench.iommu().close();
        assertThat(bench.framesInUse()).isZero();
    }

    @Test
    @Promise("nest-4")
    void aTableThatCannotBeWalkedIsRefused(Bench bench) {
        Guest guest = new Guest(bench);
        assertThat(guest.tables.refused(guest.root)).isNotEmpty();
        for (int round = 0; round < 2; round++) {
            long frames = bench.framesInUse();
            for (GuestTable table : guest.tables.refused(guest.root)) {
                assertCannotBeWalked(guest, bench.device(), table);
                assertCannotBeWalked(guest, bench.second(), table);
            }
            assertThat(bench.framesInUse()).isEqualTo(frames);
            guest.attached().detach(bench.device());
        }
    }

    /** Asserts that a device comes under no such table; nothing is left. */
    private static void assertCannotBeWalked(Guest guest, IommuDevice device, GuestTable table) {
        IommuDomain nested;
        try {
            nested = guest.nesting.allocateNested(device, table);
        } catch (IommuException refusal) {
            assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
            return;
        }
        assertThat(nested.attach(device).attached()).as(table.toString()).isFalse();
        nested.close();
    }

    /** A table as no vendor has it. */
    private record StrangeTable() implements GuestTable {}

    @Test
    @Promise("nest-5")
    void anotherVendorsTableIsNotSupported(Bench bench) {
        Guest guest = new Guest(bench);
        assertRefused(Errno.EOPNOTSUPP, () -> guest.nesting.allocateNested(bench.device(), new StrangeTable()));
        guest.attached();
        assertRefused(Errno.EOPNOTSUPP, () -> guest.nesting.allocateNested(bench.second(), new StrangeTable()));
        guest.assertAll();
    }

    @Test
    @Promise("nest-6")
    void strangersAndClosedParentsAreRefused(Bench bench) {
        Guest guest = new Guest(bench);
        Bench stranger = bench.on(UnaryOperator.identity());
        GuestTable table = guest.tables.table(guest.root);
        assertRefused(Errno.ENODEV, () -> guest.nesting.allocateNested(stranger.device(), table));
        assertRefused(Errno.ENODEV, () -> guest.nesting.allocateNested(stranger.second(), table));
        guest.nested().close();
        guest.parent.close();
        assertRefused(Errno.ENODEV, () -> guest.nesting.allocateNested(bench.device(), table));
        bench.iommu().close();
        assertRefused(Errno.ENODEV, () -> guest.nesting.allocateNested(bench.device(), table));
    }

    @Test
    @Promise("nest-7")
    void withoutFramesANestedDomainIsMadeOrThereIsNoMemory(Bench whole) {
        CountedFrames frames = new CountedFrames();
        Bench bench = whole.on(frames::in);
        Guest guest = new Guest(bench);
        for (int round = 0; round < 3; round++) {
            long before = bench.framesInUse();
            frames.exhausted(true);
            Errnos.isDone(
                    EnumSet.of(Errno.ENOMEM, Errno.ENOSPC), () -> guest.nested().close());
            frames.exhausted(false);
            assertThat(bench.framesInUse()).isEqualTo(before);
        }
        IommuDomain nested = guest.attached();
        guest.assertAll();
        nested.detach(bench.device());
        nested.close();
        // Nothing is left of what could not be made.
        guest.parent.close();
        new EachFailure(whole).of(EnumSet.of(Errno.ENOMEM, Errno.ENOSPC), other -> {
            Guest another = new Guest(other);
            return new EachFailure.Attempt() {
                private IommuDomain nested;

                @Override
                public void run() {
                    nested = another.nested();
                }

                @Override
                public void assertDone() {
                    other.attach(nested, other.device());
                    another.assertAll();
                }

                @Override
                public void assertFailed(Errno errno) {
                    run();
                    assertDone();
                }

                @Override
                public void leave() {
                    Detaching.quietly(nested, other);
                }
            };
        });
    }

    @Test
    @NeedsAbility(Ability.ID_PER_ATTACHMENT)
    @Promise({"nest-7", "attach-8", "attach-11"})
    void aNestedDomainWithoutAnIdIsRefusedAndTheDeviceStaysWhereItWas(Bench bench) {
        Guest guest = new Guest(bench);
        IommuDomain old = bench.attached();
        bench.map(old, guest.at(0), bench.scratch() + 60 * guest.page);
        List<IommuDevice> devices = new ArrayList<>();
        List<IommuDomain> taken = new ArrayList<>();
        Optional<Errno> out = Optional.empty();
        for (int i = 1; out.isEmpty(); i++) {
            IommuDevice device = bench.probe(bench.ids().get(i));
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            out = Errnos.of(() -> bench.attach(domain, device));
            if (out.isEmpty()) {
                devices.add(device);
                taken.add(domain);
            }
        }
        assertThat(out).contains(Errno.ENOSPC);
        long frames = bench.framesInUse();
        for (int i = 0; i < 3; i++) {
            assertRefused(Errno.ENOSPC, () -> {
                IommuDomain nested = guest.nested();
                try {
                    nested.attach(bench.device());
                } finally {
                    nested.close();
                }
            });
            bench.assertReaches(guest.at(0), bench.scratch() + 60 * guest.page);
            bench.assertBlocked(guest.at(1));
        }
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        for (int i = 0; i < 2; i++) {
            bench.detach(taken.get(i), devices.get(i));
        }
        IommuDomain nested = guest.attached();
        guest.assertAll();
        nested.detach(bench.device());
        nested.close();
        guest.parent.close();
    }

    @Test
    @Promise("nest-3")
    void whatFailsBelowAGuestsTableLeavesTheDeviceWhereItWas(Bench whole) {
        new EachFailure(whole).of(EnumSet.of(Errno.ENOMEM, Errno.ENOSPC, Errno.ETIMEDOUT, Errno.EIO), bench -> {
            Guest guest = new Guest(bench);
            IommuDomain old = bench.attached();
            bench.map(old, guest.at(0), bench.scratch() + 60 * guest.page);
            IommuDomain nested = guest.nested();
            return new EachFailure.Attempt() {
                @Override
                public void run() {
                    bench.attach(nested, bench.device());
                }

                @Override
                public void assertDone() {
                    guest.assertAll();
                    assertRefused(Errno.EBUSY, guest.parent::close);
                }

                @Override
                public void assertFailed(Errno errno) {
                    bench.assertReaches(guest.at(0), bench.scratch() + 60 * guest.page);
                    assertRefused(Errno.EBUSY, guest.parent::close);
                    nested.close();
                    guest.parent.close();
                }

                @Override
                public void leave() {
                    Detaching.quietly(old, bench);
                    Errnos.of(() -> nested.detach(bench.device()));
                }
            };
        });
    }
}
