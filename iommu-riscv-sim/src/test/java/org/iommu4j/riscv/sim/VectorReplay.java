// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.iommu4j.sim.spi.InvalidationAnswer;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.SourceIdRange;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.Translation.MemoryType;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** Replays the vectors of one file on units, step by step, and collects what differs. */
final class VectorReplay {
    private static final long IGNORED_IOTVAL2 = 0xffc;

    /** The case whose devices answer invalidation requests later; those of all others do at once. */
    private static final String LATE_ANSWERS = "queue-011";

    /** Registers whose values are compared after each step, by the vectors' names. */
    private static final Map<String, int[]> REGISTERS = new LinkedHashMap<>();

    static {
        register("ddtp", 16, 8);
        register("cqb", 24, 8);
        register("cqh", 32, 4);
        register("cqt", 36, 4);
        register("fqb", 40, 8);
        register("fqh", 48, 4);
        register("fqt", 52, 4);
        register("pqb", 56, 8);
        register("pqh", 64, 4);
        register("pqt", 68, 4);
        register("cqcsr", 72, 4);
        register("fqcsr", 76, 4);
        register("pqcsr", 80, 4);
        register("ipsr", 84, 4);
        register("tr_req_iova", 600, 8);
        register("tr_req_ctrl", 608, 8);
        register("tr_response", 616, 8);
    }

    private static void register(String name, int offset, int bytes) {
        REGISTERS.put(name, new int[] {offset, bytes});
    }

    private final String file;

    /** Remarks on steps, by case and step. */
    private final Map<String, Remark> remarks;

    private final Deviations deviations = new Deviations();
    private final List<String> differences = new ArrayList<>();
    private int cases;
    private int steps;
    private int requests;
    private int doubts;
    private int manuals;
    private long lastAnswer;

    // The present case
    private String id = "";
    private int step;
    private boolean doubted;
    private TestMemory memory = new TestMemory();
    private Features features = new Features(spec(0x10 | 40L << 32, Map.of()));
    private RiscvUnit unit = new RiscvUnit(spec(0x10 | 40L << 32, Map.of()), memory);
    private Map<String, Long> registers = new HashMap<>();
    private Map<String, Set<String>> earlier = new HashMap<>();

    /** How many more fault records than the model the unit has written by now, in doubtful steps, and were read. */
    private int extraFaults;

    /** The bits of ipsr that are not the model's since a doubtful step. */
    private long otherInterrupts;

    /** Whether the unit's caches are kept from step to step; then it need not mark an entry again. */
    private final boolean remembering;

    /**
     * Begins a file.
     *
     * @param remembering whether the caches are kept although the vectors are answers with empty ones
     */
    VectorReplay(String file, Map<String, Remark> remarks, boolean remembering) {
        this.file = file;
        this.remembering = remembering;
        this.remarks = remarks;
    }

    List<String> differences() {
        return differences;
    }

    String summary() {
        return String.format(
                Locale.ROOT,
                "%-22s %4d cases, %6d steps, %6d requests; %5d doubtful, %4d of them as the manual,"
                        + " deviations %s, %d differences",
                file,
                cases,
                steps,
                requests,
                doubts,
                manuals,
                deviations.seen(),
                differences.size());
    }

    void line(Json line) {
        if (line.has("id")) {
            begin(line);
        } else {
            step(line);
            step++;
        }
    }

    private static TranslationUnitSpec spec(long capabilities, Map<String, Long> others) {
        Map<String, Long> all = new HashMap<>(others);
        all.put("capabilities", capabilities);
        // A device id has its segment above its requester id.
        List<SourceIdRange> devices = IntStream.range(0, 256)
                .mapToObj(segment -> new SourceIdRange(segment, 0, 0x1_0000, segment << 16))
                .toList();
        return new TranslationUnitSpec("riscv", "iommu0", 0, 0x1000_0000L, RiscvUnit.WINDOW_BYTES, all, devices);
    }

    private void begin(Json line) {
        cases++;
        id = line.text("id");
        step = 0;
        Json impl = line.object("impl");
        long vector = (1L << impl.number("vec_bits")) - 1;
        TranslationUnitSpec spec = spec(
                line.number("caps"),
                Map.of(
                        "fctl", line.number("fctl"),
                        "icvec", vector * 0x1111,
                        "itags", impl.number("itags"),
                        "iommu_qosid", impl.number("qosid_mask")));
        features = new Features(spec);
        memory = new TestMemory();
        if (id.equals(LATE_ANSWERS)) {
            memory.answer = InvalidationAnswer.LATER;
        }
        unit = new RiscvUnit(spec, memory);
        for (long[] word : line.rows("mem")) {
            memory.poke(word[0], word[1]);
        }
        for (long[] write : line.rows("regs")) {
            write((int) write[0], (int) write[1], write[2]);
        }
        registers = new HashMap<>();
        earlier = new HashMap<>();
        extraFaults = 0;
        otherInterrupts = 0;
        noteRegisters();
    }

    private void write(int offset, int bytes, long value) {
        if (bytes == Long.BYTES) {
            unit.writeRegister64(offset, value);
        } else {
            unit.writeRegister32(offset, (int) value);
        }
        settle();
    }

    private void settle() {
        while (unit.step()) {
            // one event after the other
        }
    }

    private long read(int offset, int bytes) {
        return bytes == Long.BYTES ? unit.readRegister64(offset) : Integer.toUnsignedLong(unit.readRegister32(offset));
    }

    private void noteRegisters() {
        REGISTERS.forEach((name, place) -> registers.put(name, read(place[0], place[1])));
    }

    /** Returns an index of the fault queue that the unit has where the model has another. */
    private long shifted(long index) {
        return index + extraFaults & (2L << (unit.readRegister64(40) & 0x1f)) - 1;
    }

    private void writeRegister(Json line) {
        int offset = line.integer("off");
        long value = line.number("v");
        write(offset, line.integer("n"), offset == 48 ? shifted(value) : value);
    }

    /** Takes what the model's registers are after a step. */
    private void follow(Json line) {
        Json changes = line.object("regs");
        for (String name : changes.members().keySet()) {
            long value = changes.number(name);
            registers.put(name, name.equals("fqt") || name.equals("fqh") ? shifted(value) : value);
        }
    }

    /** Goes on with the unit's registers where they are not the model's, after a step that does not count. */
    private void goOn() {
        int extra = (int) (read(52, 4) - registers.get("fqt"));
        if (extra != 0) {
            extraFaults += extra;
            write(48, 4, shifted(read(48, 4) - extraFaults + extra));
        }
        long ipsr = registers.get("ipsr");
        otherInterrupts |= ipsr ^ read(84, 4);
        noteRegisters();
        registers.put("ipsr", ipsr);
    }

    private void step(Json line) {
        steps++;
        Remark remark = remarks.get(id + " " + step);
        doubted = remark != null;
        doubts += doubted ? 1 : 0;
        int before = differences.size();
        memory.forget();
        boolean warm = line.integer("warm") != 0;
        if (!warm && !remembering && !file.startsWith("inval")) {
            unit.caches().reset();
        }
        switch (line.text("op")) {
            case "req" -> {
                requests++;
                request(line, warm);
                if (remark != null && !remark.isOtherwise()) {
                    remark.manualsAnswer().ifPresent(answer -> compareWithManual(answer, line.integer("at")));
                }
            }
            case "mem" -> line.rows("m").forEach(word -> memory.poke(word[0], word[1]));
            case "inj" -> memory.inject(line.list("l"));
            case "rw" -> writeRegister(line);
            case "rr" -> check("register", line.number("v"), read(line.integer("off"), line.integer("n")));
            case "cmd" -> command(line);
            case "pr" -> pageRequest(line);
            case "icc" -> {
                long payload = line.number("payload");
                int count = (int) (payload >>> 32 & 7);
                boolean expected = unit.completeInvalidation(device(line), (int) payload, count == 0 ? 8 : count);
                check("expected", line.integer("unexpected") == 0, expected);
                settle();
            }
            case "ato" -> {
                unit.timeOutInvalidations(line.integer("itags"));
                settle();
            }
            default -> throw new IllegalArgumentException("step of an unknown kind: " + line.text("op"));
        }
        follow(line);
        if (doubted || (warm && !line.text("must").equals("fresh"))) {
            restoreMemory(line);
            goOn();
        } else {
            compareEffects(line);
            restoreMemory(line);
            if (differences.size() > before) {
                goOn();
            }
        }
    }

    private void restoreMemory(Json line) {
        memory.updated.forEach(memory::poke);
        line.rows("mem").forEach(word -> memory.poke(word[0], word[1]));
    }

    // --- requests ---

    private void request(Json line, boolean warm) {
        int device = line.integer("did");
        int process = line.integer("pv") != 0 ? line.integer("pid") : TranslationUnit.NO_PASID;
        long address = line.number("iova");
        int at = line.integer("at");
        boolean reads = line.integer("wr") == 0 || at == 1;
        boolean writes = at == 1 ? line.integer("nw") == 0 : line.integer("wr") != 0;
        int flags = (reads ? RequestFlags.READ : 0)
                | (writes ? RequestFlags.WRITE : 0)
                | (line.integer("exec") != 0 ? RequestFlags.EXECUTE : 0)
                | (line.integer("priv") != 0 ? RequestFlags.PRIVILEGED : 0);
        Request request = unit.lastRequest();
        request.begin(Request.UNTRANSLATED, -1, process, address);
        long answer = switch (at) {
            case 0 -> unit.translate(device, process, address, flags);
            case 1 -> unit.requestTranslation(device, process, address, flags);
            default -> unit.passTranslated(device, process, address, flags);
        };
        lastAnswer = answer;
        if (request.device != device) {
            // A cached page, for which the unit makes no request.
            request.translated = Translation.address(answer);
            request.memoryType = Translation.memoryType(answer) == MemoryType.NON_CACHEABLE
                    ? 1
                    : Translation.memoryType(answer) == MemoryType.DEVICE ? 2 : 0;
        }
        if (warm) {
            String got = describe(request);
            String fresh = describe(line.object("fresh"));
            String key = device + " " + process + " " + address + " " + at + " " + flags;
            Set<String> before = earlier.computeIfAbsent(key, k -> new HashSet<>());
            if (!got.equals(fresh) && (line.text("must").equals("fresh") || !before.contains(got))) {
                differ("got " + got + ", fresh is " + fresh + ", before " + before);
            }
            before.add(got);
            return;
        }
        settle();
        Json expected = line.object("o");
        doubted |= deviations.explain(expected, request, features, memory, (unit.readRegister32(8) & 1) != 0);
        if (at == 1) {
            compareTranslation(expected, request, answer);
        } else {
            compareAnswer(expected, request, answer);
        }
    }

    /** Compares the last request's answer with what the manual wants. */
    private void compareWithManual(Json expected, int at) {
        doubted = false;
        if (at == 1) {
            compareTranslation(expected, unit.lastRequest(), lastAnswer);
        } else {
            compareAnswer(expected, unit.lastRequest(), lastAnswer);
        }
        manuals++;
        doubted = true;
    }

    private static String describe(Request request) {
        return request.cause != 0
                ? "cause " + request.cause
                : request.isForMrif() ? "mrif " + Long.toHexString(request.mrif) : Long.toHexString(request.translated);
    }

    private static String describe(Json expected) {
        return expected.has("cause")
                ? "cause " + expected.number("cause")
                : expected.has("mrif")
                        ? "mrif " + Long.toHexString(expected.number("mrif"))
                        : Long.toHexString(expected.number("pa"));
    }

    private void compareAnswer(Json expected, Request request, long answer) {
        check("cause", expected.number("cause"), request.cause);
        check("refused", !expected.text("st").equals("ok") && request.cause != 0, request.cause != 0);
        checkGuestAddress(expected.number("iotval2"), request.iotval2);
        if (request.cause == 0 && !expected.has("cause")) {
            compareTarget(expected, request);
            if (!request.isForMrif()) {
                check("translation", expected.number("pa"), Translation.address(answer));
            }
        }
    }

    private void compareTarget(Json expected, Request request) {
        check("kind of MSI", expected.number("msi"), !request.msi ? 0 : !request.isForMrif() ? 1 : 2);
        if (request.isForMrif()) {
            check("MRIF", expected.number("mrif"), request.mrif);
            check("NID", expected.number("nid"), MrifNotice.id(request.notice));
            check("notice", expected.number("notice"), MrifNotice.address(request.notice));
        } else {
            check("address", expected.number("pa"), request.translated);
            check("memory type", expected.number("pbmt"), request.memoryType);
        }
    }

    private void compareTranslation(Json expected, Request request, long answer) {
        String status = request.cause == 0 || Cause.isAnswerWithoutRights(request.cause)
                ? "ok"
                : Cause.isUnsupportedRequest(request.cause) ? "ur" : "ca";
        check("status", expected.text("st"), status);
        if (!status.equals("ok")) {
            check("cause", expected.number("cause"), request.cause);
            check("answer", Translation.fault(request.cause), answer);
            return;
        }
        boolean nothing = request.cause != 0;
        check("R", expected.number("R") != 0, !nothing && (request.granted & Pte.R) != 0);
        check("W", expected.number("W") != 0, !nothing && (request.granted & Pte.W) != 0);
        boolean executes = !nothing && (request.granted & request.wanted & Pte.X) != 0;
        check("X", expected.number("X") != 0, executes && (request.granted & Pte.R) != 0);
        if (nothing || expected.number("R") + expected.number("W") == 0) {
            check("answer", TranslationUnit.NOT_TRANSLATED, answer);
            return;
        }
        compareTarget(expected, request);
        check("U", expected.number("U") != 0, request.isForMrif());
        check("global", expected.number("G") != 0, request.global && request.hasProcess() && !request.msi);
        boolean napot = expected.number("sz") == 1L << 12 && request.shift == 16;
        if (!request.isForMrif() && expected.has("tppn") && !expected.has("sz_impl") && !napot) {
            check("size", expected.number("sz"), 1L << request.shift);
        }
    }

    private void checkGuestAddress(long expected, long actual) {
        check("iotval2", expected & ~IGNORED_IOTVAL2, actual & ~IGNORED_IOTVAL2);
    }

    // --- commands and messages ---

    private void command(Json line) {
        long tail = unit.readRegister32(36);
        long base = unit.readRegister64(24);
        long at = (base >>> 10 << 12) + tail * Command.BYTES;
        boolean bigEndian = (unit.readRegister32(8) & 1) != 0;
        // A doubtful command, which the model completed and the manual does not, would hold up the next ones.
        long low = doubted ? Command.IOFENCE_C : line.number("lo");
        long high = doubted ? 0 : line.number("hi");
        memory.poke(at, bigEndian ? Long.reverseBytes(low) : low);
        memory.poke(at + 8, bigEndian ? Long.reverseBytes(high) : high);
        write(36, 4, tail + 1 & (2L << (base & 0x1f)) - 1);
    }

    private static int device(Json message) {
        return message.integer("rid") | (message.integer("dsv") != 0 ? message.integer("dseg") << 16 : 0);
    }

    private void pageRequest(Json line) {
        long payload = line.number("payload");
        int flags = ((payload & 1) != 0 ? RequestFlags.READ : 0)
                | ((payload & 2) != 0 ? RequestFlags.WRITE : 0)
                | ((payload & 4) != 0 ? RequestFlags.LAST : 0)
                | (line.integer("priv") != 0 ? RequestFlags.PRIVILEGED : 0)
                | (line.integer("exec") != 0 ? RequestFlags.EXECUTE : 0);
        int process = line.integer("pv") != 0 ? line.integer("pid") : TranslationUnit.NO_PASID;
        unit.requestPage(device(line), process, payload & -4096, flags, (int) (payload >>> 3 & 0x1ff));
        settle();
    }

    private static String message(Json message) {
        String to = Integer.toHexString(device(message)) + " "
                + (message.integer("pv") != 0 ? message.integer("pid") : TranslationUnit.NO_PASID) + " ";
        long payload = message.number("payload");
        if (message.integer("code") == 5) {
            return "respond " + to + (payload >>> 32 & 0x1ff) + " " + (payload >>> 44 & 0xf);
        }
        long size = (payload & 0x800) != 0 ? 2L << Long.numberOfTrailingZeros(~(payload | 0xfff)) : 4096;
        return "invalidate " + to + ((payload & 1) != 0 && message.integer("pv") != 0 ? "all " : "")
                + Long.toHexString(payload & -size) + " " + Long.toHexString(size) + " tag "
                + message.integer("tag");
    }

    // --- effects ---

    private void compareEffects(Json line) {
        boolean sameInterrupts = otherInterrupts == 0; // else a message was sent before
        for (Map.Entry<String, int[]> register : REGISTERS.entrySet()) {
            long expected = registers.getOrDefault(register.getKey(), 0L);
            long actual = read(register.getValue()[0], register.getValue()[1]);
            if (register.getKey().equals("ipsr")) {
                otherInterrupts &= expected ^ actual;
                actual ^= otherInterrupts;
            }
            check(register.getKey(), expected, actual);
        }
        List<String> stores = new ArrayList<>();
        for (long[] store : line.rows("w4")) {
            stores.add(Long.toHexString(store[0]) + "=" + Integer.toHexString((int) store[1]));
        }
        if (sameInterrupts) {
            check("stores of 4 bytes", stores, memory.stored32);
        }
        List<String> messages = new ArrayList<>();
        line.list("msg").forEach(message -> messages.add(message((Json) message)));
        check("messages", messages, memory.messages);
        if (!line.text("op").equals("rw")) {
            compareRecords("fault records", line.rows("fq"), 40, 4);
            compareRecords("page requests", line.rows("pq"), 56, 2);
        }
        compareMarks(line);
    }

    private void compareRecords(String what, List<long[]> expected, int baseOffset, int words) {
        long base = unit.readRegister64(baseOffset) >>> 10 << 12;
        long bytes = (2L << (unit.readRegister64(baseOffset) & 0x1f)) * words * Long.BYTES;
        boolean bigEndian = (unit.readRegister32(8) & 1) != 0;
        List<String> actual = new ArrayList<>();
        for (long at : memory.stored) {
            if (at >= base && at < base + bytes && (at - base) % (words * 8L) == 0) {
                long[] record = new long[words];
                for (int i = 0; i < words; i++) {
                    record[i] = memory.peek(at + i * 8L);
                }
                actual.add(text(record, bigEndian));
            }
        }
        check(what, expected.stream().map(record -> text(record, bigEndian)).toList(), actual);
    }

    private static String text(long[] record, boolean bigEndian) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < record.length; i++) {
            long word = bigEndian ? Long.reverseBytes(record[i]) : record[i];
            text.append(Long.toHexString(i == 3 ? word & ~IGNORED_IOTVAL2 : word))
                    .append(' ');
        }
        return text.toString();
    }

    /** Compares accessed and dirty bits: those that were set, unless the request was refused after some. */
    private void compareMarks(Json line) {
        Map<Long, Long> expected = new HashMap<>();
        Set<Long> optional = new HashSet<>();
        for (long[] word : line.rows("mem")) {
            expected.put(word[0], word[1]);
            if (word.length > 2 && word[2] == 1) {
                optional.add(word[0]);
            }
        }
        boolean refused = remembering || line.object("o").has("cause");
        for (Map.Entry<Long, Long> update : memory.updated.entrySet()) {
            long now = memory.peek(update.getKey());
            if (!optional.contains(update.getKey()) && !(refused && !expected.containsKey(update.getKey()))) {
                check(
                        "word at " + Long.toHexString(update.getKey()),
                        (long) expected.getOrDefault(update.getKey(), update.getValue()),
                        now);
            }
        }
        if (!refused) {
            for (long address : expected.keySet()) {
                if (!optional.contains(address) && !memory.updated.containsKey(address)) {
                    differ("word at " + Long.toHexString(address) + " was not changed");
                }
            }
        }
    }

    private void check(String what, long expected, long actual) {
        if (expected != actual) {
            differ(what + ": got " + Long.toHexString(actual) + ", expected " + Long.toHexString(expected));
        }
    }

    private void check(String what, Object expected, Object actual) {
        if (!expected.equals(actual)) {
            differ(what + ": got " + actual + ", expected " + expected);
        }
    }

    private void differ(String text) {
        if (!doubted) {
            differences.add(id + " step " + step + ": " + text);
        }
    }
}
