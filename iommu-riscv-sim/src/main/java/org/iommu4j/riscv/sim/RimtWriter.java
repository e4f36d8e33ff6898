// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.spi.PlatformDeviceDescription;
import org.iommu4j.sim.spi.SourceIdRange;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/**
 * Firmware's table of the IOMMUs and of the device ids: RIMT, the RISC-V I/O mapping table.
 *
 * <p>Source: RISC-V I/O Mapping Table specification 1.0. One IOMMU serves the root complex of a segment, and perhaps
 * devices that are not on PCI.
 */
final class RimtWriter {
    private static final int CAPACITY = 1024;
    private static final int HEADER_BYTES = 36;
    private static final int NODES_OFFSET = HEADER_BYTES + 12;
    private static final int NODE_IOMMU = 0;
    private static final int NODE_ROOT_COMPLEX = 1;
    private static final int NODE_PLATFORM_DEVICE = 2;
    private static final int IOMMU_IS_PCI_FUNCTION = 1;
    private static final int ROOT_COMPLEX_HAS_ATS = 1;
    private static final int ROOT_COMPLEX_HAS_PRI = 2;
    private static final int WIRE_ACTIVE_HIGH_LEVEL = 3;
    private static final int NODE_HEADER_BYTES = 8;
    private static final int FIRST_WIRE = 36;

    private final ByteBuffer table = ByteBuffer.allocate(CAPACITY).order(ByteOrder.LITTLE_ENDIAN);
    private int nodes;

    private RimtWriter() {}

    /**
     * Writes the table.
     *
     * @param unit the IOMMU
     * @param function the IOMMU's own PCI function, if it is one
     * @param ats whether the root complex has ATS and page requests
     * @param devices the devices that are not on PCI
     */
    static byte[] write(
            TranslationUnitSpec unit,
            Optional<PciAddress> function,
            boolean ats,
            PlatformDeviceDescription... devices) {
        RimtWriter writer = new RimtWriter();
        writer.header();
        int iommu = writer.iommu(unit, function);
        writer.rootComplex(unit, ats, iommu);
        for (PlatformDeviceDescription device : devices) {
            writer.platformDevice(device, iommu);
        }
        return writer.finish();
    }

    private void header() {
        text("RIMT", 4);
        table.putInt(0); // the length, at the end
        table.put((byte) 1);
        table.put((byte) 0); // the checksum, at the end
        text("IOMU4J", 6);
        text("RISCV", 8);
        table.putInt(1);
        text("IOMU", 4);
        table.putInt(1);
        table.putInt(0); // the number of nodes, at the end
        table.putInt(NODES_OFFSET);
        table.putInt(0);
    }

    private int begin(int type) {
        int start = table.position();
        table.put((byte) type);
        table.put((byte) 1);
        table.putShort((short) 0); // the length, at the end
        table.putShort((short) 0);
        table.putShort((short) nodes++);
        return start;
    }

    private void end(int start) {
        while (table.position() % Long.BYTES != NODES_OFFSET % Long.BYTES) {
            table.put((byte) 0);
        }
        table.putShort(start + 2, (short) (table.position() - start));
    }

    private int iommu(TranslationUnitSpec unit, Optional<PciAddress> function) {
        int start = begin(NODE_IOMMU);
        text("RSCV0004", 8);
        table.putLong(function.isPresent() ? 0 : unit.registerBase());
        table.putInt(function.isPresent() ? IOMMU_IS_PCI_FUNCTION : 0);
        table.putInt(0); // proximity
        table.putShort((short) unit.segment());
        table.putShort((short) (int) function.map(PciAddress::requesterId).orElse(0));
        int wires = function.isPresent() ? 0 : RiscvMachine.WIRES;
        table.putShort((short) wires);
        table.putShort((short) (table.position() + Short.BYTES - start));
        for (int wire = 0; wire < wires; wire++) {
            table.putInt(FIRST_WIRE + wire);
            table.putInt(WIRE_ACTIVE_HIGH_LEVEL);
        }
        end(start);
        return start;
    }

    private void rootComplex(TranslationUnitSpec unit, boolean ats, int iommu) {
        int start = begin(NODE_ROOT_COMPLEX);
        table.putInt(ats ? ROOT_COMPLEX_HAS_ATS | ROOT_COMPLEX_HAS_PRI : 0);
        table.putShort((short) 0);
        table.putShort((short) unit.segment());
        table.putShort((short) (table.position() + 2 * Short.BYTES - start));
        table.putShort((short) unit.sourceIds().size());
        for (SourceIdRange range : unit.sourceIds()) {
            mapping(range.firstRequesterId(), range.count(), range.firstSourceId(), iommu);
        }
        end(start);
    }

    private void platformDevice(PlatformDeviceDescription device, int iommu) {
        int start = begin(NODE_PLATFORM_DEVICE);
        String path = device.id().name();
        int mappings = (NODE_HEADER_BYTES + 2 * Short.BYTES + path.length() + 1 + 3) & -4;
        table.putShort((short) mappings);
        table.putShort((short) device.sourceIds().size());
        text(path, mappings - NODE_HEADER_BYTES - 2 * Short.BYTES);
        for (int i = 0; i < device.sourceIds().size(); i++) {
            mapping(i, 1, device.sourceIds().get(i), iommu);
        }
        end(start);
    }

    private void mapping(int source, int count, int destination, int iommu) {
        table.putInt(source);
        table.putInt(count);
        table.putInt(destination);
        table.putInt(iommu);
        table.putInt(0);
    }

    private void text(String text, int width) {
        byte[] padded = new byte[width];
        byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(bytes, 0, padded, 0, bytes.length);
        table.put(padded);
    }

    private byte[] finish() {
        byte[] bytes = new byte[table.position()];
        table.putInt(4, bytes.length);
        table.putInt(HEADER_BYTES, nodes);
        table.flip();
        table.get(bytes);
        int sum = 0;
        for (byte b : bytes) {
            sum += b;
        }
        bytes[9] = (byte) -sum;
        return bytes;
    }
}
