// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.pci;

/**
 * A function's PCI configuration space, little endian.
 *
 * <p>256 bytes for conventional PCI, 4096 for PCI Express. Reads beyond the space return all ones [config-1]. Writes
 * beyond the space are lost [config-2].
 */
public interface ConfigSpace {
    /** Bytes of a conventional PCI function. */
    int CONVENTIONAL_BYTES = 256;

    /** Bytes of a PCI Express function. */
    int EXPRESS_BYTES = 4096;

    /** PCI Express capability. */
    int CAPABILITY_PCI_EXPRESS = 0x10;

    /** Access Control Services extended capability. */
    int EXTENDED_CAPABILITY_ACS = 0x000d;

    /** Address Translation Services extended capability. */
    int EXTENDED_CAPABILITY_ATS = 0x000f;

    /** Single Root I/O Virtualization extended capability. */
    int EXTENDED_CAPABILITY_SRIOV = 0x0010;

    /** Page Request extended capability. */
    int EXTENDED_CAPABILITY_PRI = 0x0013;

    /** Process Address Space ID extended capability. */
    int EXTENDED_CAPABILITY_PASID = 0x001b;

    /**
     * Returns the number of bytes known: 64 (seen without privilege), 256 ({@link #CONVENTIONAL_BYTES}) or 4096
     * ({@link #EXPRESS_BYTES}) [config-size-1].
     */
    int size();

    /**
     * Reads 1, 2 or 4 bytes, zero-extended for 1 and 2 [config-read-1].
     *
     * @param offset aligned to {@code bytes}
     */
    int read(int offset, int bytes);

    /** Writes 1, 2 or 4 bytes; read-only bits stay as they are [config-write-1]. */
    void write(int offset, int bytes, int value);

    /**
     * Returns the layout of the header: 0 of an endpoint, 1 of a bridge to PCI, 2 of a bridge to CardBus; up to 0x7f
     * [header-layout-1].
     */
    default int headerLayout() {
        return read(0x0e, 1) & 0x7f;
    }

    /** Returns whether the header says that the device may have further functions [multi-function-1]. */
    default boolean isMultiFunction() {
        return (read(0x0e, 1) & 0x80) != 0;
    }

    /** Returns whether this is a bridge: its header has the layout of one, with bus numbers [bridge-1]. */
    default boolean isBridge() {
        int layout = headerLayout();
        return layout == 1 || layout == 2;
    }

    /** Returns the bus below a bridge, 0 to 0xff; of no meaning for others [secondary-bus-1]. */
    default int secondaryBus() {
        return read(0x19, 1);
    }

    /** Returns the offset of a capability in the list, or 0; a list that loops ends [capability-1]. */
    default int findCapability(int id) {
        if ((read(0x06, 2) & 0x10) == 0) {
            return 0;
        }
        int offset = read(0x34, 1) & 0xfc;
        for (int hops = 0; offset >= 0x40 && offset < Math.min(size(), 0x100) && hops < 48; hops++) {
            if (read(offset, 1) == id) {
                return offset;
            }
            offset = read(offset + 1, 1) & 0xfc;
        }
        return 0;
    }

    /** Returns the offset of an extended capability, or 0; a list that loops ends [extended-capability-1]. */
    default int findExtendedCapability(int id) {
        if (size() <= 0x100) {
            return 0;
        }
        int offset = 0x100;
        for (int hops = 0; offset >= 0x100 && offset < size() && hops < 960; hops++) {
            int header = read(offset, 4);
            if (header == 0 || header == -1) {
                return 0;
            }
            if ((header & 0xffff) == id) {
                return offset;
            }
            offset = (header >>> 20) & 0xffc;
        }
        return 0;
    }
}
