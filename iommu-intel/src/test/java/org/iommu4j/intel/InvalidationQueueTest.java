// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.intel.fmt.InvalidationDescriptor;
import org.iommu4j.intel.reg.Capability;
import org.iommu4j.intel.reg.DmarRegisters;
import org.iommu4j.intel.reg.ExtendedCapability;
import org.junit.jupiter.api.Test;

/** The queue over registers alone: batches, waits, and what is asked for again. */
class InvalidationQueueTest {
    private static final int NO_PASID = 0;
    private static final String DEVICE_TLB = "1000050003 7ffffffffffff001";

    private final Bench bench = new Bench();
    private final DeviceTlb tlb = deviceTlb();
    private RegistersDouble registers;

    private DeviceTlb deviceTlb() {
        bench.cachingFunction("0000:00:02.0", 8);
        return new DeviceTlb(bench.functions.get(0).config(), 0x10, true);
    }

    private InvalidationQueue queue(long capValue, long ecapValue) {
        return queue(bench.unit(0xfed90000L, capValue, ecapValue), capValue, ecapValue);
    }

    private InvalidationQueue queue(RegistersDouble unit, long capValue, long ecapValue) {
        registers = unit;
        Capability cap = new Capability(capValue);
        ExtendedCapability ecap = new ExtendedCapability(ecapValue);
        InvalidationQueue queue = new InvalidationQueue(
                "dmar0",
                bench.memory,
                registers,
                registers,
                cap,
                ecap,
                InvalidationQueue.allocate(bench.memory, bench.pool, ecap));
        queue.program();
        new UnitCommands("dmar0", registers, registers, false).turn(DmarRegisters.QIE, true);
        registers.recording = true;
        return queue;
    }

    private void askDevice(InvalidationQueue queue) {
        queue.deviceTlb(tlb, NO_PASID, 0, InvalidationDescriptor.ALL_PAGES);
    }

    private static boolean isWait(String descriptor) {
        return descriptor.matches("[0-9a-f]*[0-9a-f]25 .*");
    }

    /** Returns how many descriptors the unit took before each wait since the last call. */
    private List<Integer> batches() {
        List<Integer> batches = new ArrayList<>();
        int count = 0;
        for (String descriptor : registers.takeLog()) {
            if (isWait(descriptor)) {
                batches.add(count);
                count = 0;
            } else {
                count++;
            }
        }
        assertThat(count).as("descriptors behind the last wait").isZero();
        return batches;
    }

    @Test
    void aBatchAndItsRepetitionFitTheQueueTogether() {
        InvalidationQueue queue = queue(Bench.CAP, Bench.ECAP);
        for (int i = 0; i < 1000; i++) {
            queue.contextCache(InvalidationDescriptor.DEVICE, 2, i);
        }
        assertThat(queue.complete()).isTrue();
        List<Integer> batches = batches();
        assertThat(batches.stream().mapToInt(Integer::intValue).sum()).isEqualTo(1000);
        // With a wait each, and one slot of 256 stays free: a full queue would look empty.
        assertThat(batches).allMatch(count -> 2 * (count + 1) <= 255);
    }

    @Test
    void aDeviceIsAskedThreeTimesAndNoMore() {
        InvalidationQueue queue = queue(Bench.CAP, Bench.ECAP);
        registers.silentDevices = 2;
        askDevice(queue);
        assertThat(queue.complete()).isTrue();
        assertThat(batches()).containsExactly(1, 1, 1);

        registers.silentDevices = 3;
        askDevice(queue);
        assertThat(queue.complete()).isFalse();
        assertThat(batches()).containsExactly(1, 1, 1);
    }

    @Test
    void allThatWasAbortedIsAskedForAgain() {
        InvalidationQueue queue = queue(Bench.CAP, Bench.ECAP);
        registers.silentDevices = 1;
        queue.contextCache(InvalidationDescriptor.DEVICE, 2, 0x10);
        askDevice(queue);
        queue.contextCache(InvalidationDescriptor.DEVICE, 2, 0x11);
        assertThat(queue.complete()).isTrue();
        assertThat(registers.takeLog().stream().filter(each -> !isWait(each)))
                .containsExactly(
                        "1000020031 0", DEVICE_TLB, "1100020031 0", "1000020031 0", DEVICE_TLB, "1100020031 0");
    }

    @Test
    void aBatchThatFailedIsNotForgottenForLaterOnesThatDidNot() {
        InvalidationQueue queue = queue(Bench.CAP, Bench.ECAP);
        registers.silentDevices = Integer.MAX_VALUE;
        while (registers.takeLog().isEmpty()) {
            askDevice(queue);
        }
        registers.silentDevices = 0;
        askDevice(queue);
        assertThat(queue.complete()).isFalse();
        askDevice(queue);
        assertThat(queue.complete()).as("said once").isTrue();
    }

    @Test
    void aQueueThatStandsStillIsGivenNothingMore() {
        InvalidationQueue queue = queue(Bench.CAP, Bench.ECAP);
        registers.refusing = true;
        queue.contextCache(InvalidationDescriptor.DEVICE, 2, 0x10);
        assertThat(queue.complete()).isFalse();
        assertThat(registers.values.get(DmarRegisters.IQT.offset()))
                .as("the tail behind one descriptor and its wait")
                .isEqualTo(2 * InvalidationDescriptor.SIZE);
    }

    @Test
    void anEarlierOwnerOfTheFramesAndOfTheRegistersEndsNoWait() {
        for (long frame = 0x100000; frame < 0x110000; frame += 4096) {
            bench.flat.storeRun(frame, 1, 0, 512);
        }
        RegistersDouble used = bench.unit(0xfed90000L, Bench.CAP, Bench.ECAP);
        used.write64(DmarRegisters.IQT.offset(), 0x50);
        InvalidationQueue queue = queue(used, Bench.CAP, Bench.ECAP);
        assertThat(registers.values.get(DmarRegisters.IQT.offset())).isZero();
        registers.frozen = true;
        queue.contextCache(InvalidationDescriptor.DEVICE, 2, 0x10);
        assertThat(queue.complete())
                .as("numbers begin at 1, as the frames are full of")
                .isFalse();
    }

    @Test
    void thePhysicalFunctionIsNamedToUnitsThatThrottle() {
        InvalidationQueue plain = queue(Bench.CAP, Bench.ECAP_SCALABLE & ~(1L << 41));
        askDevice(plain);
        assertThat(plain.complete()).isTrue();
        assertThat(registers.takeLog()).contains(DEVICE_TLB);

        InvalidationQueue throttling = queue(Bench.CAP, Bench.ECAP_SCALABLE | 1L << 41);
        askDevice(throttling);
        throttling.deviceTlb(tlb, 7, 0, 0);
        assertThat(throttling.complete()).isTrue();
        assertThat(registers.takeLog()).contains("10001000050003 7ffffffffffff001", "10000700100058 0");
    }

    @Test
    void onlyTheDrainsThatAUnitHasAreAskedFor() {
        long neither = Bench.CAP & ~(3L << 54);
        long[] caps = {neither, neither | 1L << 54, neither | 1L << 55, neither | 3L << 54};
        String[] expected = {"20022 0", "20062 0", "200a2 0", "200e2 0"};
        for (int i = 0; i < caps.length; i++) {
            InvalidationQueue queue = queue(caps[i], Bench.ECAP);
            queue.iotlb(InvalidationDescriptor.DOMAIN, 2, 0, 0, false);
            assertThat(queue.complete()).isTrue();
            assertThat(registers.takeLog()).contains(expected[i]);
        }
    }
}
