// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core.testvendor;

import java.util.List;
import java.util.Optional;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;

/** A PCI function with configuration space in an array, built by hand or read from somewhere. */
public final class TestFunction implements PciFunction {
    /** All that Linux asks of ACS: source validation, request and completion redirect, upstream forwarding. */
    public static final int ACS_ALL = 0x1d;

    private static final int EXPRESS = 0x40;
    private static final int ACS = 0x100;

    private final PciAddress address;
    private final PciAddress bridge;
    private final byte[] bytes;
    private boolean externalFacing;
    private PciAddress physicalFunction;

    /** Makes a function from its configuration space. */
    public TestFunction(PciAddress address, PciAddress bridge, byte[] config) {
        this.address = address;
        this.bridge = bridge;
        this.bytes = config.clone();
    }

    /** Makes a conventional function on a root bus. */
    public static TestFunction conventional(String address) {
        return new TestFunction(PciAddress.parse(address), null, new byte[256]);
    }

    /** Makes a PCI Express function on a root bus, of a device/port type by its number. */
    public static TestFunction express(String address, int type) {
        TestFunction function = new TestFunction(PciAddress.parse(address), null, new byte[4096]);
        function.put(0x06, 2, 0x10);
        function.put(0x34, 1, EXPRESS);
        function.put(EXPRESS, 1, 0x10);
        function.put(EXPRESS + 2, 2, 2 | (type << 4));
        return function;
    }

    public static TestFunction endpoint(String address) {
        return express(address, 0);
    }

    public static TestFunction rootPort(String address) {
        return express(address, 4);
    }

    /** Returns the same function below a bridge. */
    public TestFunction below(String upstream) {
        TestFunction moved = new TestFunction(address, PciAddress.parse(upstream), bytes);
        moved.externalFacing = externalFacing;
        moved.physicalFunction = physicalFunction;
        return moved;
    }

    /** Sets vendor and device. */
    public TestFunction ids(int vendor, int device) {
        put(0x00, 2, vendor);
        put(0x02, 2, device);
        return this;
    }

    /** Makes it a virtual function. */
    public TestFunction virtualOf(String physical) {
        physicalFunction = PciAddress.parse(physical);
        return this;
    }

    /** Adds ACS. */
    public TestFunction acs(int capability, int control) {
        put(ACS, 4, 0x0001_000d);
        put(ACS + 4, 2, capability);
        put(ACS + 6, 2, control);
        return this;
    }

    public int acsControl() {
        return config().read(ACS + 6, 2);
    }

    public TestFunction multiFunction() {
        put(0x0e, 1, 0x80);
        return this;
    }

    public TestFunction secondaryBus(int bus) {
        put(0x19, 1, bus);
        return this;
    }

    public TestFunction externalFacingPort() {
        externalFacing = true;
        return this;
    }

    public static PciTopology topology(TestFunction... functions) {
        List<PciFunction> all = List.of(functions);
        return () -> all;
    }

    @Override
    public PciAddress address() {
        return address;
    }

    @Override
    public Optional<PciAddress> upstreamBridge() {
        return Optional.ofNullable(bridge);
    }

    @Override
    public Optional<PciAddress> physicalFunction() {
        return Optional.ofNullable(physicalFunction);
    }

    @Override
    public boolean externalFacing() {
        return externalFacing;
    }

    @Override
    public ConfigSpace config() {
        return new ConfigSpace() {
            @Override
            public int size() {
                return bytes.length;
            }

            @Override
            public int read(int offset, int width) {
                if (offset + width > bytes.length) {
                    return width == 4 ? -1 : (1 << (8 * width)) - 1;
                }
                int value = 0;
                for (int i = width - 1; i >= 0; i--) {
                    value = (value << 8) | (bytes[offset + i] & 0xff);
                }
                return value;
            }

            @Override
            public void write(int offset, int width, int value) {
                put(offset, width, value);
            }
        };
    }

    private void put(int offset, int width, int value) {
        for (int i = 0; i < width; i++) {
            bytes[offset + i] = (byte) (value >>> (8 * i));
        }
    }
}
