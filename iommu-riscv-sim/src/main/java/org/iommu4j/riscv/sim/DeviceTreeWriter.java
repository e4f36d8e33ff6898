// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.sim.spi.PlatformDeviceDescription;
import org.iommu4j.sim.spi.SourceIdRange;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/**
 * Firmware's device tree of a machine whose IOMMU is a platform device.
 *
 * <p>One IOMMU serves a PCI host bridge, and devices that are not on PCI. Source: Devicetree Specification 0.4, chapter
 * 5, and the bindings of Linux, {@code riscv,iommu.yaml} and {@code pci-iommu.txt}.
 */
final class DeviceTreeWriter {
    private static final int MAGIC = 0xd00d_feed;
    private static final int VERSION = 17;
    private static final int COMPATIBLE_VERSION = 16;
    private static final int HEADER_BYTES = 40;
    private static final int NO_RESERVATIONS_BYTES = 16;

    private static final int BEGIN_NODE = 1;
    private static final int END_NODE = 2;
    private static final int PROPERTY = 3;
    private static final int END = 9;

    // Phandles
    private static final int WIRE_CONTROLLER = 1;
    private static final int MESSAGE_CONTROLLER = 2;
    private static final int IOMMU = 3;

    private static final int FIRST_WIRE = 36;
    private static final int LEVEL_HIGH = 4;
    private static final int PCI_CONFIGURATION = 0x3000_0000;
    private static final int PCI_CONFIGURATION_BYTES = 0x1000_0000;
    private static final int PCI_MEMORY = 0x200_0000; // in the first word of a PCI address
    private static final int PCI_BARS = 0x5000_0000;
    private static final int PCI_BARS_BYTES = 0x1000_0000;

    private final ByteArrayOutputStream structure = new ByteArrayOutputStream();
    private final ByteArrayOutputStream strings = new ByteArrayOutputStream();
    private final Map<String, Integer> places = new LinkedHashMap<>();

    private DeviceTreeWriter() {}

    /**
     * Writes the tree.
     *
     * @param unit the IOMMU
     * @param memoryBytes DRAM from address 0 on
     * @param devices the devices that are not on PCI; their names are an address, a dot and a node's name
     */
    static byte[] write(TranslationUnitSpec unit, long memoryBytes, PlatformDeviceDescription... devices) {
        DeviceTreeWriter writer = new DeviceTreeWriter();
        writer.begin("");
        writer.words("#address-cells", 2);
        writer.words("#size-cells", 2);
        writer.text("compatible", "iommu4j,riscv");
        writer.memory(memoryBytes);
        writer.begin("soc");
        writer.words("#address-cells", 2);
        writer.words("#size-cells", 2);
        writer.text("compatible", "simple-bus");
        writer.words("ranges");
        writer.controllers();
        writer.iommu(unit);
        writer.pci(unit);
        for (PlatformDeviceDescription device : devices) {
            writer.device(device);
        }
        writer.end();
        writer.end();
        return writer.finish();
    }

    // --- nodes ---

    private void memory(long bytes) {
        begin("memory@0");
        text("device_type", "memory");
        words("reg", 0, 0, (int) (bytes >>> 32), (int) bytes);
        end();
    }

    private void controllers() {
        begin("interrupt-controller@d000000");
        text("compatible", "riscv,aplic");
        words("reg", 0, 0xd00_0000, 0, 0x8000);
        words("interrupt-controller");
        words("#address-cells", 0);
        words("#interrupt-cells", 2);
        words("phandle", WIRE_CONTROLLER);
        end();
        begin("interrupt-controller@28000000");
        text("compatible", "riscv,imsics");
        words("reg", 0, 0x2800_0000, 0, 0x4000);
        words("interrupt-controller");
        words("#address-cells", 0);
        words("#interrupt-cells", 0);
        words("msi-controller");
        words("#msi-cells", 0);
        words("phandle", MESSAGE_CONTROLLER);
        end();
    }

    private void iommu(TranslationUnitSpec unit) {
        long base = unit.registerBase();
        begin("iommu@" + Long.toHexString(base));
        text("compatible", "riscv,iommu");
        words("reg", (int) (base >>> 32), (int) base, 0, RiscvUnit.WINDOW_BYTES);
        words("#iommu-cells", 1);
        words("interrupt-parent", WIRE_CONTROLLER);
        int[] wires = new int[2 * RiscvMachine.WIRES];
        for (int i = 0; i < RiscvMachine.WIRES; i++) {
            wires[2 * i] = FIRST_WIRE + i;
            wires[2 * i + 1] = LEVEL_HIGH;
        }
        words("interrupts", wires);
        words("msi-parent", MESSAGE_CONTROLLER);
        words("phandle", IOMMU);
        end();
    }

    private void pci(TranslationUnitSpec unit) {
        begin("pci@" + Integer.toHexString(PCI_CONFIGURATION));
        text("compatible", "pci-host-ecam-generic");
        text("device_type", "pci");
        words("#address-cells", 3);
        words("#size-cells", 2);
        words("reg", 0, PCI_CONFIGURATION, 0, PCI_CONFIGURATION_BYTES);
        words("ranges", PCI_MEMORY, 0, PCI_BARS, 0, PCI_BARS, 0, PCI_BARS_BYTES);
        words("bus-range", 0, 0xff);
        words("linux,pci-domain", unit.segment());
        List<Integer> map = new ArrayList<>();
        for (SourceIdRange range : unit.sourceIds()) {
            map.addAll(List.of(range.firstRequesterId(), IOMMU, range.firstSourceId(), range.count()));
        }
        words("iommu-map", map.stream().mapToInt(Integer::intValue).toArray());
        end();
    }

    private void device(PlatformDeviceDescription device) {
        String[] name = device.id().name().split("\\.", 2);
        begin(name[1] + "@" + name[0]);
        text("compatible", "iommu4j," + name[1]);
        long base = Long.parseLong(name[0], 16);
        words("reg", (int) (base >>> 32), (int) base, 0, RiscvUnit.WINDOW_BYTES);
        words(
                "iommus",
                device.sourceIds().stream()
                        .flatMap(id -> List.of(IOMMU, id).stream())
                        .mapToInt(Integer::intValue)
                        .toArray());
        end();
    }

    /** Returns the name that Linux gives a device of the tree: that of its registers and of its node. */
    static NamedDevice device(long base, String node) {
        return new NamedDevice(Long.toHexString(base) + "." + node);
    }

    // --- tokens ---

    private void begin(String name) {
        word(BEGIN_NODE);
        structure.writeBytes((name + '\0').getBytes(StandardCharsets.US_ASCII));
        align();
    }

    private void end() {
        word(END_NODE);
    }

    private void text(String property, String value) {
        property(property, (value + '\0').getBytes(StandardCharsets.US_ASCII));
    }

    private void words(String property, int... values) {
        ByteBuffer bytes = ByteBuffer.allocate(values.length * Integer.BYTES);
        bytes.asIntBuffer().put(values);
        property(property, bytes.array());
    }

    private void property(String property, byte[] value) {
        word(PROPERTY);
        word(value.length);
        Integer place = places.get(property);
        if (place == null) {
            place = strings.size();
            places.put(property, place);
            strings.writeBytes((property + '\0').getBytes(StandardCharsets.US_ASCII));
        }
        word(place);
        structure.writeBytes(value);
        align();
    }

    private void word(int value) {
        structure.writeBytes(ByteBuffer.allocate(Integer.BYTES).putInt(value).array());
    }

    private void align() {
        while (structure.size() % Integer.BYTES != 0) {
            structure.write(0);
        }
    }

    private byte[] finish() {
        word(END);
        int structureAt = HEADER_BYTES + NO_RESERVATIONS_BYTES;
        int stringsAt = structureAt + structure.size();
        ByteBuffer tree = ByteBuffer.allocate(stringsAt + strings.size());
        tree.putInt(MAGIC)
                .putInt(tree.capacity())
                .putInt(structureAt)
                .putInt(stringsAt)
                .putInt(HEADER_BYTES)
                .putInt(VERSION)
                .putInt(COMPATIBLE_VERSION)
                .putInt(0) // the CPU that boots
                .putInt(strings.size())
                .putInt(structure.size())
                .put(new byte[NO_RESERVATIONS_BYTES])
                .put(structure.toByteArray())
                .put(strings.toByteArray());
        return tree.array();
    }
}
