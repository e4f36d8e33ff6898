// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.READ_WRITE;
import static org.iommu4j.it.domain.Bench.SCRATCH;
import static org.iommu4j.it.domain.NthFailure.errnoOf;
import static org.iommu4j.it.domain.ScalableMachines.CAP;
import static org.iommu4j.it.domain.ScalableMachines.COHERENT;
import static org.iommu4j.it.domain.ScalableMachines.EVERYTHING;
import static org.iommu4j.it.domain.ScalableMachines.FIRST_STAGE;

import java.util.List;
import java.util.Set;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.it.domain.NthFailure.Operation;
import org.iommu4j.sim.pcie.Endpoint;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What domains can do besides mapping, while the n-th thing that can fail does: PASIDs, record of written pages,
 * nesting, promises.
 */
class CapabilityFailureTest {
    private static final long PAGE = 4096;

    /** Beyond the first table of PASIDs, so that it takes a frame. */
    private static final int PASID = 700;

    /** Frames of a GCR3 or PASID table that stay for the next who needs them. */
    private static final int PASID_TABLES = 2;

    static List<Configuration> withPasids() {
        Configuration first = ScalableMachines.of("first stage", CAP, EVERYTHING);
        Configuration second = ScalableMachines.of("second stage", CAP, EVERYTHING & ~FIRST_STAGE);
        Configuration nonCoherent = ScalableMachines.of("first stage, non-coherent walk", CAP, EVERYTHING & ~COHERENT);
        return List.of(
                ScalableMachines.withDevices(first, false),
                ScalableMachines.withDevices(first, true),
                ScalableMachines.withDevices(second, true),
                ScalableMachines.withDevices(nonCoherent, true),
                AmdGuestConfigurations.withPasids(false),
                AmdGuestConfigurations.withPasids(true));
    }

    static List<Configuration> withDirtyTracking() {
        Configuration scalable = ScalableMachines.of("scalable", CAP, EVERYTHING);
        return List.of(scalable, ScalableMachines.withDevices(scalable, true), AmdConfigurations.withDirtyTracking());
    }

    static List<Configuration> withNesting() {
        Configuration nesting = ScalableMachines.of("nesting", CAP, EVERYTHING);
        return List.of(nesting, ScalableMachines.withDevices(nesting, true));
    }

    static List<Configuration> withFirstStage() {
        Configuration first = ScalableMachines.of("first stage", CAP, EVERYTHING);
        return List.of(
                first,
                ScalableMachines.withDevices(first, true),
                ScalableMachines.of("first stage, non-coherent walk", CAP, EVERYTHING & ~COHERENT));
    }

    private static IommuDomain allocate(Bench bench, DomainFlag... flags) {
        return bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(flags));
    }

    /** Closes a domain that may have either device. */
    private static void close(Bench bench, IommuDomain domain) {
        errnoOf(() -> domain.detach(bench.device()));
        errnoOf(() -> domain.detach(bench.second()));
        domain.close();
    }

    // ---- PASIDs ----------------------------------------------------------------------------------------------------

    /** A PASID that goes to a domain, from where nobody or another domain had it. */
    private static final class AttachPasid implements Operation {
        private final Bench bench;
        private final IommuDomain ordinary;
        private final IommuDomain old;
        private final IommuDomain next;
        private final boolean moves;
        private final Endpoint endpoint;

        AttachPasid(Bench bench, DomainType ordinaryType, boolean moves) {
            this.bench = bench;
            this.moves = moves;
            ordinary = bench.iommu().allocate(ordinaryType, bench.device());
            bench.attach(ordinary, bench.device());
            if (ordinaryType.isPaging()) {
                bench.map(ordinary, IOVA, SCRATCH);
            }
            old = allocate(bench, DomainFlag.PASID);
            bench.map(old, IOVA, SCRATCH + PAGE);
            next = allocate(bench, DomainFlag.PASID);
            bench.map(next, IOVA, SCRATCH + 2 * PAGE);
            endpoint = bench.withPasid(PASID);
            if (moves) {
                pasids(old).attach(bench.device(), PASID);
            }
            assertNotDone(false);
        }

        static PasidAttachment pasids(IommuDomain domain) {
            return domain.pasidAttachment().orElseThrow();
        }

        @Override
        public void run() {
            assertThat(pasids(next).attach(bench.device(), PASID).attached()).isTrue();
        }

        @Override
        public void assertDone() {
            bench.assertReaches(endpoint, IOVA, SCRATCH + 2 * PAGE);
            assertOrdinaryGoOn();
        }

        @Override
        public void assertNotDone(boolean broken) {
            if (moves) {
                bench.assertReaches(endpoint, IOVA, SCRATCH + PAGE);
            } else if (!broken) {
                bench.assertRefused(endpoint, IOVA);
            }
            assertOrdinaryGoOn();
            assertThat(errnoOf(() -> pasids(next).detach(bench.device(), PASID)))
                    .as("who has not got the PASID can't give it up")
                    .isEqualTo(Errno.EINVAL);
        }

        private void assertOrdinaryGoOn() {
            bench.assertReaches(ordinary.type().isPaging() ? IOVA : SCRATCH, SCRATCH);
        }

        @Override
        public int spareFrames() {
            return PASID_TABLES;
        }

        @Override
        public void close() {
            errnoOf(() -> pasids(old).detach(bench.device(), PASID));
            errnoOf(() -> pasids(next).detach(bench.device(), PASID));
            List.of(ordinary, old, next).forEach(domain -> CapabilityFailureTest.close(bench, domain));
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("withPasids")
    void attachingAPasid(Configuration configuration) {
        assertThat(new NthFailure(configuration)
                        .everyStep(bench -> new AttachPasid(bench, DomainType.UNMANAGED, false)))
                .contains(Errno.ENOMEM);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("withPasids")
    void attachingAPasidBesideAnIdentityDomain(Configuration configuration) {
        assertThat(new NthFailure(configuration).everyStep(bench -> new AttachPasid(bench, DomainType.IDENTITY, false)))
                .contains(Errno.ENOMEM);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("withPasids")
    void movingAPasid(Configuration configuration) {
        assertThat(new NthFailure(configuration).everyStep(bench -> new AttachPasid(bench, DomainType.UNMANAGED, true)))
                .contains(Errno.ETIMEDOUT);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("withPasids")
    void detachingAPasid(Configuration configuration) {
        assertThat(new NthFailure(configuration).everyStep(DetachPasid::new)).containsExactly(Errno.ETIMEDOUT);
    }

    /** A PASID that is given up: that happens, whether the unit takes notice or not. */
    private static final class DetachPasid implements Operation {
        private final AttachPasid attached;

        DetachPasid(Bench bench) {
            attached = new AttachPasid(bench, DomainType.UNMANAGED, true);
        }

        @Override
        public void run() {
            AttachPasid.pasids(attached.old).detach(attached.bench.device(), PASID);
        }

        @Override
        public void assertDone() {
            attached.bench.assertRefused(attached.endpoint, IOVA);
            attached.assertOrdinaryGoOn();
        }

        @Override
        public void assertNotDone(boolean broken) {
            assertThat(broken).as("nothing else can go wrong").isTrue();
            attached.assertOrdinaryGoOn();
        }

        @Override
        public boolean isDoneAllTheSame() {
            return true;
        }

        @Override
        public void close() {
            attached.close();
        }
    }

    // ---- written pages ---------------------------------------------------------------------------------------------

    /** A domain of both devices, with one page that was written. */
    private abstract static class Recording implements Operation {
        final Bench bench;
        final IommuDomain domain;
        final DirtyTracking tracking;

        Recording(Bench bench, boolean recorded) {
            this.bench = bench;
            domain = allocate(bench, DomainFlag.DIRTY_TRACKING);
            bench.map(domain, IOVA, SCRATCH, PAGE, 64, READ_WRITE);
            bench.attach(domain, bench.device());
            bench.attach(domain, bench.second());
            tracking = domain.dirtyTracking().orElseThrow();
            tracking.setDirtyTracking(recorded);
            bench.endpoint().write(IOVA + 5 * PAGE, 1, false);
        }

        static DirtyBitmap bitmap() {
            return new DirtyBitmap(IOVA, PAGE, 64);
        }

        Errno read() {
            return errnoOf(() -> tracking.readAndClearDirty(bitmap(), false));
        }

        @Override
        public void close() {
            CapabilityFailureTest.close(bench, domain);
        }
    }

    private static final class StartRecording extends Recording {
        StartRecording(Bench bench) {
            super(bench, false);
        }

        @Override
        public void run() {
            tracking.setDirtyTracking(true);
        }

        @Override
        public void assertDone() {
            bench.secondEndpoint().write(IOVA + 9 * PAGE, 1, false);
            DirtyBitmap written = bitmap();
            tracking.readAndClearDirty(written, false);
            assertThat(written.count()).isEqualTo(1);
            assertThat(written.isMarked(IOVA + 9 * PAGE)).isTrue();
        }

        @Override
        public void assertNotDone(boolean broken) {
            assertThat(read()).as("nothing is recorded").isEqualTo(Errno.EINVAL);
            bench.assertReaches(IOVA, SCRATCH);
            bench.assertReaches(bench.secondEndpoint(), IOVA, SCRATCH);
        }
    }

    private static final class StopRecording extends Recording {
        StopRecording(Bench bench) {
            super(bench, true);
        }

        @Override
        public void run() {
            tracking.setDirtyTracking(false);
        }

        @Override
        public void assertDone() {
            assertThat(read()).isEqualTo(Errno.EINVAL);
        }

        @Override
        public void assertNotDone(boolean broken) {
            bench.endpoint().write(IOVA + 9 * PAGE, 1, false);
            bench.secondEndpoint().write(IOVA + 11 * PAGE, 1, false);
            DirtyBitmap written = bitmap();
            tracking.readAndClearDirty(written, false);
            assertThat(written.isMarked(IOVA + 5 * PAGE)).isTrue();
            assertThat(written.isMarked(IOVA + 9 * PAGE))
                    .as("recording goes on")
                    .isTrue();
            assertThat(written.isMarked(IOVA + 11 * PAGE)).as("for everybody").isTrue();
        }
    }

    private static final class ReadAndClear extends Recording {
        private final DirtyBitmap written = bitmap();

        ReadAndClear(Bench bench) {
            super(bench, true);
        }

        @Override
        public void run() {
            tracking.readAndClearDirty(written, true);
        }

        @Override
        public void assertDone() {
            assertTold();
            bench.endpoint().write(IOVA + 5 * PAGE, 1, false);
            written.clear();
            tracking.readAndClearDirty(written, false);
            assertTold();
        }

        @Override
        public void assertNotDone(boolean broken) {
            // What was cleared is told, or nobody would ever know.
            assertTold();
        }

        @Override
        public boolean isDoneAllTheSame() {
            return true;
        }

        private void assertTold() {
            assertThat(written.count()).isEqualTo(1);
            assertThat(written.isMarked(IOVA + 5 * PAGE)).isTrue();
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("withDirtyTracking")
    void startingToRecord(Configuration configuration) {
        assertThat(new NthFailure(configuration).everyStep(StartRecording::new)).containsExactly(Errno.ETIMEDOUT);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("withDirtyTracking")
    void stoppingToRecord(Configuration configuration) {
        assertThat(new NthFailure(configuration).everyStep(StopRecording::new)).containsExactly(Errno.ETIMEDOUT);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("withDirtyTracking")
    void readingWhatIsRecorded(Configuration configuration) {
        assertThat(new NthFailure(configuration).everyStep(ReadAndClear::new)).containsExactly(Errno.ETIMEDOUT);
    }

    // ---- nesting ---------------------------------------------------------------------------------------------------

    /** A device that goes from a domain of its own below a guest's table. */
    private static final class AttachNested implements Operation {
        private static final long GUEST_TABLE = 0x10_0000;

        private final Bench bench;
        private final IommuDomain old;
        private final IommuDomain parent;
        private IommuDomain nested;

        AttachNested(Bench bench) {
            this.bench = bench;
            old = bench.attached();
            bench.map(old, 0, SCRATCH);
            parent = allocate(bench, DomainFlag.NEST_PARENT);
            bench.map(parent, GUEST_TABLE, SCRATCH + PAGE, PAGE, 5, READ_WRITE);
            // The guest's first page, by tables of four levels one behind the other; P, R/W, U/S.
            for (int level = 0; level < 4; level++) {
                bench.store(SCRATCH + (1 + level) * PAGE, (GUEST_TABLE + (1 + level) * PAGE) | 7);
            }
            assertNotDone(false);
        }

        @Override
        public void run() {
            nested = parent.nesting()
                    .orElseThrow()
                    .allocateNested(bench.device(), new FirstStageTable(GUEST_TABLE, 48, 0));
            bench.attach(nested, bench.device());
        }

        @Override
        public void assertDone() {
            bench.assertReaches(0, SCRATCH + 5 * PAGE);
        }

        @Override
        public void assertNotDone(boolean broken) {
            bench.assertReaches(0, SCRATCH);
            if (nested != null) {
                nested.close();
                nested = null;
            }
        }

        @Override
        public void close() {
            if (nested != null) {
                CapabilityFailureTest.close(bench, nested);
            }
            CapabilityFailureTest.close(bench, old);
            assertThatCode(parent::close).as("no nested domain is left").doesNotThrowAnyException();
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("withNesting")
    void attachingBelowAGuestsTable(Configuration configuration) {
        assertThat(new NthFailure(configuration).everyStep(AttachNested::new)).containsExactly(Errno.ETIMEDOUT);
    }

    // ---- promises --------------------------------------------------------------------------------------------------

    /** A first stage that two devices use already is asked to block no-snoop. */
    private static final class Enforce implements Operation {
        private final Bench bench;
        private final IommuDomain domain;

        Enforce(Bench bench) {
            this.bench = bench;
            domain = bench.attached();
            bench.attach(domain, bench.second());
            bench.map(domain, IOVA, SCRATCH);
            assertNotDone(false);
        }

        @Override
        public void run() {
            assertThat(domain.cacheCoherencyEnforcement().orElseThrow().enforce())
                    .isTrue();
        }

        @Override
        public void assertDone() {
            assertThat(bench.isSnooped(bench.endpoint(), IOVA, SCRATCH)).isTrue();
            assertThat(bench.isSnooped(bench.secondEndpoint(), IOVA, SCRATCH)).isTrue();
        }

        @Override
        public void assertNotDone(boolean broken) {
            assertThat(bench.walk(IOVA).forcesSnoop())
                    .as("the first device's entry")
                    .isFalse();
            LeafFormat.Leaf other = bench.configuration()
                    .leaves()
                    .walk(bench.machine().registers(), bench.hardwareView(), Bench.SECOND, IOVA);
            assertThat(other.present()).isTrue();
            assertThat(other.forcesSnoop()).as("the second device's entry").isFalse();
            if (!broken) {
                assertThat(bench.isSnooped(bench.endpoint(), IOVA, SCRATCH)).isFalse();
                assertThat(bench.isSnooped(bench.secondEndpoint(), IOVA, SCRATCH))
                        .isFalse();
            }
        }

        @Override
        public void close() {
            CapabilityFailureTest.close(bench, domain);
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("withFirstStage")
    void promisingOfWhatIsAttached(Configuration configuration) {
        assertThat(new NthFailure(configuration).everyStep(Enforce::new)).containsExactly(Errno.ETIMEDOUT);
    }
}
