// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.iommu4j.Errno;
import org.iommu4j.platform.FrameAllocator;
import org.junit.jupiter.api.Test;

/** The promises of {@link FrameAllocator}. */
public abstract class FrameAllocatorConformance extends PortConformance {
    private static final int FRAME = 4096;
    private static final int MOST_ORDER = 10;
    private static final int FRAMES = 4 << MOST_ORDER;
    private static final int MOST_FRAMES = 1 << 20;

    /** Made by JUnit. */
    protected FrameAllocatorConformance() {}

    /** Makes an allocator with at least so many frames, none of which is given out; it has no more than 2^20. */
    protected abstract FrameAllocator newFrames(int atLeast);

    /** Some frames that were given out. */
    private record Block(long address, int order) {
        int count() {
            return 1 << order;
        }
    }

    @Test
    @Promise("frames-allocate-1")
    void framesOfEachOrderAreAlignedAndNobodyElses() {
        FrameAllocator frames = newFrames(FRAMES);
        Set<Long> given = new HashSet<>();
        for (int order : new int[] {0, 10, 1, 9, 0, 2, 8, 3, 7, 4, 6, 5, 0, 0, 1, 1, 2, 10}) {
            take(given, new Block(frames.allocate(order), order));
        }
    }

    private static void take(Set<Long> given, Block block) {
        assertThat(block.address() % ((long) FRAME << block.order()))
                .as("alignment of 0x%x, order %d", block.address(), block.order())
                .isZero();
        for (int i = 0; i < block.count(); i++) {
            assertThat(given.add(block.address() + (long) i * FRAME))
                    .as("frame %d of 0x%x was not given out", i, block.address())
                    .isTrue();
        }
    }

    @Test
    @Promise({"frames-allocate-1", "frames-free-1", "frames-in-use-1"})
    void randomAllocationsNeverOverlap() {
        Random random = random();
        FrameAllocator frames = newFrames(FRAMES);
        Set<Long> given = new HashSet<>();
        List<Block> blocks = new ArrayList<>();
        for (int i = 0; i < 3000; i++) {
            if (random.nextInt(5) > 1 || blocks.isEmpty()) {
                int order = random.nextInt(random.nextInt(20) == 0 ? MOST_ORDER + 1 : 5);
                Errnos.isDone(EnumSet.of(Errno.ENOMEM), () -> {
                    Block block = new Block(frames.allocate(order), order);
                    take(given, block);
                    blocks.add(block);
                });
            } else {
                Block block = blocks.remove(random.nextInt(blocks.size()));
                for (Block part : parts(block, random)) {
                    frames.free(part.address(), part.order());
                    for (int k = 0; k < part.count(); k++) {
                        given.remove(part.address() + (long) k * FRAME);
                    }
                    assertThat(frames.inUse()).as("in use, step %d", i).isEqualTo(given.size());
                }
            }
            assertThat(frames.inUse()).as("in use, step %d", i).isEqualTo(given.size());
        }
    }

    /** Returns a block whole, or its parts in any order. */
    private static List<Block> parts(Block block, Random random) {
        List<Block> parts = new ArrayList<>(List.of(block));
        for (int splits = random.nextInt(4); splits > 0; splits--) {
            Block whole = parts.remove(random.nextInt(parts.size()));
            if (whole.order() == 0) {
                parts.add(whole);
            } else {
                int half = whole.order() - 1;
                parts.add(new Block(whole.address(), half));
                parts.add(new Block(whole.address() + ((long) FRAME << half), half));
            }
        }
        Collections.shuffle(parts, random);
        return parts;
    }

    @Test
    @Promise("frames-allocate-2")
    void whereNoFrameIsLeftAllocationIsRefusedWithEnomem() {
        FrameAllocator frames = newFrames(64);
        List<Long> given = new ArrayList<>();
        Set<Long> distinct = new HashSet<>();
        boolean exhausted = false;
        while (!exhausted && given.size() <= MOST_FRAMES) {
            exhausted = !Errnos.isDone(EnumSet.of(Errno.ENOMEM), () -> {
                long frame = frames.allocate(0);
                take(distinct, new Block(frame, 0));
                given.add(frame);
            });
        }
        assertThat(given.size()).isBetween(64, MOST_FRAMES);
        for (int order = 0; order <= MOST_ORDER; order++) {
            int refused = order;
            assertRefused(Errno.ENOMEM, () -> frames.allocate(refused));
            assertThat(frames.inUse()).as("in use after a refusal").isEqualTo(given.size());
        }
        long freed = given.get(given.size() / 2);
        frames.free(freed, 0);
        assertRefused(Errno.ENOMEM, () -> frames.allocate(1));
        assertThat(frames.allocate(0)).as("the only frame left").isEqualTo(freed);
    }

    @Test
    @Promise("frames-free-1")
    void whatWasGivenComesBackWholeOrInParts() {
        Random random = random();
        FrameAllocator frames = newFrames(2 << MOST_ORDER);
        for (int order = 0; order <= MOST_ORDER; order++) {
            for (int round = 0; round < 8; round++) {
                Block block = new Block(frames.allocate(order), order);
                assertThat(frames.inUse()).isEqualTo(block.count());
                for (Block part : parts(block, random)) {
                    frames.free(part.address(), part.order());
                }
                assertThat(frames.inUse()).as("after order %d", order).isZero();
            }
        }
        long first = frames.allocate(MOST_ORDER);
        for (int i = 0; i < 1 << MOST_ORDER; i++) {
            frames.free(first + (long) i * FRAME, 0);
        }
        frames.free(frames.allocate(MOST_ORDER), MOST_ORDER);
        assertThat(frames.inUse()).isZero();
    }

    @Test
    @Promise("frames-free-2")
    void freeingWhatIsNotGivenOutIsABugAndFreesNothing() {
        FrameAllocator frames = newFrames(256);
        long kept = frames.allocate(2);
        long freed = frames.allocate(2);
        frames.free(freed, 2);
        long half = frames.allocate(2);
        frames.free(half + 2 * FRAME, 1);
        long before = frames.inUse();
        assertBug(frames, half, 2, before);
        assertBug(frames, half + 2 * FRAME, 1, before);
        assertBug(frames, half + 3 * FRAME, 0, before);
        assertBug(frames, kept + 2 * FRAME, 2, before);
        assertBug(frames, kept + FRAME, 1, before);
        assertBug(frames, kept + 8, 0, before);
        assertBug(frames, -FRAME, 0, before);
        assertBug(frames, 1L << 60, 0, before);
        assertBug(frames, kept, -1, before);
        assertBug(frames, kept, MOST_ORDER + 1, before);
        frames.free(half, 1);
        frames.free(kept, 2);
        assertBug(frames, kept, 2, 0);
        assertBug(frames, kept, 0, 0);
    }

    private static void assertBug(FrameAllocator frames, long address, int order, long inUse) {
        assertThatIllegalStateException()
                .as("free(0x%x, %d)", address, order)
                .isThrownBy(() -> frames.free(address, order));
        assertThat(frames.inUse())
                .as("in use after free(0x%x, %d)", address, order)
                .isEqualTo(inUse);
    }

    @Test
    @Promise("frames-in-use-1")
    void framesInUseAreCounted() {
        FrameAllocator frames = newFrames(FRAMES);
        assertThat(frames.inUse()).isZero();
        long expected = 0;
        List<Block> blocks = new ArrayList<>();
        for (int order : new int[] {0, 3, 10, 1}) {
            blocks.add(new Block(frames.allocate(order), order));
            expected += 1L << order;
            assertThat(frames.inUse()).isEqualTo(expected);
        }
        for (Block block : blocks) {
            frames.free(block.address(), block.order());
            expected -= block.count();
            assertThat(frames.inUse()).isEqualTo(expected);
        }
    }

    @Test
    @Promise("frames-1")
    void threadsGetFramesOfTheirOwn() throws Exception {
        FrameAllocator frames = newFrames(FRAMES);
        Set<Long> given = ConcurrentHashMap.newKeySet();
        long seed = random().nextLong();
        Threads.run(() -> churn(frames, given, new Random(seed)), () -> churn(frames, given, new Random(~seed)));
        assertThat(frames.inUse()).as("in use when all are back").isZero();
    }

    private void churn(FrameAllocator frames, Set<Long> given, Random random) {
        List<Block> own = new ArrayList<>();
        for (int i = 0; i < rounds(); i++) {
            if (own.size() < 8) {
                int order = random.nextInt(4);
                Block block = new Block(frames.allocate(order), order);
                take(given, block);
                own.add(block);
            } else {
                give(frames, given, own.remove(random.nextInt(own.size())));
            }
        }
        own.forEach(block -> give(frames, given, block));
    }

    private static void give(FrameAllocator frames, Set<Long> given, Block block) {
        for (int i = 0; i < block.count(); i++) {
            given.remove(block.address() + (long) i * FRAME);
        }
        frames.free(block.address(), block.order());
    }
}
