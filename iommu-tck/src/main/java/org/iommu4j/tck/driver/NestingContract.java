// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.capability.GuestInvalidation;
import org.iommu4j.capability.GuestInvalidationRequest;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.capability.Nesting;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.GuestTables;
import org.iommu4j.tck.GuestTables.Entry;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link Nesting} and {@link GuestInvalidation}. */
@NeedsAbility(Ability.NESTING)
public abstract class NestingContract {
    private static final EnumSet<Errno> NOT_COMPLETED = EnumSet.of(Errno.ETIMEDOUT, Errno.EIO);
    private static final int DATA = 8;

    /** Made by JUnit. */
    protected NestingContract() {}

    /** A guest with its memory below a parent: two sets of tables, and pages of data behind them. */
    private static final class Guest {
        final Bench bench;
        final GuestTables tables;
        final IommuDomain parent;
        final Nesting nesting;
        final long page;
        final long root;
        final long otherRoot;
        final long data;
        final long virtual;

        Guest(Bench bench) {
            this.bench = bench;
            tables = bench.traits().guestTables().orElseThrow();
            page = bench.granule();
            root = bench.iova();
            otherRoot = root + tables.tableBytes();
            data = otherRoot + tables.tableBytes();
            virtual = (1L << 35) + 5 * page;
            parent = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.NEST_PARENT));
            bench.map(parent, root, bench.scratch(), page, (data - root) / page + DATA, READ_WRITE);
            nesting = parent.nesting().orElseThrow();
            for (int i = 0; i < 4; i++) {
                write(i, i, Entry.READ_WRITE);
            }
        }

        long host(long guestPhysical) {
            return bench.scratch() + (guestPhysical - root);
        }

        long at(int number) {
            return virtual + number * page;
        }

        long hostOf(int number) {
            return host(data + number * page);
        }

        void write(int virtualPage, int dataPage, Entry entry) {
            write(root, virtualPage, data + dataPage * page, entry);
        }

        void write(long tableRoot, int virtualPage, long target, Entry entry) {
            bench.steps().note("guest maps 0x%x to 0x%x, %s", at(virtualPage), target, entry);
            tables.map(
                    (address, value) -> bench.store(host(address), value), tableRoot, at(virtualPage), target, entry);
        }

        IommuDomain nested() {
            return nested(root);
        }

        IommuDomain nested(long tableRoot) {
            bench.steps().note("allocateNested(0x%x)", tableRoot);
            return nesting.allocateNested(bench.device(), tables.table(tableRoot));
        }

        IommuDomain attached() {
            IommuDomain nested = nested();
            bench.attach(nested, bench.device());
            return nested;
        }

        void assertReaches(int virtualPage, int dataPage) {
            bench.assertReaches(at(virtualPage), hostOf(dataPage));
        }

        void assertAll() {
            for (int i = 0; i < 4; i++) {
                assertReaches(i, i);
            }
        }
    }

    private static GuestInvalidation invalidation(IommuDomain nested) {
        return nested.guestInvalidation().orElseThrow();
    }

    private static void invalidate(Bench bench, IommuDomain nested, GuestInvalidationRequest request) {
        bench.steps().note("invalidate(%s)", request);
        invalidation(nested).invalidate(request);
    }

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
            return Ports.with(context, memory[0], context.frames());
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
        for (GuestTable table : guest.tables.refused(guest.root)) {
            assertRefused(Errno.EINVAL, () -> guest.nesting.allocateNested(bench.device(), table));
        }
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
                assertRefused(Errno.EINVAL, () -> guest.nesting.allocateNested(bench.device(), table));
                assertRefused(Errno.EINVAL, () -> guest.nesting.allocateNested(bench.second(), table));
            }
            assertThat(bench.framesInUse()).isEqualTo(frames);
            guest.attached().detach(bench.device());
        }
    }

    /** A table as no vendor has it. */
    private record StrangeTable() implements GuestTable {}

    /** A request as no vendor has it. */
    private record StrangeRequest() implements GuestInvalidationRequest {}

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
        Ports.CountedFrames[] frames = new Ports.CountedFrames[1];
        Bench bench = whole.on(context -> {
            frames[0] = new Ports.CountedFrames(context.frames());
            return Ports.with(context, context.memory(), frames[0]);
        });
        Guest guest = new Guest(bench);
        for (int round = 0; round < 3; round++) {
            long before = bench.framesInUse();
            frames[0].exhausted(true);
            Throwable thrown = catchThrowable(() -> guest.nested().close());
            frames[0].exhausted(false);
            if (thrown != null) {
                assertThat(thrown).isInstanceOf(IommuException.class);
                assertThat(((IommuException) thrown).errno()).isIn(Errno.ENOMEM, Errno.ENOSPC);
            }
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
            };
        });
    }

    // The guest's invalidations.

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
            Ports.Silencer unit = new Ports.Silencer();
            Guest guest = new Guest(whole.on(unit::apply));
            IommuDomain nested = guest.attached();
            guest.assertAll();
            unit.during(() -> assertRefused(
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
            };
        });
    }
}
