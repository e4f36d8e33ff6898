// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.BooleanSupplier;
import org.iommu4j.platform.Waiter;
import org.junit.jupiter.api.Test;

/** The promises of {@link Waiter}. */
public abstract class WaiterConformance extends PortConformance {
    private static final long PLENTY = 100_000;

    /** Made by JUnit. */
    protected WaiterConformance() {}

    /** Makes a waiter of a platform of its own, on which nothing is pending. */
    protected abstract Waiter newWaiter();

    /** Makes a waiter of a platform of its own, and has hardware do work that it does only while somebody waits. */
    protected abstract Pending newPending();

    /**
     * Work that hardware has not done yet.
     *
     * @param waiter waits for it
     * @param done whether it is done
     */
    public record Pending(Waiter waiter, BooleanSupplier done) {}

    /** Counts how often a condition is looked at, which holds from some look on. */
    private static final class Looks implements BooleanSupplier {
        private final long holdsAt;
        private long count;

        Looks(long holdsAt) {
            this.holdsAt = holdsAt;
        }

        @Override
        public boolean getAsBoolean() {
            return ++count >= holdsAt;
        }
    }

    @Test
    @Promise("await-2")
    void aConditionIsLookedAtAtLeastOnce() {
        for (long ticks : new long[] {0, 1, 2, PLENTY, Long.MAX_VALUE}) {
            Looks holds = new Looks(1);
            assertThat(newWaiter().await(holds, ticks))
                    .as("with %d ticks", ticks)
                    .isTrue();
            assertThat(holds.count).as("looks with %d ticks", ticks).isPositive();
            Looks never = new Looks(Long.MAX_VALUE);
            newWaiter().await(never, ticks);
            assertThat(never.count).as("looks with %d ticks", ticks).isPositive();
        }
    }

    @Test
    @Promise("await-3")
    void aConditionThatNeverHoldsIsATimeOut() {
        Waiter waiter = newWaiter();
        for (long ticks : new long[] {0, 1, 2, 1000, Long.MAX_VALUE}) {
            assertThat(waiter.await(() -> false, ticks))
                    .as("with %d ticks", ticks)
                    .isFalse();
            assertThat(waiter.await(() -> true, ticks))
                    .as("with %d ticks", ticks)
                    .isTrue();
        }
        Pending pending = newPending();
        assertThat(pending.waiter().await(() -> false, PLENTY)).isFalse();
        assertThat(pending.done().getAsBoolean())
                .as("the hardware worked on meanwhile")
                .isTrue();
    }

    @Test
    @Promise({"await-1", "await-3"})
    void hardwareWorksUntilTheConditionHolds() {
        Pending pending = newPending();
        assertThat(pending.done().getAsBoolean()).as("done before the wait").isFalse();
        assertThat(pending.waiter().await(pending.done(), PLENTY)).isTrue();
        assertThat(pending.done().getAsBoolean()).as("done after the wait").isTrue();
        Looks again = new Looks(1);
        assertThat(pending.waiter()
                        .await(() -> again.getAsBoolean() && pending.done().getAsBoolean(), PLENTY))
                .as("waiting again")
                .isTrue();
        assertThat(again.count).as("looks at what holds already").isEqualTo(1);
    }

    /** Looking at registers is no waiting. */
    @Test
    @Promise("registers-4")
    void hardwareDoesNotWorkOnWhileSomebodyLooks() {
        Pending pending = newPending();
        for (int i = 0; i < 100; i++) {
            assertThat(pending.done().getAsBoolean()).as("done at look %d", i).isFalse();
        }
        assertThat(pending.waiter().await(pending.done(), PLENTY)).isTrue();
    }

    @Test
    @Promise("waiter-1")
    void aTimeOutIsTheSameEachTime() {
        for (long ticks : new long[] {0, 1, 7, PLENTY}) {
            Pending first = newPending();
            Looks once = new Looks(Long.MAX_VALUE);
            boolean answer = first.waiter().await(once, ticks);
            boolean done = first.done().getAsBoolean();
            for (int i = 0; i < 3; i++) {
                Pending second = newPending();
                Looks again = new Looks(Long.MAX_VALUE);
                assertThat(second.waiter().await(again, ticks)).isEqualTo(answer);
                assertThat(again.count).as("looks with %d ticks", ticks).isEqualTo(once.count);
                assertThat(second.done().getAsBoolean())
                        .as("done with %d ticks", ticks)
                        .isEqualTo(done);
            }
        }
    }
}
