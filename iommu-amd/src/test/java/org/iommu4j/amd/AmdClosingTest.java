// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.spi.VendorContext;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What still reaches for a unit's queues while the driver is closed, and when their frames are somebody else's. */
class AmdClosingTest {
    /** IASup, PPRSup, GTSup, HATS 2, GLXSup 2, PASmax 15, GIoSup. */
    private static final long EFR = 0x8c0 | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48;

    private static final int CONTROL = 0x18 / 8;
    private static final int STATUS = 0x2020 / 8;
    private static final long EVENT_LOG_EN = 4;
    private static final long PPR_LOG_EN = 1 << 13;

    /** IO_PAGE_FAULT of 01:00.0. */
    private static final long FAULT = 0x2000_0000_0000_0100L;

    /** Read as an event it is an INVALID_DEVICE_REQUEST, as a page request one of an unknown kind. */
    private static final long STRANGERS = 0x8747_4747_4747_4747L;

    private static final int PASID = 5;

    private final TestPlatform platform = new TestPlatform();
    private final List<Long> strangersFrames = new ArrayList<>();
    private Thread other = new Thread();

    @AfterEach
    void theOtherThreadEnds() throws InterruptedException {
        other.join();
    }

    /** Starts a thread and comes back when it has ended or waits for a monitor. */
    private void startUntilItEndsOrIsBlocked(Runnable work) {
        other = new Thread(work);
        other.start();
        while (other.getState() != Thread.State.TERMINATED && other.getState() != Thread.State.BLOCKED) {
            Thread.onSpinWait();
        }
    }

    /** Returns where a ring is, of which the register says so. */
    private long ring(int offset) {
        return platform.unit.registers[offset / 8] & 0x000f_ffff_ffff_f000L;
    }

    private void logEvent(long address) {
        long tail = platform.unit.registers[0x2018 / 8];
        platform.memory.store(ring(0x10) + tail + 8, address);
        platform.memory.store(ring(0x10) + tail, FAULT);
        platform.unit.registers[0x2018 / 8] = tail + 16;
    }

    private void logPageRequest() {
        platform.memory.store(ring(0x38), 0x1144_0201_0005_0100L);
        platform.memory.store(ring(0x38) + 8, 0x1000);
        platform.unit.registers[0x2038 / 8] = 16;
    }

    /** The rings are free, and somebody takes their frames and writes there. */
    private void aStrangerTakesTheRings() {
        assertThat(platform.frames.inUse()).isZero();
        for (int offset : new int[] {0x8, 0x10, 0x38}) {
            for (long frame = ring(offset); frame != 0 && frame <= ring(offset) + 4096; frame += 4096) {
                strangersFrames.add(frame);
                platform.memory.storeRun(frame, STRANGERS, 0, SystemMemory.FRAME_WORDS);
            }
        }
        assertThat(strangersFrames).hasSizeGreaterThanOrEqualTo(4);
    }

    private void assertThatTheStrangersFramesAreAsHeLeftThem() {
        for (long frame : strangersFrames) {
            for (int word = 0; word < SystemMemory.FRAME_WORDS; word++) {
                assertThat(platform.memory.load(frame + word * 8L)).isEqualTo(STRANGERS);
            }
        }
    }

    private AmdIommu open(Waiter waiter) {
        VendorContext context = platform.context();
        return (AmdIommu) new AmdVendor().open(context.withWaiter(waiter));
    }

    @Test
    void whatWasLoggedUntilTheUnitStoppedIsTakenAfterwardsAndTheFreedLogIsLeftAlone() {
        AmdIommu iommu = platform.open();
        logEvent(0x7000);
        platform.unit.registers[STATUS] = 1; // EventOverflow
        iommu.close();
        aStrangerTakesTheRings();
        platform.unit.registers[0x2018 / 8] += 32;
        platform.unit.logged = new ArrayList<>();

        assertThat(iommu.takeFaults()).extracting(DmaFault::address).containsExactly(0x7000L);
        assertThat(iommu.takeFaults()).isEmpty();

        assertThat(iommu.faultOverflows()).isOne();
        assertThat(platform.unit.logged).as("writes to registers").isEmpty();
        assertThat(platform.unit.registers[CONTROL] & EVENT_LOG_EN).isZero();
        assertThatTheStrangersFramesAreAsHeLeftThem();
    }

    @Test
    void whoTakesFaultsWhileTheUnitIsStoppingDoesNotTurnTheLogOnAgain() throws InterruptedException {
        Waiter plain = platform.context().waiter();
        AtomicReference<Runnable> whileWaiting = new AtomicReference<>(() -> {});
        AmdIommu iommu = open((condition, ticks) -> {
            whileWaiting.getAndSet(() -> {}).run();
            return plain.await(condition, ticks);
        });
        logEvent(0x7000);
        platform.unit.registers[STATUS] = 1; // EventOverflow
        List<DmaFault> taken = new ArrayList<>();
        whileWaiting.set(() -> startUntilItEndsOrIsBlocked(() -> taken.addAll(iommu.takeFaults())));
        platform.unit.logged = new ArrayList<>();

        iommu.close();
        other.join();

        assertThat(taken).extracting(DmaFault::address).containsExactly(0x7000L);
        assertThat(platform.unit.logged)
                .filteredOn(write -> write.startsWith("18 = "))
                .isNotEmpty()
                .allSatisfy(write -> assertThat(Long.parseLong(write.substring(5), 16) & EVENT_LOG_EN)
                        .isZero());
        assertThat(platform.frames.inUse()).isZero();
    }

    @Test
    void pageRequestsAreNotReadFromAFreedLog() {
        platform.efr = EFR;
        AmdIommu iommu = platform.open();
        IommuDevice device =
                iommu.probe(platform.askingFunction(1, 0, 0x8100, 64)).orElseThrow();
        PageRequests requests = device.pageRequests().orElseThrow();
        iommu.close();
        aStrangerTakesTheRings();
        platform.unit.registers[0x2038 / 8] = 32;
        platform.unit.registers[STATUS] = 1 << 5; // PprOverflow

        assertThat(requests.take()).isEmpty();

        assertThat(requests.overflows()).isZero();
        assertThat(platform.unit.registers[CONTROL] & PPR_LOG_EN).isZero();
        assertThatTheStrangersFramesAreAsHeLeftThem();
    }

    @Test
    void anAnswerThatComesTooLateIsRefusedAndNotQueuedInAFreedBuffer() throws InterruptedException {
        platform.efr = EFR;
        AmdIommu iommu = platform.open();
        IommuDevice device =
                iommu.probe(platform.askingFunction(1, 0, 0x8100, 64)).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.PASID));
        domain.attach(device);
        domain.pasidAttachment().orElseThrow().attach(device, PASID);
        PageRequests requests = device.pageRequests().orElseThrow();
        requests.enable();
        logPageRequest();
        PageRequestGroup group = requests.take().get(0);
        AtomicReference<Throwable> refusal = new AtomicReference<>();
        synchronized (iommu.state().units().get(0).commands()) {
            startUntilItEndsOrIsBlocked(
                    () -> refusal.set(catchThrowable(() -> requests.respond(group, PageResponse.SUCCESS))));
            assertThat(other.getState()).isEqualTo(Thread.State.BLOCKED);
            domain.pasidAttachment().orElseThrow().detach(device, PASID);
            domain.detach(device);
            domain.close();
            iommu.close();
            aStrangerTakesTheRings();
            platform.unit.logged = new ArrayList<>();
        }
        other.join();

        assertThat(refusal.get())
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EIO))
                .hasMessageContaining("ivhd0 is off");
        assertThat(platform.unit.logged).as("writes to registers").isEmpty();
        assertThatTheStrangersFramesAreAsHeLeftThem();
    }
}
