// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.witness.SharedData;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * Device scopes of real DMAR tables are followed hop by hop, through bridges whose buses have whatever numbers.
 *
 * <p>The paths are those that ACPICA's disassembler printed; the bridges on them are made here, with random bus
 * numbers.
 */
class ScopePathsTest {
    private static final Pattern LINE = Pattern.compile("\\[[0-9A-F]+h.*?\\]\\s+([^:]+?) : (.*)");
    private static final int ENDPOINT = 1;
    private static final int BRIDGE = 2;

    private static final class Scope {
        private final int type;
        private int bus;
        private final List<int[]> path = new ArrayList<>();

        private Scope(int type) {
            this.type = type;
        }
    }

    private static final class Structure {
        private final int kind;
        private final List<Scope> scopes = new ArrayList<>();
        private boolean includeAll;
        private int segment;
        private long base;
        private long limit;

        private Structure(int kind) {
            this.kind = kind;
        }
    }

    private record Placed(PciAddress address, @Nullable PciAddress above, int secondary) implements PciFunction {
        @Override
        public Optional<PciAddress> upstreamBridge() {
            return Optional.ofNullable(above);
        }

        @Override
        public ConfigSpace config() {
            return new ConfigSpace() {
                @Override
                public int size() {
                    return 64;
                }

                @Override
                public int read(int offset, int bytes) {
                    return switch (offset) {
                        case 0x08 -> (secondary > 0 ? 0x060400 : 0x020000) << 8;
                        case 0x0e -> secondary > 0 ? 1 : 0;
                        case 0x18 -> address().bus();
                        case 0x19, 0x1a -> Math.max(secondary, 0);
                        default -> 0;
                    };
                }

                @Override
                public void write(int offset, int bytes, int value) {
                    throw new UnsupportedOperationException();
                }
            };
        }
    }

    /** The functions that the scopes of one table need. */
    private static final class Topology {
        private final Random random;
        private final TreeMap<PciAddress, Placed> functions = new TreeMap<>();
        private final Map<PciAddress, Integer> buses = new HashMap<>();
        private final Map<Integer, PciAddress> bridgeTo = new HashMap<>();

        /** The buses on which paths of the table begin: no bridge made here may lead to them. */
        private final Set<Integer> roots;

        private Topology(Random random, Set<Integer> roots) {
            this.random = random;
            this.roots = roots;
        }

        /** Follows a path, making what is missing. */
        PciAddress end(int segment, Scope scope) {
            int bus = scope.bus;
            PciAddress address = null;
            for (int i = 0; i < scope.path.size(); i++) {
                int[] hop = scope.path.get(i);
                address = new PciAddress(segment, bus, hop[0], hop[1]);
                boolean leads = i < scope.path.size() - 1 || scope.type == BRIDGE;
                if (leads) {
                    bus = secondary(address);
                }
                if (leads || !functions.containsKey(address)) {
                    functions.put(address, new Placed(address, above(address), leads ? bus : -1));
                }
            }
            return address;
        }

        private @Nullable PciAddress above(PciAddress address) {
            return bridgeTo.get(address.segment() << 8 | address.bus());
        }

        private int secondary(PciAddress bridge) {
            return buses.computeIfAbsent(bridge, unused -> {
                int bus;
                do {
                    bus = bridge.bus() + 1 + random.nextInt(0xff - bridge.bus());
                } while (roots.contains(bus) || bridgeTo.containsKey(bridge.segment() << 8 | bus));
                bridgeTo.put(bridge.segment() << 8 | bus, bridge);
                return bus;
            });
        }

        PciAddress below(PciAddress bridge) {
            PciAddress address = new PciAddress(bridge.segment(), secondary(bridge), 0, 0);
            functions.putIfAbsent(address, new Placed(address, bridge, -1));
            return address;
        }
    }

    private static List<Structure> disassembled(Path file) throws IOException {
        List<Structure> structures = new ArrayList<>();
        Scope scope = null;
        boolean flagsRead = false;
        for (String line : Files.readAllLines(file, StandardCharsets.ISO_8859_1)) {
            Matcher matcher = LINE.matcher(line);
            if (!matcher.matches()) {
                continue;
            }
            String value = matcher.group(2).strip();
            Structure now = structures.isEmpty() ? null : structures.get(structures.size() - 1);
            switch (matcher.group(1).strip()) {
                case "Subtable Type" -> {
                    structures.add(new Structure(Integer.parseInt(value.substring(0, 4), 16)));
                    scope = null;
                    flagsRead = false;
                }
                case "Flags" -> {
                    if (now != null && !flagsRead) {
                        now.includeAll = (Integer.parseInt(value.substring(0, 2), 16) & 1) != 0;
                        flagsRead = true;
                    }
                }
                case "PCI Segment Number" -> now.segment = Integer.parseInt(value, 16);
                case "Base Address" -> now.base = Long.parseUnsignedLong(value, 16);
                case "End Address (limit)" -> now.limit = Long.parseUnsignedLong(value, 16);
                case "Device Scope Type" -> {
                    scope = new Scope(Integer.parseInt(value.substring(0, 2), 16));
                    now.scopes.add(scope);
                }
                case "PCI Bus Number" -> scope.bus = Integer.parseInt(value, 16);
                case "PCI Path" -> {
                    String[] hop = value.split(",", -1);
                    scope.path.add(new int[] {Integer.parseInt(hop[0], 16), Integer.parseInt(hop[1], 16)});
                }
                default -> {}
            }
        }
        return structures;
    }

    private record Table(Path file, FirmwareTables firmware, List<Structure> structures) {}

    private static List<Table> tables() throws IOException {
        List<Table> tables = new ArrayList<>();
        for (Path file : SharedData.files("data", ".dat")) {
            Path expected = file.resolveSibling(file.getFileName().toString().replace(".dat", ".expected"));
            byte[] bytes = Files.readAllBytes(file);
            if (bytes.length > 4
                    && new String(bytes, 0, 4, StandardCharsets.ISO_8859_1).equals("DMAR")
                    && Files.exists(expected)) {
                tables.add(new Table(
                        file,
                        signature -> signature.equals("DMAR") ? Optional.of(bytes) : Optional.empty(),
                        disassembled(expected)));
            }
        }
        return tables;
    }

    @Test
    void whatIsAtTheEndOfAPathBelongsToItsUnitAndHasItsReservedMemory() throws IOException {
        long seed = Long.getLong("iommu4j.seed", new Random().nextLong());
        Random random = new Random(seed);
        int[] endpoints = new int[8];
        int bridges = 0;
        int regions = 0;
        int regionsThroughBridges = 0;
        for (Table table : tables()) {
            Set<Integer> roots = table.structures().stream()
                    .flatMap(structure -> structure.scopes.stream())
                    .map(scope -> scope.bus)
                    .collect(Collectors.toSet());
            Topology topology = new Topology(random, roots);
            Map<PciAddress, Integer> named = new TreeMap<>();
            Map<Integer, Integer> rest = new HashMap<>();
            int unit = 0;
            List<Structure> reserved = new ArrayList<>();
            Map<PciAddress, Integer> hops = new HashMap<>();
            for (Structure structure : table.structures()) {
                if (structure.kind == 1) {
                    reserved.add(structure);
                }
                if (structure.kind > 1) {
                    continue;
                }
                for (Scope scope : structure.scopes) {
                    if (scope.type != ENDPOINT && scope.type != BRIDGE) {
                        continue;
                    }
                    PciAddress end = topology.end(structure.segment, scope);
                    hops.put(end, scope.path.size());
                    if (structure.kind == 0) {
                        named.putIfAbsent(end, unit);
                        if (scope.type == BRIDGE) {
                            named.putIfAbsent(topology.below(end), unit);
                        }
                    }
                }
                if (structure.kind == 0) {
                    if (structure.includeAll) {
                        rest.putIfAbsent(structure.segment, unit);
                    }
                    unit++;
                }
            }
            HostDescription host = IommuVendors.load()
                    .named("intel")
                    .describe(
                            table.firmware(),
                            () -> List.copyOf(topology.functions.values()),
                            RegisterValues.UNKNOWN,
                            LinuxRelease.NEWEST);
            Map<DeviceId, DeviceDescription> devices = new HashMap<>();
            host.devices().forEach(device -> devices.put(device.id(), device));
            for (PciAddress address : topology.functions.keySet()) {
                Integer expected = named.getOrDefault(address, rest.get(address.segment()));
                DeviceDescription device = devices.get(address);
                assertThat(device.unit())
                        .as("seed %d, %s %s", seed, table.file().getFileName(), address)
                        .isEqualTo(
                                expected == null
                                        ? null
                                        : host.units().get(expected).id());
                if (named.containsKey(address) && hops.containsKey(address)) {
                    endpoints[hops.get(address)]++;
                } else if (named.containsKey(address)) {
                    bridges++;
                }
            }
            for (Structure rmrr : reserved) {
                for (Scope scope : rmrr.scopes) {
                    if (scope.type != ENDPOINT || Long.compareUnsigned(rmrr.base, rmrr.limit) > 0) {
                        continue;
                    }
                    DeviceDescription device = devices.get(topology.end(rmrr.segment, scope));
                    if (device.unit() == null) {
                        continue;
                    }
                    assertThat(device.reservedRegions())
                            .as("seed %d, %s %s", seed, table.file().getFileName(), device.id())
                            .anySatisfy(region -> {
                                assertThat(region.type()).isEqualTo(ReservedRegion.Type.DIRECT);
                                assertThat(Long.compareUnsigned(region.start(), rmrr.base))
                                        .isNotPositive();
                                assertThat(Long.compareUnsigned(region.end(), rmrr.limit))
                                        .isNotNegative();
                            });
                    regions++;
                    regionsThroughBridges += scope.path.size() > 1 ? 1 : 0;
                }
            }
        }
        System.out.println("DMAR scopes: " + endpoints[1] + " of one hop, " + endpoints[2] + " of two, " + endpoints[3]
                + " of three, " + bridges + " functions below bridges named; " + regions + " reserved regions, "
                + regionsThroughBridges + " of them through bridges; seed " + seed);
        assertThat(endpoints[1]).isGreaterThan(100);
        assertThat(regionsThroughBridges).isGreaterThan(20);
    }
}
