// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.TestBed.CONTROL;
import static org.iommu4j.sim.amdvi.TestBed.STATUS;

import org.iommu4j.sim.amdvi.TestBed.LoggedEvent;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class AmdViEventLogTest {
    private static final long OVERFLOW = 1;
    private static final long INTERRUPT = 2;
    private static final long RUNNING = 8;

    private final TestBed bed = new TestBed();

    @BeforeEach
    void attach() {
        bed.attach(TestBed.DEVICE, 3);
    }

    private static LoggedEvent faultAt(long address) {
        return new LoggedEvent(0x2000000500000110L, address);
    }

    @Test
    void anEventSetsTheStatusBitAndMovesTheTail() {
        bed.read(0x1000);

        assertThat(bed.unit.readRegister64(STATUS)).isEqualTo(0x10 | RUNNING | INTERRUPT);
        assertThat(bed.unit.readRegister64(0x2018)).isEqualTo(16);
        assertThat(bed.events()).containsExactly(faultAt(0x1000));
        bed.unit.writeRegister64(STATUS, INTERRUPT);
        assertThat(bed.unit.readRegister64(STATUS)).isEqualTo(0x10 | RUNNING);
    }

    @Test
    void theLogIsARing() {
        for (int i = 0; i < 600; i++) {
            bed.read(i * 0x1000L);
            assertThat(bed.events()).containsExactly(faultAt(i * 0x1000L));
        }
    }

    @Test
    void aFullLogLosesTheEventAndStopsUntilSoftwareRestartsIt() {
        for (int i = 0; i < 255; i++) {
            bed.read(i * 0x1000L);
        }
        assertThat(bed.unit.readRegister64(STATUS) & (OVERFLOW | RUNNING))
                .as("full")
                .isEqualTo(RUNNING);
        bed.read(0x555000);
        assertThat(bed.unit.readRegister64(STATUS) & (OVERFLOW | RUNNING)).isEqualTo(OVERFLOW);
        assertThat(bed.events()).hasSize(255).last().isEqualTo(faultAt(254 * 0x1000L));

        bed.read(0x556000);
        bed.unit.writeRegister64(CONTROL, 0x1005);
        bed.read(0x557000);
        assertThat(bed.events()).as("room, but EventOverflow is set").isEmpty();

        bed.unit.writeRegister64(STATUS, OVERFLOW);
        bed.read(0x558000);
        assertThat(bed.events()).as("EventLogEn was not written").isEmpty();

        bed.unit.writeRegister64(CONTROL, 0x1001);
        bed.unit.writeRegister64(CONTROL, 0x1005);
        assertThat(bed.unit.readRegister64(STATUS) & (OVERFLOW | RUNNING)).isEqualTo(RUNNING);
        bed.read(0x559000);
        assertThat(bed.events()).containsExactly(faultAt(0x559000));
    }

    @Test
    void aLogThatIsNotMemorySwallowsEvents() {
        bed.unit.writeRegister64(CONTROL, 0x1001);
        bed.unit.writeRegister64(0x10, 0x0800000100000000L);
        bed.unit.writeRegister64(CONTROL, 0x1005);
        bed.read(0x1000);

        assertThat(bed.unit.readRegister64(0x2018)).isEqualTo(16);
    }
}
