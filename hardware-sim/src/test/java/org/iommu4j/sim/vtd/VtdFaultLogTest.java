// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** Primary fault logging: the ring of records, overflow, status bits and the fault event. */
class VtdFaultLogTest {
    private static final int PFO = 1;
    private static final int PPF = 2;
    private static final long F = 1L << 63;

    private static Bench bench() {
        Bench bench = Bench.withSnoopControl();
        bench.put(Bench.CONTEXT, 0);
        return bench;
    }

    private static void fault(Bench bench, int number) {
        bench.read((long) number << 12);
    }

    private static void clear(Bench bench, int record) {
        bench.unit.writeRegister32(Bench.FRCD + 16 * record + 12, 1 << 31);
    }

    @Test
    void faultsGoRoundTheRecordsAndTheIndexNamesTheFirstPending() {
        Bench bench = bench();
        for (int i = 0; i < 20; i++) {
            fault(bench, i);
            assertThat(bench.fsts()).isEqualTo(PPF | i % 8 << 8);
            assertThat(bench.unit.readRegister64(Bench.FRCD + 16 * (i % 8))).isEqualTo((long) i << 12);
            clear(bench, i % 8);
            assertThat(bench.fsts() & 0xff).isZero();
        }
    }

    @Test
    void theNinthFaultOverflowsAndNothingIsRecordedUntilThatIsCleared() {
        Bench bench = bench();
        for (int i = 0; i < 10; i++) {
            fault(bench, i);
        }
        assertThat(bench.fsts()).isEqualTo(PPF | PFO);
        assertThat(bench.recordedReasons()).hasSize(8);
        clear(bench, 0);
        fault(bench, 11);
        assertThat(bench.recordedReasons()).hasSize(7);
        bench.unit.writeRegister32(Bench.FSTS, PPF);
        assertThat(bench.fsts()).isEqualTo(PPF | PFO);
        bench.unit.writeRegister32(Bench.FSTS, PFO);
        assertThat(bench.fsts()).isEqualTo(PPF);
        fault(bench, 12);
        assertThat(bench.unit.readRegister64(Bench.FRCD)).isEqualTo(0xc000);
        assertThat(bench.recordedReasons()).hasSize(8);
    }

    @Test
    void writingZeroToFOrAnythingElseInARecordChangesNothing() {
        Bench bench = bench();
        fault(bench, 3);
        long high = bench.unit.readRegister64(Bench.FRCD + 8);
        bench.unit.writeRegister64(Bench.FRCD, -1L);
        bench.unit.writeRegister64(Bench.FRCD + 8, ~F);
        assertThat(bench.unit.readRegister64(Bench.FRCD)).isEqualTo(0x3000);
        assertThat(bench.unit.readRegister64(Bench.FRCD + 8)).isEqualTo(high);
        assertThat(bench.fsts()).isEqualTo(PPF);
        bench.unit.writeRegister64(Bench.FRCD + 8, -1L);
        assertThat(bench.unit.readRegister64(Bench.FRCD + 8)).isEqualTo(high & ~F);
    }

    @Test
    void theFaultEventIsHeldPendingWhileMaskedAndClearedByService() {
        Bench bench = bench();
        assertThat(bench.unit.readRegister32(Bench.FECTL)).isEqualTo(0x8000_0000);
        fault(bench, 1);
        assertThat(bench.unit.readRegister32(Bench.FECTL)).isEqualTo(0xc000_0000);
        clear(bench, 0);
        assertThat(bench.unit.readRegister32(Bench.FECTL)).isEqualTo(0x8000_0000);
        fault(bench, 2);
        bench.unit.writeRegister32(Bench.FECTL, 0);
        assertThat(bench.unit.readRegister32(Bench.FECTL))
                .as("sent when unmasked")
                .isZero();
        bench.unit.writeRegister32(Bench.FECTL, 0x8000_0000);
        fault(bench, 3);
        assertThat(bench.unit.readRegister32(Bench.FECTL))
                .as("no new condition")
                .isEqualTo(0x8000_0000);
    }

    @Test
    void aQueueErrorIsAFaultEventToo() {
        Bench bench = Bench.withSnoopControl();
        bench.invalidate(0xf, 0);
        assertThat(bench.unit.readRegister32(Bench.FECTL)).isEqualTo(0xc000_0000);
        bench.unit.writeRegister32(Bench.FSTS, 0x10);
        assertThat(bench.unit.readRegister32(Bench.FECTL)).isEqualTo(0x8000_0000);
    }

    @Test
    void aUnitMayHaveOneRecord() {
        Bench bench = new Bench(Bench.CAP & ~(0xffL << 40), Bench.ECAP_SC).on();
        fault(bench, 1);
        fault(bench, 2);
        assertThat(bench.fsts()).isEqualTo(PPF | PFO);
        assertThat(bench.unit.readRegister64(Bench.FRCD)).isEqualTo(0x1000);
        assertThat(bench.unit.readRegister64(Bench.FRCD + 16)).isZero();
    }
}
