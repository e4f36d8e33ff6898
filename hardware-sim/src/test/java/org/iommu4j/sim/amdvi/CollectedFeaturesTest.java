// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.IR_IW;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;

/** Units with the features that were collected from real hosts. */
class CollectedFeaturesTest {
    private static Set<Long> efrs() throws IOException {
        Path file = SharedData.path("data/registers.tsv");
        Set<Long> efrs = new TreeSet<>();
        for (String line : Files.readAllLines(file)) {
            String[] columns = line.split("\t", -1);
            if (columns[0].equals("amd-efr") && columns[6].startsWith("0x")) {
                efrs.add(Long.parseUnsignedLong(columns[6].substring(2), 16));
            }
        }
        return efrs;
    }

    @Test
    void everyEfrOfARealHostMakesAUnitThatTranslatesWithAllItsLevels() throws IOException {
        Set<Long> efrs = efrs();
        for (long efr : efrs) {
            AmdViFeatures features = new AmdViFeatures(efr, 0, AmdViUnitProvider.CAP);
            TestBed host = new TestBed(efr);
            host.attach(DEVICE, features.hostLevels);
            host.map(0x40205000L, features.hostLevels, 1, IR_IW | 0x6000 | 1);
            assertThat(host.write(0x40205123L)).as("EFR 0x%x", efr).isEqualTo(Translation.to(0x6123, false));

            if (!features.guest) {
                continue; // firmware of a host with SNP turns guest translation off
            }
            GuestBed guest = new GuestBed(efr, AmdViUnitProvider.CAP);
            guest.attach(0, 0);
            guest.map(0x40205000L, 4, 1, 0x6007);
            assertThat(guest.write(0x40205123L)).as("EFR 0x%x", efr).isEqualTo(Translation.to(0x6123, false));
        }
        System.out.printf("%d different values of EFR%n", efrs.size());
        assertThat(efrs).hasSizeGreaterThanOrEqualTo(6);
    }
}
