// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.iommu4j.pci.PciAddress;

/**
 * The functions behind one unit as rows of a tree, bridges before what is below them.
 *
 * <p>Rows are few on big hosts: groups of the chipset alone are one row, and so are many functions of one place that
 * are alike, such as virtual functions. Where no input tells bridges, rows are in the order of groups.
 */
final class TreeRows {
    /** So many functions that are alike are one row. */
    private static final int ALIKE = 5;

    /** How many kinds of a fold are named. */
    private static final int KINDS = 4;

    private final Map<PciAddress, AuditedDevice> devices = new LinkedHashMap<>();
    private final Map<PciAddress, List<AuditedDevice>> below = new HashMap<>();
    private final Map<Integer, AuditedGroup> groups;
    private final Set<PciAddress> asked;
    private final Set<PciAddress> shown = new HashSet<>();
    private final Set<PciAddress> printed = new HashSet<>();
    private final List<TreeRow> rows = new ArrayList<>();

    /** What is still to be printed below a row. */
    private record Pending(List<AuditedDevice> devices, String text, int depth, int parent, String bus) {}

    private TreeRows(List<AuditedDevice> behind, Map<Integer, AuditedGroup> groups, Set<PciAddress> asked) {
        this.groups = groups;
        this.asked = asked;
        behind.forEach(device -> devices.put(device.address(), device));
    }

    /**
     * Returns the rows of the functions behind a unit.
     *
     * @param behind the functions, sorted by address
     * @param groups the host's groups by number
     * @param asked the functions that a guest gets; they are never folded
     */
    static List<TreeRow> of(List<AuditedDevice> behind, Map<Integer, AuditedGroup> groups, Set<PciAddress> asked) {
        TreeRows tree = new TreeRows(behind, groups, asked);
        tree.build(chipsetAlone(behind));
        return tree.rows;
    }

    /** Returns the groups whose functions, as far as they are behind the unit, are all of the chipset. */
    private static Set<Integer> chipsetAlone(List<AuditedDevice> behind) {
        Set<Integer> all = new HashSet<>();
        Set<Integer> others = new HashSet<>();
        for (AuditedDevice device : behind) {
            device.group().ifPresent(device.isOfChipset() ? all::add : others::add);
        }
        all.removeAll(others);
        return all;
    }

    private void build(Set<Integer> chipset) {
        for (AuditedDevice device : devices.values()) {
            boolean quiet = device.isOfChipset()
                    && !asked.contains(device.address())
                    && (device.group().isEmpty()
                            || chipset.contains(device.group().getAsInt()));
            if (!quiet) {
                show(device);
            }
        }
        List<AuditedDevice> roots = new ArrayList<>();
        for (AuditedDevice device : devices.values()) {
            if (shown.contains(device.address())) {
                parent(device)
                        .map(parent -> below.computeIfAbsent(parent.address(), unused -> new ArrayList<>()))
                        .orElse(roots)
                        .add(device);
            }
        }
        boolean flat = below.isEmpty();
        if (flat) {
            roots.sort(Comparator.comparingInt(device -> device.group().orElse(Integer.MAX_VALUE)));
        }
        print(roots, !flat);
        // Bridges in a circle, which only a damaged listing has, are below no root.
        List<AuditedDevice> circles = devices.values().stream()
                .filter(device -> shown.contains(device.address()) && !printed.contains(device.address()))
                .toList();
        circles.forEach(device -> print(printed.contains(device.address()) ? List.of() : List.of(device), false));
        List<AuditedDevice> quiet = devices.values().stream()
                .filter(device -> !shown.contains(device.address()))
                .toList();
        if (!quiet.isEmpty()) {
            String text = quiet.size() == 1 ? "" : quiet.size() + " of the chipset: " + kinds(quiet);
            rows.add(new TreeRow(quiet, text, 0, -1, ""));
        }
    }

    /** A function is shown, and all bridges above it. */
    private void show(AuditedDevice device) {
        Optional<AuditedDevice> next = Optional.of(device);
        while (next.isPresent() && shown.add(next.get().address())) {
            next = parent(next.get());
        }
    }

    private Optional<AuditedDevice> parent(AuditedDevice device) {
        return device.physicalFunction()
                .map(devices::get)
                .or(() -> device.above().map(devices::get))
                .filter(parent -> !parent.equals(device));
    }

    private void print(List<AuditedDevice> roots, boolean buses) {
        Deque<Pending> stack = new ArrayDeque<>();
        push(stack, roots, 0, -1, buses);
        while (!stack.isEmpty()) {
            Pending next = stack.pop();
            int row = rows.size();
            List<AuditedDevice> fresh = next.devices().stream()
                    .filter(device -> printed.add(device.address()))
                    .toList();
            if (!fresh.isEmpty()) {
                rows.add(new TreeRow(fresh, next.text(), next.depth(), next.parent(), next.bus()));
                List<AuditedDevice> children = fresh.size() > 1
                        ? List.of()
                        : below.getOrDefault(fresh.get(0).address(), List.of());
                push(stack, children, next.depth() + 1, row, false);
            }
        }
    }

    private void push(Deque<Pending> stack, List<AuditedDevice> children, int depth, int parent, boolean buses) {
        Map<String, List<AuditedDevice>> alike = new LinkedHashMap<>();
        Map<PciAddress, Integer> order = new HashMap<>();
        for (AuditedDevice device : children) {
            order.put(device.address(), order.size());
            alike.computeIfAbsent(likeness(device), unused -> new ArrayList<>()).add(device);
        }
        List<Pending> items = new ArrayList<>();
        String lastBus = "";
        for (List<AuditedDevice> same : alike.values()) {
            if (same.size() >= ALIKE) {
                items.add(new Pending(same, alike(same), depth, parent, bus(same.get(0), buses)));
            } else {
                same.forEach(device -> items.add(new Pending(List.of(device), "", depth, parent, bus(device, buses))));
            }
        }
        items.sort(Comparator.comparing(item -> order.get(item.devices().get(0).address())));
        List<Pending> once = new ArrayList<>();
        for (Pending item : items) {
            once.add(new Pending(
                    item.devices(), item.text(), depth, parent, item.bus().equals(lastBus) ? "" : item.bus()));
            lastBus = item.bus();
        }
        for (int i = once.size() - 1; i >= 0; i--) {
            stack.push(once.get(i));
        }
    }

    private static String bus(AuditedDevice device, boolean buses) {
        String address = device.address().toString();
        return buses ? address.substring(0, address.lastIndexOf(':')) : "";
    }

    /** Functions of equal text are one row; one that is special, or has others below or with it, is alone. */
    private String likeness(AuditedDevice device) {
        boolean alone = device.group().isEmpty()
                || groups.containsKey(device.group().getAsInt())
                        && groups.get(device.group().getAsInt()).devices().size() == 1;
        if (asked.contains(device.address()) || below.containsKey(device.address()) || !alone) {
            return device.address().toString();
        }
        return device.physicalFunction() + "|" + device.shortTitle() + "|" + device.driver() + "|"
                + device.guestInWords();
    }

    private static String alike(List<AuditedDevice> same) {
        AuditedDevice first = same.get(0);
        return same.size() + " "
                + first.physicalFunction()
                        .map(physical -> "virtual functions of " + Passthrough.brief(physical))
                        .orElse("alike")
                + ", from " + Passthrough.brief(first.address()) + ": " + first.shortTitle();
    }

    private static String kinds(List<AuditedDevice> folded) {
        List<String> kinds = folded.stream().map(AuditedDevice::kind).distinct().toList();
        return kinds.stream().limit(KINDS).collect(Collectors.joining(", "))
                + (kinds.size() > KINDS ? " and others" : "");
    }
}
