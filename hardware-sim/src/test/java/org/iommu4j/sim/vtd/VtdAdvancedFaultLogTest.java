// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.sim.spi.RequestFlags;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Advanced fault logging: records in memory, its two conditions in FSTS, and what becomes of primary logging meanwhile.
 */
class VtdAdvancedFaultLogTest {
    private static final int AFO = 4;
    private static final int APF = 8;
    private static final int ON = Bench.TE | Bench.QIE;
    private static final long LOG = 0x40000;
    private static final long CAP = Bench.CAP | 1 << 3;

    /** Reads of 02:00.0, whose context entry is not present: reason 2, T1. */
    private static final long HIGH = 1L << 62 | 2L << 32 | Bench.DEVICE;

    private static Bench bench(long cap) {
        Bench bench = new Bench(cap, Bench.ECAP_SC).tables().on();
        bench.put(Bench.CONTEXT, 0);
        return bench;
    }

    /** A log of 2^size pages in use. */
    private static Bench logging(int size) {
        Bench bench = bench(CAP);
        bench.unit.writeRegister64(Bench.AFLOG, LOG | size << 9);
        bench.command(ON | Bench.SFL);
        bench.command(ON | Bench.EAFL);
        return bench;
    }

    private static void fault(Bench bench, int number) {
        bench.read((long) number << 12);
    }

    private static long word(Bench bench, long address) {
        return bench.fabric.memory.load(address);
    }

    @Test
    void commandsAreConfirmedWhereTheUnitHasThem() {
        Bench bench = bench(CAP);
        bench.command(ON | Bench.SFL);
        assertThat(bench.unit.readRegister32(Bench.GSTS)).isEqualTo(ON | Bench.SRTP | Bench.SFL);
        bench.command(ON | Bench.EAFL);
        assertThat(bench.unit.readRegister32(Bench.GSTS)).isEqualTo(ON | Bench.SRTP | Bench.SFL | Bench.EAFL);
        bench.unit.writeRegister32(Bench.GCMD, ON | Bench.EAFL | Bench.SFL);
        assertThat(bench.unit.readRegister32(Bench.GSTS)).as("not yet again").isEqualTo(ON | Bench.SRTP | Bench.EAFL);
        bench.run();
        bench.command(ON);
        assertThat(bench.unit.readRegister32(Bench.GSTS)).isEqualTo(ON | Bench.SRTP | Bench.SFL);

        Bench without = bench(Bench.CAP);
        without.command(ON | Bench.SFL | Bench.EAFL);
        assertThat(without.unit.readRegister32(Bench.GSTS)).isEqualTo(ON | Bench.SRTP);
        fault(without, 1);
        assertThat(without.recordedReasons()).containsExactly(2);
    }

    @Test
    void faultsGoToMemoryOneAfterTheOtherAndNotToTheRegisters() {
        Bench bench = logging(0);
        bench.fabric.recording = true;
        fault(bench, 0x11);
        bench.unit.translate(0x0203, -1, 0x22000, RequestFlags.WRITE);
        assertThat(bench.fabric.accesses)
                .containsSubsequence(
                        "write 0x40000 snooped",
                        "write 0x40008 snooped",
                        "write 0x40010 snooped",
                        "write 0x40018 snooped");
        assertThat(word(bench, LOG)).isEqualTo(0x11000);
        assertThat(word(bench, LOG + 8)).as("F is a register's alone").isEqualTo(HIGH);
        assertThat(word(bench, LOG + 16)).isEqualTo(0x22000);
        assertThat(word(bench, LOG + 24)).isEqualTo(2L << 32 | 0x0203);
        assertThat(bench.recordedReasons()).isEmpty();
        assertThat(bench.fsts()).isEqualTo(APF);
    }

    @Test
    void aRecordInMemoryNamesThePasid() {
        ScalableBench bench = new ScalableBench(ScalableBench.CAP | 1 << 3, ScalableBench.ECAP).on();
        bench.unit.writeRegister64(Bench.AFLOG, LOG);
        bench.bench.command(ON | Bench.SFL);
        bench.bench.command(ON | Bench.EAFL);
        bench.write(3, Bench.IOVA);
        assertThat(bench.get(LOG)).isEqualTo(Bench.IOVA);
        assertThat(bench.get(LOG + 8)).isEqualTo(3L << 40 | 0x59L << 32 | 1L << 31 | Bench.DEVICE);
    }

    @Test
    void theFirstRecordOfALogIsAFaultEventAndTheNextOnesAreNot() {
        Bench bench = logging(0);
        fault(bench, 1);
        assertThat(bench.unit.readRegister32(Bench.FECTL)).isEqualTo(0xc000_0000);
        bench.unit.writeRegister32(Bench.FSTS, APF);
        assertThat(bench.fsts()).isZero();
        assertThat(bench.unit.readRegister32(Bench.FECTL)).isEqualTo(0x8000_0000);
        fault(bench, 2);
        assertThat(bench.fsts()).isZero();
        assertThat(word(bench, LOG + 16)).isEqualTo(0x2000);

        bench.unit.writeRegister64(Bench.AFLOG, LOG + 0x4000);
        bench.command(ON | Bench.EAFL | Bench.SFL);
        fault(bench, 3);
        assertThat(bench.fsts()).isEqualTo(APF);
        assertThat(word(bench, LOG + 0x4000)).isEqualTo(0x3000);
    }

    @ParameterizedTest
    @CsvSource({"0, 256", "1, 512", "3, 2048"})
    void aFullLogOverflowsAndStaysFullUntilSoftwareGivesOne(int size, int records) {
        Bench bench = logging(size);
        for (int i = 0; i < records; i++) {
            fault(bench, i);
        }
        assertThat(bench.fsts()).isEqualTo(APF);
        assertThat(word(bench, LOG + 16L * (records - 1))).isEqualTo((records - 1L) << 12);

        fault(bench, 0x777);
        assertThat(bench.fsts()).isEqualTo(APF | AFO);
        assertThat(word(bench, LOG + 16L * records + 8)).as("beyond the log").isZero();
        assertThat(word(bench, LOG + 8)).isEqualTo(HIGH);
        assertThat(word(bench, LOG)).as("the oldest stays").isZero();

        bench.unit.writeRegister32(Bench.FSTS, APF | AFO);
        assertThat(bench.fsts()).isZero();
        fault(bench, 0x778);
        assertThat(bench.fsts()).as("still full").isEqualTo(AFO);

        bench.command(ON | Bench.EAFL | Bench.SFL);
        fault(bench, 0x779);
        assertThat(word(bench, LOG)).as("not before AFO is cleared").isZero();
        bench.unit.writeRegister32(Bench.FSTS, AFO);
        fault(bench, 0x77a);
        assertThat(word(bench, LOG)).isEqualTo(0x77a000);
        assertThat(bench.fsts()).isEqualTo(APF);
    }

    @Test
    void turnedOffFaultsGoToTheRegistersAgain() {
        Bench bench = logging(0);
        fault(bench, 1);
        bench.command(ON);
        fault(bench, 2);
        assertThat(bench.recordedReasons()).containsExactly(2);
        assertThat(bench.unit.readRegister64(Bench.FRCD)).isEqualTo(0x2000);
        assertThat(word(bench, LOG + 24)).isZero();
        bench.command(ON | Bench.EAFL);
        fault(bench, 3);
        assertThat(word(bench, LOG + 16)).as("where it was").isEqualTo(0x3000);
        bench.unit.reset();
        assertThat(bench.unit.readRegister32(Bench.GSTS)).isZero();
        assertThat(bench.unit.readRegister64(Bench.AFLOG)).isZero();
    }

    @Test
    void aLogThatWasNeverGivenTakesNothing() {
        Bench bench = bench(CAP);
        bench.command(ON | Bench.EAFL);
        bench.fabric.recording = true;
        fault(bench, 1);
        assertThat(bench.fabric.accesses).noneMatch(access -> access.startsWith("write"));
        assertThat(bench.fsts()).isEqualTo(AFO);
    }
}
