// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Places.frame;
import static org.iommu4j.tck.driver.Places.page;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.iommu4j.tck.Traits.Enforcement;
import org.junit.jupiter.api.Test;

/**
 * {@link CacheCoherencyEnforcement}, on machines with CPU caches: whether a device's no-snoop request passes them is
 * seen by what it reads and by what a CPU reads afterwards.
 */
@NeedsAbility(Ability.ENFORCEMENT)
public abstract class EnforcementContract {
    /** Made by JUnit. */
    protected EnforcementContract() {}

    private static CacheCoherencyEnforcement control(IommuDomain domain) {
        return domain.cacheCoherencyEnforcement().orElseThrow(() -> new AssertionError("no control over no-snoop"));
    }

    private static boolean enforce(Bench bench, IommuDomain domain) {
        boolean answer = control(domain).enforce();
        bench.steps().note("enforce() = %s", answer);
        return answer;
    }

    /** Returns a bench with CPU caches, without which no-snoop passes by nothing. */
    private static Bench cached(Bench bench) {
        return bench.subject().caches() ? bench : new Bench(bench.subject().cached());
    }

    /** Asserts whether a device's no-snoop requests through a mapped page are coherent with the CPU's cache. */
    private static void assertSnooped(Bench bench, Requester requester, long iova, long physical, boolean expected) {
        if (!requester.marksNoSnoop()) {
            return;
        }
        // Not the value that memory has already.
        long out = bench.load(physical) * 31 + 0x1111;
        bench.machine().drainCaches();
        bench.store(physical, out);
        bench.steps().note("device reads at 0x%x with no-snoop", iova);
        assertThat(requester.read(iova, true) == out)
                .as("the device's no-snoop read at 0x%x sees what the CPU's cache has", iova)
                .isEqualTo(expected);
        long in = bench.load(physical + 64) * 31 + 0x2222;
        bench.steps().note("device writes at 0x%x with no-snoop", iova + 64);
        assertThat(requester.write(iova + 64, in, true)).isTrue();
        assertThat(bench.load(physical + 64) == in)
                .as("a CPU that has the line sees what the device wrote with no-snoop at 0x%x", iova)
                .isEqualTo(expected);
        bench.machine().drainCaches();
    }

    /** Returns whether no-snoop is blocked in a domain that gave an answer. */
    private static boolean blocks(Bench bench, boolean answer) {
        Enforcement enforcement = bench.traits().enforcement();
        return enforcement == Enforcement.UNCONDITIONAL || (answer && enforcement.isKept());
    }

    @Test
    @Promise("enforce-8")
    void afterTrueNoNewMappingLetsNoSnoopPass(Bench given) {
        Bench bench = cached(given);
        for (IommuDevice device : List.of(bench.device(), bench.second())) {
            Requester requester = Requester.of(bench.machine(), device.id());
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            bench.attach(domain, device);
            boolean blocked = blocks(bench, enforce(bench, domain));
            int page = 0;
            for (int prot : new int[] {Prot.READ_WRITE, Prot.READ_WRITE | Prot.CACHE, Prot.READ_WRITE | Prot.NOEXEC}) {
                if (accepts(bench, domain, page(bench, page), frame(bench, page), prot)) {
                    assertSnooped(bench, requester, page(bench, page), frame(bench, page), blocked);
                }
                page++;
            }
            // Pages of every size, a run of several tables, what is mapped after an unmapping.
            for (long size = bench.granule(); size > 0 && size <= bench.scratch() / 4; size <<= 1) {
                if ((domain.pageSizes() & size) != 0) {
                    long iova = bench.iova() + bench.scratch() / 2;
                    bench.map(domain, iova, bench.scratch(), size, 2, Bench.READ_WRITE);
                    assertSnooped(bench, requester, iova, bench.scratch(), blocked);
                    assertSnooped(bench, requester, iova + 2 * size - 128, bench.scratch() + 2 * size - 128, blocked);
                    bench.unmap(domain, iova, 2 * size);
                }
            }
            bench.map(domain, page(bench, 64), frame(bench, 64), bench.granule(), 600, Bench.READ_WRITE);
            for (int i : new int[] {64, 65, 511, 512, 640, 663}) {
                assertSnooped(bench, requester, page(bench, i), frame(bench, i), blocked);
            }
            bench.unmap(domain, page(bench, 64), bench.granule());
            bench.map(domain, page(bench, 64), frame(bench, 1));
            assertSnooped(bench, requester, page(bench, 64), frame(bench, 1), blocked);
            // Out of the domain and back, and after somebody asked again.
            bench.detach(domain, device);
            bench.attach(domain, device);
            assertSnooped(bench, requester, page(bench, 65), frame(bench, 65), blocked);
            enforce(bench, domain);
            bench.map(domain, page(bench, 700), frame(bench, 2));
            assertSnooped(bench, requester, page(bench, 700), frame(bench, 2), blocked);
            bench.detach(domain, device);
            domain.close();
        }
    }

    private static boolean accepts(Bench bench, IommuDomain domain, long iova, long physical, int prot) {
        Optional<Errno> errno = Errnos.of(() -> bench.map(domain, iova, physical, bench.granule(), 1, prot));
        return errno.isEmpty();
    }

    @Test
    @Promise("enforce-9")
    void mappingsOfBeforeTrueAreBoundUnlessTheReleaseLeavesThem(Bench given) {
        Bench bench = cached(given);
        IommuDomain domain = bench.attached();
        bench.map(domain, page(bench, 0), frame(bench, 0), bench.granule(), 3, Bench.READ_WRITE);
        assertSnooped(bench, bench.requester(), page(bench, 0), frame(bench, 0), blocks(bench, false));

        boolean blocked = blocks(bench, enforce(bench, domain));

        boolean before = bench.traits().has(Ability.EARLIER_MAPPINGS) ? blocked : blocks(bench, false);
        for (int page = 0; page < 3; page++) {
            assertSnooped(bench, bench.requester(), page(bench, page), frame(bench, page), before);
        }
        bench.map(domain, page(bench, 8), frame(bench, 8));
        assertSnooped(bench, bench.requester(), page(bench, 8), frame(bench, 8), blocked);
    }

    @Test
    @Promise({"enforce-8", "enforce-10"})
    void aDeviceThatIsAttachedLaterIsBoundToo(Bench given) {
        Bench bench = cached(given);
        boolean able = bench.traits().enforcement().answer();
        for (boolean first : new boolean[] {true, false}) {
            IommuDomain domain = bench.domain();
            // A domain without devices may promise what none of the machine's units can.
            boolean granted = enforce(bench, domain);
            bench.map(domain, page(bench, 0), frame(bench, 0));
            if (first) {
                assertBound(bench, domain, bench.device(), granted, able);
            }
            assertBound(
                    bench,
                    domain,
                    bench.second(),
                    granted,
                    able && !bench.traits().has(Ability.INCOMPATIBLE));
            if (first && (able || !granted)) {
                bench.detach(domain, bench.device());
            }
            domain.close();
        }
    }

    /** Attaches a device to a domain that gave an answer; the second is detached again. */
    private static void assertBound(
            Bench bench, IommuDomain domain, IommuDevice device, boolean granted, boolean able) {
        Requester requester = Requester.of(bench.machine(), device.id());
        assertThat(domain.attach(device).attached())
                .as("%s is attached to a domain that answered %s", device.id(), granted)
                .isEqualTo(able || !granted);
        if (granted && !able) {
            bench.assertBlocked(requester, page(bench, 0));
            return;
        }
        assertSnooped(bench, requester, page(bench, 0), frame(bench, 0), blocks(bench, granted));
        bench.map(domain, page(bench, 1), frame(bench, 1));
        assertSnooped(bench, requester, page(bench, 1), frame(bench, 1), blocks(bench, granted));
        bench.unmap(domain, page(bench, 1), bench.granule());
        if (device == bench.second()) {
            bench.detach(domain, device);
        }
    }

    @Test
    @NeedsAbility(Ability.INCOMPATIBLE)
    @Promise("enforce-10")
    void aDeviceWhoseUnitCantIsRefused(Bench bench) {
        IommuDomain domain = bench.attached();
        IommuDomain own = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        bench.attach(own, bench.second());
        bench.map(own, page(bench, 0), frame(bench, 4));
        assertThat(enforce(bench, domain)).isTrue();
        bench.map(domain, page(bench, 1), frame(bench, 1));
        for (int i = 0; i < 3; i++) {
            assertThat(domain.attach(bench.second()).attached()).isFalse();
            bench.assertBlocked(bench.secondRequester(), page(bench, 1));
            bench.attach(own, bench.second());
            bench.assertReaches(bench.secondRequester(), page(bench, 0), frame(bench, 4));
        }
        bench.detach(own, bench.second());
        // Also when the domain has been left by all, and when it was asked again.
        bench.detach(domain, bench.device());
        assertThat(domain.attach(bench.second()).attached()).isFalse();
        assertThat(enforce(bench, domain)).isTrue();
        assertThat(domain.attach(bench.second()).attached()).isFalse();
        bench.assertBlocked(bench.secondRequester(), page(bench, 1));
        bench.attach(domain, bench.device());
        bench.assertReaches(page(bench, 1), frame(bench, 1));
    }

    @Test
    @Promise("enforce-3")
    void anAnswerOfTrueStands(Bench given) {
        Bench bench = cached(given);
        IommuDomain domain = bench.attached();
        boolean granted = enforce(bench, domain);
        assertThat(granted)
                .as("the answer")
                .isEqualTo(bench.traits().enforcement().answer());
        for (int i = 0; i < 3; i++) {
            assertThat(enforce(bench, domain)).as("asked again").isEqualTo(granted);
        }
        bench.map(domain, page(bench, 0), frame(bench, 0));
        assertThat(enforce(bench, domain)).as("with a mapping").isEqualTo(granted);
        bench.unmap(domain, page(bench, 0), bench.granule());
        assertThat(enforce(bench, domain)).as("after an unmapping").isEqualTo(granted);
        bench.detach(domain, bench.device());
        if (granted) {
            assertThat(enforce(bench, domain)).as("without a device").isTrue();
        }
        bench.attach(domain, bench.device());
        assertThat(enforce(bench, domain)).as("with the device again").isEqualTo(granted);
        bench.map(domain, page(bench, 0), frame(bench, 0));
        assertSnooped(bench, bench.requester(), page(bench, 0), frame(bench, 0), blocks(bench, granted));
        IommuDomain other = bench.domain();
        bench.attach(other, bench.device());
        bench.attach(domain, bench.device());
        assertSnooped(bench, bench.requester(), page(bench, 0), frame(bench, 0), blocks(bench, granted));
        assertThat(enforce(bench, domain)).as("after a move").isEqualTo(granted);
        assertThat(domain.cacheCoherencyEnforcement()).as("the control").isPresent();
    }

    /** One domain's answer is no other's. */
    @Test
    @Promise({"enforce-4", "enforce-8"})
    void askingOneDomainChangesNoOther(Bench given) {
        Bench bench = cached(given);
        IommuDomain asked = bench.attached();
        enforce(bench, asked);
        IommuDomain other = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        bench.attach(other, bench.second());
        bench.map(other, page(bench, 0), frame(bench, 0));
        assertSnooped(bench, bench.secondRequester(), page(bench, 0), frame(bench, 0), blocks(bench, false));
        bench.attach(other, bench.device());
        assertSnooped(bench, bench.requester(), page(bench, 0), frame(bench, 0), blocks(bench, false));
    }

    /** False is had where the unit can't, and where something is mapped already, as a release has it. */
    @Test
    @Promise("enforce-4")
    void falseChangesNothing(Bench given) {
        Bench bench = cached(given);
        IommuDomain domain = bench.attached();
        bench.map(domain, page(bench, 0), frame(bench, 0));
        bench.assertReaches(page(bench, 0), frame(bench, 0));
        bench.machine().runPending();
        long frames = bench.framesInUse();
        long digest = bench.machine().digest();
        CacheCoherencyEnforcement control = control(domain);
        for (int i = 0; i < 3; i++) {
            if (control.enforce()) {
                return;
            }
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
            assertThat(bench.machine().digest()).as("the machine").isEqualTo(digest);
        }
        assertSnooped(bench, bench.requester(), page(bench, 0), frame(bench, 0), false);
        bench.map(domain, page(bench, 1), frame(bench, 1));
        assertSnooped(bench, bench.requester(), page(bench, 1), frame(bench, 1), false);
        bench.assertReaches(page(bench, 1), frame(bench, 1));
        bench.attach(domain, bench.second());
        bench.assertReaches(bench.secondRequester(), page(bench, 1), frame(bench, 1));
        assertSnooped(bench, bench.secondRequester(), page(bench, 1), frame(bench, 1), false);
        bench.unmap(domain, page(bench, 0), bench.granule());
        bench.assertBlocked(page(bench, 0));
    }

    @Test
    @NeedsAbility(Ability.INCOMPATIBLE)
    @Promise({"enforce-4", "enforce-5"})
    void aDomainWithADeviceWhoseUnitCantAnswersFalse(Bench given) {
        Bench bench = cached(given);
        IommuDomain domain = bench.attached();
        bench.attach(domain, bench.second());
        assertThat(enforce(bench, domain)).as("with the second device").isFalse();
        bench.map(domain, page(bench, 0), frame(bench, 0));
        assertSnooped(bench, bench.requester(), page(bench, 0), frame(bench, 0), false);
        assertSnooped(bench, bench.secondRequester(), page(bench, 0), frame(bench, 0), false);
        bench.detach(domain, bench.second());
        bench.attach(domain, bench.second());
        bench.assertReaches(bench.secondRequester(), page(bench, 0), frame(bench, 0));
    }

    @Test
    @Promise("enforce-5")
    void whatTheDevicesCanIsWhatTheDomainAnswers(Bench bench) {
        boolean both = true;
        for (IommuDevice device : List.of(bench.device(), bench.second())) {
            boolean able = bench.iommu().capable(device, IommuCapability.ENFORCE_CACHE_COHERENCY);
            both &= able;
            for (DomainType type : List.of(DomainType.UNMANAGED, DomainType.DMA)) {
                IommuDomain domain = bench.iommu().allocate(type, device);
                bench.attach(domain, device);
                if (able) {
                    assertThat(enforce(bench, domain))
                            .as("of a domain of %s", device.id())
                            .isTrue();
                }
                bench.detach(domain, device);
                domain.close();
            }
        }
        if (both) {
            IommuDomain domain = bench.attached();
            bench.attach(domain, bench.second());
            bench.map(domain, page(bench, 0), frame(bench, 0));
            assertThat(enforce(bench, domain)).as("of both devices").isTrue();
        }
        boolean first = bench.iommu().capable(bench.device(), IommuCapability.ENFORCE_CACHE_COHERENCY);
        assertThat(first && !bench.traits().enforcement().answer())
                .as("the capability is there, and the subject's trait is to answer false")
                .isFalse();
        // Without opening, the same is said of the device.
        Described.of(bench)
                .device(bench.device().id())
                .flatMap(device -> Described.known(device.enforceCacheCoherency()))
                .ifPresent(said -> assertThat(said)
                        .as("what is said of the device without opening")
                        .isEqualTo(bench.traits().enforcement().answer()));
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("enforce-6")
    void anAnswerThatIsNotConfirmedIsNone(Bench given) {
        Silence silence = new Silence();
        Bench bench = new Bench(given.subject().cached().withPorts(silence::in));
        IommuDomain domain = bench.attached();
        bench.attach(domain, bench.traits().has(Ability.INCOMPATIBLE) ? bench.device() : bench.second());
        bench.assertBlocked(page(bench, 0));
        CacheCoherencyEnforcement control = control(domain);
        boolean[] answer = new boolean[1];
        List<Errno> errnos = new ArrayList<>();
        silence.during(() -> Errnos.of(() -> answer[0] = control.enforce()).ifPresent(errnos::add));
        if (errnos.isEmpty()) {
            // No invalidation was needed, and so the answer is a whole one.
            bench.map(domain, page(bench, 0), frame(bench, 0));
            assertSnooped(bench, bench.requester(), page(bench, 0), frame(bench, 0), blocks(bench, answer[0]));
        } else {
            assertThat(errnos).containsExactly(Errno.ETIMEDOUT);
            assertRefused(Errno.EIO, control::enforce);
            assertRefused(Errno.EIO, control::enforce);
        }
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("enforce-6")
    void everyFailureOfAPortIsARefusal(Bench bench) {
        assertThat(NthFailure.ofEveryPort(bench.subject()).everyStep(Enforcing::new))
                .isSubsetOf(Errno.ETIMEDOUT, Errno.EIO);
    }

    /** A domain with one device is asked. */
    private record Enforcing(Bench bench, IommuDomain domain) implements NthFailure.Operation {
        private Enforcing(Bench bench) {
            this(bench, bench.attached());
        }

        @Override
        public void run() {
            assertThat(control(domain).enforce())
                    .isEqualTo(bench.traits().enforcement().answer());
        }

        @Override
        public void assertDone() {
            run();
            bench.map(domain, bench.iova(), bench.scratch());
            bench.assertReaches(bench.iova(), bench.scratch());
        }

        @Override
        public void assertNotDone(boolean broken) {
            bench.assertBlocked(bench.iova());
        }

        @Override
        public void close() {
            Detaching.quietly(domain, bench);
            domain.close();
        }
    }

    @Test
    @Promise("enforce-7")
    void aClosedDomainIsNotAsked(Bench bench) {
        for (boolean asked : new boolean[] {false, true}) {
            IommuDomain domain = bench.attached();
            CacheCoherencyEnforcement control = control(domain);
            if (asked) {
                control.enforce();
            }
            bench.detach(domain, bench.device());
            domain.close();
            for (int i = 0; i < 2; i++) {
                assertRefused(Errno.ENODEV, control::enforce);
            }
            assertRefused(Errno.ENODEV, () -> control(domain).enforce());
        }
        IommuDomain open = bench.domain();
        bench.iommu().close();
        assertRefused(Errno.ENODEV, () -> control(open).enforce());
    }
}
