// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.DeviceTree;
import org.iommu4j.platform.DeviceTree.Node;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.spi.SourceIdRange;

/** What firmware's device tree of a captured host says of one unit's device ids. */
final class DeviceTreeReader {
    private static final int LAST_REQUESTER_ID = 0xffff;

    private DeviceTreeReader() {}

    /**
     * Returns the device ids of PCI functions behind a unit, none if there is no tree.
     *
     * @param device the unit's own name in Linux: that of a PCI function, or of a platform device
     * @param registerBase the address of its registers, which is in the name of a platform device's node
     * @throws IllegalArgumentException when the tree is malformed
     */
    static List<SourceIdRange> sourceIds(String device, long registerBase, FirmwareTables firmware) {
        Optional<DeviceTree> tree = firmware.deviceTree().map(DeviceTree::parse);
        List<SourceIdRange> ranges = new ArrayList<>();
        if (tree.isPresent()) {
            for (Node node : tree.get().nodes()) {
                if (node.has("iommu-map")) {
                    addMappings(tree.get(), node, device, registerBase, ranges);
                }
            }
        }
        return ranges;
    }

    private static void addMappings(
            DeviceTree tree, Node host, String device, long registerBase, List<SourceIdRange> ranges) {
        long segment = host.number("linux,pci-domain").orElse(0);
        long[] map = host.words("iommu-map");
        for (int at = 0; at + 3 < map.length; at += 4) {
            long first = map[at];
            if (first > LAST_REQUESTER_ID || map[at + 3] == 0 || segment > LAST_REQUESTER_ID) {
                continue;
            }
            if (tree.byPhandle(map[at + 1])
                    .filter(node -> isUnit(node, host, segment, device, registerBase))
                    .isPresent()) {
                ranges.add(new SourceIdRange(
                        (int) segment, (int) first, (int) Math.min(map[at + 3], LAST_REQUESTER_ID + 1 - first), (int)
                                map[at + 2]));
            }
        }
    }

    private static boolean isUnit(Node node, Node host, long segment, String device, long registerBase) {
        if (node.parent().filter(host::equals).isEmpty()) {
            String name = Long.toHexString(registerBase);
            return node.name().endsWith("@" + name) && device.equals(name + "." + node.nameWithoutAddress());
        }
        long[] place = node.words("reg");
        OptionalLong id = place.length == 0 ? OptionalLong.empty() : OptionalLong.of(place[0] >> 8 & 0xffff);
        return id.isPresent()
                && device.equals(
                        PciAddress.of((int) segment, (int) id.getAsLong()).toString());
    }
}
