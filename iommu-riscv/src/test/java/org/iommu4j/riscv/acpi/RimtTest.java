// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.acpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Random;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.riscv.acpi.RimtBytes.Mapping;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** RIMT byte by byte, and its mappings as Linux follows them. */
class RimtTest {
    private static final int UNIT = RimtBytes.HEADER;

    /** A unit with two wires (node of 56 bytes), a root complex with two mappings (60), a platform device with one. */
    private static byte[] table() {
        return new RimtBytes()
                .unit("RSCV0004", 0x3010000, 2)
                .rootComplex(1, new Mapping(0, 0x100, 0x8000, UNIT), new Mapping(0x100, 0x80, 0x20000, UNIT))
                .platformDevice("\\_SB.DMA0", new Mapping(0, 1, 0x77, UNIT), new Mapping(7, 1, 0x99, UNIT))
                .table();
    }

    private static final int ROOT_COMPLEX = UNIT + 56;
    private static final int PLATFORM = ROOT_COMPLEX + 60;

    @Test
    void everyFieldIsReadFromItsPlace() {
        Rimt rimt = Rimt.parse(table());
        assertThat(rimt.checksumValid()).isTrue();
        assertThat(rimt.warnings()).isEmpty();
        assertThat(rimt.units()).containsExactly(new RimtNode.Unit(UNIT, "RSCV0004", 0x3010000, 0, 0, 0, 2));
        assertThat(rimt.rootComplexes()).singleElement().satisfies(complex -> {
            assertThat(complex.offset()).isEqualTo(ROOT_COMPLEX);
            assertThat(complex.segment()).isEqualTo(1);
            assertThat(complex.mappings())
                    .containsExactly(new IdMapping(0, 0x100, 0x8000, UNIT), new IdMapping(0x100, 0x80, 0x20000, UNIT));
        });
        assertThat(rimt.platformDevice("\\_SB.DMA0").orElseThrow().offset()).isEqualTo(PLATFORM);
        assertThat(rimt.platformDevice("\\_SB.DMA1")).isEmpty();
        assertThat(rimt.rootComplex(0)).isEmpty();

        RimtNode.Unit pci =
                Rimt.parse(new RimtBytes().pciUnit(2, 0x18).table()).units().get(0);
        assertThat(pci.isPciFunction()).isTrue();
        assertThat(pci.segment()).isEqualTo(2);
        assertThat(pci.requesterId()).isEqualTo(0x18);
    }

    /** The comparison is "greater than base plus count", so that the first mapping has an id of the second. */
    @ParameterizedTest
    @CsvSource({"0, 0x8000", "0xff, 0x80ff", "0x100, 0x8100", "0x101, 0x20001", "0x180, 0x20080", "0x181, -1"})
    void aMappingTakesOneIdMoreThanItHasAsInLinux(String id, String deviceId) {
        Rimt rimt = Rimt.parse(table());
        Optional<Rimt.Destination> to = rimt.map(rimt.rootComplex(1).orElseThrow(), Long.decode(id));
        assertThat(to.map(Rimt.Destination::deviceId).orElse(-1L)).isEqualTo(Long.decode(deviceId));
    }

    @Test
    void theSumOfBaseAndCountHas32Bits() {
        IdMapping mapping = new IdMapping(0xffff_fff0L, 0x20, 5, UNIT);
        assertThat(mapping.map(0xffff_fff1L)).isEqualTo(IdMapping.NONE);
        assertThat(mapping.map(0x3)).isEqualTo(IdMapping.NONE);
        assertThat(new IdMapping(2, 0xffff_fffdL, 0xffff_ffffL, UNIT).map(3)).isZero();
    }

    @Test
    void aPlatformDeviceHasTheDestinationOfEachMapping() {
        Rimt rimt = Rimt.parse(table());
        RimtNode.PlatformDevice device = rimt.platformDevice("\\_SB.DMA0").orElseThrow();
        assertThat(rimt.destinations(device))
                .extracting(Rimt.Destination::deviceId)
                .containsExactly(0x77L, 0x99L);
        Rimt endsEarly = Rimt.parse(new RimtBytes()
                .unit("RSCV0004", 0x3010000, 0)
                .platformDevice(
                        "\\_SB.A", new Mapping(0, 1, 3, UNIT), new Mapping(0, 1, 4, 0), new Mapping(0, 1, 5, UNIT))
                .table());
        assertThat(endsEarly.destinations(endsEarly.platformDevice("\\_SB.A").orElseThrow()))
                .extracting(Rimt.Destination::deviceId)
                .containsExactly(3L);
    }

    @Test
    void theFunctionOfAnIdIsFoundByTheMappingThatHasIt() {
        Rimt rimt = Rimt.parse(table());
        RimtNode.Unit unit = rimt.units().get(0);
        assertThat(rimt.requester(unit, 0x80ff)).contains(PciAddress.of(1, 0xff));
        assertThat(rimt.requester(unit, 0x8100)).as("not its own").isEmpty();
        assertThat(rimt.requester(unit, 0x20000)).contains(PciAddress.of(1, 0x100));
        assertThat(rimt.requester(unit, 0x77)).isEmpty();
    }

    @Test
    void mappingsThroughOtherNodesAreFollowedAndCirclesEnd() {
        int second = RimtBytes.HEADER + 40;
        Rimt chain = Rimt.parse(new RimtBytes()
                .rootComplex(0, new Mapping(0, 0x10, 0x20, second))
                .rootComplex(1, new Mapping(0x20, 0x10, 0x40, second + 40))
                .unit("RSCV0004", 0x3010000, 0)
                .table());
        assertThat(chain.map(chain.rootComplex(0).orElseThrow(), 5)
                        .orElseThrow()
                        .deviceId())
                .isEqualTo(0x45);
        Rimt circle = Rimt.parse(new RimtBytes()
                .rootComplex(0, new Mapping(0, 0x10, 0, second))
                .rootComplex(1, new Mapping(0, 0x10, 0, RimtBytes.HEADER))
                .table());
        assertThat(circle.map(circle.rootComplex(0).orElseThrow(), 5)).isEmpty();
    }

    @Test
    void aFirstMappingThatLeadsNowhereLeavesTheNodeUnmapped() {
        Rimt rimt = Rimt.parse(new RimtBytes()
                .unit("RSCV0004", 0x3010000, 0)
                .rootComplex(0, new Mapping(0, 1, 0, 0), new Mapping(0, 0x100, 0, UNIT))
                .table());
        assertThat(rimt.map(rimt.rootComplex(0).orElseThrow(), 5)).isEmpty();
        assertThat(rimt.warnings()).singleElement().asString().contains("firmware bug");
    }

    @Test
    void aNodeOfAnotherTypeIsSkippedWithAWarning() {
        byte[] table = new RimtBytes()
                .other(9, 12)
                .unit("RSCV0004", 0x3010000, 0)
                .rootComplex(0, new Mapping(0, 1, 0, RimtBytes.HEADER))
                .table();
        Rimt rimt = Rimt.parse(table);
        assertThat(rimt.warnings()).singleElement().asString().contains("type 9");
        assertThat(rimt.units()).hasSize(1);
        assertThat(rimt.map(rimt.rootComplex(0).orElseThrow(), 0)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        // bytes of a number, its place in table(), a value, the offset in the message
        "4, 36, 100, 0x24",
        "4, 36, -1, 0x24",
        "4, 40, 47, 0x28",
        "4, 40, -8, 0x28",
        "4, 40, 20000, 0x28",
        "2, 50, 7, 0x32",
        "2, 50, 0, 0x32",
        "2, 50, 39, 0x32",
        "2, 50, 9999, 0x32",
        "2, 84, 3, 0x56",
        "2, 86, 39, 0x56",
        "2, 86, -1, 0x56",
        "2, 106, 19, 0x6a",
        "2, 120, 41, 0x68",
        "2, 120, 7, 0x68",
        "2, 122, 3, 0x68",
        "2, 122, -1, 0x68",
        "4, 136, 49, 0x68",
        "4, 136, -1, 0x68",
        "4, 136, 10000, 0x68"
    })
    void anImpossibleNumberIsRefusedWithItsPlace(int bytes, int at, int value, String offset) {
        byte[] table = table();
        for (int i = 0; i < bytes; i++) {
            table[at + i] = (byte) (value >> (8 * i));
        }
        assertThatThrownBy(() -> Rimt.parse(table))
                .isInstanceOf(MalformedTableException.class)
                .hasMessageContaining("RIMT at offset " + offset + ":");
    }

    @Test
    void aPathWithoutAnEndIsRefused() {
        byte[] table = new RimtBytes().platformDevice("\\_SB").table();
        Arrays.fill(table, table.length - 4, table.length, (byte) 'A');
        assertThatThrownBy(() -> Rimt.parse(table)).isInstanceOf(MalformedTableException.class);
    }

    @Test
    void noBytesLeadToAnotherExceptionNorToAnEndlessWalk() {
        long seed = Long.getLong("iommu4j.seed", 20261130L);
        Random random = new Random(seed);
        int read = 0;
        for (int i = 0; i < 20_000; i++) {
            byte[] table = table();
            int changes = 1 + random.nextInt(6);
            for (int j = 0; j < changes; j++) {
                int value = random.nextBoolean() ? random.nextInt(9) : random.nextInt();
                table[4 + random.nextInt(table.length - 4)] = (byte) value;
            }
            try {
                Rimt rimt = Rimt.parse(table);
                read++;
                for (RimtNode node : rimt.nodes().values()) {
                    for (long id : new long[] {0, 0x100, 0xffff, 0xffff_ffffL}) {
                        rimt.map(node, id);
                        rimt.units().forEach(unit -> rimt.requester(unit, id));
                    }
                    if (node instanceof RimtNode.PlatformDevice device) {
                        rimt.destinations(device);
                    }
                }
            } catch (MalformedTableException expected) {
                assertThat(expected).hasMessageContaining("RIMT at offset 0x");
            } catch (RuntimeException other) {
                throw new AssertionError("seed " + seed + ": " + HexFormat.of().formatHex(table), other);
            }
        }
        assertThat(read).as("tables that were read, seed %d", seed).isGreaterThan(1000);
    }
}
