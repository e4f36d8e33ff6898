// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is cached stays as it was until an invalidation that covers it, and no other, takes it away. */
class VtdInvalidationTest {
    private static final long IOVA = Bench.IOVA;
    private static final long OLD = Bench.PAGE;
    private static final long NEW = 0x200000;

    private static final long IOTLB_GLOBAL = 0x12;
    private static final long IOTLB_DOMAIN_5 = 0x50022;
    private static final long IOTLB_DOMAIN_6 = 0x60022;
    private static final long IOTLB_PAGE_5 = 0x50032;
    private static final long IOTLB_PAGE_6 = 0x60032;
    private static final long CC_GLOBAL = 0x11;

    /** A translation that is cached and whose leaf has changed since. */
    private static Bench stale(long cap) {
        Bench bench = new Bench(cap, Bench.ECAP_SC).tables().on();
        assertThat(bench.readText(IOVA)).isEqualTo("0x100000");
        bench.put(Bench.L1 + 8, NEW | 0x803);
        assertThat(bench.readText(IOVA)).as("stale").isEqualTo("0x100000");
        return bench;
    }

    private static void assertFresh(Bench bench) {
        assertThat(bench.readText(IOVA)).isEqualTo("0x200000 snoop forced");
    }

    private static void assertStale(Bench bench) {
        assertThat(bench.readText(IOVA)).isEqualTo("0x100000");
    }

    @ParameterizedTest
    @CsvSource({
        "12, 0",
        "50022, 0",
        "500e2, 0",
        "50032, 8040201000",
        "50032, 8040200001",
        "50032, 8040201040",
        "50032, 8040200009"
    })
    void anInvalidationThatCoversThePageFreshensIt(String low, String high) {
        Bench bench = stale(Bench.CAP);
        bench.invalidate(Long.parseLong(low, 16), Long.parseLong(high, 16));
        assertFresh(bench);
    }

    @Test
    void aWalkThatAnInvalidationOvertakesStartsAnew() {
        Bench bench = Bench.withSnoopControl();
        assertThat(bench.readText(IOVA)).isEqualTo("0x100000");
        bench.invalidate(IOTLB_PAGE_5, IOVA);
        // The leaf is read, then changed, and the invalidation is complete before the request is.
        bench.fabric.afterNextRead(Bench.L1 + 8, () -> {
            bench.put(Bench.L1 + 8, 0x200803);
            bench.invalidate(IOTLB_PAGE_5, IOVA);
        });

        assertFresh(bench);
        assertFresh(bench);
    }

    @Test
    void aRangeOfOneGigabyteCoversItsPages() {
        Bench bench = stale(Bench.CAP);
        bench.invalidate(IOTLB_PAGE_5, (1L << 39 | 1L << 30) | 18);
        assertFresh(bench);
    }

    /**
     * Four lowest tables side by side are replaced by others; what hardware forgets of them begins with the entries
     * above.
     */
    @ParameterizedTest(name = "2^{1} pages from 2 MiB times {0} on, leaves only {2}: {3}")
    @CsvSource({
        "0, 0, false, new old old old",
        "3, 0, false, old old old new",
        "1, 9, false, old new old old",
        "0, 10, false, new new old old",
        "2, 10, false, old old new new",
        "0, 11, false, new new new new",
        "0, 18, false, new new new new",
        "0, 11, true, old old old old",
        "0, 18, true, old old old old",
    })
    void anInvalidationOfPagesForgetsTheTablesAboveAllOfThem(int first, int mask, boolean leavesOnly, String expected) {
        Bench bench = Bench.withSnoopControl();
        long base = 1L << 39 | 1L << 30 | 4L << 21;
        for (int i = 0; i < 4; i++) {
            long page = base + ((i * 2L) << 20);
            bench.put(0x40_0008 + i * 4096L, Bench.PAGE | 3);
            bench.put(0x50_0008 + i * 4096L, NEW | 3);
            bench.put(Bench.L2 + (4 + i) * 8L, (0x40_0000 + i * 4096L) | 3);
            assertThat(bench.readText(page + 0x1000)).isEqualTo("0x100000");
            bench.put(Bench.L2 + (4 + i) * 8L, (0x50_0000 + i * 4096L) | 3);
        }
        long from = base + ((first * 2L) << 20) + (mask == 0 ? 0x1000 : 0);

        bench.invalidate(IOTLB_PAGE_5, from | (leavesOnly ? 1 << 6 : 0) | mask);

        StringBuilder seen = new StringBuilder();
        for (int i = 0; i < 4; i++) {
            String page = bench.readText(base + ((i * 2L) << 20) + 0x1000);
            seen.append(i == 0 ? "" : " ").append(page.equals("0x200000") ? "new" : "old");
        }
        assertThat(seen).hasToString(expected);
    }

    @Test
    void anInvalidationOfAnotherDomainOrPageLeavesItStale() {
        Bench bench = stale(Bench.CAP);
        bench.invalidate(IOTLB_DOMAIN_6, 0);
        bench.invalidate(IOTLB_PAGE_6, IOVA);
        bench.invalidate(IOTLB_PAGE_5, IOVA + 0x1000);
        bench.invalidate(IOTLB_PAGE_5, IOVA - 0x1000);
        bench.invalidate(IOTLB_PAGE_5, (IOVA + 0x3000) | 1);
        bench.invalidate(IOTLB_PAGE_5, (1L << 39 | 1L << 30 | 2L << 21) | 9);
        bench.invalidate(CC_GLOBAL, 0);
        bench.invalidate(0x4, 0);
        bench.invalidate(IOTLB_PAGE_5, 1L << 39 | 18); // the gigabyte before
        bench.invalidate(0x0200_0000_0003L, IOVA);
        assertStale(bench);
    }

    @Test
    void pageSelectiveWithoutPsiInvalidatesTheDomain() {
        Bench bench = stale(Bench.CAP & ~(1L << 39));
        bench.invalidate(IOTLB_PAGE_6, IOVA);
        assertStale(bench);
        bench.invalidate(IOTLB_PAGE_5, 0);
        assertFresh(bench);
    }

    @ParameterizedTest
    @CsvSource({"2, 200000", "3, 40000000"})
    void anyPageOfALargeLeafInvalidatesTheWhole(int level, String size) {
        long bytes = Long.parseLong(size, 16);
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();
        long entry = (level == 2 ? Bench.L2 : Bench.L3) + 16;
        long iova = 1L << 39 | (level == 2 ? 1L << 30 : 0) | 2 * bytes;
        bench.put(entry, 0x83);
        bench.on();
        assertThat(bench.readText(iova)).isEqualTo("0x0");
        bench.put(entry, bytes | 0x83);
        bench.invalidate(IOTLB_PAGE_5, iova + bytes);
        bench.invalidate(IOTLB_PAGE_5, iova - 0x1000);
        assertThat(bench.readText(iova)).isEqualTo("0x0");
        bench.invalidate(IOTLB_PAGE_5, iova + bytes - 0x1000);
        assertThat(bench.readText(iova)).isEqualTo("0x" + size);
    }

    @Test
    void raisedPermissionsNeedAnInvalidationToo() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();
        bench.put(Bench.L1 + 8, OLD | 1);
        bench.on();
        assertThat(bench.readText(IOVA)).isEqualTo("0x100000");
        bench.put(Bench.L1 + 8, OLD | 3);
        assertThat(bench.writeText(IOVA)).isEqualTo("fault 0x5");
        bench.invalidate(IOTLB_PAGE_5, IOVA);
        assertThat(bench.writeText(IOVA)).isEqualTo("0x100000");
    }

    @Test
    void whatIsNotPresentIsNotCachedWithoutCachingMode() {
        Bench bench = new Bench(Bench.CAP, Bench.ECAP_SC).tables();
        bench.put(Bench.L1 + 8, 0);
        bench.put(Bench.CONTEXT, 0);
        bench.on();
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0x2");
        bench.put(Bench.CONTEXT, Bench.L4 | 1);
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0x6");
        bench.put(Bench.L1 + 8, OLD | 3);
        assertThat(bench.readText(IOVA)).isEqualTo("0x100000");
    }

    @Test
    void whatIsNotPresentIsCachedInCachingMode() {
        Bench bench = new Bench(Bench.CAP | 0x80, Bench.ECAP_SC).tables();
        bench.put(Bench.L1 + 8, 0);
        bench.put(Bench.CONTEXT, 0);
        bench.on();
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0x2");
        bench.put(Bench.CONTEXT, Bench.L4 | 1);
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0x2");
        bench.invalidate(0x02000005_0031L, 0); // device, domain 5: the cached one counts as domain 0
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0x2");
        bench.invalidate(0x0200_0000_0031L, 0);
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0x6");
        bench.put(Bench.L1 + 8, OLD | 3);
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0x6");
        bench.invalidate(IOTLB_PAGE_5, IOVA);
        assertThat(bench.readText(IOVA)).isEqualTo("0x100000");
    }

    /** A context that is cached and has since moved to domain 6 and pass-through. */
    private static Bench staleContext() {
        Bench bench = Bench.withSnoopControl();
        assertThat(bench.readText(IOVA)).isEqualTo("0x100000");
        bench.put(Bench.CONTEXT, 0x9);
        bench.put(Bench.CONTEXT + 8, 0x0602);
        return bench;
    }

    @ParameterizedTest
    @CsvSource({
        "11, true",
        "50021, true",
        "20000050031, true",
        "1020700050031, false",
        "3020700050031, true",
        "60021, false",
        "20100050031, false",
        "20000060031, false"
    })
    void aContextStaysUntilItsDomainOrDeviceIsInvalidated(String low, boolean fresh) {
        Bench bench = staleContext();
        bench.invalidate(IOTLB_GLOBAL, 0);
        assertThat(bench.readText(IOVA)).isEqualTo("0x100000");
        bench.invalidate(Long.parseLong(low, 16), 0);
        assertThat(bench.readText(IOVA)).isEqualTo(fresh ? "0x8040201000" : "0x100000");
    }

    @Test
    void translationsOfADomainOutliveItsContext() {
        Bench bench = stale(Bench.CAP);
        bench.put(Bench.CONTEXT, 0x8000 | 1);
        bench.invalidate(CC_GLOBAL, 0);
        assertStale(bench);
        bench.invalidate(IOTLB_DOMAIN_5, 0);
        assertThat(bench.readText(IOVA)).isEqualTo("fault 0x6");
    }

    @Test
    void registersInvalidateWhileTheQueueIsOff() {
        Bench bench = stale(Bench.CAP);
        bench.command(Bench.TE);
        bench.unit.writeRegister64(Bench.IVA, IOVA + 0x1000);
        bench.unit.writeRegister64(Bench.IOTLB, 0xb003_0005_0000_0000L);
        assertThat(bench.unit.readRegister64(Bench.IOTLB)).as("pending").isNegative();
        bench.run();
        assertThat(bench.unit.readRegister64(Bench.IOTLB)).isEqualTo(0x3603_0005_0000_0000L);
        assertStale(bench);
        bench.unit.writeRegister64(Bench.IVA, IOVA);
        bench.unit.writeRegister64(Bench.IOTLB, 0xb000_0005_0000_0000L);
        bench.run();
        assertFresh(bench);

        bench.put(Bench.CONTEXT, 0x9);
        bench.unit.writeRegister64(Bench.CCMD, 0xe000_0000_0200_0005L);
        assertThat(bench.unit.readRegister64(Bench.CCMD)).as("pending").isEqualTo(0xe000_0000_0000_0005L);
        bench.run();
        assertThat(bench.unit.readRegister64(Bench.CCMD)).isEqualTo(0x7800_0000_0000_0005L);
        assertThat(bench.readText(0x5000)).isEqualTo("0x5000");
    }

    @Test
    void registersWrittenInTwoHalvesActOnTheUpperOne() {
        Bench bench = stale(Bench.CAP);
        bench.command(Bench.TE);
        bench.unit.writeRegister32(Bench.IOTLB, 0);
        bench.run();
        assertStale(bench);
        bench.unit.writeRegister32(Bench.IOTLB + 4, 0x9000_0000);
        bench.run();
        assertFresh(bench);
    }

    @Test
    void anAddressMaskThatIsTooLargeIsReportedAsIncorrect() {
        Bench bench = stale(Bench.CAP);
        bench.command(Bench.TE);
        bench.unit.writeRegister64(Bench.IVA, 19);
        bench.unit.writeRegister64(Bench.IOTLB, 0xb000_0005_0000_0000L);
        bench.run();
        assertThat(bench.unit.readRegister64(Bench.IOTLB) >>> 57).isEqualTo(0x18);
        assertStale(bench);
    }

    @Test
    void settingTheRootPointerInvalidatesOnlyWithEsrtps() {
        Bench plain = stale(Bench.CAP);
        plain.command(Bench.TE | Bench.QIE | Bench.SRTP);
        assertStale(plain);
        Bench enhanced = stale(Bench.CAP | 1L << 63);
        enhanced.command(Bench.TE | Bench.QIE | Bench.SRTP);
        assertFresh(enhanced);
    }

    @Test
    void resetForgetsEverything() {
        Bench bench = stale(Bench.CAP);
        bench.unit.reset();
        bench.on();
        assertFresh(bench);
    }
}
