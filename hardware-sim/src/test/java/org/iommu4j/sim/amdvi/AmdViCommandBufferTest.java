// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.TestBed.COMMANDS;
import static org.iommu4j.sim.amdvi.TestBed.CONTROL;
import static org.iommu4j.sim.amdvi.TestBed.STATUS;
import static org.iommu4j.sim.amdvi.TestBed.STORE;

import org.iommu4j.sim.amdvi.TestBed.LoggedEvent;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AmdViCommandBufferTest {
    private static final int HEAD = 0x2000;
    private static final int TAIL = 0x2008;
    private static final long RUNNING = 0x10;
    /** COMPLETION_WAIT with s, to {@link TestBed#STORE}. */
    private static final long WAIT = 0x1000000000500001L;

    private final TestBed bed = new TestBed();

    @Test
    void aRegisterWriteExecutesNothingAndAStepOneCommand() {
        bed.queue(WAIT, 0x1111, 0);
        bed.queue(WAIT, 0x2222, 16);
        bed.unit.writeRegister64(TAIL, 32);
        assertThat(bed.memory.load(STORE)).isZero();

        assertThat(bed.unit.step()).isTrue();
        assertThat(bed.memory.load(STORE)).isEqualTo(0x1111);
        assertThat(bed.unit.readRegister64(HEAD)).isEqualTo(16);
        assertThat(bed.unit.step()).isTrue();
        assertThat(bed.memory.load(STORE)).isEqualTo(0x2222);
        assertThat(bed.unit.step()).isFalse();
    }

    @Test
    void theBufferIsARing() {
        for (int i = 1; i <= 600; i++) {
            bed.command(WAIT, i);
            assertThat(bed.memory.load(STORE)).isEqualTo(i);
        }
        assertThat(bed.unit.readRegister64(HEAD)).isEqualTo(600 % 256 * 16);
    }

    @Test
    void aLongerBufferWrapsLater() {
        bed.unit.writeRegister64(CONTROL, 0);
        bed.unit.writeRegister64(0x8, 0x0900000000200000L); // 512 commands
        bed.unit.writeRegister64(CONTROL, 0x1005);
        bed.memory.store(COMMANDS + 0x1ff0, WAIT);
        bed.memory.store(COMMANDS + 0x1ff8, 0x77);
        bed.unit.writeRegister64(CONTROL, 0x5);
        bed.unit.writeRegister64(HEAD, 0x1ff0);
        bed.unit.writeRegister64(CONTROL, 0x1005);
        bed.unit.writeRegister64(TAIL, 0);

        assertThat(bed.drain()).isEqualTo(1);
        assertThat(bed.memory.load(STORE)).isEqualTo(0x77);
        assertThat(bed.unit.readRegister64(HEAD)).isZero();
    }

    @Test
    void completionWaitStoresOrSetsTheStatusBitAsItIsTold() {
        bed.command(0x1000000000500000L, 0x99);
        assertThat(bed.memory.load(STORE)).as("s is 0").isZero();
        assertThat(bed.unit.readRegister64(STATUS) & 4).as("i is 0").isZero();

        bed.command(0x1000000000500002L, 0x99);
        assertThat(bed.unit.readRegister64(STATUS) & 4)
                .as("ComWaitInt, though ComWaitIntEn is 0")
                .isEqualTo(4);
        assertThat(bed.memory.load(STORE)).isZero();
        bed.unit.writeRegister64(STATUS, 0);
        assertThat(bed.unit.readRegister64(STATUS) & 4).isEqualTo(4);
        bed.unit.writeRegister64(STATUS, 4);
        assertThat(bed.unit.readRegister64(STATUS))
                .as("cleared by 1, and alone")
                .isEqualTo(0x18);

        bed.command(0x1000000000500007L, 0xfedcba9876543210L); // s, i, f
        assertThat(bed.memory.load(STORE)).isEqualTo(0xfedcba9876543210L);
    }

    @ParameterizedTest
    @CsvSource({
        "0x0000000000000000, 0",
        "-0x7000000000000000, 0",
        "-0x1000000000000000, 0", // codes 0, 9, f
        "0x1010000000500001, 0", // bit 52 of a wait
        "0x2000000000010110, 0",
        "0x2000000000000110, 1",
        "0x3000000500100000, 0",
        "0x3001000500000000, 0",
        "0x3000000500000000, 8",
        "0x4000000000000110, 2",
        "0x5000000000000110, 1",
        "-0x7fffffffffffffff, 0",
        "-0x8000000000000000, 1", // invalidate all
        "0x6000000000000110, 0",
        "0x7000000000000110, 0" // prefetch and page requests: EFR says no
    })
    void anIllegalCommandIsLoggedAndStopsTheBufferAtIt(String word0, String word1) {
        bed.command(WAIT, 1);
        bed.queue(Long.decode(word0), Long.decode(word1), 16);
        bed.queue(WAIT, 2, 32);
        bed.unit.writeRegister64(TAIL, 48);
        bed.drain();

        assertThat(bed.events()).containsExactly(new LoggedEvent(0x5000000000000000L, COMMANDS + 16));
        assertThat(bed.unit.readRegister64(STATUS) & RUNNING).isZero();
        assertThat(bed.unit.readRegister64(HEAD)).isEqualTo(16);
        assertThat(bed.memory.load(STORE)).isEqualTo(1);
    }

    @ParameterizedTest
    @ValueSource(longs = {0x6000000000000110L, 0x7000000000000110L, 0x8000000000000000L})
    void featuresMakeCommandsLegal(long command) {
        bed.command(0x8000000000000000L, 0);
        assertThat(bed.unit.readRegister64(HEAD)).isEqualTo(16);

        TestBed everything = new TestBed(0x943); // PreFSup, PPRSup
        everything.command(command, 0);
        assertThat(everything.unit.readRegister64(HEAD)).isEqualTo(16);

        TestBed nothing = new TestBed(0x800);
        nothing.command(command, 0);
        assertThat(nothing.events()).containsExactly(new LoggedEvent(0x5000000000000000L, COMMANDS));
    }

    @Test
    void softwareRestartsTheBufferAfterMendingIt() {
        bed.command(0, 0);
        assertThat(bed.unit.readRegister64(STATUS) & RUNNING).isZero();
        bed.unit.writeRegister64(CONTROL, 0x1005);
        assertThat(bed.unit.readRegister64(STATUS) & RUNNING)
                .as("CmdBufEn did not change")
                .isZero();

        bed.queue(WAIT, 3, 0);
        bed.unit.writeRegister64(CONTROL, 0x5);
        bed.unit.writeRegister64(CONTROL, 0x1005);
        bed.drain();

        assertThat(bed.memory.load(STORE)).isEqualTo(3);
        assertThat(bed.unit.readRegister64(STATUS) & RUNNING).isEqualTo(RUNNING);
    }

    @Test
    void aStoreToNoMemoryIsAHardwareErrorThatStopsTheBuffer() {
        bed.command(0x1000000100000001L, 3);

        assertThat(bed.events()).containsExactly(new LoggedEvent(0x6200000000000000L, TestBed.MEMORY));
        assertThat(bed.unit.readRegister64(STATUS) & RUNNING).isZero();
    }

    @Test
    void aBufferOutsideMemoryIsAHardwareError() {
        bed.unit.writeRegister64(CONTROL, 0x5);
        bed.unit.writeRegister64(0x8, 0x0800000100000000L);
        bed.unit.writeRegister64(CONTROL, 0x1005);
        bed.unit.writeRegister64(TAIL, 16);
        bed.drain();

        assertThat(bed.events()).containsExactly(new LoggedEvent(0x6200000000000000L, TestBed.MEMORY));
    }

    @ParameterizedTest
    @ValueSource(longs = {0x0, 0x1, 0x1000})
    void commandsWaitWhileTheUnitOrTheBufferIsOff(long control) {
        bed.unit.writeRegister64(CONTROL, control);
        bed.queue(WAIT, 3, 0);
        bed.unit.writeRegister64(TAIL, 16);

        assertThat(bed.unit.step()).isFalse();
        assertThat(bed.unit.readRegister64(STATUS) & RUNNING).isZero();
    }

    @Test
    void allAccessesToStructuresAreSnooped() {
        bed.fabric.recording = true;
        bed.attach(TestBed.DEVICE, 3);
        bed.map(0x5000, 3, 1, TestBed.IR_IW | 0x6000 | 1);
        bed.read(0x5000);
        bed.read(0x6000);
        bed.command(WAIT, 1);

        assertThat(bed.fabric.accesses)
                .containsExactly(
                        "read 102200 snooped",
                        "read 102208 snooped",
                        "read 102210 snooped",
                        "read 102218 snooped",
                        "read 102200 snooped", // again, to see that the entry is one
                        "read 102208 snooped",
                        "read 102210 snooped",
                        "read 102218 snooped",
                        "read 400000 snooped",
                        "read 401000 snooped",
                        "read 402028 snooped",
                        "read 402030 snooped", // the lowest table's place is cached
                        "write 300008 snooped",
                        "write 300000 snooped",
                        "read 200000 snooped",
                        "read 200008 snooped",
                        "write 500000 snooped");
    }
}
