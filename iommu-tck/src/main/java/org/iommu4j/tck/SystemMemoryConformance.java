// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.Random;
import org.iommu4j.platform.SystemMemory;
import org.junit.jupiter.api.Test;

/** The promises of {@link SystemMemory}. */
public abstract class SystemMemoryConformance extends PortConformance {
    private static final long BYTES = 1L << 19;
    private static final int WORDS = SystemMemory.FRAME_WORDS;

    /** How often a word may change between a load and a compare-and-set. */
    private static final int MOST_ATTEMPTS = 1_000_000;

    /** How long a reader waits for the last store of a writer. */
    private static final long PATIENCE_NANOS = 2_000_000_000L;

    /** Made by JUnit. */
    protected SystemMemoryConformance() {}

    /** Makes memory of so many bytes, from physical address 0 on, and no more. */
    protected abstract SystemMemory newMemory(long bytes);

    /** Returns the same memory as another CPU sees it; the same object where that makes no difference. */
    protected SystemMemory ofAnotherCpu(SystemMemory memory) {
        return memory;
    }

    /** Returns a word as a reader sees it that does not snoop the CPU caches. */
    protected long unsnooped(SystemMemory memory, long physicalAddress) {
        return memory.load(physicalAddress);
    }

    /** Returns whether threads may use the memory at once. */
    protected boolean isShared() {
        return true;
    }

    @Test
    @Promise({"memory-load-1", "memory-store-1"})
    void wordsReadBackAsTheyWereStored() {
        SystemMemory memory = newMemory(BYTES);
        SystemMemory other = ofAnotherCpu(memory);
        long[] addresses = {0, 8, 0xff8, 0x1000, 0x1008, BYTES / 2, BYTES - 0x1000, BYTES - 8};
        for (int round = 0; round < 2; round++) {
            for (long address : addresses) {
                memory.store(address, ~address * 0x9e3779b97f4a7c15L + round);
            }
            for (long address : addresses) {
                long expected = ~address * 0x9e3779b97f4a7c15L + round;
                assertThat(memory.load(address)).as("word at 0x%x", address).isEqualTo(expected);
                assertThat(other.load(address))
                        .as("word at 0x%x of another CPU", address)
                        .isEqualTo(expected);
            }
        }
        for (long value : new long[] {0, -1, Long.MIN_VALUE, Long.MAX_VALUE, 0xffffffffL, 1L << 32}) {
            other.store(0x2000, value);
            assertThat(memory.load(0x2000)).isEqualTo(value);
        }
    }

    @Test
    @Promise({"memory-store-1", "memory-load-1", "memory-run-1"})
    void randomStoresAndRunsReadBackAsAnArrayWould() {
        Random random = random();
        SystemMemory memory = newMemory(BYTES);
        SystemMemory other = ofAnotherCpu(memory);
        long[] model = new long[4 * WORDS];
        for (int i = 0; i < model.length; i += WORDS) {
            memory.storeRun(i * 8L, 0, 0, WORDS);
        }
        for (int i = 0; i < Math.min(rounds(), 5000); i++) {
            SystemMemory cpu = random.nextBoolean() ? memory : other;
            int word = random.nextInt(model.length);
            int run = 1 + random.nextInt(WORDS - word % WORDS);
            long value = random.nextInt(3) == 0 ? random.nextLong() : random.nextInt(4);
            switch (random.nextInt(4)) {
                case 0 -> {
                    long increment = random.nextInt(3) == 0 ? random.nextLong() : random.nextInt(3);
                    cpu.storeRun(word * 8L, value, increment, run);
                    for (int k = 0; k < run; k++) {
                        model[word + k] = value + k * increment;
                    }
                }
                case 1 -> {
                    boolean expected = random.nextBoolean();
                    assertThat(cpu.compareAndSet(word * 8L, expected ? model[word] : ~model[word], value))
                            .isEqualTo(expected);
                    model[word] = expected ? value : model[word];
                }
                default -> {
                    cpu.store(word * 8L, value);
                    model[word] = value;
                }
            }
            int probe = random.nextInt(model.length);
            int count = 1 + random.nextInt(WORDS - probe % WORDS);
            long mask = random.nextBoolean() ? 1 : random.nextLong();
            int clear = 0;
            while (clear < count && (model[probe + clear] & mask) == 0) {
                clear++;
            }
            int set = 0;
            while (set < count && (model[probe + set] & mask) != 0) {
                set++;
            }
            cpu = random.nextBoolean() ? memory : other;
            assertThat(cpu.load(probe * 8L)).as("word %d, step %d", probe, i).isEqualTo(model[probe]);
            assertThat(cpu.leadingClear(probe * 8L, mask, count))
                    .as("clear, step %d", i)
                    .isEqualTo(clear);
            assertThat(cpu.leadingSet(probe * 8L, mask, count))
                    .as("set, step %d", i)
                    .isEqualTo(set);
        }
        for (int i = 0; i < model.length; i++) {
            assertThat(memory.load(i * 8L)).as("word %d", i).isEqualTo(model[i]);
        }
    }

    @Test
    @Promise("memory-run-1")
    void aRunStoresAnArithmeticSeriesAndNothingElse() {
        SystemMemory memory = newMemory(BYTES);
        for (int count : new int[] {1, 2, 3, 4, 5, 7, 8, 9, 63, 510}) {
            memory.storeRun(0x3000, 0x55, 0, WORDS);
            memory.storeRun(0x3008, 0x8000_0000_0000_0803L, 0x1000, count);
            assertThat(memory.load(0x3000)).as("the word before").isEqualTo(0x55);
            for (int i = 0; i < count; i++) {
                assertThat(memory.load(0x3008 + i * 8L))
                        .as("word %d of %d", i, count)
                        .isEqualTo(0x8000_0000_0000_0803L + i * 0x1000L);
            }
            if (count < 510) {
                assertThat(memory.load(0x3008 + count * 8L))
                        .as("the word after")
                        .isEqualTo(0x55);
            }
        }
        memory.storeRun(0x4000, 1, -3, WORDS);
        assertThat(memory.load(0x4ff8)).as("a series that goes down").isEqualTo(1 - 3L * (WORDS - 1));
    }

    @Test
    @Promise("memory-clear-1")
    void clearWordsAreCountedUpToTheFirstThatIsSet() {
        assertCounts(true);
    }

    @Test
    @Promise("memory-set-1")
    void setWordsAreCountedUpToTheFirstThatIsClear() {
        assertCounts(false);
    }

    private void assertCounts(boolean clear) {
        SystemMemory memory = newMemory(BYTES);
        long mask = 1L << 63 | 6;
        for (int position : new int[] {0, 1, 6, 7, 8, 9, 15, 16, 17, 100, 511}) {
            for (long bit : new long[] {2, 4, Long.MIN_VALUE}) {
                memory.storeRun(0x5000, clear ? 1 : 0, 0, WORDS);
                if (!clear) {
                    for (int i = 0; i < WORDS; i++) {
                        memory.store(0x5000 + i * 8L, i % 3 == 0 ? 2 : i % 3 == 1 ? 4 : Long.MIN_VALUE);
                    }
                }
                memory.store(0x5000 + position * 8L, clear ? bit : 1);
                for (int count : new int[] {1, 7, 8, 9, 16, 101, 512}) {
                    assertThat(
                                    clear
                                            ? memory.leadingClear(0x5000, mask, count)
                                            : memory.leadingSet(0x5000, mask, count))
                            .as("of %d words, where word %d differs", count, position)
                            .isEqualTo(Math.min(count, position));
                }
            }
        }
    }

    @Test
    @Promise("memory-cas-1")
    void aWordIsSetOnlyOverTheExpectedValue() {
        SystemMemory memory = newMemory(BYTES);
        memory.store(0x6000, 5);
        memory.store(0x6008, 6);
        for (long wrong : new long[] {4, 5 | 1L << 32, ~5L, 0}) {
            assertThat(memory.compareAndSet(0x6000, wrong, 9)).isFalse();
            assertThat(memory.load(0x6000)).isEqualTo(5);
        }
        assertThat(ofAnotherCpu(memory).compareAndSet(0x6000, 5, 9)).isTrue();
        assertThat(memory.load(0x6000)).isEqualTo(9);
        assertThat(memory.compareAndSet(0x6000, 9, 9)).as("the same value").isTrue();
        assertThat(memory.load(0x6008)).as("the next word").isEqualTo(6);
    }

    @Test
    @Promise("memory-cas-1")
    void noChangeOfAWordIsLostBetweenThreads() throws Exception {
        SystemMemory memory = newMemory(BYTES);
        SystemMemory other = ofAnotherCpu(memory);
        memory.store(0x7000, 0);
        int each = rounds();
        if (isShared()) {
            Threads.run(() -> increment(memory, each), () -> increment(other, each));
        } else {
            increment(memory, each);
            increment(other, each);
        }
        assertThat(memory.load(0x7000)).as("after %d increments", 2 * each).isEqualTo(2L * each);
    }

    private static void increment(SystemMemory memory, int times) {
        for (int i = 0; i < times; i++) {
            int attempts = 0;
            long seen;
            do {
                if (++attempts > MOST_ATTEMPTS) {
                    throw new AssertionError("a word never has the value that was just loaded");
                }
                seen = memory.load(0x7000);
            } while (!memory.compareAndSet(0x7000, seen, seen + 1));
        }
    }

    /** Data, then a flag; the data in another frame, in a run, and by compare-and-set. */
    @Test
    @Promise("memory-1")
    void aReaderOfALaterStoreSeesTheEarlierOnes() throws Exception {
        SystemMemory memory = newMemory(BYTES);
        SystemMemory other = ofAnotherCpu(memory);
        memory.store(0x8000, 0);
        memory.store(0x9000, 0);
        memory.storeRun(0xa000, 0, 0, 16);
        int last = rounds();
        Threads.Work writer = () -> {
            for (int i = 1; i <= last; i++) {
                memory.store(0x9000, i);
                memory.storeRun(0xa000, i, 0, 16);
                if (i % 2 == 0) {
                    memory.store(0x8000, i);
                } else {
                    assertThat(memory.compareAndSet(0x8000, i - 1L, i)).isTrue();
                }
            }
        };
        Threads.Work reader = () -> {
            long flag = 0;
            long end = System.nanoTime() + PATIENCE_NANOS;
            while (flag < last) {
                if (System.nanoTime() > end) {
                    throw new AssertionError("a store of another thread does not arrive, the last was " + flag);
                }
                flag = other.load(0x8000);
                assertThat(other.load(0x9000))
                        .as("a word stored before the flag")
                        .isGreaterThanOrEqualTo(flag);
                assertThat(other.load(0xa078))
                        .as("the end of a run before the flag")
                        .isGreaterThanOrEqualTo(flag);
                assertThat(other.load(0xa000)).as("the start of a run").isGreaterThanOrEqualTo(flag);
            }
        };
        if (isShared()) {
            Threads.run(writer, reader);
        } else {
            writer.run();
            reader.run();
        }
        assertThat(other.load(0x9000)).isEqualTo(last);
    }

    @Test
    @Promise("memory-2")
    void anAddressOutsideMemoryIsABugOfTheCaller() {
        SystemMemory memory = newMemory(BYTES);
        for (long outside : new long[] {-8, BYTES, BYTES + 0x1000, 1L << 52, Long.MIN_VALUE, Long.MAX_VALUE & -8}) {
            assertThatIllegalStateException().isThrownBy(() -> memory.load(outside));
            assertThatIllegalStateException().isThrownBy(() -> memory.store(outside, 1));
            assertThatIllegalStateException().isThrownBy(() -> memory.compareAndSet(outside, 0, 1));
            assertThatIllegalStateException().isThrownBy(() -> memory.storeRun(outside, 1, 1, 2));
            assertThatIllegalStateException().isThrownBy(() -> memory.leadingClear(outside, 1, 2));
            assertThatIllegalStateException().isThrownBy(() -> memory.leadingSet(outside, 1, 2));
        }
        memory.store(BYTES - 8, 7);
        assertThat(memory.load(BYTES - 8)).as("the last word").isEqualTo(7);
    }

    @Test
    @Promise("memory-write-back-1")
    void whatIsWrittenBackIsSeenWithoutSnooping() {
        SystemMemory memory = newMemory(BYTES);
        Random random = random();
        for (int i = 0; i < Math.min(rounds(), 500); i++) {
            long first = 0x10000 + random.nextInt(0x4000) * 8L;
            int words = 1 + random.nextInt(i % 10 == 0 ? 1200 : 20);
            long value = random.nextLong();
            for (int k = 0; k < words; k++) {
                memory.store(first + k * 8L, value + k);
            }
            memory.writeBack(first, words * 8L - random.nextInt(8));
            for (int k = 0; k < words; k++) {
                assertThat(unsnooped(memory, first + k * 8L))
                        .as("word %d of %d at 0x%x", k, words, first)
                        .isEqualTo(value + k);
                assertThat(memory.load(first + k * 8L)).isEqualTo(value + k);
            }
        }
    }
}
