// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.junit.jupiter.api.Test;

/** {@link Iommu#allocate(DomainType, IommuDevice)} and its neighbours. */
public abstract class AllocatingContract {
    /** A flag that a domain can be allocated with, and the ability that it needs. */
    private static final Map<DomainFlag, Ability> FLAGS = new EnumMap<>(Map.of(
            DomainFlag.DIRTY_TRACKING, Ability.DIRTY_TRACKING,
            DomainFlag.NEST_PARENT, Ability.NESTING,
            DomainFlag.PASID, Ability.PASID));

    /** Made by JUnit. */
    protected AllocatingContract() {}

    private static Set<DomainType> types(Bench bench) {
        Set<DomainType> types = EnumSet.of(DomainType.UNMANAGED, DomainType.DMA, DomainType.BLOCKED);
        if (bench.traits().has(Ability.IDENTITY)) {
            types.add(DomainType.IDENTITY);
        }
        return types;
    }

    @Test
    @Promise("allocate-1")
    void aNewDomainIsEmptyAndTheDeviceStaysWhereItIs(Bench bench) {
        IommuDomain old = bench.attached();
        bench.map(old, bench.iova(), bench.scratch());
        bench.assertReaches(bench.iova(), bench.scratch());
        for (DomainType type : types(bench)) {
            IommuDomain domain = bench.iommu().allocate(type, bench.device());
            assertThat(domain.type()).isEqualTo(type);
            assertThat(domain.iommu()).isSameAs(bench.iommu());
            assertThat(domain.pageSizes() != 0).as("%s has pages", type).isEqualTo(type.isPaging());
            bench.assertReaches(bench.iova(), bench.scratch());
            bench.assertBlocked(bench.secondRequester(), bench.iova());
            assertRefused(Errno.EINVAL, () -> domain.detach(bench.device()));
            if (type.isPaging()) {
                assertThat(domain.translate(bench.iova())).isEqualTo(IommuDomain.UNMAPPED);
                assertThat(domain.translate(domain.apertureStart())).isEqualTo(IommuDomain.UNMAPPED);
                assertThat(domain.translate(domain.apertureEnd())).isEqualTo(IommuDomain.UNMAPPED);
                bench.attach(domain, bench.device());
                bench.assertBlocked(domain.apertureEnd() & -bench.granule());
                bench.assertBlocked(bench.iova());
                bench.assertBlocked(domain.apertureStart());
                bench.map(domain, bench.iova(), bench.scratch() + bench.granule());
                bench.assertReaches(bench.iova(), bench.scratch() + bench.granule());
                bench.attach(old, bench.device());
            }
            domain.close();
        }
        bench.assertReaches(bench.iova(), bench.scratch());
        IommuDomain second = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        bench.attach(second, bench.second());
        bench.assertBlocked(bench.secondRequester(), bench.iova());
    }

    @Test
    @Promise("allocate-2")
    void framesAndIdsComeBack(Bench bench) {
        long frames = bench.framesInUse();
        for (DomainType type : types(bench)) {
            for (int i = 0; i < 700; i++) {
                IommuDomain domain = bench.iommu().allocate(type, bench.device());
                if (type.isPaging() && i % 100 == 0) {
                    domain.map(bench.iova(), bench.scratch(), bench.granule(), 3, Bench.READ_WRITE);
                }
                if (i % 50 == 0) {
                    bench.attach(domain, bench.device());
                    bench.detach(domain, bench.device());
                }
                domain.close();
            }
            assertThat(bench.framesInUse()).as("frames in use after %s", type).isEqualTo(frames);
        }
        List<IommuDomain> many = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            many.add(bench.iommu().allocate(i % 2 == 0 ? DomainType.UNMANAGED : DomainType.DMA, bench.device()));
        }
        // Not in the order in which they were made.
        for (int i = 0; i < 100; i++) {
            many.get(i * 37 % 100).close();
        }
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        for (DomainFlag flag : FLAGS.keySet()) {
            if (bench.traits().has(FLAGS.get(flag))) {
                for (int i = 0; i < 300; i++) {
                    bench.iommu()
                            .allocate(DomainType.UNMANAGED, bench.device(), Set.of(flag))
                            .close();
                }
                assertThat(bench.framesInUse())
                        .as("frames in use after %s", flag)
                        .isEqualTo(frames);
            }
        }
    }

    @Test
    @NeedsAbility(Ability.ID_PER_DOMAIN)
    @Promise("allocate-4")
    void domainsRunOutOfIdsAndTheIdsComeBack(Bench bench) {
        List<IommuDomain> all = takeAllIds(bench);
        DomainType type = withoutTables(bench);
        assertRefused(Errno.ENOSPC, () -> bench.iommu().allocate(type, bench.device()));
        all.remove(all.size() / 2).close();
        all.add(bench.iommu().allocate(type, bench.device()));
        assertRefused(Errno.ENOSPC, () -> bench.iommu().allocate(type, bench.device()));
        int ids = all.size();
        long frames = bench.framesInUse();
        assertRefused(Errno.ENOSPC, () -> bench.iommu().allocate(DomainType.UNMANAGED, bench.device()));
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        all.forEach(IommuDomain::close);
        for (int i = 0; i < 200; i++) {
            bench.iommu().allocate(DomainType.UNMANAGED, bench.device()).close();
        }

        List<IommuDomain> again = takeAllIds(bench);
        assertThat(again).as("ids that can be taken again").hasSize(ids);
    }

    @Test
    @NeedsAbility(Ability.ID_PER_DOMAIN)
    @Promise({"allocate-2", "allocate-3"})
    void anIdComesBackWhenThereIsNoFrameForADomain(Bench bench) {
        List<IommuDomain> all = takeAllIds(bench);
        int ids = all.size();
        all.forEach(IommuDomain::close);
        List<Long> taken = Frames.takeAll(bench.context().frames());
        for (int i = 0; i < 100; i++) {
            assertThat(Errnos.of(() -> bench.iommu().allocate(DomainType.UNMANAGED, bench.device())))
                    .contains(Errno.ENOMEM);
        }
        Frames.giveBack(bench.context().frames(), taken);
        assertThat(takeAllIds(bench)).as("ids that can be taken again").hasSize(ids);
    }

    private static DomainType withoutTables(Bench bench) {
        return bench.traits().has(Ability.IDENTITY) ? DomainType.IDENTITY : DomainType.BLOCKED;
    }

    private static List<IommuDomain> takeAllIds(Bench bench) {
        List<IommuDomain> all = new ArrayList<>();
        DomainType type = withoutTables(bench);
        for (int i = 0; i < 70_000; i++) {
            Optional<Errno> errno = Errnos.of(() -> all.add(bench.iommu().allocate(type, bench.device())));
            if (errno.isPresent()) {
                assertThat(errno).contains(Errno.ENOSPC);
                return all;
            }
        }
        throw new AssertionError("70000 domains were allocated, expected ENOSPC before");
    }

    @Test
    @Promise("allocate-3")
    void aDomainWithoutFramesIsRefusedWithEnomemAndNothingHasLeaked(Bench bench) {
        List<Errno> seen = new ArrayList<>();
        for (DomainType type : types(bench)) {
            seen.addAll(
                    NthFailure.ofFrames(bench.subject()).everyStep(machine -> new Allocating(machine, type, Set.of())));
        }
        for (DomainFlag flag : FLAGS.keySet()) {
            if (bench.traits().has(FLAGS.get(flag))) {
                seen.addAll(NthFailure.ofFrames(bench.subject())
                        .everyStep(machine -> new Allocating(machine, DomainType.UNMANAGED, Set.of(flag))));
            }
        }
        assertThat(seen).as("errnos without frames").containsOnly(Errno.ENOMEM);

        long frames = bench.framesInUse();
        List<Long> taken = Frames.takeAll(bench.context().frames());
        for (DomainType type : types(bench)) {
            for (int i = 0; i < 3; i++) {
                Optional<Errno> errno = Errnos.of(
                        () -> bench.iommu().allocate(type, bench.device()).close());
                assertThat(errno.isEmpty() || errno.get() == Errno.ENOMEM)
                        .as("%s without a frame left: %s", type, errno)
                        .isTrue();
            }
        }
        Frames.giveBack(bench.context().frames(), taken);
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.assertReaches(bench.iova(), bench.scratch());
    }

    @Test
    @Promise("allocate-5")
    void aTypeThatTheUnitCantDoIsRefused(Bench bench) {
        long frames = bench.framesInUse();
        for (IommuDevice device : List.of(bench.device(), bench.second())) {
            assertRefused(Errno.EOPNOTSUPP, () -> bench.iommu().allocate(DomainType.NESTED, device));
            if (!bench.traits().has(Ability.IDENTITY)) {
                assertRefused(Errno.EOPNOTSUPP, () -> bench.iommu().allocate(DomainType.IDENTITY, device));
            }
        }
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
    }

    @Test
    @Promise("allocate-6")
    void anotherDriversDeviceGetsNoDomain(Bench bench) {
        Bench other = new Bench(bench.subject());
        long frames = bench.framesInUse();
        for (DomainType type : types(bench)) {
            assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(type, other.device()));
            assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(type, other.second()));
            assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(type, other.second(), Set.of()));
        }
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
    }

    @Test
    @Promise("allocate-6")
    void aClosedDriverAllocatesNothing(Bench bench) {
        Set<DomainType> types = types(bench);
        bench.iommu().close();
        for (DomainType type : types) {
            assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(type, bench.device()));
            assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(type, bench.second(), Set.of()));
        }
        for (DomainFlag flag : DomainFlag.values()) {
            assertRefused(
                    Errno.ENODEV, () -> bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(flag)));
        }
        assertThat(bench.framesInUse()).as("frames in use").isZero();
    }

    @Test
    @Promise("allocate-flags-1")
    void withoutFlagsItIsAnOrdinaryDomain(Bench bench) {
        for (DomainType type : types(bench)) {
            IommuDomain ordinary = bench.iommu().allocate(type, bench.device());
            IommuDomain without = bench.iommu().allocate(type, bench.device(), Set.of());
            assertThat(without.type()).isEqualTo(type);
            assertThat(without.format()).isEqualTo(ordinary.format());
            assertThat(without.pageSizes()).isEqualTo(ordinary.pageSizes());
            assertThat(without.apertureStart()).isEqualTo(ordinary.apertureStart());
            assertThat(without.apertureEnd()).isEqualTo(ordinary.apertureEnd());
            assertThat(without.cacheCoherencyEnforcement().isPresent())
                    .isEqualTo(ordinary.cacheCoherencyEnforcement().isPresent());
            assertThat(without.dirtyTracking().isPresent())
                    .isEqualTo(ordinary.dirtyTracking().isPresent());
            assertThat(without.pasidAttachment().isPresent())
                    .isEqualTo(ordinary.pasidAttachment().isPresent());
            assertThat(without.nesting().isPresent())
                    .isEqualTo(ordinary.nesting().isPresent());
            if (type.isPaging()) {
                bench.attach(without, bench.device());
                bench.map(without, bench.iova(), bench.scratch());
                bench.assertReaches(bench.iova(), bench.scratch());
                bench.detach(without, bench.device());
            }
            without.close();
            ordinary.close();
        }
        if (!bench.traits().has(Ability.IDENTITY)) {
            assertRefused(
                    Errno.EOPNOTSUPP, () -> bench.iommu().allocate(DomainType.IDENTITY, bench.device(), Set.of()));
        }
        assertRefused(Errno.EOPNOTSUPP, () -> bench.iommu().allocate(DomainType.NESTED, bench.device(), Set.of()));
    }

    @Test
    @Promise({"allocate-user-1", "allocate-user-2"})
    void aDomainForUserSpaceIsAnEmptyOneOfAUsers(Bench bench) {
        IommuDomain domain = bench.iommu().allocateForUser(bench.device(), Set.of());
        assertThat(domain.type()).isEqualTo(DomainType.UNMANAGED);
        assertThat(domain.iommu()).isSameAs(bench.iommu());
        assertThat(domain.translate(bench.iova())).isEqualTo(IommuDomain.UNMAPPED);
        if (domain.attach(bench.device()).attached()) {
            bench.assertBlocked(bench.iova());
            bench.map(domain, bench.iova(), bench.scratch());
            bench.assertReaches(bench.iova(), bench.scratch());
            bench.detach(domain, bench.device());
        }
        domain.close();
        Bench stranger = bench.on(UnaryOperator.identity());
        assertRefused(Errno.ENODEV, () -> bench.iommu().allocateForUser(stranger.device(), Set.of()));
        bench.iommu().close();
        assertRefused(Errno.ENODEV, () -> bench.iommu().allocateForUser(bench.device(), Set.of()));
    }

    @Test
    @Promise("blocks-first-2")
    void whetherLinuxBlocksFirstDoesNotChange(Bench bench) {
        boolean first = bench.iommu().blocksBeforeAttach();
        IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device());
        bench.attach(domain, bench.device());
        assertThat(bench.iommu().blocksBeforeAttach()).isEqualTo(first);
        bench.detach(domain, bench.device());
        assertThat(bench.iommu().blocksBeforeAttach()).isEqualTo(first);
    }

    @Test
    @Promise("nests-1")
    void aDriverThatDoesNotNestHasNoParents(Bench bench) {
        if (bench.traits().has(Ability.NESTING)) {
            assertThat(bench.iommu().nests()).isTrue();
            return;
        }
        IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device());
        assertThat(domain.nesting()).as("without NEST_PARENT").isEmpty();
        domain.close();
    }

    @Test
    @Promise("allocate-flags-2")
    void aFlagIsKeptOrRefused(Bench bench) {
        Bench other = new Bench(bench.subject());
        FLAGS.forEach((flag, ability) -> {
            Set<DomainFlag> flags = Set.of(flag);
            long frames = bench.framesInUse();
            if (!bench.traits().has(ability)) {
                // The unit may be able to, though the device is not.
                assertRefusedOrAble(bench, flag);
            } else {
                IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), flags);
                assertThat(domain.type()).isEqualTo(DomainType.UNMANAGED);
                switch (flag) {
                    case DIRTY_TRACKING -> assertThat(domain.dirtyTracking()).isPresent();
                    case NEST_PARENT -> assertThat(domain.nesting()).isPresent();
                    case PASID -> assertThat(domain.pasidAttachment()).isPresent();
                }
                bench.attach(domain, bench.device());
                bench.map(domain, bench.iova(), bench.scratch());
                bench.assertReaches(bench.iova(), bench.scratch());
                bench.detach(domain, bench.device());
                domain.close();
                assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(DomainType.UNMANAGED, other.device(), flags));
            }
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        });
    }

    private static void assertRefusedOrAble(Bench bench, DomainFlag flag) {
        IommuDomain[] domain = new IommuDomain[1];
        Optional<Errno> errno =
                Errnos.of(() -> domain[0] = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(flag)));
        if (errno.isPresent()) {
            assertThat(errno).contains(Errno.EOPNOTSUPP);
            return;
        }
        assertThat(flag).as("a flag that only a device can lack").isEqualTo(DomainFlag.PASID);
        assertThat(domain[0].pasidAttachment()).as("how PASIDs are attached").isPresent();
        domain[0].close();
    }

    @Test
    @Promise("allocate-flags-3")
    void flagsThatMakeNoSenseAreRefused(Bench bench) {
        long frames = bench.framesInUse();
        for (DomainFlag flag : DomainFlag.values()) {
            for (DomainType type : types(bench)) {
                if (type != DomainType.UNMANAGED) {
                    assertRefused(
                            bench.traits().has(Ability.DIRTY_TRACKING)
                                            || bench.traits().has(Ability.PASID)
                                            || bench.traits().has(Ability.NESTING)
                                    ? EnumSet.of(Errno.EINVAL)
                                    : EnumSet.of(Errno.EINVAL, Errno.EOPNOTSUPP),
                            () -> bench.iommu().allocate(type, bench.device(), Set.of(flag)));
                }
            }
        }
        for (DomainFlag one : DomainFlag.values()) {
            for (DomainFlag two : DomainFlag.values()) {
                if (one != two) {
                    assertBothOrNeither(bench, Set.of(one, two));
                }
            }
        }
        assertBothOrNeither(bench, EnumSet.allOf(DomainFlag.class));
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
    }

    private static void assertBothOrNeither(Bench bench, Set<DomainFlag> flags) {
        boolean able = flags.stream()
                .allMatch(flag -> flag == DomainFlag.PASID || bench.traits().has(FLAGS.get(flag)));
        IommuDomain[] domain = new IommuDomain[1];
        Optional<Errno> errno =
                Errnos.of(() -> domain[0] = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), flags));
        if (errno.isPresent()) {
            assertThat(errno.get()).as("%s", flags).isIn(Errno.EINVAL, Errno.EOPNOTSUPP);
            return;
        }
        assertThat(able).as("the unit can do %s", flags).isTrue();
        assertThat(domain[0].dirtyTracking().isPresent() || !flags.contains(DomainFlag.DIRTY_TRACKING))
                .isTrue();
        assertThat(domain[0].nesting().isPresent() || !flags.contains(DomainFlag.NEST_PARENT))
                .isTrue();
        assertThat(domain[0].pasidAttachment().isPresent() || !flags.contains(DomainFlag.PASID))
                .isTrue();
        domain[0].close();
    }
}
