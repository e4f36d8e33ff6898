// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.ProcessMemory;
import org.junit.jupiter.api.Test;

class UserProcessTest {
    private static final long VA = 0x7f0000200000L;

    private final Machine machine =
            new MachineFactory(List.of(new OffsetUnitProvider())).create(OffsetUnitProvider.ordinary());
    private final UserProcess process = machine.newProcess(10, false);

    private static void assertRefused(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    @Test
    void pagesAreBackedAndGivenBack() {
        long first = process.allocate(VA, 3, true);
        assertThat(process.translate(VA)).isEqualTo(first);
        assertThat(process.translate(VA + 0x2abc) & 0xfff).isEqualTo(0xabc);
        assertThat(process.translate(VA + 0x3000)).isEqualTo(ProcessMemory.UNMAPPED);
        assertThat(process.translate(-1)).isEqualTo(ProcessMemory.UNMAPPED);
        assertThat(machine.userFrames().inUse()).isEqualTo(3);
        process.free(VA, 3);
        assertThat(process.translate(VA)).isEqualTo(ProcessMemory.UNMAPPED);
        assertThat(machine.userFrames().inUse()).isZero();
    }

    @Test
    void twoMebibytesAreOneAlignedRunOfFrames() {
        process.allocate(0x1000, 1, true);
        long first = process.allocate(VA, 512, true);
        assertThat(first % (2 << 20)).isZero();
        for (int page = 0; page < 512; page++) {
            assertThat(process.translate(VA + 4096L * page)).isEqualTo(first + 4096L * page);
        }
    }

    @Test
    void twoProcessesShareNoFrame() {
        long mine = process.allocate(VA, 1, true);
        assertThat(machine.newProcess(0, false).allocate(VA, 1, true)).isNotEqualTo(mine);
    }

    @Test
    void allocationIsAllOrNothing() {
        process.allocate(VA + 0x2000, 1, true);
        assertRefused(Errno.EEXIST, () -> process.allocate(VA, 3, true));
        assertThat(process.translate(VA)).isEqualTo(ProcessMemory.UNMAPPED);
        assertRefused(Errno.ENOMEM, () -> process.allocate(0x10000000000L, 1 << 15, true));
        assertThat(machine.userFrames().inUse()).isEqualTo(1);
        assertRefused(Errno.EFAULT, () -> process.free(VA + 0x1000, 2));
        assertThat(process.translate(VA + 0x2000)).isNotEqualTo(ProcessMemory.UNMAPPED);
    }

    @Test
    void pinningIsAllOrNothingAndCountsEachPin() {
        long first = process.allocate(VA, 2, true);
        process.allocate(VA + 0x2000, 1, false);
        long[] frames = new long[4];
        process.pin(VA, 2, true, frames);
        process.pin(VA + 0x1000, 2, false, frames);
        assertThat(frames[0]).isEqualTo(process.translate(VA + 0x1000));
        assertThat(process.pinned()).isEqualTo(4);
        assertRefused(Errno.EFAULT, () -> process.pin(VA, 3, true, frames));
        assertRefused(Errno.EFAULT, () -> process.pin(VA, 4, false, frames));
        assertThat(process.pinned()).isEqualTo(4);
        process.unpin(first, true);
        assertThat(process.pinned()).isEqualTo(3);
        assertThat(process.isDirty(VA)).isTrue();
        assertThat(process.isDirty(VA + 0x1000)).isFalse();
        assertThatThrownBy(() -> process.unpin(first, false)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> process.unpin(first + 0x1008, false)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void aPageFreedWhilePinnedKeepsItsFrameUntilTheLastPinGoes() {
        long frame = process.allocate(VA, 1, true);
        long[] frames = new long[1];
        process.pin(VA, 1, true, frames);
        process.pin(VA, 1, true, frames);
        process.free(VA, 1);
        assertThat(machine.userFrames().inUse()).isEqualTo(1);
        assertThat(process.allocate(VA, 1, true)).isNotEqualTo(frame);
        process.unpin(frame, false);
        assertThat(machine.userFrames().inUse()).isEqualTo(2);
        process.unpin(frame, false);
        assertThat(machine.userFrames().inUse()).isEqualTo(1);
        assertThat(process.pinned()).isZero();

        // Used again, the frame is an ordinary one: it stays when its page is pinned and unpinned.
        long again = VA + 0x1000;
        assertThat(process.allocate(again, 1, true)).isEqualTo(frame);
        process.pin(again, 1, true, frames);
        process.unpin(frame, false);
        assertThat(machine.userFrames().inUse()).isEqualTo(2);
    }

    @Test
    void chargesStopAtTheLimitUnlessTheProcessMayExceedIt() {
        process.charge(10);
        assertRefused(Errno.ENOMEM, () -> process.charge(1));
        assertThat(process.charged()).isEqualTo(10);
        process.uncharge(4);
        process.charge(4);
        assertThatThrownBy(() -> process.uncharge(11)).isInstanceOf(IllegalStateException.class);
        UserProcess privileged = machine.newProcess(10, true);
        privileged.charge(1000);
        assertThat(privileged.charged()).isEqualTo(1000);
    }

    @Test
    void chargesAreCountsAndDoNotWrapAround() {
        UserProcess privileged = machine.newProcess(10, true);
        for (UserProcess each : List.of(process, privileged)) {
            each.charge(3);
            for (long count : new long[] {-1, -4, Long.MIN_VALUE}) {
                assertThatThrownBy(() -> each.charge(count)).isInstanceOf(IllegalArgumentException.class);
                assertThatThrownBy(() -> each.uncharge(count)).isInstanceOf(IllegalArgumentException.class);
            }
            assertRefused(Errno.ENOMEM, () -> each.charge(Long.MAX_VALUE));
            assertThat(each.charged()).isEqualTo(3);
        }
        assertThatThrownBy(() -> machine.newProcess(-1, false)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void addressesFromBit63OnAreNoUsers() {
        long[] frames = new long[2];
        long top = Long.MAX_VALUE - 4095;
        process.allocate(top, 1, true);
        for (long address : new long[] {Long.MIN_VALUE, Long.MIN_VALUE + VA, -4096}) {
            assertRefused(Errno.EFAULT, () -> process.pin(address, 1, false, frames));
            assertRefused(Errno.EFAULT, () -> process.pin(address, 2, true, frames));
            assertRefused(Errno.EFAULT, () -> process.allocate(address, 1, true));
            assertRefused(Errno.EFAULT, () -> process.free(address, 1));
            assertThat(process.translate(address)).isEqualTo(ProcessMemory.UNMAPPED);
            assertThat(process.isDirty(address)).isFalse();
        }
        assertRefused(Errno.EFAULT, () -> process.pin(top, 2, false, frames));
        assertRefused(Errno.EFAULT, () -> process.allocate(top - 4096, 3, true));
        assertRefused(Errno.EFAULT, () -> process.free(top, 2));
        process.pin(top, 1, true, frames);
        assertThat(frames[0]).isEqualTo(process.translate(top));
        assertThat(process.pinned()).isOne();
        assertThat(machine.userFrames().inUse()).isOne();
    }

    @Test
    void morePagesThanTheArrayHoldsAreNotPinned() {
        process.allocate(VA, 3, true);
        assertThatThrownBy(() -> process.pin(VA, 3, true, new long[2])).isInstanceOf(IllegalArgumentException.class);
        assertThat(process.pinned()).isZero();
    }
}
