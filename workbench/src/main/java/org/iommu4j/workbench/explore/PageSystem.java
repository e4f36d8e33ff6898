// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongBinaryOperator;
import java.util.function.Supplier;
import org.iommu4j.explorer.Property;
import org.iommu4j.explorer.TransitionSystem;
import org.iommu4j.host.InputException;
import org.iommu4j.platform.Processor;
import org.iommu4j.workbench.page.Actor;
import org.iommu4j.workbench.page.PageReader;
import org.iommu4j.workbench.page.Programs;
import org.iommu4j.workbench.page.Stage;
import org.iommu4j.workbench.page.Step;
import org.iommu4j.workbench.page.Verb;
import org.jspecify.annotations.Nullable;

/**
 * A page with programs as a transition system.
 *
 * <p>Actions, in this order: the next step of each program, the VMM's next step, a move of each vCPU to each CPU, a
 * preemption of each vCPU, an eviction of each page's line, a prefetch of each page's line by each CPU, an eviction of
 * all lines that the IOMMU's driver wrote.
 *
 * <p>A saved state has a word for what counts, one for the vCPUs, and one for each page of memory. The same words say
 * what the live world is in, so that only those that differ are put back.
 */
final class PageSystem implements TransitionSystem {
    private static final int CONTROL = 0;
    private static final int VCPUS = 1;
    private static final int MEMORY = 2;
    private static final int SCHEDULER_BITS = 4;
    private static final int VMM_BITS = 5;
    private static final int FLAG_BITS = 5;
    private static final int KIND_BITS = 7;
    private static final int ALL = -1;

    private final Script script;
    private final Supplier<LiveWorld> fresh;
    private final Set<Programs.Property> never;
    private final List<Property> properties;
    private final int words;
    private final int programs;
    private final int cpus;
    private final int[] counterBits;

    /** The CPUs on which an actor of the host runs. */
    private final boolean[] hostCpu;

    private final boolean[] mayMove;

    private final boolean[] mayPreempt;
    private final boolean[] mayEvict;
    private final boolean[] mayPrefetch;

    /** Whether caches may evict what the IOMMU's driver wrote; otherwise they keep it, if the page names it. */
    private final boolean mayEvictTables;

    /** How many bits of a state tell when the driver's lines were evicted. */
    private final int evictionBits;

    /**
     * The live world after each number of the VMM's steps, and with the driver's lines evicted after some of them; made
     * when it is first needed.
     */
    private final Map<Long, Host> hosts = new HashMap<>();

    /** The one of the present state, with its key; null before the first is made. */
    private @Nullable Host host;

    private long hostKey;

    /** Whose the values in memory are; null where no leak is looked for. */
    private final @Nullable ValueOwners owners;

    private final Map<Effect, Effect> effects = new HashMap<>();

    // The present state.

    private final int[] counters;
    private int scheduled;
    private int vmmSteps;

    /** After which numbers of the VMM's steps the driver's lines were evicted, a bit each. */
    private int tablesEvicted;

    private int flags;
    private LiveWorld live;

    /** The words of the live world's state, but for what {@link #changed} says. */
    private final long[] present;

    /** Which words have to be written again, by their indexes, a bit each. */
    private int changed = ALL;

    /** For each CPU what a canonical fingerprint has of it beside its cache, while the vCPUs' word is so. */
    private final long[] cells;

    private long cellsOf;

    /** A live world after some of the VMM's steps, its state at first, and what is true of it as long as it lives. */
    private static final class Host {
        final LiveWorld world;
        final long[] initial;
        final boolean breaksPromise;
        final boolean isUnknownToKvm;
        final boolean isUntold;
        final boolean[] unpromised;

        /** Null while nobody knows. */
        @Nullable
        Boolean nextIsRefused;

        Host(LiveWorld world, long[] initial, long[] probed) {
            this.world = world;
            this.initial = initial;
            breaksPromise = world.breaksPromise(probed);
            isUnknownToKvm = world.isUnknownToKvm(probed);
            isUntold = world.isUntold();
            unpromised = world.unpromised();
        }
    }

    /**
     * What a step of the VMM does to a state: how vCPUs and entries are afterwards. Two are equal when they begin
     * alike.
     */
    private static final class Effect {
        private final long[] before;
        private long vcpus;
        private long[] entries = {};
        private boolean drains;

        Effect(long[] before) {
            this.before = before;
        }

        @Override
        public boolean equals(@Nullable Object other) {
            return other instanceof Effect effect && Arrays.equals(before, effect.before);
        }

        @Override
        public int hashCode() {
            return Arrays.hashCode(before);
        }
    }

    /**
     * Opens one.
     *
     * @param fresh sets the page up on a fresh machine
     * @param never what must not be
     * @throws InputException when the page has more than a state can hold
     */
    PageSystem(Script script, Supplier<LiveWorld> fresh, Set<Programs.Property> never) {
        this.script = script;
        this.fresh = fresh;
        this.never = never;
        programs = script.actors.length;
        words = MEMORY + script.memory.length;
        counterBits = new int[programs];
        mayEvictTables =
                script.tables != null && script.programs.hardware().evict().contains(script.tables);
        evictionBits = mayEvictTables ? script.worldSteps.size() + 1 : 0;
        int bits = SCHEDULER_BITS + VMM_BITS + evictionBits + FLAG_BITS;
        for (int i = 0; i < programs; i++) {
            counterBits[i] = Integer.SIZE - Integer.numberOfLeadingZeros(script.ops[i].length);
            bits += counterBits[i];
        }
        if (words > MAX_WORDS || bits > Long.SIZE || script.worldSteps.size() >= 1 << VMM_BITS) {
            throw new InputException(script.page.file() + ":1:1: more memory, programs or steps of the VMM than a state"
                    + " can hold: at most " + (MAX_WORDS - MEMORY) + " pages of memory, " + ((1 << VMM_BITS) - 1)
                    + " steps of the VMM, and programs whose counters take " + Long.SIZE + " bits");
        }
        counters = new int[programs];
        present = new long[words];
        live = host().world;
        cpus = live.cpus();
        hostCpu = new boolean[cpus];
        // The driver's lines are in its cache.
        hostCpu[0] = script.tables != null;
        script.page.actors().values().forEach(actor -> {
            if (actor instanceof Actor.Host host) {
                hostCpu[host.cpu()] = true;
            } else if (actor instanceof Actor.HostProcess process) {
                hostCpu[process.cpu()] = true;
            }
        });
        Programs.Scheduler scheduler = script.programs.scheduler();
        Programs.Hardware hardware = script.programs.hardware();
        mayMove = named(script.vcpus, scheduler.move());
        mayPreempt = named(script.vcpus, scheduler.preempt());
        mayEvict = named(script.memory, hardware.evict());
        mayPrefetch = named(script.memory, hardware.prefetch());
        owners = never.contains(Programs.Property.LEAK) ? new ValueOwners(script) : null;
        properties = listed();
        cells = new long[cpus];
        takeCells(cellsOf);
        reset();
    }

    private static boolean[] named(String[] all, List<String> some) {
        boolean[] named = new boolean[all.length];
        for (int i = 0; i < all.length; i++) {
            named[i] = some.contains(all[i]);
        }
        return named;
    }

    private List<Property> listed() {
        List<Property> all = new ArrayList<>();
        for (Programs.Property property : Programs.Property.values()) {
            if (never.contains(property)) {
                switch (property) {
                    case LEAK, STALE_READ, DIRTY_AFTER_WBINVD, UNEXPECTED_FAULT -> {
                        int flag = flag(property);
                        all.add(new Property(PageReader.sentence(property), () -> (flags & flag) == 0));
                    }
                    case WBINVD_WITHOUT_EFFECT -> {
                        int flag = flag(property);
                        all.add(new Property(
                                PageReader.sentence(property), () -> (flags & flag) == 0 && !host().isUntold));
                    }
                    case LOST_WRITE ->
                        all.add(new Property(
                                PageReader.sentence(property), () -> !haveEnded() || live.isWrittenBackWhole()));
                    case NO_SNOOP_AFTER_ENFORCE ->
                        all.add(new Property(PageReader.sentence(property), () -> !host().breaksPromise));
                    case NO_SNOOP_UNKNOWN_TO_KVM ->
                        all.add(new Property(PageReader.sentence(property), () -> !host().isUnknownToKvm));
                    case STUCK -> {
                        // The engine knows it by its own name; see mayRest.
                    }
                }
            }
        }
        return List.copyOf(all);
    }

    private static int flag(Programs.Property property) {
        return switch (property) {
            case STALE_READ -> 1;
            case DIRTY_AFTER_WBINVD -> 2;
            case UNEXPECTED_FAULT -> 4;
            case LEAK -> 8;
            case WBINVD_WITHOUT_EFFECT -> 16;
            case LOST_WRITE, NO_SNOOP_AFTER_ENFORCE, NO_SNOOP_UNKNOWN_TO_KVM, STUCK ->
                throw new IllegalStateException(property + " is seen in the state itself");
        };
    }

    private void raise(Programs.Property property) {
        if (never.contains(property)) {
            flags |= flag(property);
        }
    }

    @Override
    public int words() {
        return words;
    }

    @Override
    public List<Property> properties() {
        return properties;
    }

    // Actions by their ordinals.

    @Override
    public int actions() {
        return tables() + (mayEvictTables ? 1 : 0);
    }

    private int moves() {
        return programs + 1;
    }

    private int preemptions() {
        return moves() + script.vcpus.length * cpus;
    }

    private int evictions() {
        return preemptions() + script.vcpus.length;
    }

    private int prefetches() {
        return evictions() + script.memory.length;
    }

    private int tables() {
        return prefetches() + script.memory.length * cpus;
    }

    @Override
    public int enabled(int[] into) {
        int count = 0;
        for (int program = 0; program < programs; program++) {
            if (isEnabled(program)) {
                into[count++] = program;
            }
        }
        if (vmmSteps < script.worldSteps.size() && !isNextEarly() && !isNextRefused()) {
            into[count++] = programs;
        }
        if (scheduled < script.programs.scheduler().atMost()) {
            for (int vcpu = 0; vcpu < script.vcpus.length; vcpu++) {
                for (int cpu = 0; mayMove[vcpu] && cpu < cpus; cpu++) {
                    if (live.vcpus[vcpu].processor() != live.processors[cpu]) {
                        into[count++] = moves() + vcpu * cpus + cpu;
                    }
                }
                if (mayPreempt[vcpu]) {
                    into[count++] = preemptions() + vcpu;
                }
            }
        }
        know();
        boolean anyCpu = script.programs.hardware().prefetchBy() == Programs.PrefetchBy.ANY_CPU;
        for (int page = 0; page < script.memory.length; page++) {
            if (mayEvict[page] && live.isCached(page, present[MEMORY + page])) {
                into[count++] = evictions() + page;
            }
            for (int cpu = 0; mayPrefetch[page] && cpu < cpus; cpu++) {
                if (live.mayPrefetch(page, present[MEMORY + page], cpu, anyCpu)) {
                    into[count++] = prefetches() + page * cpus + cpu;
                }
            }
        }
        if (mayEvictTables && (tablesEvicted & 1 << vmmSteps) == 0) {
            into[count++] = tables();
        }
        return count;
    }

    private boolean isEnabled(int program) {
        int counter = counters[program];
        if (counter == script.ops[program].length) {
            return false;
        }
        Script.Op op = script.ops[program][counter];
        if (op.memory() >= 0 && !live.hasMemory(program, op.memory())) {
            return false;
        }
        return switch (op.verb()) {
            case AWAIT ->
                op.other() >= 0
                        && script.sent[op.other()][program][counters[op.other()]]
                                > script.awaited[op.other()][program][counter];
            case READ, WRITE, DONE -> !live.isDevice(program) || live.isUsed(program);
            default -> true;
        };
    }

    @Override
    public void apply(int action) {
        changed |= changedBy(action);
        if (action < programs) {
            step(action);
        } else if (action == programs) {
            vmmStep();
        } else if (action < preemptions()) {
            schedule((action - moves()) / cpus, live.processors[(action - moves()) % cpus]);
        } else if (action < evictions()) {
            int vcpu = action - preemptions();
            schedule(vcpu, live.vcpus[vcpu].processor());
        } else if (action < prefetches()) {
            live.evict(action - evictions());
        } else if (action < tables()) {
            live.prefetch((action - prefetches()) / cpus, (action - prefetches()) % cpus);
        } else {
            evictTables();
        }
    }

    private void schedule(int vcpu, Processor target) {
        if (live.schedule(vcpu, target)) {
            // Without an exit for WBINVD a load on another CPU flushes the old one.
            changed = ALL;
        }
        scheduled++;
    }

    private void evictTables() {
        know();
        long[] state = present.clone();
        tablesEvicted |= 1 << vmmSteps;
        live = host().world;
        restoreAll(state, 0);
    }

    /** Returns which words an action may change, a bit each. */
    private int changedBy(int action) {
        if (script.combines && action < evictions()) {
            // What orders a CPU's stores empties its buffers, of whatever memory.
            return ALL;
        }
        if (action < programs) {
            Script.Op op = script.ops[action][counters[action]];
            return switch (op.verb()) {
                case STORE, LOAD, CLFLUSH, MAP_AS, READ, WRITE -> 1 << CONTROL | 1 << (MEMORY + op.memory());
                case RING, AWAIT, DONE -> 1 << CONTROL;
                case END_WBINVD -> 1 << CONTROL | 1 << VCPUS;
                default -> ALL;
            };
        }
        if (action == programs || action == tables()) {
            return ALL;
        }
        if (action < evictions()) {
            return 1 << CONTROL | 1 << VCPUS;
        }
        int page = action < prefetches() ? action - evictions() : (action - prefetches()) / cpus;
        return 1 << (MEMORY + page);
    }

    private void step(int program) {
        Script.Op op = script.ops[program][counters[program]];
        live.act(program, op);
        counters[program]++;
        if (live.stale) {
            raise(Programs.Property.STALE_READ);
            if (owners != null && owners.isOfAnother(op.memory(), live.seen, live.ownerOf(program))) {
                raise(Programs.Property.LEAK);
            }
        }
        if (live.refused) {
            raise(Programs.Property.UNEXPECTED_FAULT);
        }
        if (op.verb() == Verb.BEGIN_WBINVD && live.isDirty(program)) {
            int vcpu = script.vcpuOf[program];
            if (live.vcpus[vcpu].insideExecutedWbinvd()) {
                raise(Programs.Property.DIRTY_AFTER_WBINVD);
            }
            if (host().unpromised[vcpu]) {
                raise(Programs.Property.WBINVD_WITHOUT_EFFECT);
            }
        }
    }

    // The VMM's steps.

    private long worldKey() {
        return (long) tablesEvicted << VMM_BITS | vmmSteps;
    }

    private Host host() {
        long key = worldKey();
        Host known = host;
        if (known == null || key != hostKey) {
            known = hosts.computeIfAbsent(key, unused -> made());
            host = known;
            hostKey = key;
        }
        return known;
    }

    /** Makes the world of the present state, and one whose units never cached anything on the way. */
    private Host made() {
        LiveWorld warm = fresh.get();
        LiveWorld cold = fresh.get();
        begin(warm);
        begin(cold);
        warm.probe();
        for (int i = 0; i < vmmSteps; i++) {
            goOn(warm, i);
            warm.probe();
            goOn(cold, i);
        }
        long[] probed = warm.probe();
        if (!Arrays.equals(probed, cold.probe())) {
            throw new InputException(script.page.file() + ":1:1: after " + vmmSteps + " steps of the VMM a translation"
                    + " depends on what a unit cached before, which no state holds: this page can't be explored");
        }
        long[] initial = new long[words];
        initial[VCPUS] = warm.saveVcpus();
        for (int page = 0; page < script.memory.length; page++) {
            initial[MEMORY + page] = warm.saveMemory(page);
        }
        return new Host(warm, initial, probed);
    }

    private void begin(LiveWorld world) {
        if ((tablesEvicted & 1) != 0) {
            world.evictTables();
        }
    }

    private void goOn(LiveWorld world, int index) {
        world.doVmmStep(index);
        world.settle();
        if ((tablesEvicted & 2 << index) != 0) {
            world.evictTables();
        }
    }

    /** Returns whether the VMM's next step gives a page that a program of the host still needs. */
    private boolean isNextEarly() {
        Step next = script.worldSteps.get(vmmSteps);
        if (next.verb() != Verb.GIVE) {
            return false;
        }
        for (int program = 0; program < programs; program++) {
            for (int i = counters[program]; live.isHosts(program) && i < script.ops[program].length; i++) {
                int page = script.ops[program][i].memory();
                if (page >= 0 && script.memory[page].equals(next.argument(0))) {
                    return true;
                }
            }
        }
        return false;
    }

    private boolean isNextRefused() {
        Host host = host();
        Boolean refused = host.nextIsRefused;
        if (refused == null) {
            LiveWorld trial = replayed();
            refused = !trial.doVmmStep(vmmSteps);
            host.nextIsRefused = refused;
        }
        return refused;
    }

    private LiveWorld replayed() {
        LiveWorld world = fresh.get();
        begin(world);
        for (int i = 0; i < vmmSteps; i++) {
            goOn(world, i);
        }
        return world;
    }

    private void vmmStep() {
        changed = ALL;
        live.interrupt(Stage.VMM_CPU);
        know();
        long[] state = present.clone();
        long[] before = new long[2 + script.memory.length];
        before[0] = worldKey();
        before[1] = state[VCPUS];
        for (int page = 0; page < script.memory.length; page++) {
            before[2 + page] = LiveWorld.entryOf(state[MEMORY + page]);
        }
        Effect effect = effects.computeIfAbsent(new Effect(before), asked -> tried(asked, state));
        vmmSteps++;
        state[VCPUS] = effect.vcpus;
        for (int page = 0; page < script.memory.length; page++) {
            state[MEMORY + page] = LiveWorld.withEntry(state[MEMORY + page], effect.entries[page]);
        }
        live = host().world;
        restoreAll(state, 0);
        if (effect.drains) {
            live.drain();
        }
    }

    /** Does the VMM's next step in a world of its own, from a state, and sees what became of it. */
    private Effect tried(Effect effect, long[] state) {
        LiveWorld world = replayed();
        world.restoreVcpus(state[VCPUS]);
        for (int page = 0; page < script.memory.length; page++) {
            world.restoreMemory(page, state[MEMORY + page]);
        }
        long flushed = world.wbinvds();
        if (!world.doVmmStep(vmmSteps)) {
            throw new IllegalStateException("step " + vmmSteps + " of the VMM is refused in one state, and not in"
                    + " another that differs in vCPUs, entries and lines alone");
        }
        flushed = world.wbinvds() - flushed;
        effect.drains = flushed > 0;
        if (effect.drains && script.tables != null) {
            throw new InputException(script.page.file() + ":1:1: a step of the VMM has KVM write back all caches, and"
                    + " with them lines of '" + script.tables + "'");
        }
        if (flushed % cpus != 0) {
            throw new IllegalStateException(
                    flushed + " WBINVD in a step of the VMM, expected none, or one on each of " + cpus + " CPUs");
        }
        effect.vcpus = world.saveVcpus();
        effect.entries = new long[script.memory.length];
        for (int page = 0; page < script.memory.length; page++) {
            long saved = world.saveMemory(page);
            effect.entries[page] = LiveWorld.entryOf(saved);
            long same = LiveWorld.withEntry(state[MEMORY + page], effect.entries[page]);
            if (!effect.drains && saved != same) {
                throw new IllegalStateException(
                        "a step of the VMM changes the lines of '" + script.memory[page] + "', expected none");
            }
        }
        return effect;
    }

    // States.

    @Override
    public void reset() {
        Arrays.fill(counters, 0);
        scheduled = 0;
        vmmSteps = 0;
        tablesEvicted = 0;
        flags = 0;
        live = host().world;
        restoreAll(host().initial, 0);
    }

    private void restoreAll(long[] from, int at) {
        live.restoreVcpus(from[at + VCPUS]);
        for (int page = 0; page < script.memory.length; page++) {
            live.restoreMemory(page, from[at + MEMORY + page]);
        }
        changed = ALL;
    }

    private long control() {
        long control = 0;
        for (int program = 0; program < programs; program++) {
            control = control << counterBits[program] | counters[program];
        }
        control = control << SCHEDULER_BITS | scheduled;
        control = control << VMM_BITS | vmmSteps;
        control = control << evictionBits | tablesEvicted;
        return control << FLAG_BITS | flags;
    }

    private void know() {
        int stale = changed;
        if (stale == 0) {
            return;
        }
        if ((stale & 1 << CONTROL) != 0) {
            present[CONTROL] = control();
        }
        if ((stale & 1 << VCPUS) != 0) {
            present[VCPUS] = live.saveVcpus();
        }
        for (int page = 0; page < script.memory.length; page++) {
            if ((stale & 1 << (MEMORY + page)) != 0) {
                present[MEMORY + page] = live.saveMemory(page);
            }
        }
        changed = 0;
    }

    /** Has all words written again, whether or not an action is known to change them. */
    void forget() {
        changed = ALL;
    }

    @Override
    public long fingerprint() {
        know();
        long hash = 0;
        for (long word : present) {
            hash = LiveWorld.mix(hash, word);
        }
        return hash;
    }

    /**
     * {@inheritDoc}
     *
     * <p>CPUs on which no actor of the host runs are alike: each has a signature of its cache, and of what the vCPUs
     * have to do with it, and only the sum of the signatures counts.
     */
    @Override
    public long canonicalFingerprint() {
        return canonical(LiveWorld::mix);
    }

    @Override
    public long secondFingerprint() {
        know();
        long hash = 0;
        for (long word : present) {
            hash = TransitionSystem.mixSecond(hash, word);
        }
        return hash;
    }

    @Override
    public long secondCanonicalFingerprint() {
        return canonical(TransitionSystem::mixSecond);
    }

    /** Returns what is the same for all exchanges of CPUs that are alike, mixed by a function of hash and word. */
    private long canonical(LongBinaryOperator mix) {
        know();
        long hash = live.withoutCpus(present[VCPUS], mix.applyAsLong(0, present[CONTROL]), mix);
        for (int page = 0; page < script.memory.length; page++) {
            hash = live.withoutCpus(page, present[MEMORY + page], hash, mix);
        }
        if (present[VCPUS] != cellsOf) {
            takeCells(present[VCPUS]);
        }
        long sum = 0;
        for (int cpu = 0; cpu < cpus; cpu++) {
            long signature = mix.applyAsLong(0, cells[cpu]);
            for (int page = 0; page < script.memory.length; page++) {
                signature = mix.applyAsLong(signature, live.cell(page, present[MEMORY + page], cpu));
            }
            sum += mix.applyAsLong(0, signature);
        }
        return mix.applyAsLong(hash, sum);
    }

    /** Keeps what the vCPUs have to do with each CPU, and which kind of CPU it is: most actions leave that alone. */
    private void takeCells(long vcpusSaved) {
        for (int cpu = 0; cpu < cpus; cpu++) {
            cells[cpu] = live.cell(vcpusSaved, cpu) << KIND_BITS | (hostCpu[cpu] ? cpu + 2 : 1);
        }
        cellsOf = vcpusSaved;
    }

    @Override
    public void save(long[] into, int at) {
        know();
        System.arraycopy(present, 0, into, at, words);
    }

    @Override
    public void restore(long[] from, int at) {
        know();
        long control = from[at + CONTROL];
        flags = (int) control & (1 << FLAG_BITS) - 1;
        control >>>= FLAG_BITS;
        int evicted = (int) control & (1 << evictionBits) - 1;
        control >>>= evictionBits;
        int steps = (int) control & (1 << VMM_BITS) - 1;
        control >>>= VMM_BITS;
        scheduled = (int) control & (1 << SCHEDULER_BITS) - 1;
        control >>>= SCHEDULER_BITS;
        for (int program = programs - 1; program >= 0; program--) {
            counters[program] = (int) control & (1 << counterBits[program]) - 1;
            control >>>= counterBits[program];
        }
        if (steps != vmmSteps || evicted != tablesEvicted) {
            vmmSteps = steps;
            tablesEvicted = evicted;
            live = host().world;
            restoreAll(from, at);
        } else {
            if (from[at + VCPUS] != present[VCPUS]) {
                live.restoreVcpus(from[at + VCPUS]);
            }
            for (int page = 0; page < script.memory.length; page++) {
                if (from[at + MEMORY + page] != present[MEMORY + page]) {
                    live.restoreMemory(page, from[at + MEMORY + page], present[MEMORY + page]);
                }
            }
        }
        System.arraycopy(from, at, present, 0, words);
        changed = 0;
    }

    private boolean haveEnded() {
        for (int program = 0; program < programs; program++) {
            if (counters[program] < script.ops[program].length) {
                return false;
            }
        }
        return true;
    }

    /** A device that nobody uses any more does nothing, and those that wait for it wait. */
    @Override
    public boolean mayRest() {
        if (!never.contains(Programs.Property.STUCK) || haveEnded()) {
            return true;
        }
        for (int program = 0; program < programs; program++) {
            if (live.isDevice(program) && counters[program] < script.ops[program].length && !live.isUsed(program)) {
                return true;
            }
        }
        return false;
    }

    // Words.

    @Override
    public String describe(int action) {
        Step step = stepOf(action);
        return step.actor() + ": " + step.words();
    }

    /** Returns what an action does in the present state, as a page has it. */
    Step stepOf(int action) {
        if (action < programs) {
            return script.ops[action][counters[action]].step();
        }
        if (action == programs) {
            return script.worldSteps.get(vmmSteps);
        }
        if (action < preemptions()) {
            int move = action - moves();
            return event("scheduler", Verb.MOVE, script.vcpus[move / cpus], "cpu" + move % cpus);
        }
        if (action < evictions()) {
            return event("scheduler", Verb.PREEMPT, script.vcpus[action - preemptions()]);
        }
        if (action < prefetches()) {
            return event("hardware", Verb.EVICT, script.memory[action - evictions()]);
        }
        if (action == tables()) {
            return event("hardware", Verb.EVICT, String.valueOf(script.tables));
        }
        int prefetch = action - prefetches();
        return event("hardware", Verb.PREFETCH, script.memory[prefetch / cpus], "cpu" + prefetch % cpus);
    }

    private static Step event(String actor, Verb verb, String... arguments) {
        return new Step(actor, verb, List.of(arguments), 1);
    }

    /** Returns the world that is live now. */
    LiveWorld live() {
        return live;
    }
}
