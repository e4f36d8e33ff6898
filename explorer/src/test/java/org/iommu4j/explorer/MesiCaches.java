// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.ArrayList;
import java.util.List;

/**
 * Caches of the MESI protocol over some lines of memory: loads, stores, evictions, write-backs and WBINVDs of
 * processors, snooped and no-snoop writes of a device, and a flush of a line everywhere.
 *
 * <p>The state is one word, which is its own fingerprint, or two. A line takes, from its lowest bit: for each processor
 * its state (2 bits) and its copy of the value, then the value in memory.
 */
public final class MesiCaches implements TransitionSystem {
    private static final int INVALID = 0;
    private static final int SHARED = 1;
    private static final int EXCLUSIVE = 2;
    private static final int MODIFIED = 3;

    private enum Kind {
        LOAD,
        STORE,
        EVICT,
        WRITE_BACK,
        SNOOPED_WRITE,
        NO_SNOOP_WRITE,
        FLUSH,
        WBINVD
    }

    private final int cpus;
    private final int lines;
    private final int values;
    private final int valueBits;
    private final int copyBits;
    private final int lineBits;
    private final long lineMask;
    private final long copyMask;
    private final int valueMask;
    private final int linesOfWord;
    /** What a line says of all processors. */
    private final long copies;

    private final Kind[] kind;
    private final byte[] cpu;
    private final byte[] line;
    private final byte[] value;
    private final int firstOfLines;
    private final int actionsOfCopy;
    private final int actionsOfLine;

    private long low;
    private long high;

    /**
     * Makes caches that are empty, and memory of zeros.
     *
     * @param cpus how many processors have a cache, 1 or more
     * @param lines how many lines there are, 1 or more
     * @param values how many values a line can have, 1 or more
     */
    public MesiCaches(int cpus, int lines, int values) {
        this.cpus = cpus;
        this.lines = lines;
        this.values = values;
        valueBits = Integer.SIZE - Integer.numberOfLeadingZeros(values - 1);
        copyBits = 2 + valueBits;
        lineBits = cpus * copyBits + valueBits;
        linesOfWord = Long.SIZE / lineBits;
        if (lines > 2 * linesOfWord) {
            throw new IllegalArgumentException("does not fit two words");
        }
        lineMask = -1L >>> (Long.SIZE - lineBits);
        copyMask = (1L << copyBits) - 1;
        valueMask = (1 << valueBits) - 1;
        copies = (1L << (cpus * copyBits)) - 1;
        List<Kind> kinds = new ArrayList<>();
        List<int[]> operands = new ArrayList<>();
        for (int c = 0; c < cpus; c++) {
            for (int l = 0; l < lines; l++) {
                kinds.add(Kind.LOAD);
                operands.add(new int[] {c, l, 0});
                for (int v = 0; v < values; v++) {
                    kinds.add(Kind.STORE);
                    operands.add(new int[] {c, l, v});
                }
                kinds.add(Kind.EVICT);
                operands.add(new int[] {c, l, 0});
                kinds.add(Kind.WRITE_BACK);
                operands.add(new int[] {c, l, 0});
            }
        }
        actionsOfCopy = 3 + values;
        firstOfLines = kinds.size();
        for (int l = 0; l < lines; l++) {
            for (int v = 0; v < values; v++) {
                kinds.add(Kind.SNOOPED_WRITE);
                operands.add(new int[] {0, l, v});
                kinds.add(Kind.NO_SNOOP_WRITE);
                operands.add(new int[] {0, l, v});
            }
            kinds.add(Kind.FLUSH);
            operands.add(new int[] {0, l, 0});
        }
        actionsOfLine = kinds.size() - firstOfLines;
        for (int c = 0; c < cpus; c++) {
            kinds.add(Kind.WBINVD);
            operands.add(new int[] {c, 0, 0});
        }
        kind = kinds.toArray(Kind[]::new);
        cpu = new byte[kind.length];
        line = new byte[kind.length];
        value = new byte[kind.length];
        for (int i = 0; i < kind.length; i++) {
            cpu[i] = (byte) operands.get(i)[0];
            line[i] = (byte) operands.get(i)[1];
            value[i] = (byte) operands.get(i)[2];
        }
    }

    @Override
    public int words() {
        return lines > linesOfWord ? 2 : 1;
    }

    @Override
    public int actions() {
        return kind.length;
    }

    @Override
    public List<Property> properties() {
        return List.of(new Property("one writer or readers", this::hasOneWriterOrReaders));
    }

    @Override
    public void reset() {
        low = 0;
        high = 0;
    }

    @Override
    public int enabled(int[] into) {
        int count = 0;
        int action = 0;
        for (int c = 0; c < cpus; c++) {
            for (int l = 0; l < lines; l++) {
                int copy = stateOf(get(l), c);
                if (copy == INVALID) {
                    into[count++] = action;
                }
                for (int v = 1; v <= values; v++) {
                    into[count++] = action + v;
                }
                if (copy != INVALID) {
                    into[count++] = action + values + 1;
                }
                if (copy == MODIFIED) {
                    into[count++] = action + values + 2;
                }
                action += actionsOfCopy;
            }
        }
        for (int i = 0; i < actionsOfLine + cpus; i++) {
            into[count++] = firstOfLines + i;
        }
        return count;
    }

    @Override
    public void apply(int action) {
        int c = cpu[action];
        if (kind[action] == Kind.WBINVD) {
            for (int l = 0; l < lines; l++) {
                put(l, withoutCopy(get(l), c));
            }
            return;
        }
        int l = line[action];
        put(l, after(get(l), kind[action], c, value[action]));
    }

    /** Returns what a line becomes. */
    private long after(long old, Kind what, int c, int v) {
        return switch (what) {
            case LOAD -> loaded(old, c);
            case STORE -> withCopy(old & ~copies, c, MODIFIED, v);
            case EVICT, WBINVD -> withoutCopy(old, c);
            case WRITE_BACK -> withCopy(withMemory(old, valueOf(old, c)), c, SHARED, valueOf(old, c));
            case SNOOPED_WRITE -> withMemory(0, v);
            case NO_SNOOP_WRITE -> withMemory(old, v);
            case FLUSH -> flushed(old);
        };
    }

    private long loaded(long old, int c) {
        long result = old;
        for (int d = 0; d < cpus; d++) {
            int other = stateOf(old, d);
            if (d != c && other != INVALID) {
                if (other == MODIFIED) {
                    result = withMemory(result, valueOf(old, d));
                }
                for (int e = 0; e < cpus; e++) {
                    if (e != c && stateOf(old, e) != INVALID) {
                        result = withCopy(result, e, SHARED, valueOf(old, e));
                    }
                }
                return withCopy(result, c, SHARED, valueOf(old, d));
            }
        }
        return withCopy(old, c, EXCLUSIVE, (int) (old >>> (cpus * copyBits)));
    }

    private long flushed(long old) {
        long result = old;
        for (int d = 0; d < cpus; d++) {
            if (stateOf(old, d) == MODIFIED) {
                result = withMemory(result, valueOf(old, d));
            }
        }
        return result & ~copies;
    }

    private long withoutCopy(long old, int c) {
        long result = stateOf(old, c) == MODIFIED ? withMemory(old, valueOf(old, c)) : old;
        return result & ~(copyMask << (c * copyBits));
    }

    private long get(int l) {
        return (l < linesOfWord ? low >>> (l * lineBits) : high >>> ((l - linesOfWord) * lineBits)) & lineMask;
    }

    private void put(int l, long to) {
        if (l < linesOfWord) {
            low = (low & ~(lineMask << (l * lineBits))) | (to << (l * lineBits));
        } else {
            int shift = (l - linesOfWord) * lineBits;
            high = (high & ~(lineMask << shift)) | (to << shift);
        }
    }

    private int stateOf(long of, int c) {
        return (int) (of >>> (c * copyBits)) & 3;
    }

    private int valueOf(long of, int c) {
        return (int) (of >>> (c * copyBits + 2)) & valueMask;
    }

    private long withCopy(long of, int c, int itsState, int v) {
        return (of & ~(copyMask << (c * copyBits))) | ((itsState | ((long) v << 2)) << (c * copyBits));
    }

    private long withMemory(long of, int v) {
        return (of & copies) | ((long) v << (cpus * copyBits));
    }

    private boolean hasOneWriterOrReaders() {
        for (int l = 0; l < lines; l++) {
            long of = get(l);
            int owners = 0;
            int holders = 0;
            for (int c = 0; c < cpus; c++) {
                owners += stateOf(of, c) >= EXCLUSIVE ? 1 : 0;
                holders += stateOf(of, c) != INVALID ? 1 : 0;
            }
            if (owners > 0 && holders > 1) {
                return false;
            }
        }
        return true;
    }

    @Override
    public long fingerprint() {
        return lines > linesOfWord ? low * 0x9E3779B97F4A7C15L ^ Worker.mix(high) : low;
    }

    @Override
    public boolean isFingerprintExact() {
        return lines <= linesOfWord;
    }

    @Override
    public void save(long[] into, int at) {
        into[at] = low;
        if (lines > linesOfWord) {
            into[at + 1] = high;
        }
    }

    @Override
    public void restore(long[] from, int at) {
        low = from[at];
        if (lines > linesOfWord) {
            high = from[at + 1];
        }
    }

    @Override
    public String describe(int action) {
        String where = "line " + line[action];
        String who = "CPU " + cpu[action];
        return switch (kind[action]) {
            case LOAD -> who + " loads " + where;
            case STORE -> who + " stores " + value[action] + " to " + where;
            case EVICT -> who + " evicts " + where;
            case WRITE_BACK -> who + " writes " + where + " back";
            case SNOOPED_WRITE -> "a device writes " + value[action] + " to " + where;
            case NO_SNOOP_WRITE -> "a device writes " + value[action] + " to " + where + ", no-snoop";
            case FLUSH -> where + " is flushed";
            case WBINVD -> who + " executes WBINVD";
        };
    }
}
