// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.iommu4j.kvm.Vcpu;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.platform.Processor;

/**
 * One WBINVD test of {@code kvm_truth.c}: the loads of its trace, and when the guest executed WBINVD, are done again;
 * masks, the CPUs that ran, and registrations are ours.
 *
 * <p>A trace does not show when a mask is emptied. The first load behind a flush may lie on either side of it: the next
 * mask decides, and {@link #secondWindows} counts how often the load must have been before.
 */
final class WbinvdTrace {
    private static final Pattern TRACE = Pattern.compile("TRACE .*?\\[(\\d+)\\]\\s+\\S+\\s+[0-9.]+: (\\w+): (.*)");
    private static final Pattern LOAD = Pattern.compile("\\bcpu=(\\d+)");
    private static final Pattern MASK = Pattern.compile("\\bmask=0x([0-9a-f]+)");
    private static final Pattern RAN = Pattern.compile("\\{([0-9,]+)\\}");

    /** One line of the trace: the CPU on which a probe was hit, which probe, and what it printed. */
    private record Event(int cpu, String probe, String text) {
        boolean isMask() {
            return MASK.matcher(text).find();
        }

        int number(Pattern pattern, int radix) {
            Matcher matcher = pattern.matcher(text);
            if (!matcher.find()) {
                throw new AssertionError(pattern + " is not in: " + text);
            }
            return Integer.parseInt(matcher.group(1), radix);
        }
    }

    private final List<TranscriptLine> test;
    private final String name;
    private final List<Event> events = new ArrayList<>();
    private final VirtualMachine vm;
    private final List<Processor> processors;
    private final List<Integer> ran;
    private final List<Vcpu> vcpus = new ArrayList<>();

    /** Our lines of the trace that are answers, and of the summary, in order. */
    private final Deque<String> traced = new ArrayDeque<>();

    private final Deque<String> seen = new ArrayDeque<>();
    private final List<String> lines = new ArrayList<>();
    private Vcpu emulating;
    private String mask = "";
    private int secondWindows;

    /**
     * Prepares a test.
     *
     * @param test its lines, from its title on
     * @param vm a new machine, without vCPUs
     * @param processors the host's
     * @param ran where the processors tell of their WBINVDs
     */
    WbinvdTrace(List<TranscriptLine> test, VirtualMachine vm, List<Processor> processors, List<Integer> ran) {
        this.test = test;
        this.name = name(test);
        this.vm = vm;
        this.processors = processors;
        this.ran = ran;
        events.addAll(events(test));
    }

    private static List<Event> events(List<TranscriptLine> test) {
        List<Event> events = new ArrayList<>();
        for (TranscriptLine line : test) {
            Matcher event = TRACE.matcher(line.text());
            if (event.matches()) {
                events.add(new Event(Integer.parseInt(event.group(1)), event.group(2), event.group(3)));
            }
        }
        return events;
    }

    /** Splits lines into tests, each from its title on. */
    static List<List<TranscriptLine>> tests(List<TranscriptLine> lines) {
        List<List<TranscriptLine>> tests = new ArrayList<>();
        for (TranscriptLine line : lines) {
            if (line.text().startsWith("-- T")) {
                tests.add(new ArrayList<>());
            }
            tests.get(tests.size() - 1).add(line);
        }
        return tests;
    }

    private static String name(List<TranscriptLine> test) {
        return test.get(0).text().split(" ", -1)[1];
    }

    /**
     * Returns a test's summary, as {@code kvm_truth.c} prints it below a trace: for each emulated WBINVD where it was
     * executed, with which mask, and on which CPUs the host's ran.
     */
    static List<String> summary(List<TranscriptLine> test) {
        List<String> summary = new ArrayList<>();
        List<Event> events = events(test);
        for (int i = 0; i < events.size(); i++) {
            if (!events.get(i).probe().equals("emulate_wbinvd")) {
                continue;
            }
            List<Event> until = events.subList(i + 1, events.size()).stream()
                    .takeWhile(event -> !event.probe().equals("emulate_wbinvd"))
                    .toList();
            String mask = until.stream()
                    .filter(Event::isMask)
                    .map(event -> "0x" + Integer.toHexString(event.number(MASK, 16)))
                    .reduce("", (before, next) -> next);
            String[] ran = until.stream()
                    .filter(event -> event.probe().startsWith("ran"))
                    .map(event -> String.valueOf(event.cpu()))
                    .toArray(String[]::new);
            summary.add(seen(name(test), summary.size() + 1, events.get(i).cpu(), mask, ran));
        }
        return summary.isEmpty() ? List.of("SEEN " + name(test) + ": no emulated WBINVD") : summary;
    }

    /** Returns whether a vCPU ran before its machine's first non-coherent device was registered. */
    static boolean registersLate(List<TranscriptLine> test) {
        List<String> probes = events(test).stream().map(Event::probe).toList();
        int loaded = probes.indexOf("vcpu_load");
        return loaded >= 0 && loaded < probes.indexOf("register");
    }

    /**
     * Returns what wrote caches back before the guest's first WBINVD: masks, calls to all CPUs, and CPUs that executed
     * the instruction.
     */
    static List<String> writtenBackUnasked(List<TranscriptLine> test) {
        return events(test).stream()
                .takeWhile(event -> !event.probe().equals("emulate_wbinvd"))
                .filter(event -> event.isMask() || event.probe().matches("ran.*|all_cpus.*"))
                .map(event -> event.probe() + " on CPU " + event.cpu())
                .toList();
    }

    private static String seen(String name, int number, int cpu, String mask, String... ran) {
        return String.format(
                "SEEN %s: WBINVD #%d emulated on host CPU %d%s",
                name,
                number,
                cpu,
                mask.isEmpty() ? ": no host WBINVD (a NOP)" : ", mask=" + mask + ", ran on " + set(ran));
    }

    /** Returns a transcript's lines, with one form for the answers in traces and the sets of CPUs. */
    static List<TranscriptLine> normalized(List<TranscriptLine> lines) {
        return lines.stream()
                .map(line -> new TranscriptLine(line.number(), normalized(line.text())))
                .toList();
    }

    private static String normalized(String text) {
        Matcher trace = TRACE.matcher(text);
        if (trace.matches()) {
            Matcher mask = MASK.matcher(trace.group(3));
            return mask.find()
                    ? "TRACE mask=0x" + mask.group(1)
                    : trace.group(2).matches("(un)?register") ? "TRACE " + trace.group(2) : text;
        }
        Matcher cpus = RAN.matcher(text);
        return text.startsWith("SEEN ") && cpus.find()
                ? text.substring(0, cpus.start()) + set(cpus.group(1).split(",", -1)) + text.substring(cpus.end())
                : text;
    }

    private static String set(String... cpus) {
        return List.of(cpus).stream().sorted().distinct().collect(Collectors.joining(",", "{", "}"));
    }

    /**
     * Does the test.
     *
     * @param add adds the group to the machine's kvm-vfio device, and says what was answered
     * @param delete deletes it
     */
    void replay(Supplier<String> add, Supplier<String> delete) {
        boolean addsLate = name.startsWith("T7");
        boolean registers = events.stream().anyMatch(event -> event.probe().equals("register"));
        vcpus.add(vm.createVcpu(processors.get(0)));
        String added = "";
        if (!addsLate || !registers) {
            added = counted("register", add, addsLate);
        }
        if (name.equals("T10")) {
            vcpus.add(vm.createVcpu(processors.get(1)));
        }
        String deleted = name.equals("T9") ? counted("unregister", delete, true) : "";
        for (int i = 0; i < events.size(); i++) {
            Event event = events.get(i);
            switch (event.probe()) {
                case "vcpu_load" -> load(event, i);
                case "emulate_wbinvd" -> {
                    end();
                    if (!flushes(i)) {
                        begin(event.cpu());
                    }
                }
                case "register" -> added = counted("register", add, true);
                default -> {
                    if (event.isMask()) {
                        if (emulating == null) {
                            begin(event.cpu());
                        }
                        traced.add(mask.isEmpty() ? "TRACE no mask" : "TRACE mask=" + mask);
                    }
                }
            }
        }
        end();
        print(added, deleted);
    }

    /** Returns whether the kernel flushed for the WBINVD of an event. */
    private boolean flushes(int emulation) {
        for (int i = emulation + 1; i < events.size(); i++) {
            if (events.get(i).isMask()) {
                return true;
            }
            if (events.get(i).probe().equals("emulate_wbinvd")) {
                return false;
            }
        }
        return false;
    }

    private String counted(String what, Supplier<String> call, boolean isTraced) {
        long registrations = vm.registrations();
        int count = vm.noncoherentDmaCount();
        ran.clear();
        String answer = call.get();
        if (!ran.isEmpty()) {
            traced.add("TRACE " + what + " wrote back " + ran);
        }
        if (isTraced && (vm.registrations() != registrations || vm.noncoherentDmaCount() != count)) {
            traced.add("TRACE " + what);
        }
        return answer;
    }

    /** Where a test has two vCPUs, each has its CPU. */
    private Vcpu vcpuOn(int cpu) {
        return vcpus.get(vcpus.size() == 1 ? 0 : cpu);
    }

    private void load(Event event, int index) {
        int cpu = event.number(LOAD, 10);
        Vcpu vcpu = vcpuOn(cpu);
        if (vcpu == emulating && isMissing(cpu, index)) {
            secondWindows++;
            vcpu.loadOn(processors.get(cpu));
            end();
        } else {
            end();
            vcpu.loadOn(processors.get(cpu));
        }
    }

    /** Returns whether the kernel's next mask is without a CPU. */
    private boolean isMissing(int cpu, int index) {
        for (Event event : events.subList(index + 1, events.size())) {
            if (event.isMask()) {
                return (event.number(MASK, 16) & 1 << cpu) == 0;
            }
        }
        return false;
    }

    private void begin(int cpu) {
        Vcpu vcpu = vcpuOn(cpu);
        ran.clear();
        vcpu.beginWbinvd();
        emulating = vcpu;
        int bits = 0;
        for (Processor processor : processors) {
            bits |= vcpu.dirtied(processor) ? 1 << processor.id() : 0;
        }
        mask = ran.isEmpty() ? "" : "0x" + Integer.toHexString(bits);
        seen.add(seen(
                name,
                seen.size() + 1,
                vcpu.processor().id(),
                mask,
                ran.stream().map(String::valueOf).toArray(String[]::new)));
    }

    private void end() {
        if (emulating != null) {
            emulating.endWbinvd();
            emulating = null;
        }
    }

    /** Prints in the transcript's order; what is only ours comes last. */
    private void print(String added, String deleted) {
        for (TranscriptLine line : test) {
            String text = normalized(line.text());
            if (text.matches("TRACE (mask=.*|register|unregister)")) {
                lines.add(traced.isEmpty() ? "TRACE nothing" : traced.remove());
            } else if (text.startsWith("SEEN ")) {
                lines.add(seen.isEmpty() ? "SEEN " + name + ": no emulated WBINVD" : seen.remove());
            } else if (text.startsWith("KVM_DEV_VFIO_FILE_ADD ")) {
                lines.add(line.call() + " -> " + added);
            } else if (text.startsWith("KVM_DEV_VFIO_FILE_DEL ")) {
                lines.add(line.call() + " -> " + deleted);
            } else {
                lines.add(text.startsWith("-- ") ? text : "(no answer)");
            }
        }
        lines.addAll(traced);
        lines.addAll(seen);
    }

    /** Returns what is printed here. */
    List<String> lines() {
        return lines;
    }

    /** Returns how often a load between the two steps of a WBINVD explains a mask. */
    int secondWindows() {
        return secondWindows;
    }
}
