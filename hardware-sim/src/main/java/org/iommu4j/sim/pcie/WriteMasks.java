// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.List;
import org.iommu4j.pci.ConfigSpace;

/** The bits of a configuration space that software can write, and those that it clears by writing 1. */
final class WriteMasks {
    private static final int CAPABILITY_POWER_MANAGEMENT = 0x01;
    private static final int CAPABILITY_MSI = 0x05;
    private static final int CAPABILITY_MSI_X = 0x11;
    private static final int BARS = 0x10;
    private static final int BARS_OF_BRIDGE = 2;
    private static final int BARS_OF_DEVICE = 6;
    private static final int ROM = 6;
    private static final int ROM_OF_DEVICE = 0x30;
    private static final int ROM_OF_BRIDGE = 0x38;
    private static final int EXTENDED_ATS = 0x000f;
    private static final int EXTENDED_PRI = 0x0013;
    private static final int EXTENDED_PASID = 0x001b;

    private final byte[] writable;
    private final byte[] clearable;

    private WriteMasks(int size) {
        writable = new byte[size];
        clearable = new byte[size];
    }

    /**
     * Returns the bits of a function.
     *
     * @param barSizes the bytes behind each base address register and the expansion ROM's, 0 for none
     */
    static WriteMasks of(FunctionConfig config, List<Long> barSizes) {
        WriteMasks masks = new WriteMasks(config.size());
        boolean pciExpress = config.pciExpressOffset() != 0;
        // PCI Express hardwires special cycles, memory write and invalidate, VGA snoop and fast back-to-back to 0.
        masks.writable(0x04, 2, pciExpress ? 0x0547 : 0x077f);
        masks.clearable(0x06, 2, 0xf900);
        masks.writable(0x0c, 1, 0xff);
        if (!pciExpress) {
            masks.writable(0x0d, 1, 0xff);
        }
        masks.writable(0x3c, 1, 0xff);
        if (config.isBridge()) {
            masks.bridge();
        }
        masks.baseAddresses(config, barSizes);
        masks.pciExpress(config.pciExpressOffset());
        masks.otherCapabilities(config);
        masks.extendedCapabilities(config);
        return masks;
    }

    private void bridge() {
        writable(0x18, 4, 0x00ffffff); // bus numbers
        writable(0x1c, 2, 0xf0f0); // I/O window
        clearable(0x1e, 2, 0xf900); // Secondary Status
        writable(0x20, 4, 0xfff0fff0); // memory window
        writable(0x24, 4, 0xfff0fff0); // prefetchable window
        writable(0x28, 4, -1);
        writable(0x2c, 4, -1);
        writable(0x30, 4, -1);
        writable(0x3e, 2, 0x005f); // Bridge Control
    }

    /** An address is a multiple of the size; the bits below tell the kind, or are 0. PCI Express Base 5.0, 7.5.1.2. */
    private void baseAddresses(ConfigSpace config, List<Long> sizes) {
        int count = config.isBridge() ? BARS_OF_BRIDGE : BARS_OF_DEVICE;
        for (int i = 0; i < Math.min(count, sizes.size()); i++) {
            long mask = -sizes.get(i);
            int at = BARS + 4 * i;
            int kind = config.read(at, 4);
            if (mask != 0) {
                boolean io = (kind & 1) != 0;
                writable(at, 4, (int) mask & (io ? ~0x3 : ~0xf));
                if (!io && (kind & 0x6) == 0x4) {
                    writable(at + 4, 4, (int) (mask >>> 32));
                }
            }
        }
        if (sizes.size() > ROM && sizes.get(ROM) != 0) {
            int at = config.isBridge() ? ROM_OF_BRIDGE : ROM_OF_DEVICE;
            writable(at, 4, ((int) -sizes.get(ROM) & ~0x7ff) | 1);
        }
    }

    private void pciExpress(int offset) {
        if (offset == 0) {
            return;
        }
        writable(offset + 0x08, 2, 0x7fff); // Device Control
        clearable(offset + 0x0a, 2, 0x000f); // Device Status
        writable(offset + 0x10, 2, 0x0fdb); // Link Control
        writable(offset + 0x18, 2, 0x1fff); // Slot Control
        writable(offset + 0x1c, 2, 0x001f); // Root Control
        writable(offset + 0x28, 2, 0xffff); // Device Control 2
    }

    private void otherCapabilities(ConfigSpace config) {
        int power = config.findCapability(CAPABILITY_POWER_MANAGEMENT);
        if (power != 0) {
            writable(power + 4, 2, 0x0103);
            clearable(power + 4, 2, 0x8000);
        }
        int msi = config.findCapability(CAPABILITY_MSI);
        if (msi != 0) {
            int control = config.read(msi + 2, 2);
            boolean wide = (control & 0x80) != 0;
            writable(msi + 2, 2, 0x0071);
            writable(msi + 4, 4, 0xfffffffc);
            if (wide) {
                writable(msi + 8, 4, -1);
            }
            int data = msi + (wide ? 12 : 8);
            writable(data, 2, 0xffff);
            if ((control & 0x100) != 0) {
                writable(data + 4, 4, -1);
            }
        }
        int msiX = config.findCapability(CAPABILITY_MSI_X);
        if (msiX != 0) {
            writable(msiX + 2, 2, 0xc000);
        }
    }

    private void extendedCapabilities(ConfigSpace config) {
        int acs = config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ACS);
        if (acs != 0) {
            // A service can be turned on where the capability register has its bit.
            writable(acs + 6, 2, config.read(acs + 4, 2) & 0x7f);
        }
        int ats = config.findExtendedCapability(EXTENDED_ATS);
        if (ats != 0) {
            writable(ats + 6, 2, 0x801f);
        }
        int pri = config.findExtendedCapability(EXTENDED_PRI);
        if (pri != 0) {
            // Reset has an effect but reads as 0.
            writable(pri + 4, 2, 0x0001);
            clearable(pri + 6, 2, 0x0003);
            writable(pri + 12, 4, -1);
        }
        int pasid = config.findExtendedCapability(EXTENDED_PASID);
        if (pasid != 0) {
            writable(pasid + 6, 2, 1 | (config.read(pasid + 4, 2) & 0x6));
        }
    }

    private void writable(int offset, int count, int mask) {
        put(writable, offset, count, mask);
    }

    private void clearable(int offset, int count, int mask) {
        put(clearable, offset, count, mask);
    }

    /** Sets bits; those that a malformed capability would place beyond the end are left out. */
    private static void put(byte[] masks, int offset, int count, int mask) {
        for (int i = 0; i < count && offset + i < masks.length; i++) {
            masks[offset + i] |= (byte) (mask >>> (8 * i));
        }
    }

    byte afterWrite(int offset, byte current, byte written) {
        int mask = writable[offset];
        int kept = (current & ~mask) | (written & mask);
        return (byte) (kept & ~(clearable[offset] & written));
    }
}
