// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.IntFunction;
import org.iommu4j.platform.DeviceTree.Node;
import org.iommu4j.platform.support.FirmwareBytes;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A flattened device tree word by word. */
class DeviceTreeTest {
    private static final int STRUCTURE = 72;

    /** Bytes of the structure: {@code / { phandle = <5>; bus@10 { reg = <1 2>; status = "okay"; dma { }; }; };}. */
    private static final int STRUCTURE_BYTES = 4 * 26;

    private static final int STRINGS = STRUCTURE + STRUCTURE_BYTES;
    private static final String NAMES = "phandle\0reg\0status\0";

    /** A tree with one memory reservation, whose words are written here one by one. */
    private static byte[] tree() {
        ByteBuffer tree = ByteBuffer.allocate(STRINGS + NAMES.length());
        put(tree, 0xd00dfeed, tree.capacity(), STRUCTURE, STRINGS, 40, 17, 16, 0, NAMES.length(), STRUCTURE_BYTES);
        tree.putLong(0x8000_0000L).putLong(0x20_0000).putLong(0).putLong(0);
        put(tree, 1, 0); // the root
        put(tree, 3, 4, 0, 5); // phandle
        put(tree, 4); // nothing
        put(tree, 1, text("bus@"), text("10\0\0"));
        put(tree, 3, 8, 8, 1, 2); // reg
        put(tree, 3, 5, 12, text("okay"), 0); // status
        put(tree, 1, text("dma\0"), 2);
        put(tree, 2, 2, 9);
        assertThat(tree.position()).isEqualTo(STRINGS);
        return tree.put(NAMES.getBytes(StandardCharsets.US_ASCII)).array();
    }

    private static void put(ByteBuffer tree, int... words) {
        for (int word : words) {
            tree.putInt(word);
        }
    }

    private static int text(String four) {
        return ByteBuffer.wrap(four.getBytes(StandardCharsets.US_ASCII)).getInt();
    }

    private static byte[] with(int at, int word) {
        byte[] tree = tree();
        ByteBuffer.wrap(tree).putInt(at, word);
        return tree;
    }

    @Test
    void everythingIsReadFromItsPlace() {
        DeviceTree tree = DeviceTree.parse(tree());
        assertThat(tree.reservations()).containsExactly(new DeviceTree.Reservation(0x8000_0000L, 0x20_0000));
        assertThat(tree.nodes()).extracting(Node::path).containsExactly("/", "/bus@10", "/bus@10/dma");
        Node bus = tree.nodes().get(1);
        assertThat(bus.name()).isEqualTo("bus@10");
        assertThat(bus.nameWithoutAddress()).isEqualTo("bus");
        assertThat(bus.parent()).contains(tree.root());
        assertThat(bus.children()).containsExactly(tree.nodes().get(2));
        assertThat(bus.words("reg")).containsExactly(1, 2);
        assertThat(bus.length("reg")).isEqualTo(8);
        assertThat(bus.number("reg")).as("not one word").isEmpty();
        assertThat(bus.strings("status")).containsExactly("okay");
        assertThat(bus.isAvailable()).isTrue();
        assertThat(bus.has("phandle")).isFalse();
        assertThat(bus.words("phandle")).isEmpty();
        assertThat(tree.byPhandle(5)).contains(tree.root());
        assertThat(tree.byPhandle(0)).isEmpty();
        assertThat(tree.byPhandle(6)).isEmpty();
    }

    @Test
    void bytesBehindTheDeclaredSizeAreIgnored() {
        byte[] longer = Arrays.copyOf(tree(), tree().length + 100);
        assertThat(DeviceTree.parse(longer).nodes()).hasSize(3);
    }

    @Test
    void theTreeKeepsItsOwnBytes() {
        byte[] bytes = tree();
        DeviceTree tree = DeviceTree.parse(bytes);
        Arrays.fill(bytes, (byte) 0);
        assertThat(tree.nodes().get(1).words("reg")).containsExactly(1, 2);
    }

    @Test
    void wordsOfAnotherLengthAreRefusedWhenTheyAreAskedFor() {
        DeviceTree tree = DeviceTree.parse(tree());
        assertThatThrownBy(() -> tree.nodes().get(1).words("status"))
                .isInstanceOf(MalformedTableException.class)
                .hasMessageContaining("'status' of /bus@10 has 5 bytes");
    }

    @Test
    void aStatusThatIsNotOkayCantBeUsed() {
        assertThat(DeviceTree.parse(with(STRUCTURE + 4 * 18, text("fail")))
                        .nodes()
                        .get(1)
                        .isAvailable())
                .isFalse();
        assertThat(DeviceTree.parse(with(STRUCTURE + 4 * 18, text("ok\0\0")))
                        .nodes()
                        .get(1)
                        .isAvailable())
                .isTrue();
    }

    @Test
    void theFirstOfTwoPropertiesWithOneNameCounts() {
        // status gets the name of reg
        DeviceTree tree = DeviceTree.parse(with(STRUCTURE + 4 * 17, 8));
        assertThat(tree.nodes().get(1).words("reg")).containsExactly(1, 2);
    }

    @ParameterizedTest
    @CsvSource({
        // place of a word, its value, the offset in the message
        "0, 0xd00dfeee, 0x0",
        "4, 39, 0x4",
        "4, 196, 0x4",
        "4, -1, 0x4",
        "8, 36, 0x8",
        "8, 74, 0x8",
        "8, 92, 0x8",
        "8, -4, 0x8",
        "12, 177, 0xc",
        "12, 39, 0xc",
        "12, -1, 0xc",
        "16, 44, 0x10",
        "16, 32, 0x10",
        "16, 184, 0x10",
        "16, 176, 0xc0",
        "20, 16, 0x14",
        "20, 2, 0x14",
        "24, 18, 0x14",
        "32, 20, 0xc",
        "32, -1, 0x20",
        "32, 18, 0xbc",
        "36, 124, 0x8",
        "36, 108, 0xac",
        "36, 100, 0xac",
        "36, -1, 0x24",
        "36, 0, 0x48",
        "72, 2, 0x48",
        "72, 3, 0x48",
        "72, 9, 0x48",
        "72, 5, 0x48",
        "76, 0x61000000, 0x4c",
        "84, 93, 0x54",
        "84, -1, 0x54",
        "88, 19, 0x58",
        "88, -1, 0x58",
        "88, 7, 0xb7",
        "96, 2, 0x64",
        "104, 0x2f757340, 0x68",
        "104, 0x62752040, 0x6a",
        "104, 0xe2757340, 0x68",
        "104, 0, 0x68",
        "164, 3, 0xa4",
        "160, 4, 0xac",
        "168, 9, 0xa8",
        "172, 2, 0xac",
        "172, 4, 0xb0"
    })
    void anImpossibleWordIsRefusedWithItsPlace(int at, String value, String offset) {
        byte[] tree = with(at, Long.decode(value).intValue());
        assertThatThrownBy(() -> DeviceTree.parse(tree))
                .as("0x%x holds %s", at, value)
                .isInstanceOf(MalformedTableException.class)
                .hasMessageContaining("device tree at offset " + offset + ":");
    }

    @Test
    void everyPrefixIsRefused() {
        for (int length = 0; length < tree().length; length++) {
            byte[] cut = Arrays.copyOf(tree(), length);
            assertThatThrownBy(() -> DeviceTree.parse(cut))
                    .as("%d bytes", length)
                    .isInstanceOf(MalformedTableException.class);
        }
    }

    @Test
    void nodesMayBeDeepAsInLinuxAndNoDeeper() {
        IntFunction<byte[]> deep = levels -> {
            int structure = 4 * (2 + 2 * (levels - 1) + levels + 1);
            ByteBuffer tree = ByteBuffer.allocate(56 + structure);
            put(tree, 0xd00dfeed, tree.capacity(), 56, 40, 40, 17, 16, 0, 0, structure);
            tree.putLong(0).putLong(0);
            put(tree, 1, 0);
            for (int i = 1; i < levels; i++) {
                put(tree, 1, text("a\0\0\0"));
            }
            for (int i = 0; i < levels; i++) {
                put(tree, 2);
            }
            return tree.putInt(9).array();
        };
        assertThat(DeviceTree.parse(deep.apply(64)).nodes()).hasSize(64);
        assertThatThrownBy(() -> DeviceTree.parse(deep.apply(65)))
                .isInstanceOf(MalformedTableException.class)
                .hasMessageContaining("below 64 others");
    }

    @Test
    void noBytesLeadToAnotherException() {
        long seed = Long.getLong("iommu4j.seed", 20261201L);
        Random random = new Random(seed);
        int read = 0;
        for (int i = 0; i < 50_000; i++) {
            byte[] bytes = tree();
            for (int changes = 1 + random.nextInt(4); changes > 0; changes--) {
                int value = random.nextBoolean() ? random.nextInt(17) : random.nextInt();
                if (random.nextBoolean()) {
                    ByteBuffer.wrap(bytes).putInt(4 * random.nextInt(bytes.length / 4), value);
                } else {
                    bytes[random.nextInt(bytes.length)] = (byte) value;
                }
            }
            try {
                DeviceTree tree = DeviceTree.parse(bytes);
                read++;
                for (Node node : tree.nodes()) {
                    for (String property : new String[] {"phandle", "reg", "status"}) {
                        node.strings(property);
                        node.words(property);
                    }
                }
            } catch (MalformedTableException expected) {
                assertThat(expected.getMessage())
                        .startsWith("device tree at offset 0x")
                        .doesNotContain("\n");
            } catch (RuntimeException other) {
                throw new AssertionError("seed " + seed + ": " + HexFormat.of().formatHex(bytes), other);
            }
        }
        assertThat(read).as("trees that were read, seed %d", seed).isGreaterThan(1000);
    }

    @Test
    void firmwareHasATreeOnlyIfItSaysSo() {
        FirmwareTables tables = signature -> Optional.empty();
        assertThat(tables.deviceTree()).isEmpty();
        byte[] tree = tree();
        FirmwareTables both = new FirmwareBytes(Map.of("RIMT", new byte[36]), Optional.of(tree));
        assertThat(both.table("RIMT")).isPresent();
        both.deviceTree().orElseThrow()[0] = 0;
        assertThat(both.deviceTree().orElseThrow()).isEqualTo(tree);
    }
}
