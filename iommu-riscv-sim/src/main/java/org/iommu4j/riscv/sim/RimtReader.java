// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.spi.SourceIdRange;

/** What firmware's RIMT of a captured host says of one unit's device ids. The layout is {@link RimtWriter}'s. */
final class RimtReader {
    private static final int COUNT = 36;
    private static final int OFFSET = 40;
    private static final int NODE_IOMMU = 0;
    private static final int NODE_ROOT_COMPLEX = 1;
    private static final int PCI_FUNCTION = 1;
    private static final int MAPPING_BYTES = 20;

    private RimtReader() {}

    /**
     * Returns the device ids of PCI functions behind a unit, none if there is no such table.
     *
     * @param device the unit's own name in Linux: that of a PCI function, or of a platform device
     * @param registerBase the address of its registers, by which the table knows a platform device
     * @throws IllegalArgumentException when the table is malformed
     */
    static List<SourceIdRange> sourceIds(String device, long registerBase, FirmwareTables firmware) {
        Optional<byte[]> bytes = firmware.table("RIMT");
        List<SourceIdRange> ranges = new ArrayList<>();
        if (bytes.isPresent()) {
            AcpiTable table = AcpiTable.parse("RIMT", bytes.get());
            int at = (int) table.u32(OFFSET);
            for (long left = table.u32(COUNT); left > 0; left--) {
                if (table.u8(at) == NODE_ROOT_COMPLEX) {
                    addMappings(table, at, device, registerBase, ranges);
                }
                at += Math.max(table.u16(at + 2), 1);
            }
        }
        return ranges;
    }

    private static void addMappings(
            AcpiTable table, int node, String device, long registerBase, List<SourceIdRange> ranges) {
        int mapping = node + table.u16(node + 16);
        for (int left = table.u16(node + 18); left > 0; left--, mapping += MAPPING_BYTES) {
            if (isUnit(table, (int) table.u32(mapping + 12), device, registerBase)) {
                int first = (int) table.u32(mapping);
                ranges.add(new SourceIdRange(
                        table.u16(node + 14), first, (int) Math.min(table.u32(mapping + 4), 0x10000 - first), (int)
                                table.u32(mapping + 8)));
            }
        }
    }

    private static boolean isUnit(AcpiTable table, int node, String device, long registerBase) {
        if (table.u8(node) != NODE_IOMMU) {
            return false;
        }
        if ((table.u32(node + 24) & PCI_FUNCTION) == 0) {
            return table.u64(node + 16) == registerBase;
        }
        int id = table.u16(node + 34);
        return device.equals(new PciAddress(table.u16(node + 32), id >>> 8, id >>> 3 & 31, id & 7).toString());
    }
}
