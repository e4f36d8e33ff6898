// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.dt;

import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.platform.DeviceTree.Node;

/**
 * Addresses of a node's registers, through the buses above it.
 *
 * <p>Source: Linux {@code of_translate_address}; the words of an address are counted as by {@code
 * of_bus_n_addr_cells}, which looks further up where a bus does not say it.
 */
final class Addresses {
    private static final int MOST_WORDS = 2;

    private Addresses() {}

    /** Returns the physical address of a node's first registers; empty where no bus above it leads to memory. */
    static OptionalLong first(Node node) {
        Node bus = node.parent().orElse(null);
        if (bus == null || !node.has("reg")) {
            return OptionalLong.empty();
        }
        OptionalLong address = number(node.words("reg"), 0, count(bus, "#address-cells"));
        while (address.isPresent()) {
            Node above = bus.parent().orElse(null);
            if (above == null) {
                return address;
            }
            address = through(bus, above, address.getAsLong());
            bus = above;
        }
        return address;
    }

    /** Translates an address on a bus to one on the bus above it; empty where no range has it. */
    private static OptionalLong through(Node bus, Node above, long address) {
        if (!bus.has("ranges")) {
            return OptionalLong.empty();
        }
        long[] ranges = bus.words("ranges");
        if (ranges.length == 0) {
            return OptionalLong.of(address);
        }
        int own = count(bus, "#address-cells");
        int others = count(above, "#address-cells");
        int sizes = count(bus, "#size-cells");
        if (own > MOST_WORDS || others > MOST_WORDS || sizes > MOST_WORDS) {
            return OptionalLong.empty();
        }
        for (int at = 0; at + own + others + sizes <= ranges.length; at += own + others + sizes) {
            OptionalLong first = number(ranges, at, own);
            OptionalLong to = number(ranges, at + own, others);
            OptionalLong size = number(ranges, at + own + others, sizes);
            if (first.isEmpty() || to.isEmpty() || size.isEmpty()) {
                return OptionalLong.empty();
            }
            long offset = address - first.getAsLong();
            if (Long.compareUnsigned(address, first.getAsLong()) >= 0
                    && Long.compareUnsigned(offset, size.getAsLong()) < 0) {
                return OptionalLong.of(to.getAsLong() + offset);
            }
        }
        return OptionalLong.empty();
    }

    private static int count(Node bus, String property) {
        for (Optional<Node> node = Optional.of(bus);
                node.isPresent();
                node = node.get().parent()) {
            OptionalLong count = node.get().number(property);
            if (count.isPresent()) {
                return (int) Math.min(count.getAsLong(), MOST_WORDS + 1);
            }
        }
        return 1;
    }

    private static OptionalLong number(long[] words, int at, int count) {
        if (count < 1 || count > MOST_WORDS || words.length < at + count) {
            return OptionalLong.empty();
        }
        return OptionalLong.of(count == 1 ? words[at] : words[at] << 32 | words[at + 1]);
    }
}
