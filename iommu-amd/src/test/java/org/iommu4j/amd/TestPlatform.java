// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;

/**
 * A platform with a hand-made unit: registers that remember, and commands that complete and are written down.
 *
 * <p>Knows the layout of commands by numbers of its own.
 */
final class TestPlatform {
    static final long BASE = 0xfeb8_0000L;
    static final long SECOND_BASE = 0xfec8_0000L;

    final FlatMemory memory = new FlatMemory(1L << 30);
    final FramePool frames = new FramePool(0x10_0000, (1L << 30) - 0x10_0000);
    final FailNth failNth = new FailNth();
    final List<String> commands = new ArrayList<>();
    final Unit unit = new Unit(commands);

    /** A second one, which is there from {@link #withSecondUnit} on. */
    final Unit second = new Unit(new ArrayList<>());

    byte[] ivrs = table(0x2, ivhd10(BASE, 0x0002, range(0x0008, 0x01ff)));
    /** The table of I/O APICs, if there is one. */
    byte @Nullable [] madt;
    /** Class and subclass of the south bridge's function, an SMBus controller. */
    int southBridgeClass = 0x0c05;
    /** Which function of 00:14 it is. */
    int southBridgeFunction;

    long efr = 0x8c0; // IASup, GASup, HATS 2
    boolean stuck;
    /** Happens before the unit works, while a driver waits for it. */
    Runnable whileWaiting = () -> {};
    /** Whether all registers read as all ones, and nothing happens any more. */
    boolean gone;
    /** Whether commands are written down; that allocates. */
    boolean recording = true;

    /** Guest tables take PASIDs, so that they can be tested. */
    BootOptions bootOptions = new BootOptions("iommu4j.amd=pasids");

    LinuxRelease release = LinuxRelease.NEWEST;
    int capabilityHeader = 0x0b0b_000f; // EFRSup, IotlbSup

    /** Writes to the configuration space of devices that have ATS and PASIDs. */
    final List<String> configWrites = new ArrayList<>();

    /** The unit's registers. */
    final class Unit implements RegisterWindow {
        final long[] registers = new long[0x4000 / 8];
        final List<String> commands;
        /** Whether this unit alone does nothing. */
        boolean halted;
        /** Writes, as offset and value, from when a list is put here. */
        @Nullable
        List<String> logged;

        Unit(List<String> commands) {
            this.commands = commands;
        }

        @Override
        public int read32(int offset) {
            return (int) (read64(offset & ~7) >>> ((offset & 4) * 8));
        }

        @Override
        public long read64(int offset) {
            return gone ? -1L : offset == 0x30 ? efr : registers[offset / 8];
        }

        @Override
        public void write32(int offset, int value) {
            throw new UnsupportedOperationException("32-bit write at 0x" + Integer.toHexString(offset));
        }

        @Override
        public void write64(int offset, long value) {
            // The status register's bits are cleared by writing 1.
            registers[offset / 8] = offset == 0x2020 ? registers[offset / 8] & ~value : value;
            if (logged != null) {
                logged.add(String.format("%x = %x", offset, value));
            }
        }

        void run() {
            long control = registers[0x18 / 8];
            if (stuck || halted || gone || (control & 1L << 12) == 0) {
                return;
            }
            long base = registers[1] & 0x000f_ffff_ffff_f000L;
            while (registers[0x2000 / 8] != registers[0x2008 / 8]) {
                long at = base + registers[0x2000 / 8];
                execute(memory.load(at), memory.load(at + 8));
                registers[0x2000 / 8] = (registers[0x2000 / 8] + 16) & 0x1fff;
            }
        }

        private void execute(long word0, long word1) {
            if (!recording && word0 >>> 60 != 1) {
                return;
            }
            switch ((int) (word0 >>> 60)) {
                case 1 -> {
                    if ((word0 & 1) != 0) {
                        memory.store(word0 & 0x000f_ffff_ffff_fff8L, word1);
                    }
                    registers[0x2020 / 8] |= (word0 & 2) << 1;
                }
                case 2 -> commands.add(String.format("devtab %04x", word0 & 0xffff));
                case 3 ->
                    commands.add(
                            (word1 & 4) == 0
                                    ? String.format("pages %d %x", word0 >>> 32 & 0xffff, word1)
                                    : String.format("guest %d/%x %x", word0 >>> 32 & 0xffff, word0 & 0xfffff, word1));
                case 4 -> commands.add(String.format("iotlb %x %x", word0 & 0x0fff_ffff_ffff_ffffL, word1));
                case 5 -> commands.add(String.format("inttab %04x", word0 & 0xffff));
                case 7 -> commands.add(String.format("ppr %x %x", word0 & 0x0fff_ffff_ffff_ffffL, word1));
                case 8 -> commands.add("all");
                default -> throw new IllegalStateException("command " + Long.toHexString(word0));
            }
        }

        /** Returns where an entry of the device table has its GCR3 table. */
        long gcr3(int requesterId) {
            long word1 = deviceTableWord(requesterId, 1);
            return (deviceTableWord(requesterId, 0) >>> 58 & 7) << 12
                    | (word1 >>> 16 & 0xffff) << 15
                    | (word1 >>> 43) << 31;
        }

        /** Returns the root of a PASID's guest tables as the unit finds it, 0 without one. */
        long guestRoot(int requesterId, int pasid) {
            int level = (int) (deviceTableWord(requesterId, 0) >>> 56 & 3);
            return guestRoot(gcr3(requesterId), level, pasid);
        }

        /** Returns the root of a PASID's guest tables in a GCR3 table; level 0 has the roots. */
        long guestRoot(long gcr3, int level, int pasid) {
            long entry = memory.load(gcr3 + (pasid >>> (9 * level) & 511) * 8L);
            long address = (entry & 1) == 0 ? 0 : entry & 0x000f_ffff_ffff_f000L;
            return level == 0 || address == 0 ? address : guestRoot(address, level - 1, pasid);
        }

        long deviceTableWord(int requesterId, int word) {
            return memory.load((registers[0] & 0x000f_ffff_ffff_f000L) + requesterId * 32L + word * 8L);
        }
    }

    /** Has a second unit, for bus 2 in the same segment. */
    TestPlatform withSecondUnit() {
        ivrs = table(
                0x2, ivhd10(BASE, 0x0002, range(0x0008, 0x01ff)), ivhd10(SECOND_BASE, 0x0003, range(0x0200, 0x02ff)));
        return this;
    }

    /** Firmware has an image of the extended features as they are now, and says so. */
    TestPlatform withImage() {
        ivrs = table(0x3, ivhd(0x11, 40, efr, BASE, 0x0002, range(0x0008, 0x01ff)));
        return this;
    }

    VendorContext context() {
        return new VendorContext(
                        memory,
                        frames,
                        (base, size) -> {
                            if (base == SECOND_BASE && size == 0x4000) {
                                return second;
                            }
                            if (base != BASE || size != 0x4000) {
                                throw new IommuException(
                                        org.iommu4j.Errno.ENXIO, "nothing at 0x" + Long.toHexString(base));
                            }
                            return unit;
                        },
                        (condition, ticks) -> {
                            if (condition.getAsBoolean()) {
                                return true;
                            }
                            whileWaiting.run();
                            unit.run();
                            second.run();
                            return condition.getAsBoolean();
                        },
                        this::firmware,
                        () -> List.of(function(0, 0, 0, 2), function(0, 0, 0, 3), southBridge(), function(0, 1, 0, 0)),
                        bootOptions,
                        release)
                .failing(failNth);
    }

    /** Returns one of the machine's two tables. */
    Optional<byte[]> firmware(String signature) {
        return switch (signature) {
            case "IVRS" -> Optional.of(ivrs);
            case "APIC" -> Optional.ofNullable(madt);
            default -> Optional.empty();
        };
    }

    AmdIommu open() {
        return (AmdIommu) new AmdVendor().open(context());
    }

    PciFunction southBridge() {
        return function(0, 0, 0x14, southBridgeFunction);
    }

    PciFunction function(int segment, int bus, int device, int function) {
        PciAddress address = new PciAddress(segment, bus, device, function);
        return new PciFunction() {
            @Override
            public PciAddress address() {
                return address;
            }

            @Override
            public Optional<PciAddress> upstreamBridge() {
                return Optional.empty();
            }

            @Override
            public ConfigSpace config() {
                return new Config(device == 0x14 ? southBridgeClass : 0);
            }
        };
    }

    /** A function with ATS at 100h, queue depth 5, and 2^{@code pasidBits} PASIDs at 110h. */
    PciFunction expressFunction(int bus, int function, int pasidBits) {
        return expressFunction(bus, function, new int[0x120 / 4], pasidBits);
    }

    /** The same with 16 bits of PASID and PRI at 120h: its status and its capacity. */
    PciFunction askingFunction(int bus, int function, int status, int capacity) {
        int[] words = new int[0x130 / 4];
        words[0x120 / 4] = 1 << 16 | 0x0013;
        words[0x124 / 4] = status << 16;
        words[0x128 / 4] = capacity;
        PciFunction asking = expressFunction(bus, function, words, 16);
        words[0x110 / 4] |= 0x1200_0000;
        return asking;
    }

    private PciFunction expressFunction(int bus, int function, int[] words, int pasidBits) {
        PciFunction plain = function(0, bus, 0, function);
        words[0x100 / 4] = 0x1100_0000 | 1 << 16 | 0x000f;
        words[0x104 / 4] = 5;
        words[0x110 / 4] = 1 << 16 | 0x001b;
        words[0x114 / 4] = pasidBits << 8;
        ConfigSpace config = new ConfigSpace() {
            @Override
            public int size() {
                return 4096;
            }

            @Override
            public int read(int offset, int bytes) {
                int word = offset / 4 < words.length ? words[offset / 4] : 0;
                return bytes == 4 ? word : (word >>> (offset % 4 * 8)) & ((1 << (bytes * 8)) - 1);
            }

            @Override
            public void write(int offset, int bytes, int value) {
                configWrites.add(String.format("%x = %x", offset, value));
                int shift = offset % 4 * 8;
                int mask = bytes == 4 ? -1 : 0xffff << shift;
                words[offset / 4] = (words[offset / 4] & ~mask) | value << shift;
            }
        };
        return new PciFunction() {
            @Override
            public PciAddress address() {
                return plain.address();
            }

            @Override
            public Optional<PciAddress> upstreamBridge() {
                return Optional.empty();
            }

            @Override
            public ConfigSpace config() {
                return config;
            }
        };
    }

    /** Config space that has the IOMMU's capability at 40h and nothing else. */
    private final class Config implements ConfigSpace {
        private final int classCode;

        Config(int classCode) {
            this.classCode = classCode;
        }

        @Override
        public int size() {
            return 256;
        }

        @Override
        public int read(int offset, int bytes) {
            return offset == 0x40 ? capabilityHeader : offset == 0x0a ? classCode : 0;
        }

        @Override
        public void write(int offset, int bytes, int value) {}
    }

    // --- tables by hand ---

    static byte[] table(int ivInfo, byte[]... blocks) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(new byte[48]);
        for (byte[] block : blocks) {
            out.writeBytes(block);
        }
        byte[] bytes = out.toByteArray();
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        buffer.put("IVRS".getBytes(java.nio.charset.StandardCharsets.US_ASCII));
        buffer.putInt(4, bytes.length).putInt(36, ivInfo);
        repair(bytes);
        return bytes;
    }

    /** Makes length and checksum right. */
    static void repair(byte[] bytes) {
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(4, bytes.length);
        bytes[9] = 0;
        int sum = 0;
        for (byte b : bytes) {
            sum += b;
        }
        bytes[9] = (byte) -sum;
    }

    static byte[] ivhd10(long base, int deviceId, byte[]... entries) {
        return ivhd(0x10, 24, 0, base, deviceId, entries);
    }

    static byte[] ivhd(int type, int header, long efr, long base, int deviceId, byte[]... entries) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(new byte[header]);
        for (byte[] entry : entries) {
            out.writeBytes(entry);
        }
        byte[] bytes = out.toByteArray();
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        buffer.put((byte) type).put((byte) 0).putShort((short) bytes.length);
        buffer.putShort((short) deviceId).putShort((short) 0x40).putLong(base);
        if (header == 40) {
            buffer.putLong(24, efr);
        }
        return bytes;
    }

    static byte[] range(int first, int last) {
        return new byte[] {3, (byte) first, (byte) (first >> 8), 0, 4, (byte) last, (byte) (last >> 8), 0};
    }

    static byte[] entry8(int type, int id, int setting, int handle, int source, int variety) {
        return new byte[] {
            (byte) type,
            (byte) id,
            (byte) (id >> 8),
            (byte) setting,
            (byte) handle,
            (byte) source,
            (byte) (source >> 8),
            (byte) variety
        };
    }

    static byte[] ivmd(int type, int flags, int first, int last, long start, long size) {
        ByteBuffer buffer = ByteBuffer.allocate(32).order(ByteOrder.LITTLE_ENDIAN);
        buffer.put((byte) type).put((byte) flags).putShort((short) 32);
        buffer.putShort((short) first)
                .putShort((short) last)
                .putLong(0)
                .putLong(start)
                .putLong(size);
        return buffer.array();
    }
}
