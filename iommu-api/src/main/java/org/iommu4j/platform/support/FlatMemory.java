// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform.support;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import org.iommu4j.platform.SystemMemory;
import org.jspecify.annotations.Nullable;

/**
 * Physical memory without caches, allocated on first touch.
 *
 * <p>Thread-safe and without a lock: the simplest {@link SystemMemory}. Memory that was never stored to reads as 0.
 */
public final class FlatMemory implements SystemMemory {
    private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);
    private static final VarHandle FRAME = MethodHandles.arrayElementVarHandle(long[][].class);
    private static final VarHandle REGION = MethodHandles.arrayElementVarHandle(long[][][].class);

    /** Frames in a region of the directory: 2 MiB. */
    private static final int REGION_FRAMES = 512;

    private final long size;
    private final long[] @Nullable [] @Nullable [] regions;

    /**
     * Makes memory from physical address 0 on.
     *
     * @param size bytes, a multiple of 4096, at most 2^45
     */
    public FlatMemory(long size) {
        if (size <= 0 || size % FRAME_SIZE != 0 || size > 1L << 45) {
            throw new IllegalArgumentException("memory of " + size + " bytes, expected a multiple of 4096 up to 2^45");
        }
        this.size = size;
        this.regions = new long
                [(int) ((size + (REGION_FRAMES * (long) FRAME_SIZE) - 1) / (REGION_FRAMES * (long) FRAME_SIZE))][][];
    }

    /** Returns the number of bytes. */
    public long size() {
        return size;
    }

    @Override
    public long load(long physicalAddress) {
        long[] frame = frameIfTouched(physicalAddress);
        return frame == null ? 0 : (long) WORD.getAcquire(frame, index(physicalAddress));
    }

    @Override
    public void store(long physicalAddress, long value) {
        WORD.setRelease(frame(physicalAddress), index(physicalAddress), value);
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value) {
        return WORD.compareAndSet(frame(physicalAddress), index(physicalAddress), expected, value);
    }

    @Override
    public void storeRun(long physicalAddress, long first, long increment, int count) {
        long[] frame = frame(physicalAddress);
        int from = index(physicalAddress);
        checkRun(from, count);
        VarHandle.releaseFence();
        if (increment == 0) {
            Arrays.fill(frame, from, from + count, first);
        } else {
            fill(frame, from, from + count, first, increment);
        }
        VarHandle.releaseFence();
    }

    /** Four at a time, so that a word does not have to wait for the sum of the one before it. */
    private static void fill(long[] frame, int from, int to, long first, long increment) {
        long value = first;
        int i = from;
        for (; i <= to - 4; i += 4) {
            frame[i] = value;
            frame[i + 1] = value + increment;
            frame[i + 2] = value + 2 * increment;
            frame[i + 3] = value + 3 * increment;
            value += 4 * increment;
        }
        for (; i < to; i++) {
            frame[i] = value;
            value += increment;
        }
    }

    @Override
    public int leadingClear(long physicalAddress, long mask, int count) {
        long[] frame = frameIfTouched(physicalAddress);
        int from = index(physicalAddress);
        checkRun(from, count);
        if (frame == null) {
            return count;
        }
        int i = 0;
        // By eights, which is most of a long run's time.
        while (count - i >= 8 && (anyOfEight(frame, from + i) & mask) == 0) {
            i += 8;
        }
        while (i < count && (frame[from + i] & mask) == 0) {
            i++;
        }
        VarHandle.acquireFence();
        return i;
    }

    private static long anyOfEight(long[] frame, int at) {
        return frame[at]
                | frame[at + 1]
                | frame[at + 2]
                | frame[at + 3]
                | frame[at + 4]
                | frame[at + 5]
                | frame[at + 6]
                | frame[at + 7];
    }

    @Override
    public int leadingSet(long physicalAddress, long mask, int count) {
        long[] frame = frameIfTouched(physicalAddress);
        int from = index(physicalAddress);
        checkRun(from, count);
        if (frame == null) {
            return 0;
        }
        int i = 0;
        // A bit that all of eight words have; without one the words are looked at one by one.
        while (count - i >= 8 && (commonToEight(frame, from + i) & mask) != 0) {
            i += 8;
        }
        while (i < count && (frame[from + i] & mask) != 0) {
            i++;
        }
        VarHandle.acquireFence();
        return i;
    }

    private static long commonToEight(long[] frame, int at) {
        return frame[at]
                & frame[at + 1]
                & frame[at + 2]
                & frame[at + 3]
                & frame[at + 4]
                & frame[at + 5]
                & frame[at + 6]
                & frame[at + 7];
    }

    @Override
    public void writeBack(long physicalAddress, long size) {
        VarHandle.fullFence();
    }

    /** Forgets everything stored, as at power-on. No other thread may use the memory meanwhile. */
    public void reset() {
        Arrays.fill(regions, null);
        VarHandle.fullFence();
    }

    /** Returns a hash of the contents; memory that was never stored to hashes as zeros. */
    public long contentHash() {
        long hash = 0;
        for (int region = 0; region < regions.length; region++) {
            for (int frame = 0; regions[region] != null && frame < REGION_FRAMES; frame++) {
                long address = ((long) region * REGION_FRAMES + frame) * FRAME_SIZE;
                long[] words = address < size ? frameIfTouched(address) : null;
                for (int i = 0; words != null && i < FRAME_WORDS; i++) {
                    if (words[i] != 0) {
                        long mixed = (hash ^ (address + i * 8L)) * 0x9e3779b97f4a7c15L ^ words[i];
                        hash = (mixed ^ (mixed >>> 29)) * 0xbf58476d1ce4e5b9L;
                    }
                }
            }
        }
        return hash;
    }

    private static int index(long physicalAddress) {
        return (int) (physicalAddress & (FRAME_SIZE - 1)) >>> 3;
    }

    private static void checkRun(int from, int count) {
        if (count <= 0 || count > FRAME_WORDS - from) {
            throw new IllegalStateException("a run of " + count + " words from word " + from + " leaves its frame");
        }
    }

    private void checkAddress(long physicalAddress) {
        if (physicalAddress < 0 || physicalAddress >= size || (physicalAddress & 7) != 0) {
            throw new IllegalStateException("physical address 0x" + Long.toHexString(physicalAddress)
                    + " is misaligned or outside memory of 0x" + Long.toHexString(size) + " bytes");
        }
    }

    private long @Nullable [] frameIfTouched(long physicalAddress) {
        checkAddress(physicalAddress);
        long[] @Nullable [] region = (long[][]) REGION.getAcquire(regions, (int) (physicalAddress >>> 21));
        return region == null
                ? null
                : (long[]) FRAME.getAcquire(region, (int) (physicalAddress >>> 12) & (REGION_FRAMES - 1));
    }

    private long[] frame(long physicalAddress) {
        long[] frame = frameIfTouched(physicalAddress);
        return frame == null ? touch(physicalAddress) : frame;
    }

    private long[] touch(long physicalAddress) {
        int regionIndex = (int) (physicalAddress >>> 21);
        if (REGION.getAcquire(regions, regionIndex) == null) {
            REGION.compareAndSet(regions, regionIndex, null, new long[REGION_FRAMES][]);
        }
        long[][] region = (long[][]) REGION.getAcquire(regions, regionIndex);
        int frameIndex = (int) (physicalAddress >>> 12) & (REGION_FRAMES - 1);
        FRAME.compareAndSet(region, frameIndex, null, new long[FRAME_WORDS]);
        return (long[]) FRAME.getAcquire(region, frameIndex);
    }
}
