// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;
import static org.iommu4j.it.domain.Bench.IOVA;
import static org.iommu4j.it.domain.Bench.SCRATCH;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.sim.pcie.BuiltInTopology;

/**
 * Does an operation on one fresh machine after another, and each time the next thing in it that can fail does.
 *
 * <p>After each: what was before stands, and nothing leaked. Frames are counted. A domain id that leaked would show in
 * the next domains', since drivers give out the lowest free one; a slot of a queue in a queue that ends up full.
 */
final class NthFailure {
    /** More rounds than any queue has slots for. */
    private static final int ROUNDS = 600;

    private static final PciAddress PORT = BuiltInTopology.GPU_PORT;
    private static final PciAddress SECOND_PORT = BuiltInTopology.SECOND_GPU_PORT;

    /** For a failure that changes nothing: how often it is had again before the operation may succeed. */
    private static final int TRIES = 3;

    private final Configuration configuration;

    NthFailure(Configuration configuration) {
        this.configuration = configuration;
    }

    /** An operation on a machine of its own, whose making brought about what is to be there before. */
    interface Operation {
        /** Does it. */
        void run();

        /** Asserts that all is as if it had been done. */
        void assertDone();

        /**
         * Asserts that nothing of it was done.
         *
         * @param broken whether the unit is, so that nobody knows what it remembers
         */
        void assertNotDone(boolean broken);

        /** Detaches and closes what there is; on a broken unit detaching may be refused. */
        void close();

        /** Returns whether it takes effect even when it fails, as what gives up something does. */
        default boolean isDoneAllTheSame() {
            return false;
        }

        /** Returns how many frames a failed try may leave for the next one. */
        default int spareFrames() {
            return 0;
        }
    }

    /** A machine whose driver runs on ports that fail when they are told to. */
    record Injected(FailNth failures, Bench bench) {
        static Injected of(Configuration configuration) {
            FailNth failures = new FailNth();
            return new Injected(failures, new Bench(configuration, context -> context.failing(failures)));
        }
    }

    /**
     * Has every fallible step fail once.
     *
     * @param operations makes the operation, on a fresh machine
     * @return the errnos that were seen
     */
    Set<Errno> everyStep(Function<Bench, Operation> operations) {
        Injected undisturbed = Injected.of(configuration);
        Operation model = operations.apply(undisturbed.bench);
        undisturbed.failures.arm(Long.MAX_VALUE);
        model.run();
        long steps = undisturbed.failures.calls();
        undisturbed.failures.disarm();
        model.assertDone();
        model.close();
        List<Integer> nextIds = nextDomainIds(undisturbed.bench);
        assertFramesCameBack(undisturbed.bench, "without a failure");

        Set<Errno> seen = EnumSet.noneOf(Errno.class);
        for (long n = 1; n <= steps; n++) {
            Injected machine = Injected.of(configuration);
            Operation operation = operations.apply(machine.bench);
            String at = configuration + ", failure " + n + " of " + steps;
            long frames = machine.bench.framesInUse();
            Errno errno = failAt(machine, operation, n);
            if (errno != null) {
                seen.add(errno);
            }
            boolean broken = errno != null && errno != Errno.ENOMEM;
            if (errno == Errno.ENOMEM) {
                assertSurvives(machine, operation, n, frames, at);
            } else if (errno == null) {
                // A failed look at a register that was looked at again.
                operation.assertDone();
            } else {
                assertThat(errno).as(at).isIn(Errno.ETIMEDOUT, Errno.EIO);
                operation.assertNotDone(true);
                if (!operation.isDoneAllTheSame()) {
                    assertThat(errnoOf(operation::run)).as(at + ": again").isEqualTo(Errno.EIO);
                    operation.assertNotDone(true);
                }
            }
            operation.close();
            if (!broken) {
                assertThat(nextDomainIds(machine.bench))
                        .as(at + ": the next domain ids")
                        .isEqualTo(nextIds);
            }
            assertFramesCameBack(machine.bench, at);
        }
        return seen;
    }

    private static Errno failAt(Injected machine, Operation operation, long n) {
        machine.failures.arm(n);
        Errno errno = errnoOf(operation::run);
        machine.failures.disarm();
        assertThat(machine.failures.fired()).as("failure %d happened", n).isTrue();
        return errno;
    }

    /** A failure that left the unit as it was can happen again and again, and then the operation succeeds. */
    private static void assertSurvives(Injected machine, Operation operation, long n, long frames, String at) {
        for (int i = 0; ; i++) {
            operation.assertNotDone(false);
            assertThat(machine.bench.framesInUse())
                    .as(at + ": frames in use after try " + i)
                    .isBetween(frames, frames + operation.spareFrames());
            if (i == TRIES) {
                break;
            }
            machine.failures.arm(n);
            Errno errno = errnoOf(operation::run);
            machine.failures.disarm();
            if (errno == null) {
                // What the last try left served this one.
                assertThat(operation.spareFrames()).as(at).isPositive();
                operation.assertDone();
                return;
            }
            assertThat(errno).as(at).isEqualTo(Errno.ENOMEM);
        }
        operation.run();
        operation.assertDone();
        assertThat(machine.bench.iommu().quarantinedFrames()).as(at).isZero();
    }

    /**
     * Attaches every function to a domain of its own, and returns the domains' ids; works with the last for so long
     * that every slot of its unit's queue is used.
     */
    private static List<Integer> nextDomainIds(Bench bench) {
        Configuration configuration = bench.configuration();
        List<IommuDevice> devices =
                List.of(bench.device(), probe(bench, PORT), probe(bench, SECOND_PORT), bench.second());
        List<IommuDomain> domains = new ArrayList<>();
        List<Integer> ids = new ArrayList<>();
        for (IommuDevice device : devices) {
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            bench.attach(domain, device);
            domains.add(domain);
            ids.add(configuration.leaves().domainId(bench.machine().registers(), bench.hardwareView(), (PciAddress)
                    device.id()));
        }
        IommuDomain last = domains.get(domains.size() - 1);
        for (int i = 0; i < ROUNDS; i++) {
            bench.map(last, IOVA, SCRATCH);
            bench.unmap(last, IOVA, 4096);
        }
        bench.map(last, IOVA, SCRATCH);
        bench.assertReaches(bench.secondEndpoint(), IOVA, SCRATCH);
        for (int i = 0; i < devices.size(); i++) {
            domains.get(i).detach(devices.get(i));
            domains.get(i).close();
        }
        return ids;
    }

    private static IommuDevice probe(Bench bench, PciAddress address) {
        return bench.iommu()
                .probe(bench.machine().topology().function(address).orElseThrow(), address.requesterId())
                .orElseThrow();
    }

    /** Everything is free after all is closed, but what was counted as kept. */
    private static void assertFramesCameBack(Bench bench, String at) {
        long kept = bench.iommu().quarantinedFrames();
        bench.iommu().close();
        assertThat(bench.framesInUse())
                .as(at + ": frames in use when all is closed")
                .isLessThanOrEqualTo(kept);
    }

    /** Returns the errno that an action fails with, or null. */
    static Errno errnoOf(Runnable action) {
        try {
            action.run();
            return null;
        } catch (IommuException e) {
            assertThat(e.getMessage()).isNotBlank();
            return e.errno();
        } catch (RuntimeException e) {
            return fail("expected an IommuException", e);
        }
    }
}
