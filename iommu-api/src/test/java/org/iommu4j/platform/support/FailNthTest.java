// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform.support;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.Waiter;
import org.junit.jupiter.api.Test;

class FailNthTest {
    private final FailNth injector = new FailNth();
    private final FramePool pool = new FramePool(0, 16 * 4096);
    private final FrameAllocator frames = injector.frames(pool);
    private final Waiter waiter = injector.waiter((condition, ticks) -> condition.getAsBoolean());
    private final List<String> written = new ArrayList<>();
    private final RegisterWindow registers = injector.registers((base, size) -> new RegisterWindow() {
                @Override
                public int read8(int offset) {
                    return 8;
                }

                @Override
                public int read16(int offset) {
                    return 16;
                }

                @Override
                public int read32(int offset) {
                    return 32;
                }

                @Override
                public long read64(int offset) {
                    return 64;
                }

                @Override
                public void write8(int offset, int value) {
                    written.add("8: " + value);
                }

                @Override
                public void write16(int offset, int value) {
                    written.add("16: " + value);
                }

                @Override
                public void write32(int offset, int value) {}

                @Override
                public void write64(int offset, long value) {}
            })
            .map(0, 4096);

    @Test
    void nothingFailsUntilItIsArmed() {
        frames.allocate(0);
        assertThat(waiter.await(() -> true, 1)).isTrue();
        assertThat(registers.read32(0)).isEqualTo(32);
        assertThat(injector.fired()).isFalse();
    }

    @Test
    void oneCounterRunsOverAllPortsAndFiresOnce() {
        injector.arm(3);
        assertThat(registers.read64(0)).isEqualTo(64);
        assertThat(waiter.await(() -> true, 1)).isTrue();
        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(() -> frames.allocate(0))
                .satisfies(e -> assertThat(e.errno()).isEqualTo(Errno.ENOMEM));
        assertThat(injector.fired()).isTrue();
        assertThat(frames.allocate(0)).isZero();
        assertThat(injector.calls()).isEqualTo(4);
    }

    @Test
    void aWaitFailsAsATimeOutAndARegisterReadAsAllOnes() {
        injector.arm(1);
        assertThat(waiter.await(() -> true, 1)).isFalse();
        injector.arm(1);
        assertThat(registers.read32(0)).isEqualTo(-1);
        injector.arm(1);
        assertThat(registers.read64(0)).isEqualTo(-1L);
        injector.arm(1);
        assertThat(registers.read8(0)).isEqualTo(0xff);
        assertThat(registers.read8(0)).isEqualTo(8);
        injector.arm(1);
        assertThat(registers.read16(0)).isEqualTo(0xffff);
        assertThat(registers.read16(0)).isEqualTo(16);
    }

    @Test
    void aNarrowWriteGoesThroughAndDoesNotCount() {
        injector.arm(1);
        registers.write8(0, 5);
        registers.write16(2, 7);
        assertThat(written).containsExactly("8: 5", "16: 7");
        assertThat(injector.calls()).isZero();
    }

    @Test
    void givingBackNeverFailsNorCounts() {
        long frame = frames.allocate(0);
        injector.arm(1);
        frames.free(frame, 0);
        assertThat(injector.fired()).isFalse();
        assertThat(pool.inUse()).isZero();
    }
}
