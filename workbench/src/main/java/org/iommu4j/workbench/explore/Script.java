// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.iommu4j.host.InputException;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.workbench.page.Actor;
import org.iommu4j.workbench.page.Page;
import org.iommu4j.workbench.page.PageReader;
import org.iommu4j.workbench.page.Programs;
import org.iommu4j.workbench.page.Step;
import org.iommu4j.workbench.page.Verb;
import org.jspecify.annotations.Nullable;

/** A page's programs with all names resolved to numbers, so that a step looks nothing up. */
final class Script {
    /** Values that one page of memory may hold, with 0. */
    static final int MAX_VALUES = 16;

    private static final MemoryType[] TYPES = MemoryType.values();

    /** What writes back a cache with some of the driver's lines; a state knows all of them, or none. */
    private static final Set<Verb> FLUSHES =
            Set.of(Verb.WBINVD, Verb.WBINVD_EVERYWHERE, Verb.BEGIN_WBINVD, Verb.END_WBINVD);

    final Page page;
    final Programs programs;

    /** The steps that change more than a state's words, in order: the VMM's, or those of a domain's user. */
    final List<Step> worldSteps;

    /** The names of the other actors that have programs, in order. */
    final String[] actors;

    /** The names of the pages of memory, in order. */
    final String[] memory;

    /** The name of all that the IOMMU's driver writes, which caches keep then; null where the page names it not. */
    final @Nullable String tables;

    /** The names of the vCPUs, in order, and of the virtual machine of each. */
    final String[] vcpus;

    final String[] vmOfVcpu;

    /** Whether a page of memory is given to a virtual machine at some time. */
    final boolean[] isGiven;

    /** Whether a page of memory is mapped write-combining at some time, and whether any page is. */
    final boolean[] isCombined;

    final boolean combines;

    /** The values that each page of memory may hold, from 0. */
    final long[][] values;

    /** The programs' steps. A WBINVD of a vCPU is two. */
    final Op[][] ops;

    /** How many signals a program has sent to another: by the sender, the receiver, and the sender's counter. */
    final int[][][] sent;

    /** How many of them the receiver has awaited: by the sender, the receiver, and the receiver's counter. */
    final int[][][] awaited;

    /** The vCPU that each program is of, -1 for none. */
    final int[] vcpuOf;

    /**
     * A step.
     *
     * @param step as the page has it
     * @param verb what is done
     * @param memory the page of memory, -1 for none
     * @param value the value stored
     * @param type the type with which the page is mapped from now on
     * @param other the program whose signal is awaited, -1 for one that never comes
     */
    record Op(Step step, Verb verb, int memory, long value, MemoryType type, int other) {}

    Script(Page page) {
        Programs found = page.programs();
        if (found == null) {
            throw new InputException(page.file() + ":1:1: a page without programs, expected 'programs' and 'never'");
        }
        this.page = page;
        programs = found;
        worldSteps = found.byActor().keySet().stream()
                .filter(name -> page.actors().get(name) instanceof Actor.Domain)
                .findFirst()
                .map(this::steps)
                .orElse(found.vmm());
        actors = found.byActor().keySet().stream()
                .filter(name -> !(page.actors().get(name) instanceof Actor.Domain))
                .toArray(String[]::new);
        tables = page.memory().entrySet().stream()
                .filter(entry -> entry.getValue().isOfDriver())
                .map(Map.Entry::getKey)
                .findFirst()
                .orElse(null);
        memory = page.memory().keySet().stream()
                .filter(name -> !name.equals(tables))
                .toArray(String[]::new);
        vcpus = page.actors().entrySet().stream()
                .filter(entry -> entry.getValue() instanceof Actor.Vcpu)
                .map(Map.Entry::getKey)
                .toArray(String[]::new);
        vmOfVcpu = Arrays.stream(vcpus)
                .map(name -> page.actors().get(name) instanceof Actor.Vcpu vcpu ? vcpu.vm() : "")
                .toArray(String[]::new);
        isGiven = new boolean[memory.length];
        isCombined = new boolean[memory.length];
        boolean anyCombined = false;
        values = new long[memory.length][];
        ops = new Op[actors.length][];
        vcpuOf = new int[actors.length];
        for (int i = 0; i < memory.length; i++) {
            values[i] = valuesOf(memory[i]);
            Page.Memory its = page.memory().get(memory[i]);
            isGiven[i] = its != null && its.then() != null;
        }
        for (int program = 0; program < actors.length; program++) {
            vcpuOf[program] = Arrays.asList(vcpus).indexOf(actors[program]);
            List<Op> compiled = new ArrayList<>();
            for (Step step : steps(actors[program])) {
                if (step.verb() == Verb.WBINVD && vcpuOf[program] >= 0) {
                    compiled.add(op(new Step(step.actor(), Verb.BEGIN_WBINVD, List.of(), step.line())));
                    compiled.add(op(new Step(step.actor(), Verb.END_WBINVD, List.of(), step.line())));
                } else {
                    compiled.add(op(step));
                }
            }
            ops[program] = compiled.toArray(new Op[0]);
            for (Op op : ops[program]) {
                if (op.type() == MemoryType.WC) {
                    isCombined[op.memory()] = true;
                    anyCombined = true;
                }
            }
        }
        combines = anyCombined;
        sent = tables(true);
        awaited = tables(false);
    }

    private List<Step> steps(String actor) {
        return programs.byActor().getOrDefault(actor, List.of());
    }

    private Op op(Step step) {
        if (tables != null && FLUSHES.contains(step.verb())) {
            throw new InputException(page.file() + ":" + step.line() + ": '" + step.words() + "' writes back lines of '"
                    + tables + "' one by one, expected no WBINVD in a page that names them");
        }
        boolean names = step.verb() == Verb.STORE
                || step.verb() == Verb.LOAD
                || step.verb() == Verb.CLFLUSH
                || step.verb() == Verb.MAP_AS
                || step.verb() == Verb.READ
                || step.verb() == Verb.WRITE;
        return new Op(
                step,
                step.verb(),
                names ? Arrays.asList(memory).indexOf(step.argument(0)) : -1,
                writes(step) ? PageReader.value(step.argument(1)) : 0,
                step.verb() == Verb.MAP_AS ? MemoryType.valueOf(step.argument(1)) : MemoryType.WB,
                step.verb() == Verb.AWAIT ? Arrays.asList(actors).indexOf(step.argument(0)) : -1);
    }

    private static boolean writes(Step step) {
        return step.verb() == Verb.STORE || step.verb() == Verb.WRITE;
    }

    private long[] valuesOf(String name) {
        long[] found = programs.byActor().values().stream()
                .flatMap(List::stream)
                .filter(step -> writes(step) && step.argument(0).equals(name))
                .mapToLong(step -> PageReader.value(step.argument(1)))
                .filter(value -> value != 0)
                .distinct()
                .toArray();
        if (found.length >= MAX_VALUES) {
            throw new InputException(page.file() + ":1:1: programs write " + found.length + " values to '" + name
                    + "', expected at most " + (MAX_VALUES - 1));
        }
        long[] all = new long[found.length + 1];
        System.arraycopy(found, 0, all, 1, found.length);
        return all;
    }

    /** Returns the number of a value among those that a page of memory may hold. */
    int numberOf(int memoryIndex, long value) {
        long[] known = values[memoryIndex];
        for (int i = 0; i < known.length; i++) {
            if (known[i] == value) {
                return i;
            }
        }
        throw new IllegalStateException(
                "'" + memory[memoryIndex] + "' holds 0x" + Long.toHexString(value) + ", which no program writes");
    }

    static MemoryType type(int ordinal) {
        return TYPES[ordinal];
    }

    private int[][][] tables(boolean sent) {
        int[][][] tables = new int[actors.length][actors.length][];
        for (int from = 0; from < actors.length; from++) {
            for (int to = 0; to < actors.length; to++) {
                int of = sent ? from : to;
                int[] table = new int[ops[of].length + 1];
                for (int i = 0; i < ops[of].length; i++) {
                    boolean counts = sent ? isSignal(ops[of][i], to) : ops[of][i].other() == from;
                    table[i + 1] = table[i] + (counts ? 1 : 0);
                }
                tables[from][to] = table;
            }
        }
        return tables;
    }

    private boolean isSignal(Op op, int to) {
        return op.verb() == Verb.DONE
                || (op.verb() == Verb.RING && op.step().argument(0).equals(actors[to]));
    }
}
