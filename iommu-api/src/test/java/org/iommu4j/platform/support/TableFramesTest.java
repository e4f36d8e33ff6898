// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform.support;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;
import org.junit.jupiter.api.Test;

class TableFramesTest {
    private static final int FRAMES = 8;

    private final List<Long> writtenBack = new ArrayList<>();
    private final SystemMemory flat = new FlatMemory(1 << 20);

    /** The memory, which keeps what is written back. */
    private final SystemMemory memory = (SystemMemory) Proxy.newProxyInstance(
            SystemMemory.class.getClassLoader(), new Class<?>[] {SystemMemory.class}, (proxy, method, arguments) -> {
                if (method.getName().equals("writeBack")) {
                    writtenBack.add((Long) arguments[0]);
                    assertThat(arguments[1]).as("bytes that are written back").isEqualTo(4096L);
                }
                return method.invoke(flat, arguments);
            });

    private final FrameAllocator pool = new FramePool(0x1000, FRAMES * 4096L);
    private final TableFrames frames = new TableFrames(memory, pool);

    @Test
    void aFrameIsZeroWhateverWasInIt() {
        for (long word = 0x1000; word < 0x1000 + FRAMES * 4096L; word += 8) {
            memory.store(word, -1);
        }
        long frame = frames.take();
        for (long word = frame; word < frame + 4096; word += 8) {
            assertThat(memory.load(word)).isZero();
        }
    }

    @Test
    void framesAreWrittenBackForAUnitThatDoesNotSnoopAndForNoOther() {
        frames.take();
        frames.take(2, false);
        assertThat(writtenBack).isEmpty();
        long frame = frames.take(true);
        assertThat(writtenBack).containsExactly(frame);
        frames.take(2, true);
        assertThat(writtenBack).hasSize(3);
    }

    @Test
    void aChainHasAllItsFramesOnceAndGivesThemBack() {
        long chain = frames.take(5, false);
        assertThat(frames.count(chain)).isEqualTo(5);
        List<Long> seen = new ArrayList<>();
        for (long frame = chain; frame != TableFrames.NONE; frame = frames.next(frame)) {
            seen.add(frame);
        }
        assertThat(seen).hasSize(5).doesNotHaveDuplicates();
        assertThat(pool.inUse()).isEqualTo(5);
        frames.freeChain(chain);
        assertThat(pool.inUse()).isZero();
        assertThat(frames.take(0, false)).isEqualTo(TableFrames.NONE);
    }

    @Test
    void ofAChainThatCantBeMadeNoFrameIsKept() {
        assertThatThrownBy(() -> frames.take(FRAMES + 1, false))
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(Errno.ENOMEM));
        assertThat(pool.inUse()).isZero();
    }
}
