// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.iommu4j.bits.Hex;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.DeviceTree;
import org.iommu4j.platform.DeviceTree.Node;
import org.iommu4j.riscv.dt.Destination;
import org.iommu4j.riscv.dt.PciHost;
import org.iommu4j.riscv.dt.PlatformDevice;
import org.iommu4j.spi.ScopeEntry;

/**
 * Units and ids as a device tree has them.
 *
 * <p>A unit of the model {@code riscv,iommu} is a platform device. A node that can be a unit below a PCI host bridge
 * ({@code riscv,pci-iommu}, or with {@code #iommu-cells}) stands for the function at its place.
 *
 * <p>Source: Linux {@code drivers/iommu/of_iommu.c} and {@code drivers/iommu/riscv}.
 */
final class DeviceTreeMap implements UnitMap {
    private static final String PLATFORM_MODEL = "riscv,iommu";
    private static final String PCI_MODEL = "riscv,pci-iommu";

    /** What the nodes of units are compatible with. */
    static final List<String> MODELS = List.of(PLATFORM_MODEL, PCI_MODEL);

    private static final String CELLS = "#iommu-cells";

    /** Where a bridge's configuration has the bus below it. */
    private static final int SECONDARY_BUS = 0x19;

    private final DeviceTree tree;
    private final List<PciHost> hosts;
    private final Map<Node, UnitPlace> places = new LinkedHashMap<>();
    private final Map<String, List<Destination>> devices = new LinkedHashMap<>();
    private final List<String> warnings = new ArrayList<>();
    private final Set<String> names = new HashSet<>();

    /**
     * Reads all that matters.
     *
     * @throws org.iommu4j.platform.MalformedTableException when a property has words that it can't have
     */
    DeviceTreeMap(DeviceTree tree, PciTopology topology) {
        this.tree = tree;
        this.hosts = PciHost.of(tree);
        Map<Node, PciHost> hostOf = new LinkedHashMap<>();
        hosts.forEach(host -> hostOf.put(host.node(), host));
        Map<Node, PlatformDevice> deviceOf = new LinkedHashMap<>();
        PlatformDevice.of(tree).forEach(device -> deviceOf.put(device.node(), device));
        for (Node node : tree.nodes()) {
            PlatformDevice device = deviceOf.get(node);
            if (device != null && node.isCompatible(PLATFORM_MODEL)) {
                add(node, platformDevice(device));
            } else if (device != null && node.has("iommus") && isName(device.name())) {
                devices.putIfAbsent(device.name(), device.destinations(tree));
            }
            PciHost host = hostOf.get(node);
            if (host != null) {
                addFunctions(node, host, host.firstBus(), topology);
                check(host);
            }
        }
    }

    private static boolean isName(String name) {
        return name.length() <= 255;
    }

    private void add(Node node, UnitPlace place) {
        // Linux makes no second device of a name.
        if (names.add(place.name())) {
            places.put(node, place);
        } else {
            warnings.add(node + ": a second unit " + place.name() + " is skipped");
        }
    }

    private UnitPlace platformDevice(PlatformDevice device) {
        OptionalInt segment = hosts.stream()
                .filter(host -> leadsTo(host, device.node()))
                .mapToInt(PciHost::segment)
                .findFirst();
        return new UnitPlace(
                RiscvNames.unit(device.name()),
                Optional.empty(),
                device.base(),
                segment,
                device.wires(tree),
                device.hasMessages(tree),
                device.base().isPresent() ? Optional.empty() : Optional.of("its registers have no physical address"));
    }

    private boolean leadsTo(PciHost host, Node unit) {
        return host.entries().stream()
                .anyMatch(entry ->
                        tree.byPhandle(entry.unit()).filter(unit::equals).isPresent());
    }

    /** Adds the units among the functions of a bus, and those of the buses below its bridges. */
    private void addFunctions(Node bus, PciHost host, int number, PciTopology topology) {
        for (Node node : bus.children()) {
            long[] place = node.words("reg");
            if (place.length == 0 || !node.isAvailable()) {
                continue;
            }
            PciAddress address = PciAddress.of(host.segment(), number << 8 | (int) (place[0] >> 8 & 0xff));
            if (node.isCompatible(PCI_MODEL) || node.has(CELLS)) {
                add(node, UnitPlace.of(address, topology, Optional.empty()));
            } else if (!node.children().isEmpty()) {
                topology.function(address)
                        .map(bridge -> bridge.config().read(SECONDARY_BUS, 1) & 0xff)
                        .filter(below -> below != number)
                        .ifPresent(below -> addFunctions(node, host, below, topology));
            }
        }
    }

    private void check(PciHost host) {
        for (PciHost.Entry entry : host.entries()) {
            if (tree.byPhandle(entry.unit()).isEmpty()) {
                warnings.add(host.node() + ": an entry of iommu-map leads to the phandle " + Hex.of(entry.unit())
                        + ", which no node has");
            }
        }
    }

    @Override
    public String source() {
        return DeviceTree.NAME;
    }

    @Override
    public List<String> warnings() {
        return warnings;
    }

    /** A tree has no checksum. */
    @Override
    public Optional<String> defect() {
        return Optional.empty();
    }

    @Override
    public List<UnitPlace> places() {
        return List.copyOf(places.values());
    }

    private Node node(UnitPlace place) {
        return places.entrySet().stream()
                .filter(entry -> entry.getValue().equals(place))
                .findFirst()
                .orElseThrow()
                .getKey();
    }

    @Override
    public List<ScopeEntry> scope(UnitPlace place) {
        Node unit = node(place);
        List<ScopeEntry> scope = new ArrayList<>();
        for (PciHost host : hosts) {
            for (PciHost.Entry entry : host.entries()) {
                if (tree.byPhandle(entry.unit()).filter(unit::equals).isPresent()) {
                    long last = Math.min(entry.first() + Math.max(entry.count() - 1, 0), 0xffff);
                    scope.add(new ScopeEntry(
                            ScopeEntry.Kind.FUNCTION,
                            "",
                            PciAddress.of(host.segment(), (int) Math.min(entry.first(), 0xffff)) + " to "
                                    + PciAddress.of(host.segment(), (int) last)));
                }
            }
        }
        devices.forEach((name, destinations) -> destinations.stream()
                .filter(to -> to.unit().equals(unit))
                .forEach(to -> scope.add(
                        new ScopeEntry(ScopeEntry.Kind.NAMESPACE_DEVICE, name, "device id " + Hex.of(to.deviceId())))));
        return scope;
    }

    @Override
    public Optional<UnitIds> behind(PciAddress function, int... aliases) {
        Optional<PciHost> host = hosts.stream()
                .filter(each -> each.segment() == function.segment())
                .findFirst();
        if (host.isEmpty()) {
            return Optional.empty();
        }
        List<Destination> destinations = new ArrayList<>();
        for (int i = -1; i < aliases.length; i++) {
            Optional<Destination> to = host.get().map(tree, i < 0 ? function.requesterId() : aliases[i]);
            if (to.isEmpty()) {
                return Optional.empty();
            }
            destinations.add(to.get());
        }
        return behind(destinations);
    }

    @Override
    public boolean hasNamedDevices() {
        return !devices.isEmpty();
    }

    @Override
    public Optional<UnitIds> behind(NamedDevice device) {
        return behind(devices.getOrDefault(device.name(), List.of()));
    }

    private Optional<UnitIds> behind(List<Destination> destinations) {
        if (destinations.isEmpty()) {
            return Optional.empty();
        }
        Node unit = destinations.get(0).unit();
        if (!destinations.stream().allMatch(to -> to.unit().equals(unit))) {
            return Optional.empty();
        }
        List<Long> ids =
                destinations.stream().map(Destination::deviceId).distinct().toList();
        return Optional.ofNullable(places.get(unit)).map(place -> new UnitIds(place, ids));
    }

    @Override
    public Optional<PciAddress> requester(UnitPlace place, long deviceId) {
        Node unit = node(place);
        return hosts.stream()
                .flatMap(host -> host.source(tree, unit, deviceId).stream()
                        .mapToObj(source -> PciAddress.of(host.segment(), source)))
                .findFirst();
    }
}
