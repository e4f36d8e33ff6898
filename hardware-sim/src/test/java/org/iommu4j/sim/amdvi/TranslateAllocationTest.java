// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.IR_IW;
import static org.iommu4j.sim.amdvi.TestBed.ROOT;

import java.lang.management.ManagementFactory;
import java.util.function.IntConsumer;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.junit.jupiter.api.Test;

class TranslateAllocationTest {
    private static final int OPERATIONS = 100_000;

    private final TestBed bed = new TestBed();

    private static void assertAllocatesNothing(IntConsumer operation) {
        var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        for (int i = 0; i < OPERATIONS; i++) {
            operation.accept(i);
        }
        long fewest = Long.MAX_VALUE;
        for (int run = 0; run < 5; run++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            for (int i = 0; i < OPERATIONS; i++) {
                operation.accept(i);
            }
            fewest = Math.min(fewest, threads.getCurrentThreadAllocatedBytes() - before);
        }
        assertThat(fewest).as("bytes over %d operations", OPERATIONS).isLessThan(1000);
    }

    @Test
    void hitsWalksFaultsAndInvalidationsAllocateNothing() {
        bed.attach(DEVICE, 4);
        for (int i = 0; i < 512; i++) {
            bed.map(i * 0x1000L, 4, 1, IR_IW | 0x600000 + i * 0x1000L | 1);
        }
        bed.memory.store(TestBed.COMMANDS, 0x3000000500000000L);
        bed.memory.store(TestBed.COMMANDS + 8, 0x7ffffffffffff003L);
        bed.memory.store(TestBed.COMMANDS + 16, 0x2000000000000110L);
        bed.memory.store(TestBed.COMMANDS + 24, 0L);
        for (int i = 2; i < 256; i++) {
            bed.memory.store(TestBed.COMMANDS + i * 16L, 0x1000000000500001L);
        }

        assertAllocatesNothing(i -> bed.read(0x5008));
        assertAllocatesNothing(i -> bed.write((i & 511) * 0x1000L));
        assertAllocatesNothing(i -> bed.read(0x40000000L));
        assertAllocatesNothing(i -> {
            bed.unit.writeRegister64(0x2008, (i + 1) % 256 * 16L);
            bed.unit.step();
            bed.read(0x5008);
        });
        assertThat(bed.memory.load(ROOT)).isNotZero();
    }

    @Test
    void guestsHitsWalksFaultsAndInvalidationsAllocateNothing() {
        GuestBed guest = new GuestBed();
        guest.attach(0, 3);
        for (long guestPhysical = 0x600000; guestPhysical < 0x800000; guestPhysical += 0x1000) {
            guest.bed.map(guestPhysical, 3, 1, IR_IW | guestPhysical | 1);
        }
        guest.map(0x5000, 4, 1, 0x6c0007);
        guest.bed.memory.store(TestBed.COMMANDS, 0x3000000500000003L);
        guest.bed.memory.store(TestBed.COMMANDS + 8, 0x7ffffffffffff007L);
        for (int i = 1; i < 256; i++) {
            guest.bed.memory.store(TestBed.COMMANDS + i * 16L, 0x1000000000500001L);
        }
        assertThat(guest.write(0x5000)).isEqualTo(Translation.to(0x6c0000, false));

        assertAllocatesNothing(i -> guest.read(0x5008));
        assertAllocatesNothing(i -> guest.read(0x40000000L));
        assertAllocatesNothing(
                i -> guest.bed.unit.requestTranslation(DEVICE, GuestBed.PASID, 0x5008, RequestFlags.WRITE));
        assertAllocatesNothing(i -> {
            guest.bed.unit.writeRegister64(0x2008, (i + 1) % 256 * 16L);
            guest.bed.unit.step();
            guest.write(0x5008);
        });
    }
}
