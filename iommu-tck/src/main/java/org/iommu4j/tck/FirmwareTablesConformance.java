// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.iommu4j.platform.FirmwareTables;
import org.junit.jupiter.api.Test;

/** The promises of {@link FirmwareTables}. */
public abstract class FirmwareTablesConformance extends PortConformance {
    /** Made by JUnit. */
    protected FirmwareTablesConformance() {}

    /** Makes firmware with these tables, by signature. */
    protected abstract FirmwareTables newTables(Map<String, byte[]> tables);

    /** Makes firmware with a device tree; empty, as by default, where a platform has none. */
    protected Optional<FirmwareTables> newTree(byte[] deviceTree) {
        return Optional.empty();
    }

    @Test
    @Promise("device-tree-1")
    void aDeviceTreeIsACopyAsFirmwareLeftIt() {
        byte[] tree = new byte[40 + random().nextInt(200)];
        random().nextBytes(tree);
        byte[] original = tree.clone();
        assertThat(newTables(Map.of("AAAA", new byte[36])).deviceTree())
                .as("without one")
                .isEmpty();
        newTree(tree).ifPresent(firmware -> {
            for (int round = 0; round < 2; round++) {
                byte[] copy = firmware.deviceTree().orElseThrow();
                assertThat(copy).as("the tree").isEqualTo(original);
                Arrays.fill(copy, (byte) 0x5a);
            }
            assertThat(firmware.table("AAAA")).isEmpty();
        });
    }

    @Test
    @Promise("table-1")
    void aTableIsACopyAsFirmwareLeftIt() {
        Random random = random();
        Map<String, byte[]> tables = new LinkedHashMap<>();
        for (String signature : new String[] {"AAAA", "ZZZ1", "_B_ "}) {
            byte[] table = new byte[36 + random.nextInt(200)];
            random.nextBytes(table);
            tables.put(signature, table);
        }
        tables.put("SHRT", new byte[] {1, 2, 3});
        FirmwareTables firmware = newTables(tables);
        for (int round = 0; round < 2; round++) {
            tables.forEach((signature, table) -> {
                byte[] copy = firmware.table(signature).orElseThrow();
                assertThat(copy).as("table %s", signature).isEqualTo(table);
                Arrays.fill(copy, (byte) 0x5a);
                assertThat(firmware.table(signature))
                        .hasValueSatisfying(again -> assertThat(again)
                                .as("table %s after its copy was changed", signature)
                                .isEqualTo(table));
            });
            for (String absent : new String[] {"NONE", "", "aaaa", "AAA", "AAAAA"}) {
                assertThat(firmware.table(absent)).as("table '%s'", absent).isEmpty();
            }
        }
    }
}
