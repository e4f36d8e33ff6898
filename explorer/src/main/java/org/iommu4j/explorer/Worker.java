// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * One thread's share of an exploration: the states whose fingerprints are its own, and a system to expand them with.
 *
 * <p>A successor that belongs to another worker is sent to it, unless that worker's table, read without a lock, has it
 * already: most transitions lead to known states, and these cost no message.
 */
final class Worker implements AutoCloseable {
    /** The parent of the initial state. */
    private static final int NO_PARENT = -1;

    /** Words of a message before the state: its fingerprint; parent, action and property. */
    private static final int HEADER = 2;

    private static final int PARENT_SHIFT = 32;
    private static final int ACTION_SHIFT = 16;
    private static final int LOW_16 = 0xFFFF;
    /** No property is violated. */
    private static final int NONE = LOW_16;

    /** How many fingerprints of states that were sent are remembered. */
    private static final int LATELY = 1 << 12;

    /** What other threads read is written so seldom that the cache line stays where it is. */
    private static final int EXPANSIONS_BETWEEN_CHECKS = 32;
    /** How long to wait for other workers, doubled at most so many times while nothing comes. */
    private static final long IDLE_NANOS = 10_000;

    private static final int LONGEST_IDLE = 6;

    private final int index;
    private final int workers;
    private final boolean symmetry;
    private final TransitionSystem system;
    private final Property[] properties;
    private final int words;
    private final int[] enabled;

    private final FingerprintTable table;
    private final Trace trace = new Trace();
    private final Blocks blocks;
    private Frontier current;
    private Frontier next;
    /** The numbers, among this worker's states, of the one to expand and of the first in {@link #next}. */
    private long expanding;

    private long firstOfNext;

    private final Mailbox inbox = new Mailbox();
    private Worker[] all = {this};
    private FingerprintTable[] tables;
    private Mailbox.@Nullable Batch[] outgoing = {null};
    private final long[] lately;

    private long transitions;
    private int untilCheck = EXPANSIONS_BETWEEN_CHECKS;
    private @Nullable Finding finding;
    private volatile long states;
    private volatile long bytes;

    Worker(int index, TransitionSystem system, Settings settings, int tableSlots) {
        this.index = index;
        this.workers = settings.workers();
        this.symmetry = settings.symmetry();
        this.system = system;
        this.properties = system.properties().toArray(Property[]::new);
        this.words = system.words();
        this.enabled = new int[system.actions()];
        this.table = new FingerprintTable(tableSlots);
        this.lately = new long[workers > 1 ? LATELY : 0];
        this.tables = new FingerprintTable[] {table};
        this.blocks = new Blocks(settings.frontierMemory() / workers);
        this.current = new Frontier(words, blocks, settings.spillDirectory());
        this.next = new Frontier(words, blocks, settings.spillDirectory());
    }

    /** Spreads a fingerprint's bits by MurmurHash3's finalizer: a permutation, so different ones stay different. */
    static long mix(long fingerprint) {
        long mixed = (fingerprint ^ (fingerprint >>> 33)) * 0xFF51AFD7ED558CCDL;
        mixed = (mixed ^ (mixed >>> 33)) * 0xC4CEB9FE1A85EC53L;
        return mixed ^ (mixed >>> 33);
    }

    /** Introduces the workers to each other. */
    void meet(Worker[] everyone) {
        all = everyone;
        tables = Arrays.stream(everyone).map(worker -> worker.table).toArray(FingerprintTable[]::new);
        outgoing = new Mailbox.@Nullable Batch[everyone.length];
    }

    /** Finds the initial state, if it is this worker's. */
    void begin() {
        system.reset();
        long fingerprint = fingerprint();
        if (ownerOf(fingerprint) == index && table.add(fingerprint)) {
            system.save(next.writeBlock(), next.writeAt());
            found(0, NO_PARENT, 0, fingerprint, violated());
        }
        publish();
    }

    /** Makes the states found by the last pass those to expand in the next one. */
    void turn() {
        Frontier done = current;
        current = next;
        next = done;
        next.clear();
        expanding = firstOfNext;
        firstOfNext = trace.size();
    }

    /** Expands this worker's states of a depth, and takes what the others find for it, until all are done. */
    void expand(Pass pass) {
        try {
            while (!pass.isStopped() && current.advance()) {
                expandState(pass);
                expanding++;
                if (inbox.hasMail()) {
                    receive(pass.depth() + 1);
                }
                check(pass);
            }
            flush();
        } catch (RuntimeException | Error e) {
            pass.fail();
            throw e;
        } finally {
            pass.sentAll();
        }
        receiveRest(pass);
        publish();
    }

    private void expandState(Pass pass) {
        long[] block = current.readBlock();
        int at = current.readAt();
        system.restore(block, at);
        int count = system.enabled(enabled);
        int state = (int) (expanding * workers + index);
        if (count == 0 && !system.mayRest()) {
            finding = Finding.first(finding, new Finding(pass.depth(), properties.length, fingerprint(), state));
        }
        for (int i = 0; i < count; i++) {
            if (i > 0) {
                system.undo(block, at);
            }
            int action = enabled[i];
            system.apply(action);
            long fingerprint = fingerprint();
            int owner = ownerOf(fingerprint);
            if (tables[owner].hasSeen(fingerprint)) {
                continue;
            }
            if (owner != index) {
                sendOnce(pass, owner, state, action, fingerprint);
            } else if (table.add(fingerprint)) {
                system.save(next.writeBlock(), next.writeAt());
                found(pass.depth() + 1, state, action, fingerprint, violated());
            }
        }
        transitions += count;
    }

    /** Records a state whose words were just written to the next frontier. */
    private void found(int depth, int parent, int action, long fingerprint, int property) {
        next.added();
        long number = trace.add(parent, action);
        if (property != NONE) {
            int state = (int) (number * workers + index);
            finding = Finding.first(finding, new Finding(depth, property, fingerprint, state));
        }
    }

    /** Sends a state unless it was sent lately: until it has arrived, several parents lead to it. */
    private void sendOnce(Pass pass, int owner, int parent, int action, long fingerprint) {
        int at = (int) fingerprint & (LATELY - 1);
        if (lately[at] != fingerprint || fingerprint == 0) {
            lately[at] = fingerprint;
            send(pass, owner, parent, action, fingerprint);
        }
    }

    private void send(Pass pass, int owner, int parent, int action, long fingerprint) {
        Mailbox.Batch batch = outgoing[owner];
        if (batch == null) {
            batch = all[owner].inbox.newBatch(HEADER + words);
            outgoing[owner] = batch;
        }
        batch.words[batch.used] = fingerprint;
        batch.words[batch.used + 1] = ((long) parent << PARENT_SHIFT) | ((long) action << ACTION_SHIFT) | violated();
        system.save(batch.words, batch.used + HEADER);
        batch.used += HEADER + words;
        if (batch.isFull()) {
            all[owner].inbox.deliver(batch);
            outgoing[owner] = null;
            while (all[owner].inbox.hasPlenty() && !pass.hasFailed()) {
                if (!receive(pass.depth() + 1)) {
                    LockSupport.parkNanos(IDLE_NANOS);
                }
            }
        }
    }

    private void flush() {
        for (int owner = 0; owner < workers; owner++) {
            Mailbox.Batch batch = outgoing[owner];
            if (batch != null) {
                all[owner].inbox.deliver(batch);
                outgoing[owner] = null;
            }
        }
    }

    private void receiveRest(Pass pass) {
        int idle = 0;
        for (boolean done = false; !done; ) {
            boolean last = pass.isAllSent();
            boolean received = receive(pass.depth() + 1);
            done = last && !received;
            idle = received ? 0 : idle + 1;
            if (!last && !received) {
                LockSupport.parkNanos(IDLE_NANOS << Math.min(idle, LONGEST_IDLE));
            }
        }
    }

    /** Takes what has arrived; returns whether there was anything. */
    private boolean receive(int depth) {
        boolean any = false;
        for (Mailbox.Batch batch = inbox.poll(); batch != null; batch = inbox.poll()) {
            any = true;
            for (int at = 0; at < batch.used; at += HEADER + words) {
                long fingerprint = batch.words[at];
                if (table.add(fingerprint)) {
                    long way = batch.words[at + 1];
                    System.arraycopy(batch.words, at + HEADER, next.writeBlock(), next.writeAt(), words);
                    int action = (int) way >>> ACTION_SHIFT;
                    found(depth, (int) (way >>> PARENT_SHIFT), action, fingerprint, (int) way & LOW_16);
                }
            }
            inbox.giveBack(batch);
        }
        return any;
    }

    private void check(Pass pass) {
        if (workers == 1) {
            pass.checkStates(trace.size());
        }
        if (--untilCheck == 0) {
            untilCheck = EXPANSIONS_BETWEEN_CHECKS;
            publish();
            pass.checkStates(statesOfAll());
            pass.checkRest(bytesOfAll());
        }
    }

    private void publish() {
        states = trace.size();
        bytes = table.bytes() + trace.bytes() + blocks.bytes();
    }

    private long statesOfAll() {
        long sum = 0;
        for (Worker worker : all) {
            sum += worker.states;
        }
        return sum;
    }

    private long bytesOfAll() {
        long sum = 0;
        for (Worker worker : all) {
            sum += worker.bytes;
        }
        return sum;
    }

    private long fingerprint() {
        return mix(symmetry ? system.canonicalFingerprint() : system.fingerprint());
    }

    private int ownerOf(long fingerprint) {
        return workers == 1 ? 0 : (int) ((((fingerprint >>> 32) & LOW_16) * workers) >>> 16);
    }

    /** Returns the first property that does not hold now. */
    private int violated() {
        for (int i = 0; i < properties.length; i++) {
            if (!properties[i].holds()) {
                return i;
            }
        }
        return NONE;
    }

    /** Performs a path and returns its steps, or refuses it if it does not lead to the state of a finding. */
    Violation retrace(int[] path, Finding goal) {
        Violation violation = Violation.retraced(system, path, goal.property());
        if (fingerprint() != goal.fingerprint()) {
            throw new IllegalStateException(
                    "the system is no function of its actions: elsewhere led " + violation.path());
        }
        return violation;
    }

    boolean isExact() {
        return system.isFingerprintExact();
    }

    boolean hasNothingToExpand() {
        return current.isEmpty();
    }

    int parentOf(long number) {
        return trace.parent(number);
    }

    int actionOf(long number) {
        return trace.action(number);
    }

    @Nullable
    Finding finding() {
        return finding;
    }

    long states() {
        return states;
    }

    long transitions() {
        return transitions;
    }

    boolean foundSomething() {
        return !next.isEmpty();
    }

    long bytes() {
        return bytes;
    }

    long spilled() {
        return current.spilled() + next.spilled();
    }

    @Override
    public void close() {
        try {
            current.close();
        } finally {
            next.close();
        }
    }
}
