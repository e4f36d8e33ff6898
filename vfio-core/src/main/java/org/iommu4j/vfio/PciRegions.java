// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.pci.ConfigSpace;

/**
 * The regions of a PCI function: what its base address registers open, and its configuration space.
 *
 * <p>A register is sized as at boot: with decoding off, all ones are written, and the bits that stay 0 tell the size. A
 * virtual function's registers are all 0; what its physical function gives it is not modelled. Source: {@code
 * __pci_read_base}, {@code pci_size}, {@code vfio_pci_ioctl_get_region_info}.
 */
final class PciRegions {
    /** How many regions any function has, some of them empty. Source: {@code VFIO_PCI_NUM_REGIONS}. */
    static final int COUNT = 9;

    /** Regions 0 to 5 are the base address registers'. */
    static final int BARS = 6;

    /** Offset of the first base address register; each has 4 bytes. */
    static final int REGISTERS = 0x10;

    private static final int ROM = 6;
    private static final int CONFIG = 7;
    private static final int VGA = 8;
    private static final long VGA_BYTES = 0xc0000;
    private static final int OFFSET_SHIFT = 40;

    private static final int COMMAND = 0x04;
    private static final int DECODING = 0x3;
    private static final int CLASS = 0x0a;
    private static final int CLASS_VGA = 0x0300;
    private static final int REGISTERS_OF_BRIDGE = 2;
    private static final int ROM_REGISTER = 0x30;
    private static final int ROM_REGISTER_OF_BRIDGE = 0x38;
    private static final int SPACE_IO = 1;
    private static final int TYPE = 0x6;
    private static final int TYPE_64 = 0x4;
    private static final long IO_MASK = 0xfffc;
    private static final long MEMORY_MASK = 0xffff_fff0L;
    private static final long ROM_MASK = 0xffff_f800L;
    private static final long PAGE_SIZE = 4096;

    private static final int MSI_X_TABLE = 4;

    /** What a register opens. Nothing has the size 0. */
    record Bar(long start, long size, boolean memory) {
        private static final Bar NONE = new Bar(0, 0, false);

        /** Whether a user may map it: it is whole pages, or Linux can reserve the rest of its page. */
        private boolean mappable() {
            return memory && size != 0 && (Long.compareUnsigned(size, PAGE_SIZE) >= 0 || start % PAGE_SIZE == 0);
        }
    }

    private final ConfigSpace config;
    private final Bar[] bars = new Bar[BARS + 1];

    /** Sizes the registers of a function. */
    PciRegions(ConfigSpace config) {
        this.config = config;
        boolean bridge = config.isBridge();
        int command = config.read(COMMAND, 2);
        if ((command & DECODING) != 0) {
            config.write(COMMAND, 2, command & ~DECODING);
        }
        int registers = bridge ? REGISTERS_OF_BRIDGE : BARS;
        for (int i = 0; i < BARS; i++) {
            bars[i] = i < registers ? sized(REGISTERS + 4 * i) : Bar.NONE;
            if (bars[i].size() != 0 && isWide(config.read(REGISTERS + 4 * i, 4))) {
                bars[++i] = Bar.NONE;
            }
        }
        bars[ROM] = rom(bridge ? ROM_REGISTER_OF_BRIDGE : ROM_REGISTER);
        if ((command & DECODING) != 0) {
            config.write(COMMAND, 2, command);
        }
    }

    /** Returns whether a base address register's next one is the upper half of its address. */
    static boolean isWide(int value) {
        return (value & SPACE_IO) == 0 && (value & TYPE) == TYPE_64;
    }

    private Bar sized(int register) {
        long value = unsigned(config.read(register, 4));
        long ones = onesOf(register);
        if ((value & SPACE_IO) != 0) {
            return new Bar(value & IO_MASK, size(value, ones, IO_MASK), false);
        }
        long mask = MEMORY_MASK;
        if ((value & TYPE) == TYPE_64 && register + 4 < REGISTERS + 4 * BARS) {
            value |= unsigned(config.read(register + 4, 4)) << Integer.SIZE;
            ones |= onesOf(register + 4) << Integer.SIZE;
            mask |= -1L << Integer.SIZE;
        }
        return new Bar(value & mask, size(value, ones, mask), true);
    }

    private Bar rom(int register) {
        long value = unsigned(config.read(register, 4));
        return new Bar(value & ROM_MASK, size(value, onesOf(register), ROM_MASK), true);
    }

    /** Returns what stays of all ones, of which the expansion ROM's lowest bit would turn it on. */
    private long onesOf(int register) {
        int before = config.read(register, 4);
        config.write(register, 4, register < REGISTERS + 4 * BARS ? -1 : before | (int) ROM_MASK);
        long ones = unsigned(config.read(register, 4));
        config.write(register, 4, before);
        return ones;
    }

    private static long unsigned(int value) {
        return Integer.toUnsignedLong(value);
    }

    /**
     * Returns the size, 0 where the register opens nothing, or where it can't be written, as in a captured machine.
     * (Linux takes such a register for one that had all ones already, where its value allows that.)
     */
    private static long size(long value, long ones, long mask) {
        return (value & mask) == (ones & mask) ? 0 : Long.lowestOneBit(mask & ones);
    }

    /** Returns what base address register 0 to 5 opens. */
    Bar bar(int index) {
        return bars[index];
    }

    /**
     * Returns what is said of a region.
     *
     * @param argsz how many bytes the caller has
     * @throws IommuException EINVAL
     */
    VfioRegionInfo info(int index, int argsz) {
        if (index < 0 || index >= COUNT) {
            throw new IommuException(Errno.EINVAL, "region " + Integer.toUnsignedString(index) + " of " + COUNT);
        }
        long size = switch (index) {
            case CONFIG -> config.size();
            case VGA -> vga();
            // A ROM without an address can't be read.
            case ROM -> bars[ROM].start() == 0 ? 0 : bars[ROM].size();
            default -> bars[index].size();
        };
        int flags = 0;
        if (size != 0) {
            flags = VfioRegionInfo.READ | (index == ROM ? 0 : VfioRegionInfo.WRITE);
        }
        boolean mappable = index < BARS && bars[index].mappable();
        boolean interrupts = mappable && index == interruptBar();
        flags |= (mappable ? VfioRegionInfo.MMAP : 0) | (interrupts ? VfioRegionInfo.CAPS : 0);
        int needed = VfioRegionInfo.MIN_SIZE + (interrupts ? VfioRegionInfo.CAPABILITY_SIZE : 0);
        boolean fits = Integer.compareUnsigned(argsz, needed) >= 0;
        return new VfioRegionInfo(
                fits ? argsz : needed,
                flags,
                index,
                interrupts && fits ? VfioRegionInfo.MIN_SIZE : 0,
                size,
                (long) index << OFFSET_SHIFT);
    }

    private long vga() {
        if (config.read(CLASS, 2) != CLASS_VGA) {
            throw new IommuException(
                    Errno.EINVAL, "no VGA: the function has class 0x" + Integer.toHexString(config.read(CLASS, 2)));
        }
        return VGA_BYTES;
    }

    /** Returns the region with the table of MSI-X, -1 for none. */
    private int interruptBar() {
        int capability = config.findCapability(PciInterrupts.CAPABILITY_MSI_X);
        return capability == 0 ? -1 : config.read(capability + MSI_X_TABLE, 4) & 0x7;
    }
}
