// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.dt;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import org.iommu4j.platform.DeviceTree;
import org.iommu4j.platform.DeviceTree.Node;
import org.iommu4j.platform.MalformedTableException;

/**
 * A PCI host bridge: a node of the device type {@code pci} that is below none.
 *
 * @param node the node
 * @param segment PCI segment: {@code linux,pci-domain}, or the first that no node has
 */
public record PciHost(Node node, int segment) {
    private static final String MAP = "iommu-map";
    private static final int ENTRY_WORDS = 4;
    private static final long ALL_IDS = 0xffff_ffffL;

    /**
     * An entry of {@code iommu-map}: ids of 32 bits.
     *
     * @param first the first requester id that it maps
     * @param unit the unit's phandle
     * @param deviceId what the first becomes
     * @param count how many
     */
    public record Entry(long first, long unit, long deviceId, long count) {}

    /** Returns the host bridges that can be used, in the tree's order. */
    public static List<PciHost> of(DeviceTree tree) {
        List<Node> nodes = tree.nodes().stream().filter(PciHost::isHost).toList();
        Set<Integer> taken = new HashSet<>();
        nodes.forEach(node -> stated(node).ifPresent(taken::add));
        List<PciHost> hosts = new ArrayList<>();
        int next = 0;
        for (Node node : nodes) {
            OptionalInt stated = stated(node);
            while (stated.isEmpty() && !taken.add(next)) {
                next++;
            }
            hosts.add(new PciHost(node, stated.orElse(next)));
        }
        return hosts;
    }

    private static boolean isHost(Node node) {
        return isPci(node)
                && node.parent().filter(PciHost::isPci).isEmpty()
                && node.has("compatible")
                && node.isAvailable();
    }

    /** Returns whether a node is a PCI host bridge, or a bridge below one. */
    static boolean isPci(Node node) {
        return node.strings("device_type").contains("pci");
    }

    private static OptionalInt stated(Node node) {
        OptionalLong domain = node.number("linux,pci-domain");
        return domain.isPresent() ? OptionalInt.of((int) (domain.getAsLong() & 0xffff)) : OptionalInt.empty();
    }

    /** Returns the first of its buses. */
    public int firstBus() {
        long[] range = node.words("bus-range");
        return range.length == 0 ? 0 : (int) (range[0] & 0xff);
    }

    /** Returns whether it maps ids at all. */
    public boolean mapsIds() {
        return node.has(MAP);
    }

    /**
     * Returns its entries, in their order.
     *
     * @throws MalformedTableException when they have words that are no entry
     */
    public List<Entry> entries() {
        long[] words = node.words(MAP);
        List<Entry> entries = new ArrayList<>();
        for (int at = 0; at + ENTRY_WORDS <= words.length; at += ENTRY_WORDS) {
            entries.add(new Entry(words[at], words[at + 1], words[at + 2], words[at + 3]));
        }
        return entries;
    }

    /** Returns the bits of a requester id that count. */
    private long mask() {
        return node.number("iommu-map-mask").orElse(ALL_IDS);
    }

    /**
     * Maps a requester id; empty where no unit translates for it.
     *
     * <p>The first entry that has the id counts. There is none where the words are not whole entries, where an entry
     * before it begins with bits that do not count, or where its phandle is no node's.
     *
     * <p>Source: Linux {@code of_map_id}.
     */
    public Optional<Destination> map(DeviceTree tree, long requesterId) {
        if (node.length(MAP) % (ENTRY_WORDS * Integer.BYTES) != 0) {
            return Optional.empty();
        }
        long masked = requesterId & mask();
        for (Entry entry : entries()) {
            if ((entry.first() & ~mask()) != 0) {
                return Optional.empty();
            }
            if (masked >= entry.first() && masked < ((entry.first() + entry.count()) & ALL_IDS)) {
                return tree.byPhandle(entry.unit())
                        .map(unit -> new Destination(unit, (masked - entry.first() + entry.deviceId()) & ALL_IDS));
            }
        }
        return Optional.empty();
    }

    /** Returns the requester id that becomes a unit's id; empty where none does, or more than one. */
    public OptionalInt source(DeviceTree tree, Node unit, long deviceId) {
        if ((mask() & 0xffff) != 0xffff) {
            return OptionalInt.empty();
        }
        for (Entry entry : entries()) {
            long source = entry.first() + ((deviceId - entry.deviceId()) & ALL_IDS);
            if (source <= 0xffff
                    && map(tree, source)
                            .filter(new Destination(unit, deviceId)::equals)
                            .isPresent()) {
                return OptionalInt.of((int) source);
            }
        }
        return OptionalInt.empty();
    }
}
