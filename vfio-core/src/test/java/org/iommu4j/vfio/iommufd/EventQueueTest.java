// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a reader of a virtual IOMMU's events gets, also when some were lost. */
class EventQueueTest {
    private static final String OLD = "7.1.3";
    private static final String NEW = "7.2";
    private static final int LOST = VirtualEvent.LOST_EVENTS;

    /** The header, and the two words of each event here. */
    private static final long EVENT = 24;

    private static EventQueue boot(String release, int depth) {
        return new EventQueue(new ObjectTable(), IommufdRules.of(LinuxRelease.of(release)), depth, () -> {}, () -> {});
    }

    private static VirtualEvent event(int sequence) {
        return new VirtualEvent(0, sequence, List.of(sequence * 16L, -1L));
    }

    private static VirtualEvent lost(int sequence) {
        return new VirtualEvent(LOST, sequence, List.of());
    }

    private static VirtualEvent header(int sequence) {
        return new VirtualEvent(0, sequence, List.of());
    }

    private static void report(EventQueue queue, int from, int to) {
        for (int i = from; i <= to; i++) {
            queue.report(List.of(i * 16L, -1L));
        }
    }

    private static void assertRefused(Errno errno, Runnable call) {
        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(call::run)
                .satisfies(refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    @ParameterizedTest
    @ValueSource(strings = {OLD, NEW})
    void aReaderGetsAsManyEventsAsItHasRoomFor(String release) {
        EventQueue queue = boot(release, 8);
        assertThat(queue.read(0, 0)).isEmpty();
        report(queue, 0, 2);
        assertThat(queue.read(3 * EVENT - 1, 3 * EVENT)).containsExactly(event(0), event(1));
        assertThat(queue.read(EVENT, EVENT)).containsExactly(event(2));
        assertThat(queue.read(EVENT, EVENT)).isEmpty();
    }

    @Test
    void aFullQueueSaysAtItsEndThatEventsWereLostUntilThereIsRoom() {
        EventQueue queue = boot(NEW, 2);
        report(queue, 0, 4);
        assertThat(queue.read(2 * EVENT, 2 * EVENT)).containsExactly(event(0), event(1));
        assertThat(queue.read(EVENT, EVENT)).as("2 to 4").containsExactly(lost(4));
        assertThat(queue.read(EVENT, EVENT)).isEmpty();
        report(queue, 5, 7);
        assertThat(queue.read(EVENT, EVENT)).containsExactly(event(5));
        report(queue, 8, 8);
        assertThat(queue.read(100 * EVENT, 100 * EVENT))
                .as("the gap in the numbers tells of 7")
                .containsExactly(event(6), event(8));
        assertThatIllegalArgumentException().isThrownBy(() -> queue.report(List.of()));
    }

    @Test
    void aReaderWithoutRoomForTheFirstEventIsToldSoSince72() {
        EventQueue queue = boot(NEW, 1);
        report(queue, 0, 1);
        for (long count : new long[] {0, 7, 8, EVENT - 1}) {
            assertRefused(Errno.EINVAL, () -> queue.read(count, count));
        }
        assertThat(queue.read(EVENT + 7, EVENT + 7)).containsExactly(event(0));
        assertRefused(Errno.EINVAL, () -> queue.read(7, 7));
        assertThat(queue.read(8, 8)).containsExactly(lost(1));
        EventQueue old = boot(OLD, 1);
        report(old, 0, 0);
        assertThat(old.read(EVENT - 1, EVENT - 1)).isEmpty();
        assertThat(old.read(EVENT, EVENT)).containsExactly(event(0));
    }

    @Test
    void anEventThatCantBeWrittenStays() {
        EventQueue queue = boot(NEW, 4);
        report(queue, 0, 1);
        for (long writable : new long[] {0, 7, 8, EVENT - 1}) {
            assertRefused(Errno.EFAULT, () -> queue.read(2 * EVENT, writable));
        }
        assertThat(queue.read(2 * EVENT, EVENT + 8)).containsExactly(event(0));
        assertThat(queue.read(2 * EVENT, 2 * EVENT)).containsExactly(event(1));
    }

    @Test
    void theHeaderOfAnEventThatCantBeWrittenCouldBeReadUntil71() {
        EventQueue queue = boot(OLD, 4);
        report(queue, 0, 1);
        assertRefused(Errno.EFAULT, () -> queue.read(EVENT, 7));
        assertThat(queue.read(EVENT, 8)).containsExactly(header(0));
        assertThat(queue.read(2 * EVENT, EVENT + 8)).containsExactly(event(0), header(1));
        assertThat(queue.read(2 * EVENT, 2 * EVENT)).containsExactly(event(1));
    }

    @Test
    void aClosedFileIsNotRead() {
        EventQueue queue = boot(NEW, 1);
        queue.close();
        queue.close();
        report(queue, 0, 0);
        assertRefused(Errno.EBADF, () -> queue.read(EVENT, EVENT));
    }
}
