// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.iommu4j.Errno;
import org.iommu4j.platform.ProcessMemory;
import org.junit.jupiter.api.Test;

/** The promises of {@link ProcessMemory}. */
public abstract class ProcessMemoryConformance extends PortConformance {
    /** The virtual address of the process's writable pages. */
    protected static final long WRITABLE = 0x10_0000;

    /** The virtual address of its read-only pages. */
    protected static final long READ_ONLY = 0x20_0000;

    /** How many pages it has of each kind. */
    protected static final int PAGES = 16;

    private static final int PAGE = 4096;
    private static final long LIMIT = 20;

    /** Made by JUnit. */
    protected ProcessMemoryConformance() {}

    /**
     * Makes a process that has {@link #PAGES} pages from {@link #WRITABLE} on, as many from {@link #READ_ONLY} on, and
     * no others.
     *
     * @param memlockPages its limit on locked memory, in pages
     * @param capIpcLock whether it may exceed the limit
     */
    protected abstract ProcessMemory newProcess(long memlockPages, boolean capIpcLock);

    @Test
    @Promise("process-translate-1")
    void addressesAreTranslatedPageByPage() {
        ProcessMemory process = newProcess(LIMIT, false);
        Set<Long> frames = new HashSet<>();
        for (long start : new long[] {WRITABLE, READ_ONLY}) {
            for (int i = 0; i < PAGES; i++) {
                long frame = process.translate(start + (long) i * PAGE);
                assertThat(frame).as("page %d of 0x%x", i, start).isNotEqualTo(ProcessMemory.UNMAPPED);
                assertThat(frame % PAGE).isZero();
                assertThat(frames.add(frame)).as("a frame of its own").isTrue();
                assertThat(process.translate(start + (long) i * PAGE + 0x123)).isEqualTo(frame + 0x123);
                assertThat(process.translate(start + (long) i * PAGE + 0xfff)).isEqualTo(frame + 0xfff);
            }
            assertThat(process.translate(start - 1)).isEqualTo(ProcessMemory.UNMAPPED);
            assertThat(process.translate(start + (long) PAGES * PAGE)).isEqualTo(ProcessMemory.UNMAPPED);
        }
        assertThat(process.translate(0)).isEqualTo(ProcessMemory.UNMAPPED);
        assertThat(process.translate(-PAGE)).isEqualTo(ProcessMemory.UNMAPPED);
        assertThat(process.translate(WRITABLE | Long.MIN_VALUE)).isEqualTo(ProcessMemory.UNMAPPED);
    }

    @Test
    @Promise({"pin-1", "pinned-1"})
    void allPagesArePinned() {
        ProcessMemory process = newProcess(LIMIT, false);
        long[] frames = new long[PAGES];
        process.pin(WRITABLE, PAGES, true, frames);
        assertThat(process.pinned()).isEqualTo(PAGES);
        process.pin(READ_ONLY, PAGES, false, new long[PAGES]);
        assertThat(process.pinned()).isEqualTo(2 * PAGES);
        assertThat(process.translate(WRITABLE)).as("a pinned page stays").isEqualTo(frames[0]);
    }

    @Test
    @Promise("no-ram-1")
    void framesOfMemoryAreNotReserved() {
        ProcessMemory process = newProcess(LIMIT, false);
        long[] frames = new long[PAGES];
        for (long start : new long[] {WRITABLE, READ_ONLY}) {
            process.pin(start, PAGES, false, frames);
            assertThat(Arrays.stream(frames).anyMatch(process::isReserved))
                    .as("a frame of the pages at 0x%x is no RAM", start)
                    .isFalse();
        }
    }

    @Test
    @Promise("pin-2")
    void eachPagesFrameIsReported() {
        ProcessMemory process = newProcess(LIMIT, false);
        for (int first = 0; first < PAGES; first++) {
            for (int count = 1; first + count <= PAGES; count += 3) {
                long[] frames = new long[count + 2];
                Arrays.fill(frames, -7);
                process.pin(WRITABLE + (long) first * PAGE, count, first % 2 == 0, frames);
                for (int i = 0; i < count; i++) {
                    assertThat(frames[i])
                            .as("page %d", first + i)
                            .isEqualTo(process.translate(WRITABLE + (long) (first + i) * PAGE));
                    process.unpin(frames[i], false);
                }
                assertThat(frames[count]).as("behind the frames").isEqualTo(-7);
            }
        }
    }

    @Test
    @Promise({"pin-3", "pin-1"})
    void aPageThatCantBePinnedIsAFaultAndNothingIsPinned() {
        ProcessMemory process = newProcess(LIMIT, false);
        long[] frames = new long[2 * PAGES];
        process.pin(WRITABLE, 1, true, frames);
        long last = WRITABLE + (PAGES - 1L) * PAGE;
        for (int round = 0; round < 2; round++) {
            assertFault(process, WRITABLE, PAGES + 1, false);
            assertFault(process, last, 2, true);
            assertFault(process, WRITABLE - PAGE, 3, false);
            assertFault(process, READ_ONLY, 1, true);
            assertFault(process, READ_ONLY, PAGES, true);
            assertFault(process, 0, 1, false);
            assertFault(process, WRITABLE | Long.MIN_VALUE, 1, false);
            assertFault(process, -PAGE, 1, false);
            assertFault(process, Long.MAX_VALUE & -PAGE, 2, false);
        }
        process.unpin(frames[0], false);
        assertThat(process.pinned()).isZero();
    }

    private static void assertFault(ProcessMemory process, long address, int count, boolean write) {
        long before = process.pinned();
        assertRefused(Errno.EFAULT, () -> process.pin(address, count, write, new long[2 * PAGES]));
        assertThat(process.pinned())
                .as("pins after pin(0x%x, %d, %b) was refused", address, count, write)
                .isEqualTo(before);
    }

    @Test
    @Promise({"unpin-1", "pinned-1"})
    void eachPinIsTakenBackAlone() {
        ProcessMemory process = newProcess(LIMIT, false);
        long[] frames = new long[PAGES];
        process.pin(WRITABLE, PAGES, true, frames);
        process.pin(WRITABLE, 3, true, new long[3]);
        assertThat(process.pinned()).as("pages pinned twice count twice").isEqualTo(PAGES + 3);
        long expected = PAGES + 3;
        for (int i = 0; i < PAGES; i++) {
            process.unpin(frames[i], i % 2 == 0);
            assertThat(process.pinned()).isEqualTo(--expected);
        }
        for (int i = 0; i < 3; i++) {
            process.unpin(frames[i], false);
            assertThat(process.pinned()).isEqualTo(--expected);
        }
        assertThat(process.translate(WRITABLE)).as("an unpinned page stays").isEqualTo(frames[0]);
    }

    @Test
    @Promise({"charge-1", "charged-1", "uncharge-1"})
    void chargesAddUpAndAreTakenBack() {
        ProcessMemory process = newProcess(LIMIT, false);
        assertThat(process.charged()).isZero();
        process.charge(0);
        process.charge(5);
        assertThat(process.charged()).isEqualTo(5);
        process.charge(LIMIT - 5);
        assertThat(process.charged()).isEqualTo(LIMIT);
        process.uncharge(7);
        assertThat(process.charged()).isEqualTo(LIMIT - 7);
        process.uncharge(0);
        process.charge(7);
        assertThat(process.charged())
                .as("what was taken back can be charged again")
                .isEqualTo(LIMIT);
        process.uncharge(LIMIT);
        assertThat(process.charged()).isZero();
        process.pin(WRITABLE, 1, true, new long[1]);
        assertThat(process.charged()).as("a pin charges nothing by itself").isZero();
    }

    @Test
    @Promise("charge-2")
    void beyondTheLimitAChargeIsRefusedAndNothingIsCharged() {
        ProcessMemory process = newProcess(LIMIT, false);
        Random random = random();
        assertRefused(Errno.ENOMEM, () -> process.charge(LIMIT + 1));
        assertRefused(Errno.ENOMEM, () -> process.charge(Long.MAX_VALUE));
        assertThat(process.charged()).isZero();
        process.charge(LIMIT);
        for (long more : new long[] {1, 2, Long.MAX_VALUE, Long.MAX_VALUE - LIMIT, 1L + random.nextInt(1 << 30)}) {
            assertRefused(Errno.ENOMEM, () -> process.charge(more));
            assertThat(process.charged()).as("after a refusal of %d", more).isEqualTo(LIMIT);
        }
        assertRefused(Errno.ENOMEM, () -> newProcess(0, false).charge(1));
    }

    @Test
    @Promise({"charge-1", "charge-2"})
    void withCapIpcLockThereIsNoLimit() {
        ProcessMemory process = newProcess(LIMIT, true);
        process.charge(LIMIT + 1);
        process.charge(1L << 40);
        assertThat(process.charged()).isEqualTo(LIMIT + 1 + (1L << 40));
        process.uncharge(1L << 40);
        assertThat(process.charged()).isEqualTo(LIMIT + 1);
    }
}
