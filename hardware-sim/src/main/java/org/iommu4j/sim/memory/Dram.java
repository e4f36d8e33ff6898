// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.memory;

import java.util.Arrays;
import org.iommu4j.sim.spi.StateDigest;
import org.jspecify.annotations.Nullable;

/**
 * Memory from physical address 0 on, in 64-bit words, 0 at power-on.
 *
 * <p>Frames are allocated when they are first written, so a large memory costs only its used part; resetting empties
 * and keeps them. Addresses are in bytes. An address outside memory, or misaligned, is a bug of the caller: {@link
 * IllegalStateException}.
 */
public final class Dram {
    /** Bytes of a cache line, the unit that caches move. */
    public static final int LINE_BYTES = 64;

    /** 64-bit words of a cache line. */
    public static final int LINE_WORDS = LINE_BYTES / 8;

    private static final int FRAME_SHIFT = 12;
    private static final int FRAME_WORDS = 512;

    /** Frames in a region of the directory: 2 MiB. */
    private static final int REGION_FRAMES = 512;

    private static final int REGION_SHIFT = 21;

    private final long size;
    private final long[] @Nullable [] @Nullable [] regions;

    /** Numbers of the frames written since power-on. */
    private int[] touched = new int[16];

    private int touchedCount;

    /** Frames kept from before a reset, all zero. */
    private long[] @Nullable [] spare = new long[0][];

    private int spareCount;

    /**
     * Makes memory.
     *
     * @param size bytes, a multiple of 4096, at most 2^43
     */
    public Dram(long size) {
        if (size <= 0 || size % 4096 != 0 || size > 1L << 43) {
            throw new IllegalArgumentException("memory of " + size + " bytes, expected a multiple of 4096 up to 2^43");
        }
        this.size = size;
        this.regions = new long[(int) ((size + (1L << REGION_SHIFT) - 1) >>> REGION_SHIFT)][][];
    }

    /** Returns the number of bytes. */
    public long size() {
        return size;
    }

    /** Returns whether there is memory at an address. */
    public boolean contains(long physicalAddress) {
        return physicalAddress >= 0 && physicalAddress < size;
    }

    /** Reads a word at an address aligned to 8. */
    public long read(long physicalAddress) {
        check(physicalAddress, 7);
        long[] frame = frameIfTouched(physicalAddress);
        return frame == null ? 0 : frame[index(physicalAddress)];
    }

    /** Writes a word at an address aligned to 8. */
    public void write(long physicalAddress, long value) {
        check(physicalAddress, 7);
        frame(physicalAddress)[index(physicalAddress)] = value;
    }

    /**
     * Reads a line.
     *
     * @param lineAddress aligned to 64
     * @param into receives 8 words
     * @param at the index of the first
     */
    public void readLine(long lineAddress, long[] into, int at) {
        check(lineAddress, LINE_BYTES - 1);
        long[] frame = frameIfTouched(lineAddress);
        if (frame == null) {
            Arrays.fill(into, at, at + LINE_WORDS, 0);
        } else {
            System.arraycopy(frame, index(lineAddress), into, at, LINE_WORDS);
        }
    }

    /**
     * Writes a line.
     *
     * @param lineAddress aligned to 64
     * @param from the array that holds its 8 words
     * @param at the index of the first
     */
    public void writeLine(long lineAddress, long[] from, int at) {
        check(lineAddress, LINE_BYTES - 1);
        System.arraycopy(from, at, frame(lineAddress), index(lineAddress), LINE_WORDS);
    }

    /** Returns all words to 0, at the cost of the frames that were written. */
    public void reset() {
        if (spare.length < spareCount + touchedCount) {
            spare = Arrays.copyOf(spare, spareCount + touched.length);
        }
        for (int i = 0; i < touchedCount; i++) {
            long[] @Nullable [] region = regions[touched[i] / REGION_FRAMES];
            int slot = touched[i] % REGION_FRAMES;
            long[] frame = region == null ? null : region[slot];
            if (region == null || frame == null) {
                throw new IllegalStateException("frame 0x" + Integer.toHexString(touched[i]) + " is listed and absent");
            }
            Arrays.fill(frame, 0);
            spare[spareCount++] = frame;
            region[slot] = null;
        }
        touchedCount = 0;
    }

    /** Adds the contents. Frames that hold only zeros are treated as never written. */
    public void addTo(StateDigest digest) {
        // A sum, so that the order in which frames were first written has no effect.
        long sum = 0;
        for (int i = 0; i < touchedCount; i++) {
            long base = (long) touched[i] << FRAME_SHIFT;
            long[] frame = frameIfTouched(base);
            if (frame == null) {
                continue;
            }
            for (int word = 0; word < FRAME_WORDS; word++) {
                if (frame[word] != 0) {
                    sum += StateDigest.mix(base + word * 8L, frame[word]);
                }
            }
        }
        digest.add(sum);
    }

    private static int index(long physicalAddress) {
        return (int) (physicalAddress & ((1 << FRAME_SHIFT) - 1)) >>> 3;
    }

    private void check(long physicalAddress, int alignment) {
        if (!contains(physicalAddress) || (physicalAddress & alignment) != 0) {
            throw outside(physicalAddress);
        }
    }

    private IllegalStateException outside(long physicalAddress) {
        return new IllegalStateException("physical address 0x" + Long.toHexString(physicalAddress)
                + " is misaligned or outside memory of 0x" + Long.toHexString(size) + " bytes");
    }

    private long @Nullable [] frameIfTouched(long physicalAddress) {
        long[] @Nullable [] region = regions[(int) (physicalAddress >>> REGION_SHIFT)];
        return region == null ? null : region[(int) (physicalAddress >>> FRAME_SHIFT) & (REGION_FRAMES - 1)];
    }

    private long[] frame(long physicalAddress) {
        long[] frame = frameIfTouched(physicalAddress);
        return frame == null ? touch(physicalAddress) : frame;
    }

    private long[] touch(long physicalAddress) {
        int regionIndex = (int) (physicalAddress >>> REGION_SHIFT);
        long[] @Nullable [] region = regions[regionIndex];
        if (region == null) {
            region = new long[REGION_FRAMES][];
            regions[regionIndex] = region;
        }
        long[] frame = spareCount > 0 ? spare[--spareCount] : null;
        if (frame == null) {
            frame = new long[FRAME_WORDS];
        }
        int number = (int) (physicalAddress >>> FRAME_SHIFT);
        region[number % REGION_FRAMES] = frame;
        if (touchedCount == touched.length) {
            touched = Arrays.copyOf(touched, touchedCount * 2);
        }
        touched[touchedCount++] = number;
        return frame;
    }
}
