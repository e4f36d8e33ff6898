// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.riscv.Bench.FIRST;
import static org.iommu4j.riscv.Bench.FIRST_ID;
import static org.iommu4j.riscv.Bench.PAGE;

import java.util.List;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.platform.FirmwareTables;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What Linux's driver did in each release, by literal words of the manual. */
class RiscvRulesTest {
    private static final long SV57 = 0x10 | 7 << 9 | 2L << 28;
    private static final long SV39 = 0x10 | 1 << 9 | 2L << 28;
    private static final long HWAD = 1L << 24;
    private static final long SVPBMT = 1L << 15;
    private static final long NL = 1L << 42;
    private static final long S = 1L << 43;
    private static final long IOVA = 0x4000_0000L;

    @Test
    void machinesWithADeviceTreeHaveADriverSince613() {
        RiscvVendor vendor = new RiscvVendor();
        FirmwareTables tree = Hosts.twoUnitsInTree().firmware();
        assertThat(vendor.supports(LinuxRelease.of("6.12"))).isFalse();
        for (String release : new String[] {"6.13", "6.17", "6.18.2", "7.3"}) {
            assertThat(vendor.supports(LinuxRelease.of(release))).isTrue();
            assertThat(vendor.claims(tree, LinuxRelease.of(release))).isTrue();
        }
        assertThat(new Bench("6.13", new Bench.Settings(SV57).tree(true), "").iommu.units())
                .containsExactly("riscv-iommu@3010000.iommu");
    }

    @Test
    void machinesWithRimtHaveADriverSince618() {
        RiscvVendor vendor = new RiscvVendor();
        FirmwareTables rimt = Hosts.twoUnits().firmware();
        assertThat(vendor.claims(rimt, LinuxRelease.of("6.13"))).isFalse();
        assertThat(vendor.claims(rimt, LinuxRelease.of("6.17"))).isFalse();
        assertThat(vendor.claims(rimt, LinuxRelease.of("6.18"))).isTrue();
        assertThat(vendor.claims(rimt, LinuxRelease.of("6.18.2"))).isTrue();
        assertThat(vendor.claims(rimt, LinuxRelease.of("6.12")))
                .as("what it claims at all, where there is no driver")
                .isTrue();
        assertThatThrownBy(() -> new Bench("6.17", new Bench.Settings(SV57), ""))
                .hasMessageContaining("ENODEV");
        assertThat(new Bench("6.18", new Bench.Settings(SV57), "").iommu.units())
                .hasSize(1);
    }

    @Test
    void aPlatformDeviceSendsMessagesSince614() {
        long messagesOnly = 0x10 | 7 << 9;
        assertThatThrownBy(() -> new Bench("6.13", new Bench.Settings(messagesOnly).tree(true), ""))
                .hasMessageContaining("ENODEV");
        assertThat(new Bench("6.13", new Bench.Settings(SV57).tree(true), "").unit.get(8) & 2)
                .as("fctl.WSI")
                .isEqualTo(2);
        assertThat(new Bench("6.14", new Bench.Settings(SV57).tree(true), "").unit.get(8) & 2)
                .isZero();
        assertThat(new Bench("6.14", new Bench.Settings(messagesOnly).tree(true), "").unit.get(8) & 2)
                .isZero();
    }

    /** Firmware with a device tree may have no controller of messages; then wires serve. */
    @Test
    void aUnitWithoutAControllerOfMessagesUsesItsWires() {
        for (String release : new String[] {"6.14", "7.1"}) {
            assertThat(new Bench(release, new Bench.Settings(SV57).tree(false), "").unit.get(8) & 2)
                    .isEqualTo(2);
            assertThatThrownBy(() -> new Bench(
                            release, new Bench.Settings(SV57).tree(false).wires(0), ""))
                    .hasMessageContaining("ENODEV");
        }
        assertThat(icvec(new Bench("7.1", new Bench.Settings(SV57).tree(true).wires(0), "")))
                .isEqualTo(0x2310);
        assertThatThrownBy(() ->
                        new Bench("7.0", new Bench.Settings(SV57).tree(true).wires(0), ""))
                .hasMessageContaining("ENODEV");
    }

    @Test
    void aUnitThatSendsMessagesNeedsNoWiresSince71() {
        assertThatThrownBy(() -> new Bench("7.0", new Bench.Settings(SV57).wires(0), ""))
                .hasMessageContaining("ENODEV");
        assertThat(icvec(new Bench("7.0", new Bench.Settings(SV57).wires(2), "")))
                .isEqualTo(0x0110);
        for (int wires : new int[] {0, 2}) {
            assertThat(icvec(new Bench("7.1", new Bench.Settings(SV57).wires(wires), "")))
                    .isEqualTo(0x2310);
        }
        assertThatThrownBy(() -> new Bench("7.1", new Bench.Settings(0x10 | 7 << 9 | 1 << 28).wires(0), ""))
                .hasMessageContaining("ENODEV");
    }

    private static long icvec(Bench bench) {
        return bench.unit.get(760);
    }

    @ParameterizedTest
    @CsvSource({
        "6.18, 57, 0x8040201000",
        "7.0, 57, 0x8040201000",
        "7.1, 57, 0x1008040211000",
        "7.1, 39, 0x40211000",
        "7.0, 39, 0x40201000"
    })
    void pagesOf64KibAnd256TibCameWithTheGenericTablesOf71(String release, int width, String sizes) {
        Bench bench = new Bench(release, width == 57 ? SV57 : SV39);
        IommuDomain domain = bench.attached(FIRST);
        assertThat(domain.pageSizes()).isEqualTo(Long.decode(sizes));
        assertThat(domain.apertureEnd()).isEqualTo((1L << (width - 1)) - 1);
    }

    @ParameterizedTest
    @CsvSource({
        // V R U A; and W D; and X
        "7.0, 1, 0x53",
        "7.0, 2, 0xd7",
        "7.0, 3, 0xd7",
        "7.0, 11, 0xd7",
        "7.1, 1, 0x5b",
        "7.1, 2, 0xdf",
        "7.1, 3, 0xdf",
        "7.1, 11, 0xd7",
        "7.1, 9, 0x53"
    })
    void leavesCanBeExecutedSince71(String release, int prot, String bits) {
        Bench bench = new Bench(release, SV57);
        IommuDomain domain = bench.attached(FIRST);
        domain.map(IOVA, 0x80000, PAGE, 1, prot | Prot.CACHE);
        assertThat(bench.leaf(domain, IOVA)).isEqualTo(0x80L << 10 | Long.decode(bits));
    }

    @Test
    void theUnitSetsNoBitsOfLeavesSince71() {
        for (String release : List.of("7.0", "7.1")) {
            Bench bench = new Bench(release, SV57 | HWAD);
            IommuDomain domain = bench.attached(FIRST);
            domain.map(IOVA, 0x80000, PAGE, 1, Prot.WRITE | Prot.NOEXEC);
            assertThat(bench.leaf(domain, IOVA) & 0xff).as(release).isEqualTo(release.equals("7.0") ? 0x57 : 0xd7);
            long control = bench.memory.load(((RiscvDevice) bench.device(FIRST)).contexts()[0]);
            assertThat(control).as(release).isEqualTo(release.equals("7.0") ? 0x101 : 1);
        }
        Bench without = new Bench("7.0", SV57);
        without.attached(FIRST);
        assertThat(without.memory.load(((RiscvDevice) without.device(FIRST)).contexts()[0]))
                .isEqualTo(1);
    }

    @Test
    void aDeviceThatMovesHasTranslationsForgottenSince71() {
        assertThat(commandsOfMoves("7.0"))
                .containsExactly(
                        "INVAL_DDT 0x12345",
                        "IOFENCE.C PR PW",
                        "-",
                        "INVAL_DDT 0x12345",
                        "IOFENCE.C PR PW",
                        "INVAL_DDT 0x12345",
                        "IOFENCE.C PR PW",
                        "VMA tag 1",
                        "IOFENCE.C PR PW",
                        "-",
                        "INVAL_DDT 0x12345",
                        "IOFENCE.C PR PW",
                        "INVAL_DDT 0x12345",
                        "IOFENCE.C PR PW",
                        "-");
        assertThat(commandsOfMoves("7.1"))
                .containsExactly(
                        "INVAL_DDT 0x12345",
                        "VMA tag 1",
                        "IOFENCE.C PR PW",
                        "-",
                        "INVAL_DDT 0x12345",
                        "VMA tag 1",
                        "IOFENCE.C PR PW",
                        "INVAL_DDT 0x12345",
                        "VMA",
                        "IOFENCE.C PR PW",
                        "VMA tag 1",
                        "IOFENCE.C PR PW",
                        "-",
                        "INVAL_DDT 0x12345",
                        "VMA",
                        "IOFENCE.C PR PW",
                        "INVAL_DDT 0x12345",
                        "VMA",
                        "IOFENCE.C PR PW",
                        "-");
    }

    /** A table, then identity, then nothing. */
    private static List<String> commandsOfMoves(String release) {
        Bench bench = new Bench(release, SV57);
        IommuDevice device = bench.device(FIRST);
        IommuDomain paging = bench.iommu.allocate(DomainType.UNMANAGED, device);
        IommuDomain identity = bench.iommu.allocate(DomainType.IDENTITY, device);
        assertThat(bench.unit.takeCommands()).containsExactly("INVAL_DDT all", "VMA", "IOFENCE.C PR PW");
        List<String> commands = new java.util.ArrayList<>();
        paging.attach(device);
        commands.addAll(bench.unit.takeCommands());
        commands.add("-");
        identity.attach(device);
        assertThat(bench.walk(FIRST_ID, 0x1234)).isEqualTo(0x1234 | Bench.WRITABLE);
        commands.addAll(bench.unit.takeCommands());
        commands.add("-");
        identity.detach(device);
        commands.addAll(bench.unit.takeCommands());
        commands.add("-");
        return commands;
    }

    @Test
    void leavesHaveMemoryTypesSince72() {
        for (String release : List.of("7.1", "7.2")) {
            Bench bench = new Bench(release, SV57 | SVPBMT);
            IommuDomain domain = bench.attached(FIRST);
            domain.map(IOVA, 0x80000, PAGE, 1, Prot.READ | Prot.CACHE);
            domain.map(IOVA + PAGE, 0x80000, PAGE, 1, Prot.READ);
            domain.map(IOVA + 2 * PAGE, 0x80000, PAGE, 1, Prot.READ | Prot.MMIO | Prot.CACHE);
            boolean types = release.equals("7.2");
            assertThat(bench.leaf(domain, IOVA) >>> 61).isZero();
            assertThat(bench.leaf(domain, IOVA + PAGE) >>> 61).isEqualTo(types ? 1 : 0);
            assertThat(bench.leaf(domain, IOVA + 2 * PAGE) >>> 61).isEqualTo(types ? 2 : 0);
        }
        Bench without = new Bench("7.2", SV57);
        IommuDomain domain = without.attached(FIRST);
        domain.map(IOVA, 0x80000, PAGE, 1, Prot.READ | Prot.MMIO);
        assertThat(without.leaf(domain, IOVA) >>> 61)
                .as("a unit without Svpbmt")
                .isZero();
    }

    /** Returns the commands of unmapping pages from an address on. */
    private static List<String> commandsOfUnmap(Bench bench, long iova, long pages) {
        IommuDomain domain = bench.attached(FIRST);
        domain.map(iova, 0x80000, PAGE, pages, Prot.READ_WRITE);
        IotlbGather gather = new IotlbGather();
        bench.unit.takeCommands();
        assertThat(domain.unmap(iova, pages * PAGE, gather)).isEqualTo(pages * PAGE);
        assertThat(bench.unit.takeCommands()).as("before the sync").isEmpty();
        domain.sync(gather);
        return bench.unit.takeCommands();
    }

    @ParameterizedTest
    @ValueSource(strings = {"7.0", "7.1"})
    void below2MibEachPageIsForgottenByItselfUntil71(String release) {
        assertThat(commandsOfUnmap(new Bench(release, SV57 | S | NL), IOVA, 2))
                .containsExactly("VMA tag 1 page 0x40000000", "VMA tag 1 page 0x40001000", "IOFENCE.C PR PW");
        assertThat(commandsOfUnmap(new Bench(release, SV57 | S | NL), IOVA + PAGE, 511))
                .hasSize(512)
                .contains("VMA tag 1 page 0x401ff000");
        assertThat(commandsOfUnmap(new Bench(release, SV57 | S | NL), IOVA + PAGE, 512))
                .containsExactly("VMA tag 1", "IOFENCE.C PR PW");
    }

    @Test
    void aRangeIsForgottenByOneCommandSince72() {
        assertThat(commandsOfUnmap(new Bench("7.2", SV57 | S), IOVA, 16))
                .containsExactly("VMA tag 1 range 0x40000000+0x10000", "IOFENCE.C PR PW");
        assertThat(commandsOfUnmap(new Bench("7.2", SV57 | S), IOVA + PAGE, 4))
                .containsExactly(
                        "VMA tag 1 page 0x40001000",
                        "VMA tag 1 range 0x40002000+0x2000",
                        "VMA tag 1 page 0x40004000",
                        "IOFENCE.C PR PW");
        assertThat(commandsOfUnmap(new Bench("7.2", SV57 | S), IOVA + PAGE, 1022))
                .as("two tables, of which neither is freed")
                .contains("VMA tag 1 range 0x40100000+0x100000")
                .hasSizeLessThan(30);
        assertThat(commandsOfUnmap(new Bench("7.2", SV57), IOVA + PAGE, 512)).hasSize(513);
        assertThat(commandsOfUnmap(new Bench("7.2", SV57), IOVA + PAGE, 513))
                .containsExactly("VMA tag 1", "IOFENCE.C PR PW");
    }

    @Test
    void freedTablesAreForgottenByRangeSince72() {
        List<String> all = List.of("VMA tag 1", "IOFENCE.C PR PW");
        assertThat(commandsOfUnmap(new Bench("7.1", SV57 | NL | S), IOVA, 512)).isEqualTo(all);
        assertThat(commandsOfUnmap(new Bench("7.2", SV57 | S), IOVA, 512)).isEqualTo(all);
        assertThat(commandsOfUnmap(new Bench("7.2", SV57 | NL | S), IOVA, 512))
                .containsExactly("VMA tag 1 NL range 0x40000000+0x200000", "IOFENCE.C PR PW");
    }
}
