// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.DeviceTree;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.riscv.acpi.Rimt;

/** Which of firmware's descriptions counts: its device tree or its RIMT. */
final class Firmware {
    private Firmware() {}

    /** Returns whether there is a RIMT. */
    static boolean hasRimt(FirmwareTables firmware) {
        return firmware.table(Rimt.SIGNATURE).isPresent();
    }

    /** Returns whether a device tree names a unit anywhere; its bytes may be damaged. */
    static boolean hasTreeWithUnit(FirmwareTables firmware) {
        return firmware.deviceTree()
                .map(bytes -> new String(bytes, StandardCharsets.ISO_8859_1))
                .filter(text -> DeviceTreeMap.MODELS.stream().anyMatch(model -> text.contains(model + '\0')))
                .isPresent();
    }

    /**
     * Reads the device tree where that has more than {@code /chosen}, else RIMT; empty where there is neither.
     *
     * <p>Source: Linux {@code acpi_boot_table_init} on RISC-V, without {@code acpi=} on the command line.
     *
     * @throws org.iommu4j.platform.MalformedTableException when it can't be read
     */
    static Optional<UnitMap> read(FirmwareTables firmware, PciTopology topology, LinuxRelease release) {
        Optional<DeviceTree> tree = firmware.deviceTree().map(DeviceTree::parse);
        Optional<byte[]> table = firmware.table(Rimt.SIGNATURE);
        if (tree.isPresent() && (table.isEmpty() || !isStub(tree.get()))) {
            return Optional.of(new DeviceTreeMap(tree.get(), topology));
        }
        return table.map(bytes -> new RimtMap(Rimt.parse(bytes), topology, release));
    }

    private static boolean isStub(DeviceTree tree) {
        return tree.root().children().stream().allMatch(node -> node.name().equals("chosen"));
    }
}
