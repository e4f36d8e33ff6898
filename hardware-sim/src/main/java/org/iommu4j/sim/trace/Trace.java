// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.trace;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.iommu4j.platform.MemoryType;

/**
 * Records the events of a machine, in order, by columns. Initially off; while it is off it costs one comparison.
 *
 * <p>An event's number, from 0, is its time. Replaying {@link TraceKind#STORE}, {@link TraceKind#DMA_WRITE} and {@link
 * TraceKind#UNIT_WRITE} into a flat memory (without those that have {@link #FAULT}) gives the values that every {@link
 * TraceKind#LOAD}, {@link TraceKind#DMA_READ} and {@link TraceKind#UNIT_READ} should have seen. Values are whole 64-bit
 * words, or 32-bit ones at an address aligned to 4 with {@link #HALF}. Recording must be on from the first write whose
 * value matters.
 *
 * <p>Not thread-safe: a trace belongs to a machine with caches and its one thread.
 */
public final class Trace {
    /** Event flag: the device requested no-snoop. */
    public static final int NO_SNOOP_REQUESTED = 1;

    /** Event flag: the request carried no-snoop. */
    public static final int NO_SNOOP_SENT = 2;

    /** Event flag: the request carried no-snoop and the translation unit turned it into a snooped one. */
    public static final int NO_SNOOP_BLOCKED = 4;

    /** Event flag: the access went past the caches. */
    public static final int UNSNOOPED = 8;

    /** Event flag: the request was refused, went outside memory or read poison; nothing was read or written. */
    public static final int FAULT = 16;

    /** Event flag: 4 bytes instead of 8. */
    public static final int HALF = 32;

    /** Event flag: memory type UC, or UC-. */
    public static final int UNCACHEABLE = 64;

    /** Event flag: the cache held the line as modified. */
    public static final int DIRTY = 128;

    /** Event flag: an explicit event, and not the consequence of an access. */
    public static final int EXPLICIT = 256;

    /**
     * Event flag: a CPU's access to memory that its guest had mapped UC, UC- or WC, whatever type the access had.
     */
    public static final int UC_WISHED = 512;

    /** Event flag: a register access of 2 bytes instead of 8. */
    public static final int QUARTER = 1024;

    /** Event flag: a register access of 1 byte instead of 8. */
    public static final int BYTE = 2048;

    /** Event flag: memory type WC. */
    public static final int WRITE_COMBINING = 4096;

    /** Event flag: memory type WT. */
    public static final int WRITE_THROUGH = 8192;

    /** Event flag: memory type WP. */
    public static final int WRITE_PROTECTED = 16384;

    private static final int LINE_WORDS = 8;
    private static final int EVENTS = 1 << 10;
    private static final int WORDS = 1 << 12;
    private static final String[] FLAG_NAMES = {
        "no-snoop requested",
        "no-snoop sent",
        "no-snoop blocked",
        "unsnooped",
        "refused",
        "4 bytes",
        "UC",
        "dirty",
        "explicit",
        "UC wished",
        "2 bytes",
        "1 byte",
        "WC",
        "WT",
        "WP"
    };

    private boolean on;
    private String label = "";
    /** Names of CPUs by number, made once: most events are theirs. */
    private final List<String> cpuNames = new ArrayList<>();

    private int wish;
    private int size;
    /** The events, {@value #EVENTS} in each; more than there are events only after {@link #clear}. */
    private final List<Columns> columns = new ArrayList<>();
    /** The words of lines, {@value #WORDS} in each. */
    private final List<long[]> lines = new ArrayList<>();

    private int lineWords;
    private final List<String> texts = new ArrayList<>();

    /** The columns of some successive events, so that a long trace grows without being copied. */
    private static final class Columns {
        final TraceKind[] kinds = new TraceKind[EVENTS];
        final String[] whos = new String[EVENTS];
        final int[] sources = new int[EVENTS];
        final long[] addresses = new long[EVENTS];
        final long[] iovas = new long[EVENTS];

        /** Values; for a line where its words begin, for a remark the number of its text. */
        final long[] values = new long[EVENTS];

        final int[] flags = new int[EVENTS];
        final int[] faults = new int[EVENTS];
    }

    /** Makes a trace that is off and empty. */
    public Trace() {}

    /** Returns whether events are recorded. */
    public boolean isOn() {
        return on;
    }

    /** Starts recording, after the existing events. */
    public void start() {
        on = true;
    }

    /** Stops recording and keeps the events. */
    public void stop() {
        on = false;
    }

    /** Removes all events and the label; recording stays on or off. */
    public void clear() {
        size = 0;
        lineWords = 0;
        texts.clear();
        initiator("");
    }

    /**
     * Sets the name under which the CPUs work from now on, with memory mapped write-back.
     *
     * @param newLabel for example {@code vcpu0}; empty for {@code cpuN} again
     */
    public void initiator(String newLabel) {
        initiator(newLabel, MemoryType.WB);
    }

    /**
     * Sets the name under which the CPUs work from now on, and the memory type that the guest requests for its
     * accesses.
     *
     * @param newLabel for example {@code vcpu0}; empty for {@code cpuN} again
     * @param wished the type in the guest's own tables (PAT); a host may give its accesses another type
     */
    public void initiator(String newLabel, MemoryType wished) {
        Objects.requireNonNull(newLabel, "newLabel");
        Objects.requireNonNull(wished, "wished");
        label = newLabel;
        wish = wished == MemoryType.UC || wished == MemoryType.UC_MINUS || wished == MemoryType.WC ? UC_WISHED : 0;
    }

    /** Records a remark, if on. */
    public void note(String text) {
        note(text, -1L);
    }

    /**
     * Records a remark about memory, if on.
     *
     * @param physicalAddress where that memory begins, -1 when the remark is about none
     */
    public void note(String text, long physicalAddress) {
        Objects.requireNonNull(text, "text");
        if (on) {
            append(TraceKind.NOTE, label, -1, physicalAddress, -1L, texts.size(), 0, 0);
            texts.add(text);
        }
    }

    /** Records, if on, that the labelled guest executes WBINVD, whatever its effect. */
    public void guestWbinvd() {
        if (on) {
            append(TraceKind.GUEST_WBINVD, label, -1, -1L, -1L, 0, 0, 0);
        }
    }

    /** Records a CPU's event. Silicon calls this while the trace is on. */
    public void cpu(TraceKind kind, int cpu, long physicalAddress, long value, int eventFlags) {
        Objects.requireNonNull(kind, "kind");
        int wished = kind == TraceKind.LOAD || kind == TraceKind.STORE ? wish : 0;
        append(kind, label.isEmpty() ? cpuName(cpu) : label, cpu, physicalAddress, -1L, value, eventFlags | wished, 0);
    }

    private String cpuName(int cpu) {
        while (cpuNames.size() <= cpu) {
            cpuNames.add("cpu" + cpuNames.size());
        }
        return cpuNames.get(cpu);
    }

    /**
     * Records a device's request.
     *
     * @param name of the device: its PCI address, or firmware's name
     * @param source segment 31:16 and requester id 15:0 of the device itself; -1 when it is not on PCI
     * @param physicalAddress its destination, -1 when it was refused
     * @param fault the unit's fault code, 0 when there is none
     */
    public void dma(
            TraceKind kind,
            String name,
            int source,
            long iova,
            long physicalAddress,
            long value,
            int eventFlags,
            int fault) {
        Objects.requireNonNull(kind, "kind");
        Objects.requireNonNull(name, "name");
        append(kind, name, source, physicalAddress, iova, value, eventFlags, fault);
    }

    /**
     * Records an event of a translation unit, or an access to its registers.
     *
     * @param unit its name
     * @param address a physical address, of memory or of a register; a source id for an answer to its device
     */
    public void unit(TraceKind kind, String unit, long address, long value, int eventFlags) {
        Objects.requireNonNull(kind, "kind");
        Objects.requireNonNull(unit, "unit");
        append(kind, unit, -1, address, -1L, value, eventFlags, 0);
    }

    /**
     * Records an event of a line.
     *
     * @param cache the name of the cache, or of a CPU's write-combining buffers
     * @param cpu number of the CPU that it is private to, -1 for the shared cache
     * @param data the array that holds the line's 8 words
     * @param from the index of the first
     */
    public void line(TraceKind kind, String cache, int cpu, long lineAddress, long[] data, int from, int eventFlags) {
        Objects.requireNonNull(kind, "kind");
        Objects.requireNonNull(cache, "cache");
        Objects.requireNonNull(data, "data");
        int chunk = lineWords / WORDS;
        if (chunk == lines.size()) {
            lines.add(new long[WORDS]);
        }
        System.arraycopy(data, from, lines.get(chunk), lineWords % WORDS, LINE_WORDS);
        append(kind, cache, cpu, lineAddress, -1L, lineWords, eventFlags, 0);
        lineWords += LINE_WORDS;
    }

    private void append(
            TraceKind kind, String who, int source, long address, long iova, long value, int eventFlags, int fault) {
        int chunk = size / EVENTS;
        if (chunk == columns.size()) {
            columns.add(new Columns());
        }
        Columns into = columns.get(chunk);
        int at = size % EVENTS;
        into.kinds[at] = kind;
        into.whos[at] = who;
        into.sources[at] = source;
        into.addresses[at] = address;
        into.iovas[at] = iova;
        into.values[at] = value;
        into.flags[at] = eventFlags;
        into.faults[at] = fault;
        size++;
    }

    /** Returns the number of events. */
    public int size() {
        return size;
    }

    /** Returns the kind of an event. */
    public TraceKind kind(int event) {
        return of(event).kinds[event % EVENTS];
    }

    /** Returns the initiator: {@code cpu0} or its label, a device's address or name, a unit's or a cache's name. */
    public String who(int event) {
        return of(event).whos[event % EVENTS];
    }

    /** Returns the CPU's number, or a device's segment 31:16 and requester id 15:0, or -1. */
    public int source(int event) {
        return of(event).sources[event % EVENTS];
    }

    /** Returns the physical address, -1 when there is none. */
    public long address(int event) {
        return of(event).addresses[event % EVENTS];
    }

    /** Returns the untranslated address of a device's request, -1 for other events. */
    public long iova(int event) {
        return of(event).iovas[event % EVENTS];
    }

    /** Returns the value read or written; for a line its first word. */
    public long value(int event) {
        return switch (kind(event)) {
            case FILL, EVICT, INVALIDATE, WRITE_BACK, DRAIN -> lineWord(event, 0);
            case NOTE -> 0;
            default -> of(event).values[event % EVENTS];
        };
    }

    /**
     * Returns a word of the line that was filled, evicted, invalidated, written back or drained.
     *
     * @param word 0 to 7
     */
    public long lineWord(int event, int word) {
        if (!isLine(event) || word < 0 || word >= LINE_WORDS) {
            throw new IndexOutOfBoundsException("event " + event + " " + kind(event) + " has no line word " + word);
        }
        int at = (int) of(event).values[event % EVENTS] + word;
        return lines.get(at / WORDS)[at % WORDS];
    }

    /** Returns the flags. */
    public int flags(int event) {
        return of(event).flags[event % EVENTS];
    }

    /** Returns whether an event has a flag. */
    public boolean has(int event, int flag) {
        return (of(event).flags[event % EVENTS] & flag) != 0;
    }

    /** Returns the unit's fault code, 0 when there is none. */
    public int fault(int event) {
        return of(event).faults[event % EVENTS];
    }

    /** Returns a remark's text, empty for other events. */
    public String text(int event) {
        return kind(event) == TraceKind.NOTE ? texts.get((int) of(event).values[event % EVENTS]) : "";
    }

    /** Returns an event in words, for readers and messages. */
    public String describe(int event) {
        TraceKind kind = kind(event);
        StringBuilder words = new StringBuilder();
        words.append(event).append(' ').append(who(event)).append(' ').append(kind);
        if (kind == TraceKind.NOTE) {
            return words.append(' ').append(text(event)).toString();
        }
        if (iova(event) != -1) {
            words.append(" iova 0x").append(Long.toHexString(iova(event)));
        }
        if (address(event) != -1) {
            words.append(" at 0x").append(Long.toHexString(address(event)));
        }
        if (!isInstruction(kind)) {
            words.append(" value 0x").append(Long.toHexString(value(event)));
        }
        for (int bit = 0; bit < FLAG_NAMES.length; bit++) {
            if (has(event, 1 << bit)) {
                words.append(", ").append(FLAG_NAMES[bit]);
            }
        }
        if (fault(event) != 0) {
            words.append(", fault 0x").append(Integer.toHexString(fault(event)));
        }
        return words.toString();
    }

    /** Returns whether it moves a line, whose words {@link #lineWord} has. */
    public boolean isLine(int event) {
        return switch (kind(event)) {
            case FILL, EVICT, INVALIDATE, WRITE_BACK, DRAIN -> true;
            default -> false;
        };
    }

    /** Returns whether it is an instruction that controls caches or order, without a value. */
    private static boolean isInstruction(TraceKind kind) {
        return switch (kind) {
            case CLFLUSH, CLFLUSHOPT, CLWB, WBINVD, WBNOINVD, INVD, GUEST_WBINVD, SFENCE, MFENCE -> true;
            default -> false;
        };
    }

    private Columns of(int event) {
        if (event < 0 || event >= size) {
            throw new IndexOutOfBoundsException("event " + event + " of " + size);
        }
        return columns.get(event / EVENTS);
    }
}
