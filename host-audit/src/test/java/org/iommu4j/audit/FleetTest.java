// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.iommu4j.host.HostInputs;
import org.iommu4j.host.InputException;
import org.iommu4j.spi.IommuVendors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FleetTest {
    private static final String LOG = """
            Linux version 6.8.0-40-generic (buildd@x) #40
            DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c40660462 ecap f050da
            """;

    @TempDir
    private Path folder;

    private static List<FleetRow> audit(Path folder, Runnable progress) {
        return new Fleet(new Auditor(IommuVendors.load()), HostInputs::withInstalledVendors, Optional.empty())
                .audit(Fleet.hosts(folder), progress);
    }

    /** The bar makes a step for each host, also for one that can't be used. */
    @Test
    void eachHostIsAStepAndARowInOrder() throws IOException {
        for (int i = 0; i < 40; i++) {
            Path host = Files.createDirectory(folder.resolve(String.format("host%02d", i)));
            Files.writeString(host.resolve("dmesg.txt"), i == 7 ? "nothing\n" : LOG);
        }
        AtomicInteger steps = new AtomicInteger();
        List<FleetRow> rows = audit(folder, steps::incrementAndGet);
        assertThat(steps).hasValue(40);
        assertThat(rows).extracting(FleetRow::host).isSorted().hasSize(40).startsWith("host00", "host01");
        assertThat(rows.get(7).audit()).isEmpty();
        assertThat(rows.get(7).error()).contains("of no known kind");
        assertThat(rows.get(8).audit()).isPresent();
    }

    @Test
    void aTopologyThatCannotBeLeavesTheOtherHostsTheirRows() throws IOException {
        Files.writeString(Files.createDirectory(folder.resolve("good")).resolve("dmesg.txt"), LOG);
        Path odd = folder.resolve("odd/sys");
        Path devices = Files.createDirectories(odd.resolve("bus/pci/devices"));
        Files.createDirectories(odd.resolve("devices/0000:00:04.0/0000:02:00.0"));
        Files.createDirectory(devices.resolve("0000:00:04.0"));
        Path link = Path.of("../../../devices/0000:00:04.0/0000:02:00.0");
        Files.createSymbolicLink(devices.resolve("0000:02:00.0"), link);
        Files.createSymbolicLink(
                devices.resolve("0000:00:04.0/physfn"), Path.of("..").resolve(link));
        List<FleetRow> rows = audit(folder, () -> {});
        assertThat(rows).extracting(FleetRow::host).containsExactly("good", "odd");
        assertThat(rows).allMatch(row -> row.audit().isPresent());
    }

    /** Audits three hosts, and goes wrong as often as is asked. */
    private List<FleetRow> auditWith(int failures, Runnable failure) throws IOException {
        for (String host : List.of("one", "three", "two")) {
            Files.writeString(Files.createDirectory(folder.resolve(host)).resolve("dmesg.txt"), LOG);
        }
        AtomicInteger calls = new AtomicInteger();
        Supplier<HostInputs> inputs = () -> {
            if (calls.getAndIncrement() < failures) {
                failure.run();
            }
            return HostInputs.withInstalledVendors();
        };
        return new Fleet(new Auditor(IommuVendors.load()), inputs, Optional.empty())
                .audit(Fleet.hosts(folder), () -> {});
    }

    private static void noMemory() {
        throw new OutOfMemoryError();
    }

    @Test
    void anErrorInOneHostIsThatHostsRow() throws IOException {
        List<FleetRow> rows = auditWith(1, () -> {
            throw new StackOverflowError();
        });
        assertThat(rows).extracting(FleetRow::host).containsExactly("one", "three", "two");
        assertThat(rows)
                .filteredOn(row -> row.audit().isEmpty())
                .singleElement()
                .satisfies(row ->
                        assertThat(row.error()).startsWith("a bug in iommu4j").contains("StackOverflowError at "));
    }

    @Test
    void anExceptionThatNobodyExpectsIsThatHostsRow() throws IOException {
        List<FleetRow> rows = auditWith(1, () -> {
            throw new IllegalStateException("odd");
        });
        assertThat(rows)
                .filteredOn(row -> row.audit().isEmpty())
                .singleElement()
                .satisfies(row -> assertThat(row.error()).contains("IllegalStateException: odd at "));
    }

    /** Beside one that takes all the memory there is, others find none; by themselves they do. */
    @Test
    void whoFoundNoMemoryIsAuditedAgainAlone() throws IOException {
        assertThat(auditWith(3, FleetTest::noMemory))
                .hasSize(3)
                .allMatch(row -> row.audit().isPresent());
    }

    @Test
    void whoFindsNoMemoryAloneHasARowThatSaysSo() throws IOException {
        List<FleetRow> rows = auditWith(Integer.MAX_VALUE, FleetTest::noMemory);
        assertThat(rows).hasSize(3).allMatch(row -> row.audit().isEmpty());
        assertThat(rows.get(0).error()).contains("needs more memory");
    }

    @Test
    void aDirectoryOfNothingIsRefused() {
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> Fleet.hosts(folder))
                .withMessageContaining("is empty");
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> Fleet.hosts(folder.resolve("absent")))
                .withMessageContaining("absent: no such directory");
    }
}
