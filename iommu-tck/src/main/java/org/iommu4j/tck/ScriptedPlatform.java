// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BooleanSupplier;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.VendorContext;

/**
 * Ports without hardware behind them: memory, frames, and registers that answer as a test wants.
 *
 * <p>Accesses of registers and looks at conditions are counted, and end with an error when there are too many, so that
 * a driver that loops fails its test.
 */
public final class ScriptedPlatform {
    private static final long MEMORY_BYTES = 64L << 20;
    private static final long LOW_MEMORY = 1L << 20;
    private static final int POLLS = 64;
    private static final long MOST_ACCESSES = 5_000_000;

    private final FlatMemory memory = new FlatMemory(MEMORY_BYTES);
    private final FramePool frames = new FramePool(LOW_MEMORY, MEMORY_BYTES - LOW_MEMORY);
    private final PciTopology topology;
    private final List<Window> held = new ArrayList<>();
    private FirmwareTables firmware;
    private BootOptions bootOptions;
    private LinuxRelease release;
    private Registers registers = Registers.ABSENT;
    private Random random = new Random(1);
    private long accesses;
    private long writes;

    /** What is where the table says that registers are. */
    public enum Registers {
        /** Nothing: mapping is refused with ENXIO. */
        ABSENT,
        /** Another driver has them: mapping is refused with EBUSY. */
        CLAIMED,
        /** All ones, as of hardware that is gone. */
        ALL_ONES,
        /** Zeros. */
        ALL_ZEROS,
        /** Words without meaning that never change. */
        CONSTANT,
        /** Words without meaning, others each time, as of hardware that is broken. */
        NOISE
    }

    /** Makes a platform with the subject's firmware and command line. */
    ScriptedPlatform(Subject subject, PciTopology topology) {
        this.topology = topology;
        this.firmware = subject.machine().firmware();
        this.bootOptions = subject.machine().bootOptions();
        this.release = subject.release();
    }

    /** Replaces the firmware. */
    public ScriptedPlatform with(FirmwareTables other) {
        firmware = other;
        return this;
    }

    /** Replaces the command line. */
    public ScriptedPlatform with(BootOptions other) {
        bootOptions = other;
        return this;
    }

    /** Replaces the release. */
    public ScriptedPlatform with(LinuxRelease other) {
        release = other;
        return this;
    }

    /** Sets how registers answer; words without meaning are taken from random numbers. */
    public ScriptedPlatform with(Registers other, Random words) {
        registers = other;
        random = words;
        return this;
    }

    /** Sets how registers answer. */
    public ScriptedPlatform with(Registers other) {
        return with(other, new Random(1));
    }

    /** Returns the ports. */
    public VendorContext context() {
        return new VendorContext(memory, frames, this::map, this::await, firmware, topology, bootOptions, release);
    }

    /** Returns how often registers were accessed. */
    public long accesses() {
        return accesses;
    }

    /** Asserts that all frames and all registers were given back. */
    public void assertNothingHeld() {
        assertThat(frames.inUse()).as("frames in use").isZero();
        assertReleased();
    }

    /** Asserts that all registers were given back. */
    public void assertReleased() {
        assertThat(held).as("windows of registers that were not released").isEmpty();
    }

    /** Asserts that no register was written. */
    public void assertNotWritten() {
        assertThat(writes).as("writes to registers").isZero();
    }

    private RegisterWindow map(long base, int size) {
        count();
        if (registers == Registers.ABSENT) {
            throw new IommuException(Errno.ENXIO, "nothing answers at 0x" + Long.toHexString(base));
        }
        if (registers == Registers.CLAIMED) {
            throw new IommuException(Errno.EBUSY, "another driver has 0x" + Long.toHexString(base));
        }
        if (size <= 0) {
            throw new AssertionError("a window of " + size + " bytes");
        }
        Window window = new Window(base, size);
        held.add(window);
        return window;
    }

    private boolean await(BooleanSupplier condition, long ticks) {
        for (long poll = 0; poll < Math.min(ticks, POLLS); poll++) {
            count();
            if (condition.getAsBoolean()) {
                return true;
            }
        }
        return condition.getAsBoolean();
    }

    private void count() {
        if (++accesses > MOST_ACCESSES) {
            throw new AssertionError("the driver does not come to an end: " + accesses + " accesses of registers");
        }
    }

    /** Registers without a unit. */
    private final class Window implements RegisterWindow {
        private final long base;
        private final int size;
        private final Map<Integer, Long> words = new HashMap<>();

        private Window(long base, int size) {
            this.base = base;
            this.size = size;
        }

        private long read(int offset, int bytes) {
            check(offset, bytes);
            return switch (registers) {
                case ALL_ONES -> -1L;
                case CONSTANT -> words.computeIfAbsent(offset & -8, word -> random.nextLong()) >>> ((offset & 7) * 8);
                case NOISE -> random.nextLong();
                case ALL_ZEROS, ABSENT, CLAIMED -> 0;
            };
        }

        private void check(int offset, int bytes) {
            count();
            if (offset < 0 || offset % bytes != 0 || offset > size - bytes) {
                throw new AssertionError("an access of " + bytes + " bytes at 0x" + Integer.toHexString(offset)
                        + " of a window of 0x" + Integer.toHexString(size) + " bytes at 0x" + Long.toHexString(base));
            }
            assertThat(held.contains(this))
                    .as("the window is mapped when it is used")
                    .isTrue();
        }

        @Override
        public int read8(int offset) {
            return (int) read(offset, 1) & 0xff;
        }

        @Override
        public int read16(int offset) {
            return (int) read(offset, 2) & 0xffff;
        }

        @Override
        public int read32(int offset) {
            return (int) read(offset, 4);
        }

        @Override
        public long read64(int offset) {
            return read(offset, 8);
        }

        @Override
        public void write8(int offset, int value) {
            check(offset, 1);
            writes++;
        }

        @Override
        public void write16(int offset, int value) {
            check(offset, 2);
            writes++;
        }

        @Override
        public void write32(int offset, int value) {
            check(offset, 4);
            writes++;
        }

        @Override
        public void write64(int offset, long value) {
            check(offset, 8);
            writes++;
        }

        @Override
        public void release() {
            held.remove(this);
        }
    }
}
