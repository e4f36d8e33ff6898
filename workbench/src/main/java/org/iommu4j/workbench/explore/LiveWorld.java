// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.iommu4j.sim.cache.CacheHierarchy.SHARED_CACHE;

import java.util.Arrays;
import java.util.Map;
import java.util.function.IntPredicate;
import java.util.function.LongBinaryOperator;
import java.util.stream.Stream;
import org.iommu4j.IommuException;
import org.iommu4j.host.InputException;
import org.iommu4j.kvm.Vcpu;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.cache.CacheHierarchy;
import org.iommu4j.sim.cache.Mesi;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.verdict.Owner;
import org.iommu4j.workbench.page.Actor;
import org.iommu4j.workbench.page.Stage;
import org.iommu4j.workbench.page.Step;
import org.iommu4j.workbench.scenario.NotApplicableException;
import org.iommu4j.workbench.scenario.Scenario;
import org.jspecify.annotations.Nullable;

/**
 * A machine on which a page was set up and some of the VMM's steps were done, with the parts that a state keeps.
 *
 * <p>The parts are resolved once. All else in it must depend on the VMM's steps alone.
 */
final class LiveWorld {
    /** What probes find in memory, and in a cache; no program writes such values to a page. */
    private static final long PROBED_MEMORY = 0x1000_0000_0000L;

    private static final long PROBED_CACHE = 0x2000_0000_0000L;

    private static final Mesi[] MESI = Mesi.values();
    private static final int STATE_BITS = 2;
    private static final int ENTRY_BITS = 4;
    private static final int TYPE_BITS = 3;
    private static final int WRITER_BITS = 5;

    /** The step of a saved vCPU between whose steps of a WBINVD it matters which CPU was flushed. */
    private static final int FLUSHED = 2;

    final Machine machine;
    final Vcpu[] vcpus;
    final Processor[] processors;

    private final Script script;
    private final Stage stage;
    private final CacheHierarchy caches;
    private final int cpus;
    private final int cpuBits;

    /** The devices of programs, null for programs of others. */
    private final @Nullable Endpoint[] endpoints;

    private final boolean[] noSnoop;
    private final boolean[] used;
    private final long[] physical;
    private final long[] iova;

    /** The virtual machine that has a page now, null while none has it, and its name. */
    private final @Nullable VirtualMachine[] vmOfMemory;

    private final String[] vmNames;

    /** The virtual machine of each vCPU. */
    private final VirtualMachine[] vmOfVcpu;

    private final int[] valueBits;

    /** How many bits of a page's word each cache has, with the CPU's buffer, and how many are below them all. */
    private final int[] cellBits;

    private final int[] belowCells;

    /** For each page of memory: the number of the value written last, who wrote it (1 + program), its type. */
    private final int[] last;

    private final int[] writer;
    private final MemoryType[] types;

    /** What the last read saw, whether that was something else, and whether the IOMMU refused the last request. */
    long seen;

    boolean stale;

    boolean refused;

    /**
     * Sets a page up.
     *
     * @throws IommuException when the system refuses to set it up
     */
    LiveWorld(Script script, Scenario scenario) {
        this.script = script;
        machine = scenario.machine();
        caches = machine.caches()
                .orElseThrow(() -> new IllegalStateException("a machine without caches has nothing to explore"));
        stage = new Stage(script.page, scenario);
        stage.setUp();
        cpus = scenario.processors().size();
        cpuBits = Integer.SIZE - Integer.numberOfLeadingZeros(cpus - 1);
        processors = scenario.processors().toArray(new Processor[0]);
        int pages = script.memory.length;
        vcpus = new Vcpu[script.vcpus.length];
        endpoints = new Endpoint[script.actors.length];
        noSnoop = new boolean[script.actors.length];
        used = new boolean[script.actors.length];
        physical = new long[pages];
        iova = new long[pages];
        vmOfMemory = new VirtualMachine[pages];
        vmNames = new String[pages];
        vmOfVcpu = new VirtualMachine[vcpus.length];
        valueBits = new int[pages];
        cellBits = new int[pages];
        belowCells = new int[pages];
        last = new int[pages];
        writer = new int[pages];
        types = new MemoryType[pages];
        int combined = 0;
        Arrays.fill(types, MemoryType.WB);
        for (int i = 0; i < vcpus.length; i++) {
            vcpus[i] = stage.vcpu(script.vcpus[i]).vcpu();
            vmOfVcpu[i] = stage.virtualMachine(script.vmOfVcpu[i]).vm();
        }
        for (int program = 0; program < endpoints.length; program++) {
            if (script.page.actors().get(script.actors[program]) instanceof Actor.Device device) {
                endpoints[program] = stage.endpoint(script.actors[program]);
                noSnoop[program] = device.noSnoop();
            }
        }
        for (int i = 0; i < pages; i++) {
            physical[i] = stage.place(script.memory[i]).physical();
            valueBits[i] = Integer.SIZE - Integer.numberOfLeadingZeros(script.values[i].length - 1);
            combined += script.isCombined[i] ? 1 : 0;
            cellBits[i] = STATE_BITS + valueBits[i] + (script.isCombined[i] ? 1 + valueBits[i] : 0);
            belowCells[i] = 2 * valueBits[i] + WRITER_BITS + ENTRY_BITS + TYPE_BITS;
            int bits = (cpus + 1) * cellBits[i] + belowCells[i];
            if (bits > Long.SIZE) {
                throw new InputException(script.page.file() + ":1:1: '" + script.memory[i] + "' takes " + bits
                        + " bits of a state on " + cpus + " CPUs, expected at most 64: write fewer values to it");
            }
        }
        if (combined > machine.description().processors().features().combiningBuffers()) {
            throw new InputException(script.page.file() + ":1:1: programs map " + combined
                    + " pages of memory as WC, and a CPU has fewer buffers, so that it matters which was begun first");
        }
        if (vcpus.length * vcpuBits() > Long.SIZE) {
            throw new InputException(script.page.file() + ":1:1: " + vcpus.length + " vCPUs on " + cpus
                    + " CPUs do not fit into a state");
        }
        settle();
        note();
    }

    /** Takes note of which devices are used now, and of who has each page of memory. */
    private void note() {
        for (int i = 0; i < physical.length; i++) {
            iova[i] = stage.place(script.memory[i]).iova();
            vmNames[i] = stage.virtualMachineOf(script.memory[i]);
            vmOfMemory[i] = vmNames[i].isEmpty()
                    ? null
                    : stage.virtualMachine(vmNames[i]).vm();
        }
        for (int program = 0; program < endpoints.length; program++) {
            used[program] = endpoints[program] != null && stage.isUsed(script.actors[program]);
        }
    }

    /** Returns the caches' CPUs. */
    int cpus() {
        return cpus;
    }

    /** Returns whether somebody uses the device of a program. */
    boolean isUsed(int program) {
        return used[program];
    }

    /** Returns whether a program is a device's. */
    boolean isDevice(int program) {
        return endpoints[program] != null;
    }

    /** Returns whether the actor of a program has a page of memory now, or may reach it. */
    boolean hasMemory(int program, int page) {
        if (!script.isGiven[page]) {
            return true;
        }
        boolean isGuests = vmOfMemory[page] != null;
        Actor actor = script.page.actors().get(script.actors[program]);
        return actor instanceof Actor.Host || isGuests != actor instanceof Actor.HostProcess;
    }

    /** Returns the owner for whom a program reads and writes now. */
    Owner ownerOf(int program) {
        return stage.ownerOf(script.actors[program]);
    }

    /** Returns whether a program is the kernel's or a process'. */
    boolean isHosts(int program) {
        Actor actor = script.page.actors().get(script.actors[program]);
        return actor instanceof Actor.Host || actor instanceof Actor.HostProcess;
    }

    // The VMM's steps.

    /**
     * Does one of the VMM's steps; caches keep none of its lines. What it left in a cache of the page's own lines goes
     * as well, so a state is put back afterwards.
     *
     * @return whether it was not refused
     */
    boolean doVmmStep(int index) {
        Step step = script.worldSteps.get(index);
        boolean accepted = true;
        try {
            stage.act(step);
        } catch (IommuException | IllegalArgumentException e) {
            // A VMM that is refused goes on; that the step has no effect is seen by whoever asks for it next.
            accepted = false;
        } catch (NotApplicableException e) {
            if (!(script.page.actors().get(step.actor()) instanceof Actor.Domain)) {
                throw e;
            }
            // So does a domain's user where the driver has no such op.
            accepted = false;
        }
        note();
        return accepted;
    }

    void drain() {
        machine.drainCaches();
    }

    /** Caches drop what a step of the VMM left: all lines, or those of pages where the driver's are to stay. */
    void settle() {
        if (script.tables == null) {
            machine.drainCaches();
            return;
        }
        for (int page = 0; page < physical.length; page++) {
            evict(page);
        }
        checkRoom();
    }

    /** Caches write back and drop what the driver wrote. */
    void evictTables() {
        stage.evictDriversLines(caches);
    }

    /** A line of a page must not push out one of the driver's, which would change what a state does not have. */
    private void checkRoom() {
        for (int cpu = 0; cpu < cpus; cpu++) {
            long[] before = caches.lines(cpu);
            for (long address : physical) {
                caches.prefetch(cpu, address);
            }
            for (long line : before) {
                if (caches.state(cpu, line) == Mesi.INVALID) {
                    throw new InputException(script.page.file() + ":1:1: the cache of cpu" + cpu + " is too small for '"
                            + script.tables + "' and the pages of memory");
                }
            }
            for (int page = 0; page < physical.length; page++) {
                evict(page);
            }
        }
    }

    /** Has every device read what its program names, so that its unit has all that it can cache. */
    long[] probe() {
        long[] answers = new long[endpoints.length * physical.length];
        for (int program = 0; program < endpoints.length; program++) {
            Endpoint endpoint = endpoints[program];
            for (Script.Op op : script.ops[program]) {
                if (endpoint != null && used[program] && op.memory() >= 0 && hasMemory(program, op.memory())) {
                    answers[program * physical.length + op.memory()] = answer(endpoint, program, op.memory());
                }
            }
        }
        return answers;
    }

    /** Returns how a device's request is translated: where to, whether it is snooped, or the fault. */
    private long answer(Endpoint endpoint, int program, int page) {
        // Memory and a cache differ, so that the value shows which one was read.
        long restored = saveMemory(page);
        if (script.tables == null) {
            machine.drainCaches();
        } else {
            evict(page);
        }
        caches.deviceWrite(physical[page], PROBED_MEMORY + page, false);
        caches.restoreLine(0, physical[page], Mesi.MODIFIED, PROBED_CACHE + page);
        long seen = endpoint.read(iova[page], noSnoop[program]);
        int fault = endpoint.lastFault();
        restoreMemory(page, restored);
        return fault != 0 ? fault : seen;
    }

    /** Returns whether a device's no-snoop passes, as {@link #probe} found, though its domain promised to block it. */
    boolean breaksPromise(long[] probed) {
        return passes(probed, program -> stage.isEnforced(script.actors[program]));
    }

    /** Returns whether an open device's no-snoop passes, as {@link #probe} found, and KVM does not know. */
    boolean isUnknownToKvm(long[] probed) {
        return passes(probed, program -> stage.isOpenAndTakenForCoherent(script.actors[program]));
    }

    /** Returns whether a device is open whose domain made no promise, and KVM takes its DMA for coherent. */
    boolean isUntold() {
        return devices().anyMatch(device -> stage.isOpenAndTakenForCoherent(device) && !stage.isEnforced(device));
    }

    /** Returns for each vCPU whether its virtual machine has a device open whose domain made no promise. */
    boolean[] unpromised() {
        boolean[] unpromised = new boolean[vcpus.length];
        for (int i = 0; i < unpromised.length; i++) {
            String vm = script.vmOfVcpu[i];
            unpromised[i] = devices().anyMatch(device -> stage.isOpen(device, vm) && !stage.isEnforced(device));
        }
        return unpromised;
    }

    private Stream<String> devices() {
        return script.page.actors().entrySet().stream()
                .filter(actor -> actor.getValue() instanceof Actor.Device)
                .map(Map.Entry::getKey);
    }

    private boolean passes(long[] probed, IntPredicate concerned) {
        for (int program = 0; program < endpoints.length; program++) {
            for (int page = 0; used[program] && noSnoop[program] && page < physical.length; page++) {
                if (probed[program * physical.length + page] == PROBED_MEMORY + page && concerned.test(program)) {
                    return true;
                }
            }
        }
        return false;
    }

    // A program's steps.

    /** Does a step of a program. Sets {@link #stale} and {@link #refused}. */
    void act(int program, Script.Op op) {
        stale = false;
        refused = false;
        int vcpu = script.vcpuOf[program];
        if (vcpu >= 0) {
            actOnVcpu(vcpus[vcpu], program, op);
        } else if (endpoints[program] != null) {
            actOnDevice(program, op);
        } else {
            actOnHost(program, op);
        }
    }

    private void actOnVcpu(Vcpu vcpu, int program, Script.Op op) {
        switch (op.verb()) {
            case STORE -> {
                vcpu.store(guestAddress(op.memory()), op.value(), types[op.memory()]);
                wrote(program, op);
            }
            case LOAD -> see(op, vcpu.load(guestAddress(op.memory()), types[op.memory()]));
            case CLFLUSH -> vcpu.clflush(guestAddress(op.memory()));
            case BEGIN_WBINVD -> vcpu.beginWbinvd();
            case END_WBINVD -> vcpu.endWbinvd();
            case SFENCE -> vcpu.sfence();
            case MFENCE -> vcpu.mfence();
            case MAP_AS -> types[op.memory()] = op.type();
            case CACHING -> vcpu.setCachingOff(op.step().argument(0).equals("off"));
            case RING -> caches.drainCombining(vcpu.processor().id());
            case AWAIT -> {
                // Doorbells follow from the programs' counters.
            }
            default -> throw unknown(op);
        }
    }

    private void actOnDevice(int program, Script.Op op) {
        Endpoint endpoint = endpoints[program];
        if (endpoint == null) {
            throw unknown(op);
        }
        switch (op.verb()) {
            case READ -> {
                long value = endpoint.read(iova[op.memory()], noSnoop[program]);
                refused = endpoint.lastFault() != 0;
                if (!refused) {
                    see(op, value);
                }
            }
            case WRITE -> {
                endpoint.write(iova[op.memory()], op.value(), noSnoop[program]);
                refused = endpoint.lastFault() != 0;
                if (!refused) {
                    wrote(program, op);
                }
            }
            case DONE, AWAIT -> {
                // Signals follow from the programs' counters.
            }
            default -> throw unknown(op);
        }
    }

    private void actOnHost(int program, Script.Op op) {
        Actor actor = script.page.actors().get(script.actors[program]);
        int cpu = actor instanceof Actor.Host host
                ? host.cpu()
                : actor instanceof Actor.HostProcess process ? process.cpu() : -1;
        Processor processor = processors[cpu];
        interrupt(cpu);
        switch (op.verb()) {
            case STORE -> {
                processor.store(physical[op.memory()], op.value(), MemoryType.WB);
                wrote(program, op);
            }
            case LOAD -> see(op, processor.load(physical[op.memory()], MemoryType.WB));
            case CLFLUSH, WBINVD, WBINVD_EVERYWHERE, SFENCE -> {
                if (stage.flushes()) {
                    flush(processor, op);
                }
            }
            case MFENCE -> processor.mfence();
            case RING, AWAIT -> {
                // Doorbells follow from the programs' counters.
            }
            default -> throw unknown(op);
        }
    }

    private void flush(Processor processor, Script.Op op) {
        switch (op.verb()) {
            case CLFLUSH -> processor.clflush(physical[op.memory()]);
            case WBINVD -> processor.wbinvd();
            case WBINVD_EVERYWHERE -> {
                for (Processor each : processors) {
                    each.wbinvd();
                }
            }
            case SFENCE -> processor.sfence();
            default -> throw unknown(op);
        }
    }

    private static IllegalStateException unknown(Script.Op op) {
        return new IllegalStateException("no program does '" + op.step().words() + "'");
    }

    private void wrote(int program, Script.Op op) {
        last[op.memory()] = script.numberOf(op.memory(), op.value());
        writer[op.memory()] = program + 1;
    }

    private void see(Script.Op op, long value) {
        seen = value;
        stale = value != script.values[op.memory()][last[op.memory()]];
    }

    private long guestAddress(int page) {
        return Scenario.GUEST_ADDRESS + iova[page] - Scenario.IOVA;
    }

    // Events.

    /** The host takes a CPU from a guest; as {@link Stage} has it, this empties the CPU's write-combining buffers. */
    void interrupt(int cpu) {
        caches.drainCombining(cpu);
    }

    /** The scheduler takes a vCPU off its CPU, and puts it on one; returns whether KVM wrote back a cache for that. */
    boolean schedule(int vcpu, Processor target) {
        interrupt(vcpus[vcpu].processor().id());
        long before = vmOfVcpu[vcpu].wbinvdExecuted();
        vcpus[vcpu].loadOn(target);
        return vmOfVcpu[vcpu].wbinvdExecuted() != before;
    }

    /** Returns whether some cache holds a page's line, by what {@link #saveMemory} returned. */
    boolean isCached(int page, long saved) {
        boolean cached = false;
        for (int cpu = SHARED_CACHE; cpu < cpus && !cached; cpu++) {
            cached = isCached(page, saved, cpu);
        }
        return cached;
    }

    private boolean isCached(int page, long saved, int cpu) {
        return MESI[(int) (cell(page, saved, cpu) >>> (cellBits[page] - STATE_BITS))] != Mesi.INVALID;
    }

    void evict(int page) {
        for (int cpu = 0; cpu < cpus; cpu++) {
            caches.evict(cpu, physical[page]);
        }
    }

    /**
     * Returns whether a CPU's cache may take a page's line in, which it does not hold by what {@link #saveMemory}
     * returned.
     */
    boolean mayPrefetch(int page, long saved, int cpu, boolean anyCpu) {
        if (isCached(page, saved, cpu)) {
            return false;
        }
        if (anyCpu) {
            return true;
        }
        for (int i = 0; i < vcpus.length; i++) {
            boolean loaded = vcpus[i].processor() == processors[cpu] && script.vmOfVcpu[i].equals(vmNames[page]);
            if (loaded && vcpus[i].mayPrefetch(guestAddress(page), types[page])) {
                return true;
            }
        }
        return false;
    }

    void prefetch(int page, int cpu) {
        caches.prefetch(cpu, physical[page]);
    }

    // What must not be.

    /** Returns whether a page's line that a program was the last to write is in a cache and differs from memory. */
    boolean isDirty(int program) {
        for (int page = 0; page < physical.length; page++) {
            if (writer[page] == program + 1 && differs(page)) {
                return true;
            }
        }
        return false;
    }

    private boolean differs(int page) {
        long memory = machine.peekDram(physical[page]);
        for (int cpu = SHARED_CACHE; cpu < cpus; cpu++) {
            if (state(cpu, page) != Mesi.INVALID && caches.cachedWord(cpu, physical[page]) != memory) {
                return true;
            }
            if (isCombining(cpu, page) && caches.combiningWord(cpu, physical[page]) != memory) {
                return true;
            }
        }
        return false;
    }

    private boolean isCombining(int cpu, int page) {
        return script.isCombined[page] && cpu != SHARED_CACHE && caches.isCombining(cpu, physical[page]);
    }

    /** Returns whether memory holds what was written last to every page, once all that waits is written back. */
    boolean isWrittenBackWhole() {
        for (int page = 0; page < physical.length; page++) {
            if (writtenBack(page) != script.values[page][last[page]]) {
                return false;
            }
        }
        return true;
    }

    /** Returns what memory holds after buffers, which write modified lines back first if they look, and caches. */
    private long writtenBack(int page) {
        long value = machine.peekDram(physical[page]);
        boolean lookedFor = false;
        for (int cpu = 0; cpu < cpus; cpu++) {
            if (isCombining(cpu, page)) {
                value = caches.combiningWord(cpu, physical[page]);
                lookedFor = processors[cpu].selfSnoop();
            }
        }
        for (int cpu = SHARED_CACHE; cpu < cpus && !lookedFor; cpu++) {
            if (state(cpu, page) == Mesi.MODIFIED) {
                value = caches.cachedWord(cpu, physical[page]);
            }
        }
        return value;
    }

    /** Returns how often WBINVD ran for the guests. */
    long wbinvds() {
        return Arrays.stream(vmOfVcpu)
                .distinct()
                .mapToLong(VirtualMachine::wbinvdExecuted)
                .sum();
    }

    // Saving.

    private Mesi state(int cpu, int page) {
        return cpu == SHARED_CACHE ? caches.sharedState(physical[page]) : caches.state(cpu, physical[page]);
    }

    /** Returns a page's line in all caches, buffers and in memory, its history, entry and type. */
    @SuppressWarnings("EnumOrdinal") // numbers in a word that only restoreMemory reads
    long saveMemory(int page) {
        int bits = valueBits[page];
        long word = 0;
        for (int cpu = SHARED_CACHE; cpu < cpus; cpu++) {
            Mesi state = state(cpu, page);
            int value = state == Mesi.INVALID ? 0 : script.numberOf(page, caches.cachedWord(cpu, physical[page]));
            word = word << STATE_BITS | state.ordinal();
            word = word << bits | value;
            if (script.isCombined[page]) {
                boolean combining = isCombining(cpu, page);
                word = word << 1 | (combining ? 1 : 0);
                word = word << bits
                        | (combining ? script.numberOf(page, caches.combiningWord(cpu, physical[page])) : 0);
            }
        }
        word = word << bits | script.numberOf(page, machine.peekDram(physical[page]));
        word = word << bits | last[page];
        word = word << WRITER_BITS | writer[page];
        VirtualMachine vm = vmOfMemory[page];
        word = word << ENTRY_BITS | (vm == null ? 0 : vm.entryCode(guestAddress(page)));
        return word << TYPE_BITS | types[page].ordinal();
    }

    /** Returns a page to what {@link #saveMemory} returned, whatever it is now. */
    void restoreMemory(int page, long saved) {
        restoreMemory(page, saved, ~saved);
    }

    /**
     * Returns a page to what {@link #saveMemory} returned. Only what differs is put back: most actions change one
     * cache.
     *
     * @param present what {@link #saveMemory} would return now; a bit that differs has its part put back
     */
    void restoreMemory(int page, long saved, long present) {
        long differing = saved ^ present;
        long word = saved;
        types[page] = Script.type((int) word & (1 << TYPE_BITS) - 1);
        word >>>= TYPE_BITS;
        VirtualMachine vm = vmOfMemory[page];
        if (vm != null && entryOf(differing) != 0) {
            vm.restoreEntry(guestAddress(page), (int) word & (1 << ENTRY_BITS) - 1);
        }
        word >>>= ENTRY_BITS;
        writer[page] = (int) word & (1 << WRITER_BITS) - 1;
        word >>>= WRITER_BITS;
        int bits = valueBits[page];
        last[page] = (int) word & (1 << bits) - 1;
        word >>>= bits;
        // Always: a page that nobody writes has no bits by which this could differ, and a probe writes to it.
        caches.deviceWrite(physical[page], script.values[page][(int) word & (1 << bits) - 1], false);
        for (int cpu = SHARED_CACHE; cpu < cpus; cpu++) {
            if (cell(page, differing, cpu) != 0) {
                restoreCell(page, cell(page, saved, cpu), cpu);
            }
        }
    }

    private void restoreCell(int page, long cell, int cpu) {
        long[] values = script.values[page];
        int bits = valueBits[page];
        int mask = (1 << bits) - 1;
        long line = cell;
        if (script.isCombined[page]) {
            line >>>= bits + 1;
            if (cpu != SHARED_CACHE) {
                caches.restoreCombining(cpu, physical[page], (cell >>> bits & 1) != 0, values[(int) cell & mask]);
            }
        }
        caches.restoreLine(cpu, physical[page], MESI[(int) (line >>> bits)], values[(int) line & mask]);
    }

    /** Returns a hash of a page's saved word without the CPUs' caches and buffers. */
    long withoutCpus(int page, long saved, long hash, LongBinaryOperator mix) {
        int rest = cellShift(page, cpus - 1);
        long low = saved & (1L << rest) - 1;
        // Two shifts: together they may be 64.
        long shared = saved >>> (rest + (cpus - 1) * cellBits[page]) >>> cellBits[page];
        return mix.applyAsLong(mix.applyAsLong(hash, low), shared);
    }

    /** Returns what a page's saved word has of a CPU: its private cache and its write-combining buffer. */
    long cell(int page, long saved, int cpu) {
        return saved >>> cellShift(page, cpu) & (1L << cellBits[page]) - 1;
    }

    private int cellShift(int page, int cpu) {
        return belowCells[page] + (cpus - 1 - cpu) * cellBits[page];
    }

    /** Returns a hash of the vCPUs' saved word without their CPUs. */
    long withoutCpus(long saved, long hash, LongBinaryOperator mix) {
        long mixed = hash;
        for (int i = 0; i < vcpus.length; i++) {
            mixed = mix.applyAsLong(mixed, saved >>> (i * vcpuBits()) & 7);
        }
        return mixed;
    }

    /** Returns what the vCPUs' saved word has of a CPU: for each vCPU the mask, whether it is loaded, the flush. */
    long cell(long saved, int cpu) {
        long cell = 0;
        for (int i = 0; i < vcpus.length; i++) {
            long word = saved >>> (i * vcpuBits());
            boolean flushed = (word & 3) == FLUSHED && (word >>> 3 & (1L << cpuBits) - 1) == cpu;
            boolean loaded = (word >>> (3 + cpuBits) & (1L << cpuBits) - 1) == cpu;
            long remembered = word >>> (3 + 2 * cpuBits + cpu) & 1;
            cell = cell << 3 | remembered << 2 | (loaded ? 2 : 0) | (flushed ? 1 : 0);
        }
        return cell;
    }

    static long mix(long hash, long word) {
        long mixed = (hash ^ word) * 0x9e3779b97f4a7c15L;
        return mixed ^ mixed >>> 29;
    }

    /** Returns a page's entry of what {@link #saveMemory} returned. */
    static long entryOf(long saved) {
        return saved >>> TYPE_BITS & (1 << ENTRY_BITS) - 1;
    }

    /** Returns what {@link #saveMemory} returned, with another entry. */
    static long withEntry(long saved, long entry) {
        long mask = ((1L << ENTRY_BITS) - 1) << TYPE_BITS;
        return (saved & ~mask) | entry << TYPE_BITS;
    }

    private int vcpuBits() {
        return cpus + 2 * cpuBits + 3;
    }

    /** Returns the state of all vCPUs. */
    long saveVcpus() {
        long word = 0;
        for (Vcpu vcpu : vcpus) {
            long saved = vcpu.save();
            word = word << cpus | (saved & (1L << cpus) - 1);
            word = word << cpuBits | (saved >>> 48 & 63);
            word = word << cpuBits | (saved >>> 54 & 63);
            word = word << 3 | (saved >>> 60 & 7);
        }
        return word;
    }

    /** Returns all vCPUs to what {@link #saveVcpus} returned. */
    void restoreVcpus(long saved) {
        long word = saved;
        long cpuMask = (1L << cpuBits) - 1;
        for (int i = vcpus.length - 1; i >= 0; i--) {
            long step = word & 7;
            word >>>= 3;
            long flushed = word & cpuMask;
            word >>>= cpuBits;
            long cpu = word & cpuMask;
            word >>>= cpuBits;
            long mask = word & (1L << cpus) - 1;
            word >>>= cpus;
            vcpus[i].restore(mask | cpu << 48 | flushed << 54 | step << 60);
        }
    }
}
