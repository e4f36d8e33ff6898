// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.iommu4j.it.kernel.VfioCall.Kind;

/**
 * A sequence in the making, and random numbers for its calls, all of one generator: mostly around few functions and
 * addresses, so that the calls meet; now and then any.
 */
final class SequenceDraft {
    static final long PAGE = 4096;
    static final long LARGE = 2L << 20;
    private static final long[] ODD_LENGTHS = {0, 8, 0x800, 0x1800, LARGE, 1 << 30, 1L << 39, -PAGE, -1};
    private static final long[] ODD_ADDRESSES = {0, PAGE, (1L << 47) - PAGE, 1L << 47, 0xffff888000000000L, -PAGE};

    private final Random random;
    private final int functions;
    private final int functionsForDma;
    private final long[] oddIovas;
    private final List<VfioCall> calls = new ArrayList<>();

    /** A mapping that was asked for. */
    record Range(long iova, long length) {}

    private final List<Range> mapped = new ArrayList<>();
    private int main;

    /**
     * Makes an empty sequence.
     *
     * @param functions how many functions the agent has
     * @param functionsForDma how many of them, from the first on, do DMA
     * @param oddIovas addresses that are seldom used
     */
    SequenceDraft(Random random, int functions, int functionsForDma, long... oddIovas) {
        this.random = random;
        this.functions = functions;
        this.functionsForDma = functionsForDma;
        this.oddIovas = oddIovas;
    }

    /** Forgets all calls, and chooses the function that most of the next ones are about. */
    void clear() {
        calls.clear();
        mapped.clear();
        main = random.nextInt(functions);
    }

    /** Returns the calls so far. */
    List<VfioCall> calls() {
        return calls;
    }

    /** Adds a call. */
    void add(Kind kind, long... arguments) {
        calls.add(VfioCall.of(kind, arguments));
    }

    /** Adds a call that reads and writes memory, unless the function that is chosen may not. */
    void addDma() {
        int function = function();
        if (function < functionsForDma) {
            add(Kind.DMA, function, dmaAddress(), dmaAddress());
        }
    }

    // ---- numbers ---------------------------------------------------------------------------------------------------

    /** Returns true in as many of 100 cases. */
    boolean chance(int percent) {
        return random.nextInt(100) < percent;
    }

    /** Returns true as often as false. */
    boolean coin() {
        return random.nextBoolean();
    }

    /** Returns a number from 0 up to below a bound. */
    int below(int bound) {
        return random.nextInt(bound);
    }

    /** Returns one of some numbers. */
    long oneOf(long... numbers) {
        return numbers[random.nextInt(numbers.length)];
    }

    /** Returns 0 mostly, else a number below a bound. */
    int rarely(int bound) {
        return chance(90) ? 0 : random.nextInt(bound);
    }

    // ---- functions and addresses -----------------------------------------------------------------------------------

    /** Returns the function that the sequence is about. */
    int mainFunction() {
        return main;
    }

    /** Returns a function, the main one more often than others. */
    int function() {
        return chance(75) ? main : random.nextInt(functions);
    }

    /** Returns an area of memory, the first one mostly. */
    long area() {
        int of100 = random.nextInt(100);
        return of100 < 80 ? 0 : of100 < 85 ? 1 : of100 < 90 ? 2 : of100 < 97 ? 3 : VfioCall.ABSOLUTE;
    }

    /** Returns an offset into an area. */
    long offset() {
        if (calls.isEmpty() || chance(95)) {
            return random.nextInt(20) * PAGE;
        }
        return chance(50) ? random.nextInt(512) * 8L : oneOf(ODD_ADDRESSES);
    }

    /** Returns an address in a device's address space. */
    long iova() {
        return chance(93) ? 0x100000 + random.nextInt(16) * PAGE : oneOf(oddIovas);
    }

    /** Returns a length, of few pages mostly. */
    long length() {
        return chance(93) ? (1 + random.nextInt(6)) * PAGE : oneOf(ODD_LENGTHS);
    }

    /** Returns a range. */
    Range range() {
        return new Range(iova(), length());
    }

    /** Remembers that a range was asked for. */
    void remember(Range range) {
        mapped.add(range);
    }

    /** Returns whether any range was asked for. */
    boolean remembers() {
        return !mapped.isEmpty();
    }

    /** Returns a range that was asked for. */
    Range remembered() {
        return mapped.get(random.nextInt(mapped.size()));
    }

    private long dmaAddress() {
        long page = iova() & -PAGE;
        if (chance(75) && remembers()) {
            page = (remembered().iova & -PAGE) + (chance(70) ? 0 : random.nextInt(4) * PAGE);
        }
        return page + random.nextInt(16) * 16L;
    }
}
