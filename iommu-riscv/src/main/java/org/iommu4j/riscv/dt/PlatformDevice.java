// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.dt;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import org.iommu4j.platform.DeviceTree;
import org.iommu4j.platform.DeviceTree.Node;
import org.jspecify.annotations.Nullable;

/**
 * A node that Linux makes a platform device of.
 *
 * <p>These are the nodes below the root and below buses of the kinds that need no driver, if they can be used and are
 * made for some model.
 *
 * <p>Source: Linux {@code of_platform_default_populate}.
 *
 * @param node the node
 * @param name what Linux calls the device, for example {@code 3010000.iommu}
 * @param base physical address of its first registers
 */
public record PlatformDevice(Node node, String name, OptionalLong base) {
    private static final Set<String> BUSES = Set.of("simple-bus", "simple-mfd", "isa", "arm,amba-bus");

    /** Returns the devices of a tree, in its order. */
    public static List<PlatformDevice> of(DeviceTree tree) {
        List<PlatformDevice> devices = new ArrayList<>();
        add(tree.root(), devices);
        return devices;
    }

    private static void add(Node bus, List<PlatformDevice> devices) {
        for (Node node : bus.children()) {
            if (node.has("compatible") && node.isAvailable()) {
                devices.add(new PlatformDevice(node, name(node), Addresses.first(node)));
                if (node.strings("compatible").stream().anyMatch(BUSES::contains)) {
                    add(node, devices);
                }
            }
        }
    }

    /** Source: Linux {@code of_device_make_bus_id}. */
    private static String name(Node device) {
        String name = "";
        for (Node node = device; node.parent().isPresent(); node = node.parent().get()) {
            OptionalLong address = Addresses.first(node);
            String rest = name.isEmpty() ? "" : ":" + name;
            if (address.isPresent()) {
                return Long.toHexString(address.getAsLong()) + "." + node.nameWithoutAddress() + rest;
            }
            name = node.name() + rest;
        }
        return name;
    }

    /** Returns how many interrupt wires it has. Source: Linux {@code of_irq_count}. */
    public int wires(DeviceTree tree) {
        if (node.has("interrupts-extended")) {
            return entries(tree, node.words("interrupts-extended"), "#interrupt-cells")
                    .size();
        }
        Optional<Node> parent = interruptParent(tree, node);
        long words =
                parent.map(each -> each.number("#interrupt-cells").orElse(0)).orElse(0L);
        return words == 0 ? 0 : (int) (node.length("interrupts") / Integer.BYTES / words);
    }

    private static Optional<Node> interruptParent(DeviceTree tree, Node device) {
        @Nullable Node node = device;
        while (node != null) {
            if (node.has("interrupt-parent")) {
                return tree.byPhandle(node.number("interrupt-parent").orElse(0));
            }
            node = node.parent().orElse(null);
            if (node != null && node.has("#interrupt-cells")) {
                return Optional.of(node);
            }
        }
        return Optional.empty();
    }

    /** Returns whether it has a controller to send messages to. Source: Linux {@code of_msi_configure}. */
    public boolean hasMessages(DeviceTree tree) {
        long[] words = node.words("msi-parent");
        return words.length > 0 && tree.byPhandle(words[0]).isPresent();
    }

    /**
     * Returns what its {@code iommus} lead to, up to the first entry that leads nowhere.
     *
     * <p>Of an entry with more words than the id, or none, Linux's driver takes the first, or 0. Source: Linux {@code
     * of_iommu_configure_dev}, {@code riscv_iommu_of_xlate}.
     */
    public List<Destination> destinations(DeviceTree tree) {
        return node.has("iommus") ? entries(tree, node.words("iommus"), "#iommu-cells") : List.of();
    }

    /** Reads entries of a phandle and as many words as its node says, up to the first that is incomplete. */
    private static List<Destination> entries(DeviceTree tree, long[] words, String count) {
        List<Destination> entries = new ArrayList<>();
        for (int at = 0; at < words.length; ) {
            Node to = tree.byPhandle(words[at]).orElse(null);
            OptionalLong arguments = to == null ? OptionalLong.empty() : to.number(count);
            if (to == null || arguments.isEmpty() || arguments.getAsLong() >= words.length - at) {
                break;
            }
            entries.add(new Destination(to, arguments.getAsLong() == 0 ? 0 : words[at + 1]));
            at += 1 + (int) arguments.getAsLong();
        }
        return entries;
    }
}
