// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What scalable mode caches stays as it was until an invalidation that covers it, and no other, takes it away. */
class VtdScalableInvalidationTest {
    private static final int NONE = ScalableBench.NO_PASID;
    private static final long IOVA = Bench.IOVA;
    private static final String OLD = "0x100000";
    private static final String NEW = "0x200000";

    private static final long CONTEXTS = 0x11;
    private static final long IOTLB = 0x12;
    private static final long PASIDS = 0x37;

    private static long hex(String text) {
        return Long.parseUnsignedLong(text, 16);
    }

    /** A leaf of the first stage that is cached and has changed since. */
    private static ScalableBench staleLeaf() {
        ScalableBench bench = new ScalableBench().firstStage(3).on();
        assertThat(bench.read(3, IOVA)).isEqualTo(OLD);
        bench.put(Bench.L1 + 8, 0x20_0007);
        assertThat(bench.read(3, IOVA)).as("stale").isEqualTo(OLD);
        return bench;
    }

    @ParameterizedTest
    @CsvSource({
        "12, 0", // global
        "50022, 0", // domain
        "300050026, 0", // the whole PASID
        "300050036, 8040201000", // the page
        "300050036, 8040201040", // the page, leaves only
        "300050036, 8040200009", // 2M
        "300050036, 8040000012", // 1G
    })
    void aFirstStageTranslationIsFreshAfter(String low, String high) {
        ScalableBench bench = staleLeaf();
        bench.invalidate(hex(low), hex(high));
        assertThat(bench.read(3, IOVA)).isEqualTo(NEW);
    }

    @ParameterizedTest
    @CsvSource({
        "60022, 0", // another domain
        "50032, 8040201000", // the second stage's page
        "300060026, 0", // PASID of another domain
        "400050026, 0", // another PASID
        "300050036, 8040202000", // another page
        "37, 0", // PASID cache
        "11, 0", // contexts
    })
    void aFirstStageTranslationIsStaleAfter(String low, String high) {
        ScalableBench bench = staleLeaf();
        bench.invalidate(hex(low), hex(high));
        assertThat(bench.read(3, IOVA)).isEqualTo(OLD);
        assertThat(bench.unit.readRegister32(Bench.FSTS)).isZero();
    }

    /** The table of level 1 has moved, and the driver invalidated what it changed there only. */
    private static ScalableBench staleTable(ScalableBench bench, int pasid, long table) {
        assertThat(bench.read(pasid, IOVA)).isEqualTo(OLD);
        bench.put(Bench.L2 + 8, table);
        bench.put(0xd008, 0x20_0007);
        return bench;
    }

    @ParameterizedTest
    @CsvSource({
        "300050036, 8040201040, 0x100000",
        "300050036, 8040201000, 0x200000",
        "300050026, 0, 0x200000",
        "50022, 0, 0x200000",
        "12, 0, 0x200000"
    })
    void aTableOfTheFirstStageSurvivesAnInvalidationOfLeaves(String low, String high, String then) {
        ScalableBench bench = staleTable(new ScalableBench().firstStage(3).on(), 3, 0xd007);
        bench.invalidate(hex(low), hex(high));
        assertThat(bench.read(3, IOVA)).isEqualTo(then);
    }

    @ParameterizedTest
    @CsvSource({
        "50032, 8040201040, 0x100000",
        "50032, 8040201000, 0x200000",
        "50032, 8040400000, 0x100000",
        "50032, 8040000009, 0x100000",
        "50032, 8040000012, 0x200000",
        "50022, 0, 0x200000",
        "60022, 0, 0x100000",
        "12, 0, 0x200000"
    })
    void aTableOfTheSecondStageSurvivesAnInvalidationOfLeaves(String low, String high, String then) {
        ScalableBench bench = staleTable(
                new ScalableBench(ScalableBench.CAP | 0x3fL << 48, ScalableBench.ECAP)
                        .secondStage()
                        .on(),
                NONE,
                0xd003);
        bench.invalidate(0x50032, IOVA | 1 << 6); // the leaf
        bench.invalidate(hex(low), hex(high));
        assertThat(bench.read(NONE, IOVA)).isEqualTo(then);
    }

    @Test
    void aNestedTranslationGoesWithAnyPageOfItsDomainsSecondStage() {
        ScalableBench bench = VtdScalableModeTest.nested().on();
        assertThat(bench.read(3, IOVA)).isEqualTo("0x155000");
        bench.put(Bench.L1 + 8 * 5, 0x156003);
        bench.invalidate(0x60032, 0x5000);
        assertThat(bench.read(3, IOVA)).isEqualTo("0x155000");
        bench.invalidate(0x50032, 0x5000 | 1 << 6);
        assertThat(bench.read(3, IOVA)).isEqualTo("0x156000");
    }

    @ParameterizedTest
    @CsvSource({
        "37, fresh", // all
        "50007, fresh", // domain 5
        "300050017, fresh", // PASID 3 of domain 5
        "60007, stale",
        "400050017, stale",
        "300060017, stale",
        "11, stale",
        "12, stale"
    })
    void aPasidEntryIsCachedUntilItsOwnInvalidation(String descriptor, String then) {
        ScalableBench bench = new ScalableBench().firstStage(3).on();
        assertThat(bench.read(3, IOVA)).isEqualTo(OLD);
        bench.pasid(3, ScalableBench.PASS, 5, 0);
        bench.invalidate(hex(descriptor), 0);
        assertThat(bench.read(3, IOVA)).isEqualTo(then.equals("fresh") ? "0x8040201000" : OLD);
    }

    /** Forgetting either half leaves the device running without forced snooping. */
    @ParameterizedTest
    @CsvSource({"37, 37, 0x100000", "300050026, 300050026, 0x100000", "300050017, 300050026, 0x100000 snoop forced"})
    void pgsnpIsInTheCacheOfPasidsAndInTheIotlb(String first, String second, String then) {
        ScalableBench bench = new ScalableBench().firstStage(3).on();
        assertThat(bench.read(3, IOVA)).isEqualTo(OLD);
        bench.pasid(3, ScalableBench.FIRST, 5 | ScalableBench.PWSNP | ScalableBench.PGSNP, Bench.L4);
        bench.invalidate(hex(first), 0);
        bench.invalidate(hex(second), 0);
        assertThat(bench.read(3, IOVA)).isEqualTo(then);
    }

    @Test
    void aContextEntryIsCachedUntilItsOwnInvalidation() {
        ScalableBench bench = new ScalableBench().firstStage(3).on();
        assertThat(bench.read(3, IOVA)).isEqualTo(OLD);
        bench.put(Bench.CONTEXT, 0);
        bench.invalidate(PASIDS, 0);
        bench.invalidate(IOTLB, 0);
        bench.invalidate(0x0300L << 32 | 0x31, 0); // another device
        assertThat(bench.read(3, IOVA)).isEqualTo(OLD);
        bench.invalidate((long) Bench.DEVICE << 32 | 0x31, 0);
        assertThat(bench.read(3, IOVA)).isEqualTo("fault 0x41");
        bench.put(Bench.CONTEXT, ScalableBench.DIRECTORY | 9);
        assertThat(bench.read(3, IOVA)).as("refusals are not cached").isEqualTo(OLD);
        bench.put(Bench.CONTEXT, 0);
        bench.invalidate(CONTEXTS, 0);
        assertThat(bench.read(3, IOVA)).isEqualTo("fault 0x41");
    }

    @ParameterizedTest
    @CsvSource({
        "37, 0x100000", // all
        "300050017, 0x100000", // PASID 3, whatever the domain: a refusal is of none
        "300060017, 0x100000",
        "300000017, 0x100000",
        "7, 0x100000", // domain 0, which no entry may have
        "50007, fault 0x59", // another domain
        "400050017, fault 0x59", // another PASID
        "11, fault 0x59",
        "12, fault 0x59",
        "300050026, fault 0x59"
    })
    void inCachingModeARefusalOfAPasidStaysUntilInvalidated(String descriptor, String then) {
        ScalableBench bench = new ScalableBench(ScalableBench.CAP | 1 << 7, ScalableBench.ECAP).on();
        assertThat(bench.read(3, IOVA)).isEqualTo("fault 0x59");
        bench.firstStage(3);
        assertThat(bench.read(3, IOVA)).isEqualTo("fault 0x59");
        bench.invalidate(hex(descriptor), 0);
        assertThat(bench.read(3, IOVA)).isEqualTo(then);
    }

    @Test
    void settingTheRootPointerForgetsAllWhereEsrtpsSaysSo() {
        for (boolean forgets : new boolean[] {false, true}) {
            ScalableBench bench = new ScalableBench(ScalableBench.CAP | (forgets ? 1L << 63 : 0), ScalableBench.ECAP)
                    .firstStage(3)
                    .on();
            assertThat(bench.read(3, IOVA)).isEqualTo(OLD);
            bench.put(ScalableBench.DIRECTORY, 0);
            bench.bench.command(Bench.TE | Bench.QIE | Bench.SRTP);
            assertThat(bench.read(3, IOVA)).isEqualTo(forgets ? "fault 0x51" : OLD);
        }
    }

    // The queue

    @ParameterizedTest
    @CsvSource({
        "300050046, 0, 4", // bit 6 of a PASID-based one
        "300050006, 0, 4", // PASID-based IOTLB, granularity 0
        "300050016, 0, 4",
        "27, 0, 4", // PASID cache, granularity 2
        "47, 0, 4",
        "37, 1, 4",
        "208, 0, 3", // type 0x18
        "a, 0, 3",
        "0, 0, 3"
    })
    void aBadDescriptorStopsTheQueueAndSaysWhy(String low, String high, int code) {
        ScalableBench bench = new ScalableBench().on();
        bench.invalidate(hex(low), hex(high));
        assertThat(bench.unit.readRegister32(Bench.FSTS)).isEqualTo(1 << 4);
        assertThat(bench.unit.readRegister64(Bench.IQERCD)).isEqualTo(code);
        assertThat(bench.unit.readRegister64(Bench.IQH)).isZero();
    }

    @Test
    void theUpperHalfOfADescriptorIsReserved() {
        ScalableBench bench = new ScalableBench().on();
        bench.queue(PASIDS, 0);
        bench.put(Bench.QUEUE + 24, 1);
        bench.bench.run();
        assertThat(bench.unit.readRegister64(Bench.IQERCD)).isEqualTo(4);
    }

    @Test
    void aTailInTheMiddleOfADescriptorIsRefused() {
        ScalableBench bench = new ScalableBench().on();
        bench.unit.writeRegister64(Bench.IQT, 16);
        bench.bench.run();
        assertThat(bench.unit.readRegister64(Bench.IQERCD)).isEqualTo(6);
    }

    @Test
    void pasidDescriptorsNeedWideOnesAndScalableMode() {
        ScalableBench narrow = new ScalableBench();
        narrow.bench.on();
        narrow.bench.invalidate(PASIDS, 0);
        assertThat(narrow.unit.readRegister64(Bench.IQERCD)).isEqualTo(3);

        ScalableBench legacy = new ScalableBench().on();
        legacy.unit.writeRegister64(Bench.RTADDR, Bench.ROOT);
        legacy.bench.command(Bench.TE | Bench.QIE | Bench.SRTP);
        legacy.invalidate(PASIDS, 0);
        assertThat(legacy.unit.readRegister64(Bench.IQERCD)).isEqualTo(7);
    }

    @Test
    void aWaitWritesItsStatusAndTheQueueWraps() {
        ScalableBench bench = new ScalableBench().on();
        for (int i = 1; i <= 200; i++) {
            bench.invalidate((long) i << 32 | 0x65, Bench.STATUS);
            assertThat(bench.get(Bench.STATUS)).isEqualTo(i);
        }
        assertThat(bench.unit.readRegister64(Bench.IQH)).isEqualTo(200 * 32 % 4096);
    }

    @Test
    void registersInvalidateNothingInScalableMode() {
        ScalableBench bench = new ScalableBench().firstStage(3).on();
        bench.bench.command(Bench.TE);
        bench.unit.writeRegister64(Bench.IOTLB, 1L << 63 | 1L << 60);
        bench.unit.writeRegister64(Bench.CCMD, 1L << 63 | 1L << 61);
        bench.bench.run();
        assertThat(bench.unit.readRegister64(Bench.IOTLB)).isEqualTo(1L << 60);
        assertThat(bench.unit.readRegister64(Bench.CCMD)).isEqualTo(1L << 61);
    }
}
