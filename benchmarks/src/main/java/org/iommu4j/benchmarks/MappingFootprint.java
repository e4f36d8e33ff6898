// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.Locale;
import org.iommu4j.benchmarks.UserMappingBenchmark.Into;

/**
 * Prints the heap that user space's mappings take; a main class, as JMH measures time alone.
 *
 * <p>Two sets: 10^6 mappings of a page with a page between two, and 1 TiB in pieces of 2 MiB with 2 MiB between two.
 * The heap is what remains after a collection, with the driver's tables and without: tables are those of the
 * machine's memory, which lies on the heap as well.
 */
public final class MappingFootprint {
    private static final long PAGE = 4096;
    private static final long LARGE_PAGE = 512 * PAGE;
    private static final int MILLION = 1_000_000;
    private static final int PIECES = (int) ((1L << 40) / LARGE_PAGE);

    private MappingFootprint() {}

    /**
     * Prints a line for each set and each container or IOAS.
     *
     * @param arguments none
     */
    public static void main(String[] arguments) {
        for (Into into : Into.values()) {
            print(into, "10^6 pages", MILLION, PAGE);
            print(into, "1 TiB in pieces of 2 MiB", PIECES, LARGE_PAGE);
        }
    }

    private static void print(Into into, String what, int count, long size) {
        UserMappings mappings = into.open(count);
        long before = used();
        for (int i = 0; i < count; i++) {
            mappings.map((1L << 32) + 2L * i * size, 1L << 32, size);
        }
        long bytes = used() - before;
        long tables = into.domains * tableBytes(count, size);
        System.out.printf(
                Locale.ROOT,
                "%-14s %-25s %5d MiB of heap, %d of it tables; %d bytes a mapping without them%n",
                into,
                what,
                bytes >> 20,
                tables >> 20,
                (bytes - tables) / count);
        mappings.unmap((1L << 32) + 2L * (count - 1) * size, size); // it is in use until here
    }

    /** Tables of 512 entries that every other entry of is used, over all levels below the top. */
    private static long tableBytes(int count, long size) {
        long tables = 0;
        for (long span = 512 * size; span < 1L << 48; span *= 512) {
            tables += (2L * count * size + span - 1) / span;
        }
        return tables * PAGE;
    }

    private static long used() {
        for (int i = 0; i < 3; i++) {
            System.gc();
        }
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }
}
