// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import org.iommu4j.amd.fmt.EventLogEntry;
import org.iommu4j.amd.reg.Registers;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;

/**
 * A unit's event log, 48882 section 2.5: 512 events in a ring, read on demand.
 *
 * <p>Not thread-safe: its unit locks.
 */
final class EventLog {
    private static final int LOG_ENTRIES = 9;
    private static final int BYTES = EventLogEntry.BYTES << LOG_ENTRIES;
    private static final int ORDER = 1;

    /** Number of frames that it uses. */
    static final long FRAMES = 1L << ORDER;

    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final RegisterWindow window;
    private final long base;
    private int head;

    /**
     * Allocates the frames.
     *
     * @throws org.iommu4j.IommuException ENOMEM
     */
    EventLog(SystemMemory memory, FrameAllocator frames, RegisterWindow window) {
        this.memory = memory;
        this.frames = frames;
        this.window = window;
        this.base = frames.allocate(ORDER);
        for (int frame = 0; frame < 1 << ORDER; frame++) {
            memory.storeRun(base + (long) frame * SystemMemory.FRAME_SIZE, 0, 0, SystemMemory.FRAME_WORDS);
        }
    }

    /** Sets the log's address in the unit; the unit's logging is off. */
    void program() {
        head = 0;
        window.write64(Registers.EVENT_LOG_BAR.offset(), base | Registers.LENGTH.of(LOG_ENTRIES));
        window.write64(Registers.EVENT_LOG_HEAD.offset(), 0);
        window.write64(Registers.EVENT_LOG_TAIL.offset(), 0);
    }

    /** Receives events. */
    @FunctionalInterface
    interface Sink {
        /** Receives one event, as two words. */
        void event(long word0, long word1);
    }

    /** Removes the events so far, oldest first; none when the unit is gone. */
    void read(Sink sink) {
        long tail = window.read64(Registers.EVENT_LOG_TAIL.offset());
        if ((tail & ~Registers.POINTER.mask()) != 0 || tail >= BYTES) {
            return;
        }
        while (head != tail) {
            long word0 = memory.load(base + head);
            long word1 = memory.load(base + head + 8);
            if (EventLogEntry.code(word0) == EventLogEntry.Code.RESERVED) {
                // The tail was visible before the entry; the next read finds it.
                break;
            }
            sink.event(word0, word1);
            memory.store(base + head, 0);
            memory.store(base + head + 8, 0);
            head = (head + EventLogEntry.BYTES) & (BYTES - 1);
        }
        window.write64(Registers.EVENT_LOG_HEAD.offset(), head);
    }

    /** Frees the frames, which the unit no longer uses. */
    void free() {
        frames.free(base, ORDER);
    }
}
