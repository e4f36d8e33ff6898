// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.PageResponse;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestPageRequests;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a reader of page requests gets whose buffer is too short, or can't be written to its end. */
class FaultQueueTest {
    private static final String OLD = "7.1.3";
    private static final String NEW = "7.2";
    private static final long RECORD = FaultQueue.RECORD_SIZE;

    private final TestHost host = new TestHost();
    private final TestDevice device = host.add("0000:00:05.0");
    private final TestPageRequests requests = new TestPageRequests();

    private FaultQueue boot(String release) {
        IommufdContext context =
                new IommufdContext(IommufdOptions.DEFAULT.withRelease(LinuxRelease.of(release)), Accounting.USER);
        device.pageRequests = Optional.of(requests);
        Ioas ioas = context.table.add(new Ioas());
        BoundDevice bound =
                BoundDevice.bind(context, host.core().group(device.id()).orElseThrow(), device);
        FaultQueue queue = context.table.add(new FaultQueue(context.table, context.rules, () -> {}));
        Hwpt hwpt = HwptAllocator.allocate(context, ioas, device, 0, false, null);
        hwpt.deliverTo(queue);
        bound.attach(hwpt.id);
        return queue;
    }

    private void ask(int index, int pages) {
        requests.ask(device.id(), index, pages);
    }

    private static void assertRefused(Errno errno, Runnable call) {
        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(call::run)
                .satisfies(refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    private static List<Integer> groups(List<PageFault> faults) {
        return faults.stream().map(PageFault::group).toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {OLD, NEW})
    void aReaderGetsAsManyWholeGroupsAsItHasRoomFor(String release) {
        FaultQueue queue = boot(release);
        ask(1, 2);
        ask(2, 1);
        ask(3, 3);
        List<PageFault> first = queue.read(5 * RECORD, 5 * RECORD);
        assertThat(groups(first)).containsExactly(1, 1, 2);
        assertThat(first.stream().map(PageFault::last)).containsExactly(false, true, true);
        assertThat(groups(queue.read(3 * RECORD, 3 * RECORD))).containsExactly(3, 3, 3);
        assertThat(queue.read(RECORD, RECORD)).isEmpty();
        assertThat(queue.read(0, 0)).isEmpty();
    }

    /** Whether anything waits or not. */
    @ParameterizedTest
    @ValueSource(strings = {OLD, NEW})
    void aReadIsOfWholeRecords(String release) {
        FaultQueue queue = boot(release);
        assertRefused(Errno.ESPIPE, () -> queue.read(RECORD - 1, RECORD));
        ask(1, 1);
        assertRefused(Errno.ESPIPE, () -> queue.read(RECORD + 1, RECORD));
        assertThat(queue.read()).hasSize(1);
    }

    @Test
    void aReaderWithoutRoomForTheFirstGroupIsToldSoSince72() {
        FaultQueue queue = boot(NEW);
        ask(1, 2);
        ask(2, 1);
        assertRefused(Errno.EINVAL, () -> queue.read(RECORD, RECORD));
        assertRefused(Errno.EINVAL, () -> queue.read(0, 0));
        assertThat(groups(queue.read())).as("it stays the first").containsExactly(1, 1, 2);
    }

    @Test
    void aReaderWithoutRoomForTheFirstGroupGotNothingUntil71() {
        FaultQueue queue = boot(OLD);
        ask(1, 2);
        ask(2, 1);
        assertThat(queue.read(RECORD, RECORD)).isEmpty();
        assertThat(groups(queue.read())).containsExactly(1, 1, 2);
    }

    @Test
    void aGroupThatCantBeWrittenStaysWhole() {
        FaultQueue queue = boot(NEW);
        ask(1, 1);
        ask(2, 2);
        assertRefused(Errno.EFAULT, () -> queue.read(3 * RECORD, RECORD - 1));
        List<PageFault> read = queue.read(3 * RECORD, 3 * RECORD - 1);
        assertThat(groups(read)).containsExactly(1);
        assertThat(groups(queue.read())).containsExactly(2, 2);
        queue.write(read.get(0).cookie(), 0);
        assertThat(requests.answers).isEqualTo(Map.of(1, PageResponse.SUCCESS));
    }

    /** The group stays, and is read once more from its first page on; the cookie that was read answers nothing. */
    @Test
    void aPartOfAGroupCouldBeReadUntil71() {
        FaultQueue queue = boot(OLD);
        ask(1, 2);
        List<PageFault> part = queue.read(2 * RECORD, RECORD);
        assertThat(groups(part)).containsExactly(1);
        assertThat(part.get(0).last()).isFalse();
        assertRefused(Errno.EINVAL, () -> queue.write(part.get(0).cookie(), 0));
        List<PageFault> whole = queue.read();
        assertThat(groups(whole)).containsExactly(1, 1);
        queue.write(whole.get(0).cookie(), 0);
    }

    /** Linux did not come back from these reads. */
    @Test
    void whereLinuxTriedForeverTheAnswerIsTheLaterOne() {
        FaultQueue queue = boot(OLD);
        ask(1, 2);
        assertRefused(Errno.EFAULT, () -> queue.read(2 * RECORD, 0));
        assertRefused(Errno.EFAULT, () -> queue.read(3 * RECORD, RECORD));
        assertThat(queue.read()).hasSize(2);
    }

    @Test
    void aGroupHasTheLowestFreeCookie() {
        FaultQueue queue = boot(NEW);
        for (int index = 1; index <= 3; index++) {
            ask(index, 1);
        }
        assertThat(queue.read().stream().map(PageFault::cookie)).containsExactly(1, 2, 3);
        queue.write(2, 0);
        queue.write(1, 1);
        ask(4, 1);
        ask(5, 1);
        assertThat(queue.read().stream().map(PageFault::cookie)).containsExactly(1, 2);
        queue.refuse(requests, 0);
        ask(6, 1);
        assertThat(queue.read().get(0).cookie()).isEqualTo(1);
    }
}
