// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The invalidation queue: order, waiting, wrap-around, errors. */
class VtdQueueTest {
    private static final long WAIT_STATUS = 0x1234_0000_0025L;
    private static final int IQE = 0x10;

    @Test
    void aWriteToTheTailHandlesNothingAndAStepHandlesOneDescriptor() {
        Bench bench = Bench.withSnoopControl();
        bench.queue(0x11, 0).queue(WAIT_STATUS, Bench.STATUS);
        assertThat(bench.unit.readRegister64(Bench.IQH)).isZero();
        assertThat(bench.unit.step()).isTrue();
        assertThat(bench.unit.readRegister64(Bench.IQH)).isEqualTo(0x10);
        assertThat(bench.fabric.memory.load(Bench.STATUS)).isZero();
        assertThat(bench.unit.step()).isTrue();
        assertThat(bench.unit.readRegister64(Bench.IQH)).isEqualTo(0x20);
        assertThat(bench.fabric.memory.load(Bench.STATUS)).isEqualTo(0x1234);
        assertThat(bench.unit.step()).isFalse();
    }

    @Test
    void aStatusWriteChangesItsFourBytesOnly() {
        Bench bench = Bench.withSnoopControl();
        bench.put(Bench.STATUS, 0x1111_2222_3333_4444L);
        bench.invalidate(0xabcd_0000_0065L, Bench.STATUS + 4);
        assertThat(bench.fabric.memory.load(Bench.STATUS)).isEqualTo(0x0000_abcd_3333_4444L);
    }

    @ParameterizedTest
    @CsvSource({"0, 256", "1, 512"})
    void theQueueWrapsAroundAtItsSize(int queueSize, int entries) {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();
        bench.enableQueue(queueSize);
        for (int i = 1; i <= 2 * entries + 3; i++) {
            bench.invalidate((long) i << 32 | 0x25, Bench.STATUS);
            assertThat(bench.fabric.memory.load(Bench.STATUS)).isEqualTo(i);
            assertThat(bench.unit.readRegister64(Bench.IQH)).isEqualTo(i % entries * 16L);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0, 3",
        "6, 0, 3",
        "f, 0, 3",
        "1, 0, 4",
        "51, 0, 4",
        "4000000000000011, 0, 4",
        "11, 1, 4",
        "2, 0, 4",
        "112, 0, 4",
        "100000012, 0, 4",
        "12, 80, 4",
        "50032, 13, 4",
        "24, 0, 4",
        "105, 0, 4",
        "25, 30001, 4",
        "85, 0, 4",
        "10000000000013, 0, 3"
    })
    void aBadDescriptorStopsTheQueueUntilItIsReplacedAndIqeCleared(String low, String high, int info) {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_NOSC).tables().on();
        bench.invalidate(0x11, 0);
        bench.queue(Long.parseUnsignedLong(low, 16), Long.parseLong(high, 16)).queue(WAIT_STATUS, Bench.STATUS);
        bench.run();
        assertThat(bench.fsts()).isEqualTo(IQE);
        assertThat(bench.unit.readRegister64(Bench.IQERCD)).isEqualTo(info);
        assertThat(bench.unit.readRegister64(Bench.IQH)).isEqualTo(0x10);
        assertThat(bench.fabric.memory.load(Bench.STATUS)).isZero();

        bench.put(Bench.QUEUE + 0x10, 0x12);
        bench.put(Bench.QUEUE + 0x18, 0);
        bench.run();
        assertThat(bench.unit.readRegister64(Bench.IQH)).as("still stopped").isEqualTo(0x10);
        bench.unit.writeRegister32(Bench.FSTS, IQE);
        assertThat(bench.fsts()).isZero();
        bench.run();
        assertThat(bench.fabric.memory.load(Bench.STATUS)).isEqualTo(0x1234);
        assertThat(bench.unit.readRegister64(Bench.IQH)).isEqualTo(0x30);
    }

    @Test
    void aBadDescriptorThatIsNotReplacedStopsTheQueueAgain() {
        Bench bench = Bench.withSnoopControl();
        bench.invalidate(0x7, 0);
        bench.unit.writeRegister32(Bench.FSTS, IQE);
        bench.run();
        assertThat(bench.fsts()).isEqualTo(IQE);
        assertThat(bench.unit.readRegister64(Bench.IQH)).isZero();
    }

    @Test
    void interruptDescriptorsAreForUnitsThatRemapInterrupts() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).on();
        bench.invalidate(0x5_0800_0014L, 0);
        assertThat(bench.fsts()).isZero();
        Bench without = new Bench(Bench.CAP, Bench.ECAP_SC & ~8L).on();
        without.invalidate(0x4, 0);
        assertThat(without.unit.readRegister64(Bench.IQERCD)).isEqualTo(3);
    }

    @Test
    void aTailBeyondTheQueueIsAnError() {
        Bench bench = Bench.withSnoopControl();
        bench.unit.writeRegister64(Bench.IQT, 0x1000);
        bench.run();
        assertThat(bench.fsts()).isEqualTo(IQE);
        assertThat(bench.unit.readRegister64(Bench.IQERCD)).isEqualTo(1);
    }

    @Test
    void aQueueOutsideMemoryIsAnError() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC);
        bench.unit.writeRegister64(Bench.IQA, 0x4000_0000);
        bench.command(Bench.QIE);
        bench.unit.writeRegister64(Bench.IQT, 0x10);
        bench.run();
        assertThat(bench.unit.readRegister64(Bench.IQERCD)).isEqualTo(2);
    }

    @Test
    void descriptorsOf256BitsAreAnError() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC);
        bench.unit.writeRegister64(Bench.IQA, Bench.QUEUE | 0x800);
        bench.command(Bench.QIE);
        bench.unit.writeRegister64(Bench.IQT, 0x20);
        bench.run();
        assertThat(bench.unit.readRegister64(Bench.IQERCD)).isEqualTo(5);
    }

    @Test
    void disablingTheQueueReturnsItsHeadToTheStart() {
        Bench bench = Bench.withSnoopControl();
        bench.invalidate(0x11, 0);
        bench.command(Bench.TE | Bench.QIE);
        assertThat(bench.unit.readRegister64(Bench.IQH)).as("no change").isEqualTo(0x10);
        bench.command(Bench.TE);
        assertThat(bench.unit.readRegister64(Bench.IQH)).isZero();
        bench.queue(0x11, 0);
        assertThat(bench.unit.step()).isFalse();
    }

    @Test
    void aWaitWithTheInterruptFlagCompletesOnceUntilSoftwareServicesIt() {
        Bench bench = Bench.withSnoopControl();
        bench.invalidate(0x15, 0);
        assertThat(bench.unit.readRegister32(Bench.ICS)).isEqualTo(1);
        assertThat(bench.unit.readRegister32(Bench.IECTL))
                .as("masked at power-on, pending")
                .isEqualTo(0xc000_0000);
        bench.unit.writeRegister32(Bench.ICS, 0);
        assertThat(bench.unit.readRegister32(Bench.ICS)).isEqualTo(1);
        bench.unit.writeRegister32(Bench.ICS, 1);
        assertThat(bench.unit.readRegister32(Bench.ICS)).isZero();
        assertThat(bench.unit.readRegister32(Bench.IECTL)).isEqualTo(0x8000_0000);
        bench.unit.writeRegister32(Bench.IECTL, 0);
        bench.invalidate(0x15, 0);
        assertThat(bench.unit.readRegister32(Bench.IECTL)).as("sent at once").isZero();
    }
}
