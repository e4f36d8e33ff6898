// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The leaf entries that our drivers write are, bit by bit, those that a real Linux wrote for the same mappings: taken from memory
 * dumps of Linux 6.1 in QEMU. Write-only mappings on Intel, to which 6.1 added read, are not among them.
 */
class LinuxLeafEntriesTest {
    private static Configuration configuration(String dump) {
        return dump.equals("amd")
                ? AmdDomainContractTest.of("amd", AmdViUnitProvider.machine("amd", AmdViUnitProvider.EFR_6_LEVEL, 0))
                        .flat()
                : IntelDomainContractTest.of("QEMU 7.2", 0xd2008c22260206L, 0xf00fcaL)
                        .flat();
    }

    /**
     * @param user devices whose function is of this bus:device.function are VFIO's, all others the DMA API's
     */
    @ParameterizedTest(name = "{0}")
    @CsvSource({"intel-sc1, 00:05.0, 12000, 11", "amd, 00:05.0, 400, 60", "intel-sm-slts, 00:05.0, 12000, 11"})
    void equalThoseOfLinux(String dump, String user, int atLeast, int snoopBit) throws IOException {
        String shared = System.getProperty("iommu4j.shared", "");
        Path file = Path.of(shared, "linux", "dumps", dump, "mappings.tsv");
        Assumptions.assumeTrue(!shared.isEmpty() && Files.exists(file), "no memory dump at " + file);

        Bench bench = new Bench(configuration(dump));
        Map<String, IommuDomain> domains = new HashMap<>();
        List<String> rows = Files.readAllLines(file);
        int compared = 0;
        for (String row : rows.subList(1, rows.size())) {
            String[] columns = row.split("\t", -1);
            String device = columns[0];
            IommuDomain domain = domains.computeIfAbsent(device, unused -> {
                IommuDomain made = bench.iommu()
                        .allocate(device.equals(user) ? DomainType.UNMANAGED : DomainType.DMA, bench.device());
                if (device.equals(user)) {
                    assertThat(made.cacheCoherencyEnforcement().map(CacheCoherencyEnforcement::enforce))
                            .contains(true);
                }
                return made;
            });
            long iova = Long.decode(columns[1]);
            long physical = Long.decode(columns[2]);
            long size = Long.decode(columns[3]);
            int prot = (columns[4].contains("r") ? Prot.READ : 0) | (columns[4].contains("w") ? Prot.WRITE : 0);
            long entry = Long.parseUnsignedLong(columns[5].substring(2), 16);

            domain.attach(bench.device());
            domain.map(iova, physical, size, 1, prot | Prot.CACHE);

            assertThat(Long.toHexString(bench.walk(iova).entry())).as(row).isEqualTo(Long.toHexString(entry));
            if (device.equals(user)) {
                assertThat(entry >>> snoopBit & 1).as(row).isEqualTo(1);
            }
            compared++;
        }
        assertThat(compared).isGreaterThan(atLeast);
    }
}
