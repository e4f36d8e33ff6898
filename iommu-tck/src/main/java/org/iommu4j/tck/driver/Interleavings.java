// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Runs two operations in every order of their steps that needs at most so many preemptions.
 *
 * <p>Each operation has a thread, one of which runs at a time. An operation calls {@link #step} before each access to
 * what both share; there the other may be let go first. An order is the list of the choices made where both could run;
 * the next order changes the last choice that has an alternative left. An operation that meets a lock which the other
 * holds waits until the other has ended.
 *
 * <p>Few preemptions find most races: two are enough for check-then-act against one change in between.
 */
final class Interleavings {
    private static final int NONE = -1;

    /** How long the operations of one order may take before the order counts as stuck. */
    private static final long STUCK_NANOS = 20_000_000_000L;

    /** How often to look whether an operation waits for the other's lock. */
    private static final long LOOK_NANOS = 100_000;

    /** How many of the last accesses a failure shows. */
    private static final int SHOWN = 60;

    /** One try: two operations on fresh state. */
    interface Trial {
        /** Runs an operation, 0 or 1, in a thread of its own. */
        void run(int operation);

        /** Checks what both left, after both have ended. */
        void check();
    }

    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    private final int maxPreemptions;

    /** Done by the thread that lets another go on. */
    private final Runnable handover;

    /** What was done, in the order of this try: the operation, and what it did. */
    private final List<String[]> accesses = new ArrayList<>();

    /** The thread that looks on, and is woken when an operation has ended. */
    private final Thread explorer = Thread.currentThread();

    /** Guards the turns. No monitor: a thread that waits for one counts as waiting for the other operation. */
    private final Lock lock = new ReentrantLock();

    /** For each choice, whether the thread that ran was preempted; replayed in the next order up to the changed one. */
    private final List<Boolean> choices = new ArrayList<>();

    private int position;
    private int preemptions;
    private volatile int current;
    private final Thread[] threads = new Thread[2];
    private final boolean[] ended = new boolean[2];
    private final boolean[] waiting = new boolean[2];
    private volatile boolean running;

    /** The number of the trial, which sets the threads going. */
    private final AtomicInteger round = new AtomicInteger();

    /** The trial of that number; null when there is no more. */
    private volatile @Nullable Trial trial;

    private volatile Throwable failure;

    private Interleavings(int maxPreemptions, Runnable handover) {
        this.maxPreemptions = maxPreemptions;
        this.handover = handover;
        for (int i = 0; i < 2; i++) {
            int operation = i;
            threads[i] = new Thread(() -> work(operation), "operation " + i);
            threads[i].setDaemon(true);
        }
    }

    /**
     * Tries every order.
     *
     * @param handover is done by each thread that lets another go on
     * @param trials makes fresh state for each order; its operations call the given explorer's {@link #step}
     * @return how many orders were tried
     */
    static long explore(int maxPreemptions, Runnable handover, Function<Interleavings, Trial> trials) {
        Interleavings explorer = new Interleavings(maxPreemptions, handover);
        long orders = 0;
        try {
            do {
                Trial trial = trials.apply(explorer);
                try {
                    explorer.runOnce(trial);
                    trial.check();
                } catch (Throwable e) {
                    throw new AssertionError(e.getMessage() + "\n" + explorer.table(orders), e);
                }
                orders++;
            } while (explorer.next());
        } finally {
            explorer.dismiss();
        }
        return orders;
    }

    /** Lets the threads end. */
    private void dismiss() {
        trial = null;
        round.incrementAndGet();
        for (Thread thread : threads) {
            LockSupport.unpark(thread);
        }
    }

    /** What the thread of an operation does: its operation of one trial after another. */
    private void work(int operation) {
        for (int done = 0; ; ) {
            while (round.get() == done) {
                LockSupport.park(this);
            }
            done++;
            Trial next = trial;
            if (next == null) {
                return;
            }
            runOperation(next, operation);
        }
    }

    /** Returns the accesses of this try in two columns, one for each operation. */
    private String table(long order) {
        StringBuilder table = new StringBuilder("in order " + order + " of the two operations' accesses:\n");
        table.append(String.format("  %-44s %s", "operation 0", "operation 1"));
        lock.lock();
        try {
            int first = Math.max(0, accesses.size() - SHOWN);
            for (String[] access : accesses.subList(first, accesses.size())) {
                String left = access[0] == null ? "" : access[0];
                String right = access[1] == null ? "" : access[1];
                table.append('\n')
                        .append(String.format("  %-44s %s", left, right).stripTrailing());
            }
        } finally {
            lock.unlock();
        }
        return table.toString();
    }

    private List<Integer> preempted() {
        List<Integer> at = new ArrayList<>();
        for (int i = 0; i < choices.size(); i++) {
            if (choices.get(i)) {
                at.add(i);
            }
        }
        return at;
    }

    /** Changes the last choice that was not to preempt, and forgets those after it. */
    private boolean next() {
        while (!choices.isEmpty()) {
            int last = choices.size() - 1;
            boolean preempted = choices.remove(last);
            if (!preempted && preempted().size() < maxPreemptions) {
                choices.add(true);
                return true;
            }
        }
        return false;
    }

    private void runOnce(Trial next) throws Throwable {
        accesses.clear();
        position = 0;
        preemptions = 0;
        handover.run();
        current = 0;
        failure = null;
        Arrays.fill(ended, false);
        Arrays.fill(waiting, false);
        running = true;
        trial = next;
        boolean first = round.incrementAndGet() == 1;
        for (Thread thread : threads) {
            if (first) {
                thread.start();
            } else {
                LockSupport.unpark(thread);
            }
        }
        long deadline = System.nanoTime() + STUCK_NANOS;
        while (!haveEnded()) {
            LockSupport.parkNanos(this, LOOK_NANOS);
            releaseBlocked();
            if (System.nanoTime() > deadline) {
                throw new AssertionError("stuck: " + threads[0].getState() + ", " + threads[1].getState());
            }
        }
        running = false;
        if (failure != null) {
            throw failure;
        }
    }

    private boolean haveEnded() {
        lock.lock();
        try {
            return ended[0] && ended[1];
        } finally {
            lock.unlock();
        }
    }

    private void runOperation(Trial trial, int operation) {
        awaitTurn(operation);
        try {
            trial.run(operation);
        } catch (Throwable e) {
            failure = e;
        }
        lock.lock();
        try {
            handover.run();
            ended[operation] = true;
            if (current == operation) {
                give(1 - operation);
            }
        } finally {
            lock.unlock();
        }
        LockSupport.unpark(explorer);
    }

    /**
     * Takes one step of the calling operation; returns at once in a thread that is none.
     *
     * @param access what it is going to do, for a failure's message
     */
    void step(Supplier<String> access) {
        int me = running ? indexOf(Thread.currentThread()) : NONE;
        if (me == NONE) {
            return;
        }
        awaitTurn(me);
        preempt(me);
        lock.lock();
        try {
            String[] columns = new String[2];
            columns[me] = access.get();
            accesses.add(columns);
        } finally {
            lock.unlock();
        }
    }

    /** Lets the other go first, where this order wants that. */
    private void preempt(int me) {
        lock.lock();
        try {
            int other = 1 - me;
            if (ended[other] || waiting[other] || (position == choices.size() && preemptions == maxPreemptions)) {
                return;
            }
            if (position == choices.size()) {
                choices.add(false);
            }
            if (!choices.get(position++)) {
                return;
            }
            preemptions++;
            give(other);
        } finally {
            lock.unlock();
        }
        awaitTurn(me);
    }

    /** Lets the other go on while the one whose turn it is waits for a lock that the other holds. */
    private void releaseBlocked() {
        lock.lock();
        try {
            int me = current;
            int other = 1 - me;
            ThreadInfo info = THREADS.getThreadInfo(threads[me].getId());
            if (info != null
                    && info.getThreadState() == Thread.State.BLOCKED
                    && info.getLockOwnerId() == threads[other].getId()
                    && !ended[other]
                    && !isBlocked(other)) {
                waiting[me] = true;
                give(other);
            }
        } finally {
            lock.unlock();
        }
    }

    /** Returns whether an operation waits for a lock; one that has waited may hold it by now. */
    private boolean isBlocked(int operation) {
        return waiting[operation] && threads[operation].getState() == Thread.State.BLOCKED;
    }

    private void give(int operation) {
        if (ended[operation]) {
            return;
        }
        waiting[operation] = false;
        handover.run();
        current = operation;
        LockSupport.unpark(threads[operation]);
    }

    private void awaitTurn(int me) {
        while (current != me) {
            LockSupport.park(this);
        }
    }

    private int indexOf(Thread thread) {
        return thread == threads[0] ? 0 : thread == threads[1] ? 1 : NONE;
    }
}
