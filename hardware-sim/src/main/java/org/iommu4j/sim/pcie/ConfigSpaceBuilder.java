// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.iommu4j.sim.spi.FunctionDescription;

/**
 * Writes the bytes of a PCI function's configuration space at power-on.
 *
 * <p>For built-in machines and tests: only the bytes by which software recognises a function, its place and its
 * capabilities. Source: PCI Express Base 5.0, sections 7.5.1 (headers), 7.5.3 (PCI Express capability), 7.7.8 (Access
 * Control Services), 7.8.9 (PASID), 10.5.1 (Address Translation Services) and 10.5.2 (Page Request Interface).
 */
public final class ConfigSpaceBuilder {
    /** Class code of a host bridge. */
    public static final int CLASS_HOST_BRIDGE = 0x060000;

    /** Class code of a PCI-to-PCI bridge, which a root port is too. */
    public static final int CLASS_PCI_BRIDGE = 0x060400;

    /** Class code of a VGA-compatible display controller. */
    public static final int CLASS_VGA = 0x030000;

    /** Class code of a 3D controller: a GPU without a screen. */
    public static final int CLASS_3D = 0x030200;

    /** Class code of an Ethernet controller. */
    public static final int CLASS_ETHERNET = 0x020000;

    /** PCI Express device type of an endpoint. */
    public static final int TYPE_ENDPOINT = 0;

    /** PCI Express device type of a root port. */
    public static final int TYPE_ROOT_PORT = 4;

    /** PCI Express device type of a PCI Express to PCI bridge. */
    public static final int TYPE_PCIE_TO_PCI = 7;

    /**
     * ACS capability bits: source validation, translation blocking, request and completion redirect, upstream
     * forwarding.
     */
    public static final int ACS_ISOLATING = 0x1f;

    /** Device Control at power-on: relaxed ordering and no-snoop enabled, maximum read request of 512 bytes. */
    public static final int DEVICE_CONTROL_DEFAULT = 0x2810;

    private static final int BARS = 0x10;
    private static final int BAR_64_BITS = 0x4;
    private static final int BAR_PREFETCHABLE = 0x8;
    private static final int PCI_EXPRESS_OFFSET = 0x40;
    private static final int EXTENDED_OFFSET = 0x100;
    private static final int EXTENDED_SIZE = 0x10;

    private final byte[] bytes;
    private final List<Long> barSizes = new ArrayList<>(Collections.nCopies(FunctionDescription.MAX_BARS, 0L));
    private int nextExtended = EXTENDED_OFFSET;

    private ConfigSpaceBuilder(int size, int vendorId, int deviceId, int classCode, int headerType) {
        bytes = new byte[size];
        put16(0x00, vendorId);
        put16(0x02, deviceId);
        put16(0x0a, classCode >>> 8);
        bytes[0x09] = (byte) classCode;
        bytes[0x0e] = (byte) headerType;
    }

    /**
     * Starts a function with a type 0 header and without capabilities, such as a host bridge or a conventional PCI
     * device.
     *
     * @param classCode base class 23:16, subclass 15:8, interface 7:0
     */
    public static ConfigSpaceBuilder conventional(int vendorId, int deviceId, int classCode) {
        return new ConfigSpaceBuilder(256, vendorId, deviceId, classCode, 0);
    }

    /** Starts a PCI Express endpoint with Device Control at {@link #DEVICE_CONTROL_DEFAULT}. */
    public static ConfigSpaceBuilder endpoint(int vendorId, int deviceId, int classCode) {
        return new ConfigSpaceBuilder(4096, vendorId, deviceId, classCode, 0).pciExpress(TYPE_ENDPOINT);
    }

    /**
     * Starts a PCI Express root port.
     *
     * @param primaryBus the bus it is on
     * @param secondaryBus the bus below
     * @param subordinateBus the highest bus below
     */
    public static ConfigSpaceBuilder rootPort(
            int vendorId, int deviceId, int primaryBus, int secondaryBus, int subordinateBus) {
        return bridge(4096, vendorId, deviceId, primaryBus, secondaryBus, subordinateBus)
                .pciExpress(TYPE_ROOT_PORT);
    }

    /** Starts a PCI Express to PCI bridge, whose devices' requests carry the bridge's own id. */
    public static ConfigSpaceBuilder pciExpressToPciBridge(
            int vendorId, int deviceId, int primaryBus, int secondaryBus, int subordinateBus) {
        return bridge(4096, vendorId, deviceId, primaryBus, secondaryBus, subordinateBus)
                .pciExpress(TYPE_PCIE_TO_PCI);
    }

    private static ConfigSpaceBuilder bridge(
            int size, int vendorId, int deviceId, int primaryBus, int secondaryBus, int subordinateBus) {
        ConfigSpaceBuilder builder = new ConfigSpaceBuilder(size, vendorId, deviceId, CLASS_PCI_BRIDGE, 1);
        builder.bytes[0x18] = (byte) primaryBus;
        builder.bytes[0x19] = (byte) secondaryBus;
        builder.bytes[0x1a] = (byte) subordinateBus;
        return builder;
    }

    private ConfigSpaceBuilder pciExpress(int type) {
        put16(0x06, 0x0010);
        bytes[0x34] = PCI_EXPRESS_OFFSET;
        bytes[PCI_EXPRESS_OFFSET] = 0x10;
        put16(PCI_EXPRESS_OFFSET + 2, 2 | type << 4);
        put16(PCI_EXPRESS_OFFSET + 8, DEVICE_CONTROL_DEFAULT);
        return this;
    }

    /** Sets Device Control of a PCI Express function; bit 11 is Enable No Snoop. */
    public ConfigSpaceBuilder deviceControl(int value) {
        put16(PCI_EXPRESS_OFFSET + 8, value);
        return this;
    }

    /**
     * Has a base address register open registers: memory below 4 GiB that is not prefetchable.
     *
     * @param bar its number, from 0
     * @param address where firmware placed it, a multiple of the size
     * @param size bytes, a power of 2 from 16 on
     */
    public ConfigSpaceBuilder registers(int bar, long address, long size) {
        put32(BARS + 4 * bar, (int) address);
        barSizes.set(bar, size);
        return this;
    }

    /**
     * Has two base address registers open a device's memory: prefetchable, anywhere.
     *
     * @param bar the number of the first, from 0
     * @param address where firmware placed it, a multiple of the size
     * @param size bytes, a power of 2 from 16 on
     */
    public ConfigSpaceBuilder deviceMemory(int bar, long address, long size) {
        put32(BARS + 4 * bar, (int) address | BAR_64_BITS | BAR_PREFETCHABLE);
        put32(BARS + 4 * bar + 4, (int) (address >>> 32));
        barSizes.set(bar, size);
        return this;
    }

    /** Returns the sizes of its base address registers, as {@link FunctionDescription#barSizes} has them. */
    public List<Long> barSizes() {
        return List.copyOf(barSizes);
    }

    /** Marks the function as one of several of its device. */
    public ConfigSpaceBuilder multiFunction() {
        bytes[0x0e] |= (byte) 0x80;
        return this;
    }

    /**
     * Adds Access Control Services to a PCI Express function.
     *
     * @param capability the capability bits, for example {@link #ACS_ISOLATING}; control starts at 0
     */
    public ConfigSpaceBuilder acs(int capability) {
        put16(extended(0x000d) + 4, capability);
        return this;
    }

    /** Adds Address Translation Services to a PCI Express function, initially disabled. */
    public ConfigSpaceBuilder ats() {
        put16(extended(0x000f) + 4, 0x0020);
        return this;
    }

    /**
     * Adds the PASID capability to a PCI Express function, initially disabled.
     *
     * @param bits the width of its PASIDs, 1 to 20
     */
    public ConfigSpaceBuilder pasid(int bits) {
        put16(extended(0x001b) + 4, bits << 8);
        return this;
    }

    /**
     * Adds the Page Request Interface to a PCI Express function, initially disabled and stopped; answers carry a PASID.
     *
     * @param capacity the greatest number of pending requests
     */
    public ConfigSpaceBuilder pri(int capacity) {
        int offset = extended(0x0013);
        put16(offset + 6, 0x8100);
        put16(offset + 8, capacity);
        return this;
    }

    /** Begins an extended capability after the last one, links it there, and returns its offset. */
    private int extended(int id) {
        int offset = nextExtended;
        if (offset != EXTENDED_OFFSET) {
            put16(offset - EXTENDED_SIZE + 2, 0x0001 | offset << 4);
        }
        put16(offset, id);
        put16(offset + 2, 0x0001);
        nextExtended += EXTENDED_SIZE;
        return offset;
    }

    /** Returns a copy of the bytes: 256 of a conventional function, 4096 of a PCI Express one. */
    public byte[] build() {
        return bytes.clone();
    }

    private void put32(int offset, int value) {
        put16(offset, value);
        put16(offset + 2, value >>> 16);
    }

    private void put16(int offset, int value) {
        bytes[offset] = (byte) value;
        bytes[offset + 1] = (byte) (value >>> 8);
    }
}
