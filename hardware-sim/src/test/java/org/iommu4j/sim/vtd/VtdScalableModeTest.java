// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.sim.spi.RequestFlags;
import org.junit.jupiter.api.Test;

/** What a request becomes in scalable mode. */
class VtdScalableModeTest {
    private static final int NONE = ScalableBench.NO_PASID;
    private static final long IOVA = Bench.IOVA;
    private static final String PAGE = "0x100000";

    @Test
    void requestsWithoutPasidTakeTheSecondStageOfRidPasid() {
        ScalableBench bench = new ScalableBench().secondStage();
        assertThat(bench.on().read(NONE, IOVA + 8)).isEqualTo("0x100008");
        bench = new ScalableBench().secondStage().pasid(0, 0, 0, 0).pasid(9, ScalableBench.SECOND, 5, 0);
        bench.put(Bench.CONTEXT + 8, 9);
        assertThat(bench.on().write(NONE, IOVA)).isEqualTo(PAGE);
    }

    @Test
    void theUpperHalfOfARootEntryCoversTheUpperDevices() {
        ScalableBench bench = new ScalableBench().secondStage();
        bench.put(Bench.ROOT + 0x28, 0xa001);
        bench.put(0xa000 + 32, ScalableBench.DIRECTORY | 1); // 02:10.1
        bench.on();
        assertThat(bench.unit.translate(0x0281, -1, IOVA, RequestFlags.READ)).isEqualTo(0x100000);
        assertThat(bench.unit.translate(0x0201, -1, IOVA, RequestFlags.READ)).isNegative();
    }

    @Test
    void theFirstStageSetsAccessedAndDirtyFlags() {
        ScalableBench bench = new ScalableBench().firstStage(3).on();
        assertThat(bench.read(3, IOVA)).isEqualTo(PAGE);
        assertThat(bench.get(Bench.L4 + 8)).isEqualTo(Bench.L3 | 0x27);
        assertThat(bench.get(Bench.L1 + 8)).isEqualTo(Bench.PAGE | 0x27);
        // The page is in the IOTLB, but not dirty: a write goes to memory once more.
        assertThat(bench.write(3, IOVA)).isEqualTo(PAGE);
        assertThat(bench.get(Bench.L1 + 8)).isEqualTo(Bench.PAGE | 0x67);
        assertThat(bench.get(Bench.L2 + 8)).isEqualTo(Bench.L1 | 0x27);
    }

    @Test
    void extendedAccessedIsSetWhereThePasidAsksForIt() {
        ScalableBench bench = new ScalableBench().firstStage(3);
        bench.pasid(3, ScalableBench.FIRST, 5 | ScalableBench.PWSNP, Bench.L4 | 1 << 7)
                .on();
        assertThat(bench.read(3, IOVA)).isEqualTo(PAGE);
        assertThat(bench.get(Bench.L1 + 8)).isEqualTo(Bench.PAGE | 0x427);
    }

    @Test
    void aFlagThatSomebodyElseChangesMeanwhileIsNotLost() {
        ScalableBench bench = new ScalableBench().firstStage(3).on();
        bench.bench.fabric.afterNextRead(Bench.L1 + 8, () -> bench.put(Bench.L1 + 8, Bench.PAGE + 0x1000 | 7));
        assertThat(bench.write(3, IOVA)).isEqualTo("0x101000");
        assertThat(bench.get(Bench.L1 + 8)).isEqualTo(Bench.PAGE + 0x1000 | 0x67);
    }

    @Test
    void fiveLevelsOfTheFirstStageAndBothEndsOfTheAddressSpace() {
        ScalableBench bench = new ScalableBench().firstStage(3);
        bench.put(Bench.L5 + 511 * 8, Bench.L4 | 7);
        bench.pasid(3, ScalableBench.FIRST, 5 | ScalableBench.PWSNP, Bench.L5 | 1 << 2)
                .on();
        long high = -1L << 57 | 511L << 48 | IOVA;
        assertThat(bench.read(3, high + 16)).isEqualTo("0x100010");
        assertThat(bench.read(3, high & ~(1L << 60))).isEqualTo("fault 0x80");
    }

    @Test
    void largePagesOfTheFirstStage() {
        ScalableBench bench = new ScalableBench().firstStage(3);
        bench.put(Bench.L2 + 8, 0x600000 | 0x1087); // bit 12 is PAT
        bench.put(Bench.L3 + 16, 0x4000_0000L | 0x87);
        bench.on();
        assertThat(bench.read(3, IOVA)).isEqualTo("0x601000");
        assertThat(bench.read(3, IOVA + 0x2000)).as("from the IOTLB").isEqualTo("0x603000");
        assertThat(bench.write(3, (IOVA & (-1L << 39)) + (2L << 30) + 0x12345670))
                .isEqualTo("0x52345670");
    }

    @Test
    void nestedTranslationTakesBothStages() {
        ScalableBench bench = nested();
        assertThat(bench.on().write(3, IOVA + 8)).isEqualTo("0x155008");
        assertThat(bench.get(0x40_0000 + 8 + 0x3000)).as("the guest's leaf").isEqualTo(0x5000 | 0x67);
        assertThat(bench.write(3, IOVA + 0x10)).isEqualTo("0x155010");
    }

    /**
     * Guest-physical 0 to 2M lies at 4M but for one page; the guest's tables at 0x1000, 0x2000, 0x3000, 0x4000 of its
     * memory map the IOVA to its page 0x5000, which is at 0x155000.
     */
    static ScalableBench nested() {
        ScalableBench bench = new ScalableBench();
        bench.put(Bench.L4, Bench.L3 | 3);
        bench.put(Bench.L3, Bench.L2 | 3);
        bench.put(Bench.L2, Bench.L1 | 3);
        for (int page = 0; page < 512; page++) {
            bench.put(Bench.L1 + 8L * page, 0x40_0000 + page * 4096L | 3);
        }
        bench.put(Bench.L1 + 8 * 5, 0x155000 | 3);
        bench.put(0x40_1000 + 8, 0x2000 | 7);
        bench.put(0x40_2000 + 8, 0x4000 | 7);
        bench.put(0x40_4000 + 8, 0x3000 | 7);
        bench.put(0x40_3000 + 8, 0x5000 | 7);
        return bench.pasid(3, Bench.L4 | 2 << 2 | 3 << 6 | 1, 5 | ScalableBench.PWSNP, 0x1000);
    }

    @Test
    void passThroughLeavesAddressesAndForcesNoSnoop() {
        ScalableBench bench = new ScalableBench()
                .pasid(0, ScalableBench.PASS, 1 | ScalableBench.PGSNP, 0)
                .on();
        assertThat(bench.read(NONE, 0x123450)).isEqualTo("0x123450");
        assertThat(bench.read(NONE, 1L << 52)).isEqualTo("fault 0x83");
    }

    @Test
    void dataIsSnoopedByPgsnpInTheFirstStageAndBySnpInTheSecond() {
        long snooped = 5 | ScalableBench.PWSNP | ScalableBench.PGSNP;
        ScalableBench first = new ScalableBench().firstStage(3);
        assertThat(first.pasid(3, ScalableBench.FIRST, snooped, Bench.L4).on().read(3, IOVA))
                .isEqualTo("0x100000 snoop forced");
        ScalableBench second = new ScalableBench().secondStage();
        second.put(Bench.L1 + 16, 0x101803);
        second.pasid(0, ScalableBench.SECOND, snooped, 0).on();
        assertThat(second.read(NONE, IOVA)).isEqualTo(PAGE);
        assertThat(second.read(NONE, IOVA + 0x1000)).isEqualTo("0x101000 snoop forced");
    }

    @Test
    void pwsnpDecidesHowPageWalksAreSnoopedAndEcapCTheTablesAbove() {
        ScalableBench bench = new ScalableBench(ScalableBench.CAP, ScalableBench.ECAP & ~1L).secondStage();
        bench.on();
        bench.bench.fabric.recording = true;
        bench.read(NONE, IOVA);
        assertThat(bench.bench.fabric.accesses)
                .contains("read 0x1020 not snooped", "read 0x2000 not snooped", "read 0x8000 not snooped")
                .contains("read 0x9000 not snooped", "read 0x3008 snooped", "read 0x6008 snooped");
    }

    @Test
    void theSecondStagesFlagsAreSetWhereThePasidAsksForIt() {
        ScalableBench bench = new ScalableBench().secondStage();
        bench.pasid(0, ScalableBench.SECOND | 1 << 9, 5 | ScalableBench.PWSNP, 0)
                .on();
        bench.read(NONE, IOVA);
        assertThat(bench.get(Bench.L1 + 8)).isEqualTo(Bench.PAGE | 0x103);
        bench.write(NONE, IOVA);
        assertThat(bench.get(Bench.L1 + 8)).isEqualTo(Bench.PAGE | 0x303);
        assertThat(bench.get(Bench.L4 + 8)).isEqualTo(Bench.L3 | 0x103);
    }

    @Test
    void requestsWithPasidAreTranslatedInTheInterruptRangeAndThoseWithoutAreNot() {
        ScalableBench bench = new ScalableBench().firstStage(3).secondStage();
        bench.pasid(3, ScalableBench.PASS, 1, 0).on();
        assertThat(bench.read(NONE, 0xfee00000L)).isEqualTo("0xfee00000");
        assertThat(bench.read(3, 0xfee00000L)).isEqualTo("fault 0x87");
    }

    @Test
    void changingTheModeTakesTheNextRootPointer() {
        ScalableBench bench = new ScalableBench().secondStage().on();
        assertThat(bench.read(NONE, IOVA)).isEqualTo(PAGE);
        bench.unit.writeRegister64(Bench.RTADDR, 0xb000);
        bench.put(0xb000 + 0x20, 0xc001);
        bench.put(0xc000, Bench.L4 | 1);
        bench.put(0xc008, 0x0602);
        assertThat(bench.read(NONE, IOVA)).isEqualTo(PAGE);
        bench.bench.command(Bench.TE | Bench.QIE | Bench.SRTP);
        assertThat(bench.read(NONE, IOVA)).isEqualTo(PAGE);
        assertThat(bench.read(3, IOVA)).isEqualTo("fault 0x31");
    }
}
