// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;

/** Any pair of CAP and ECAP that somebody has seen makes a unit that does what they say. */
class CapturedRegistersTest {
    @Test
    void everyPairMakesAUnitThatBehavesLikeIt() throws IOException {
        Path file = SharedData.path("data/registers.tsv");
        int units = 0;
        int scalable = 0;
        for (String line : Files.readAllLines(file)) {
            String[] row = line.split("\\t", -1);
            if (!row[0].equals("intel-vtd") || !row[6].startsWith("0x") || !row[7].startsWith("0x")) {
                continue;
            }
            long cap = Long.parseUnsignedLong(row[6].substring(2), 16);
            long ecap = Long.parseUnsignedLong(row[7].substring(2), 16);
            legacyModeBehaves(row[1], cap, ecap);
            if ((ecap >>> 43 & 1) != 0) {
                scalableModeBehaves(row[1], cap, ecap);
                scalable++;
            }
            units++;
        }
        System.out.println(units + " units with captured CAP and ECAP, " + scalable + " of them in scalable mode too");
        assertThat(units).isGreaterThanOrEqualTo(64);
    }

    /** The fewest levels that SAGAW allows, a page with and a page without SNP. */
    private static void legacyModeBehaves(String machine, long cap, long ecap) {
        RecordingFabric fabric = new RecordingFabric(1 << 20);
        TranslationUnit unit = new VtdUnitProvider().create(VtdUnitProvider.unit(machine, 0, cap, ecap), fabric);
        assertThat(unit.readRegister64(8)).isEqualTo(cap);
        int levels = Long.numberOfTrailingZeros(cap >>> 8 & 0x1e) + 2;
        fabric.memory.store(0x1020, 0x2001);
        fabric.memory.store(0x2000, 0x3001);
        fabric.memory.store(0x2008, 0x100 | levels - 2);
        for (int level = levels; level > 1; level--) {
            fabric.memory.store(0x3000 + (levels - level) * 0x1000L, 0x4000 + (levels - level) * 0x1000L | 3);
        }
        long leaves = 0x3000 + (levels - 1) * 0x1000L;
        fabric.memory.store(leaves, 0x10003);
        fabric.memory.store(leaves + 8, 0x11803);
        unit.writeRegister64(Bench.RTADDR, 0x1000);
        unit.writeRegister32(Bench.GCMD, Bench.SRTP | Bench.TE);
        assertThat(unit.step()).isTrue();
        boolean snoopControl = (ecap & 0x80) != 0;
        assertThat(unit.translate(Bench.DEVICE, -1, 0x8, RequestFlags.WRITE))
                .as(machine)
                .isEqualTo(0x10008);
        assertThat(Translation.toString(unit.translate(Bench.DEVICE, -1, 0x1000, RequestFlags.READ)))
                .as(machine)
                .isEqualTo(snoopControl ? "0x11000 snoop forced" : "fault 0xc");
    }

    private static void scalableModeBehaves(String machine, long cap, long ecap) {
        ScalableBench bench = new ScalableBench(cap, ecap);
        bench.put(Bench.CONTEXT, ScalableBench.DIRECTORY | 1);
        long pageWalkSnoop = (ecap >>> 48 & 1) != 0 ? ScalableBench.PWSNP : 0;
        bench.firstStage(0);
        for (long entry : new long[] {Bench.L4 + 8, Bench.L3 + 8, Bench.L2 + 8, Bench.L1 + 8}) {
            bench.put(entry, bench.get(entry) | 0x60);
        }
        bench.pasid(0, ScalableBench.FIRST, 5 | pageWalkSnoop, Bench.L4).on();
        boolean firstStage = (ecap >>> 47 & 1) != 0;
        assertThat(bench.write(-1, Bench.IOVA)).as(machine).isEqualTo(firstStage ? "0x100000" : "fault 0x5b");
    }
}
