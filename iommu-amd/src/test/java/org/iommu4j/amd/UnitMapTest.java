// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.amd.TestPlatform.BASE;
import static org.iommu4j.amd.TestPlatform.entry8;
import static org.iommu4j.amd.TestPlatform.ivhd;
import static org.iommu4j.amd.TestPlatform.ivmd;
import static org.iommu4j.amd.TestPlatform.range;
import static org.iommu4j.amd.TestPlatform.table;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.Prot;
import org.iommu4j.ReservedRegion;
import org.iommu4j.pci.PciAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whom a block names, as what, and which memory is reserved for whom; words by hand. */
class UnitMapTest {
    private static final ReservedRegion MSI = new ReservedRegion(0xfee0_0000L, 0xfeef_ffffL, ReservedRegion.Type.MSI);
    private static final ReservedRegion HT =
            new ReservedRegion(0xfd_0000_0000L, 0xff_ffff_ffffL, ReservedRegion.Type.RESERVED);

    private final TestPlatform platform = new TestPlatform();

    private static byte[] select(int type, int id, int setting) {
        return new byte[] {(byte) type, (byte) id, (byte) (id >> 8), (byte) setting};
    }

    /** A device that ACPI names AMDI0020, with an id but no UID. */
    private static byte[] named(int id) {
        byte[] entry = Arrays.copyOf(select(0xf0, id, 0), 22);
        byte[] name = "AMDI0020".getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(name, 0, entry, 4, name.length);
        return entry;
    }

    private Iommu open(int type, byte[]... entries) {
        platform.ivrs = table(
                0, type == 0x10 ? TestPlatform.ivhd10(BASE, 2, entries) : ivhd(type, 40, 0x8c0, BASE, 2, entries));
        return platform.open();
    }

    private List<String> namedIds(Iommu iommu, IommuDevice device) {
        platform.commands.clear();
        iommu.allocate(DomainType.IDENTITY, device).attach(device);
        return List.copyOf(platform.commands);
    }

    private static PciAddress at(int requesterId) {
        return PciAddress.of(0, requesterId);
    }

    private boolean serves(Iommu iommu, int requesterId) {
        PciAddress address = at(requesterId);
        return iommu.probe(platform.function(0, address.bus(), address.device(), address.function()))
                .isPresent();
    }

    @ParameterizedTest
    @ValueSource(ints = {0x10, 0x11, 0x40})
    void everyKindOfDeviceEntryNamesItsRequestersInEveryTypeOfBlock(int type) {
        Iommu iommu = open(
                type,
                select(0, 0, 0), // padding
                select(2, 0x10, 0), // one
                range(0x20, 0x2f),
                entry8(0x40, 0x99, 0, 0, 0, 0), // padding of 8 bytes
                entry8(0x46, 0x31, 0, 0, 0, 0), // one, extended
                entry8(0x47, 0x40, 0, 0, 0, 0), // a range, extended
                select(4, 0x47, 0),
                entry8(0x42, 0x50, 0, 0, 0x58, 0), // one, as another
                entry8(0x43, 0x60, 0, 0, 0x70, 0), // a range, as another
                select(4, 0x67, 0),
                entry8(0x48, 0, 0, 5, 0xa0, 1)); // an I/O APIC
        int[] named = {0x10, 0x20, 0x2f, 0x31, 0x40, 0x47, 0x50, 0x58, 0x60, 0x67, 0x70, 0xa0};
        for (int id = 0; id < 0x100; id++) {
            boolean expected = Arrays.binarySearch(named, id) >= 0
                    || (id >= 0x20 && id <= 0x2f)
                    || (id >= 0x40 && id <= 0x47)
                    || (id >= 0x60 && id <= 0x67);
            assertThat(serves(iommu, id)).as("requester %02x", id).isEqualTo(expected);
        }
        assertThat(namedIds(iommu, iommu.probe(platform.function(0, 0, 0xc, 3)).orElseThrow()))
                .as("of a range, as another")
                .containsExactly("devtab 0063", "devtab 0070");
        assertThat(namedIds(iommu, iommu.probe(platform.function(0, 0, 0xa, 0)).orElseThrow()))
                .as("one, as another")
                .containsExactly("devtab 0050", "devtab 0058");
        assertThat(namedIds(iommu, iommu.probe(platform.function(0, 0, 4, 0)).orElseThrow()))
                .containsExactly("devtab 0020");
    }

    @Test
    void anEntryForAllNamesEveryRequesterButTheUnit() {
        Iommu iommu = open(0x10, select(1, 0, 0));
        assertThat(serves(iommu, 0x00)).isTrue();
        assertThat(serves(iommu, 0xffff)).isTrue();
        assertThat(serves(iommu, 0x02)).isFalse();
        // 65,536 entries of 32 bytes: 512 frames.
        assertThat(platform.unit.registers[0] & 0x1ff).isEqualTo(511);
    }

    @ParameterizedTest
    @CsvSource({"0x10, false", "0x11, false", "0x40, true"})
    void aDeviceThatAcpiNamesCountsInABlockOfType40Alone(int type, boolean counts) {
        Iommu iommu = open(type, range(8, 0x1f), named(0x98));
        assertThat(serves(iommu, 0x98)).isEqualTo(counts);
        assertThat(serves(iommu, 0x1f)).isTrue();
    }

    @Test
    void aDeviceThatShouldHaveAnAcpiNameAndHasNoneIsIgnored() {
        byte[] unnamed = named(0x98);
        unnamed[4] = 0;
        Iommu iommu = open(0x40, range(8, 0x1f), unnamed);
        assertThat(serves(iommu, 0x98)).isFalse();
        assertThat(serves(iommu, 0x1f)).isTrue();
    }

    @Test
    void settingsOfARangeReachEveryIdOfItAndItsAlias() {
        open(0x10, entry8(0x43, 0x60, 0x87, 0, 0x70, 0), select(4, 0x61, 0), select(2, 0x62, 0x30));
        long lint1NmiExternalInit = 0x8700_0000_0000_0000L;
        assertThat(platform.unit.deviceTableWord(0x60, 2)).isEqualTo(lint1NmiExternalInit);
        assertThat(platform.unit.deviceTableWord(0x61, 2)).isEqualTo(lint1NmiExternalInit);
        assertThat(platform.unit.deviceTableWord(0x70, 2)).isEqualTo(lint1NmiExternalInit);
        assertThat(platform.unit.deviceTableWord(0x62, 2)).isZero();
        assertThat(platform.unit.deviceTableWord(0x62, 1)).as("SysMgt 3").isEqualTo(3L << 40);
    }

    @Test
    void unityAndExclusionRangesAreDirectForWhomTheyNameOnly() {
        platform.ivrs = table(
                0,
                TestPlatform.ivhd10(BASE, 2, range(8, 0x1ff)),
                ivmd(0x20, 7, 0, 0, 0x10_0000, 0x1000), // all: unity
                ivmd(0x21, 8, 0x100, 0, 0x20_0000, 0x1000), // one: exclusion
                ivmd(0x22, 7, 0x101, 0x103, 0x30_0000, 0x1000), // a range: unity
                ivmd(0x21, 9, 0x102, 0, 0x40_0000, 0x1000), // both flags
                ivmd(0x21, 6, 0x102, 0, 0x50_0000, 0x1000)); // neither: nothing
        Iommu iommu = platform.open();
        ReservedRegion all = direct(0x10_0000, Prot.READ_WRITE);
        ReservedRegion few = direct(0x30_0000, Prot.READ_WRITE);
        assertThat(regions(iommu, 0)).containsExactly(all, direct(0x20_0000, Prot.READ_WRITE), MSI, HT);
        assertThat(regions(iommu, 1)).containsExactly(all, few, MSI, HT);
        assertThat(regions(iommu, 2)).containsExactly(all, few, direct(0x40_0000, Prot.READ_WRITE), MSI, HT);
        assertThat(regions(iommu, 3)).containsExactly(all, few, MSI, HT);
        assertThat(regions(iommu, 4)).containsExactly(all, MSI, HT);
    }

    @ParameterizedTest
    @CsvSource({
        "unity, 0x1, 0",
        "unity and IR, 0x3, 1",
        "unity and IW, 0x5, 2",
        "unity with both, 0x7, 3",
        "exclusion, 0x8, 3",
        "exclusion and IR, 0xa, 3"
    })
    void aUnityRangeHasTheRightsThatFirmwareGivesAndAnExclusionRangeBoth(String name, int flags, int prot) {
        platform.ivrs =
                table(0, TestPlatform.ivhd10(BASE, 2, range(8, 0x1ff)), ivmd(0x21, flags, 0x100, 0, 0x20_0000, 0x1000));
        assertThat(regions(platform.open(), 0)).as(name).containsExactly(direct(0x20_0000, prot), MSI, HT);
    }

    @Test
    void rangesThatOverlapAreOneOnlyWhereTheyGiveTheSameRights() {
        platform.ivrs = table(
                0,
                TestPlatform.ivhd10(BASE, 2, range(8, 0x1ff)),
                ivmd(0x20, 7, 0, 0, 0x10_1000, 0x2000),
                ivmd(0x20, 3, 0, 0, 0x10_0000, 0x2000),
                ivmd(0x20, 3, 0, 0, 0x10_1000, 0x3000));
        assertThat(regions(platform.open(), 0))
                .containsExactly(
                        new ReservedRegion(0x10_0000, 0x10_3fff, ReservedRegion.Type.DIRECT, Prot.READ),
                        new ReservedRegion(0x10_1000, 0x10_2fff, ReservedRegion.Type.DIRECT, Prot.READ_WRITE),
                        MSI,
                        HT);
    }

    private static ReservedRegion direct(long page, int prot) {
        return new ReservedRegion(page, page | 0xfff, ReservedRegion.Type.DIRECT, prot);
    }

    private List<ReservedRegion> regions(Iommu iommu, int function) {
        return iommu.probe(platform.function(0, 1, 0, function)).orElseThrow().reservedRegions();
    }
}
