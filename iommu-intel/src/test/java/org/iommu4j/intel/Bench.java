// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.LongConsumer;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.intel.acpi.DmarBytes;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.VendorContext;

/** A platform for driver tests: flat memory that starts full of rubbish, units that answer, a few functions. */
final class Bench {
    static final long CAP = 0xd20080222f0606L; // 3 and 4 levels, 48 bits, PSI with MAMV 0x12, no large pages
    static final long CAP_LARGE = CAP | 3L << 34;
    static final long CAP_39 = 0xd2008022260206L;
    static final long CAP_CM = CAP_LARGE | 0x80;
    static final long CAP_RWBF = CAP_LARGE | 0x10;
    static final long ECAP = 0xf00f4bL; // C, QI, IR, PT, no SC
    static final long ECAP_SC = ECAP | 0x80;
    static final long ECAP_NONCOHERENT = ECAP & ~1L;

    /** Scalable mode with both stages, nesting, 20 bits of PASID, dirty bits, device TLBs, coherent walks; no SC. */
    static final long ECAP_SCALABLE = ECAP | 0x4L | 1L << 26 | 0x13L << 35 | 1L << 40 | 1L << 43 | 7L << 45 | 1L << 48;

    /** The same without a first stage. */
    static final long ECAP_SECOND_STAGE = ECAP_SCALABLE & ~(1L << 47);

    final FlatMemory flat = new FlatMemory(1L << 30);
    final WriteBackLog memory = new WriteBackLog(flat);
    final FramePool pool = new FramePool(0x100000, 0x2000000);
    final Map<Long, RegistersDouble> units = new LinkedHashMap<>();
    private final List<RegistersDouble> inOrder = new ArrayList<>();
    final List<PciFunction> functions = new ArrayList<>();
    final FailNth failures = new FailNth();

    /** What happens when the driver next begins to wait. */
    Runnable atNextWait = () -> {};

    LinuxRelease release = LinuxRelease.NEWEST;
    String commandLine = "";
    byte[] dmar;

    Bench() {
        for (long pa = 0x100000; pa < 0x400000; pa += 8) {
            flat.store(pa, 0xa5a5a5a5a5a5a5a7L);
        }
    }

    /** One unit for everything, one device at 00:02.0 and one at 00:03.0. */
    static Bench single(long cap, long ecap) {
        Bench bench = new Bench();
        bench.unit(0xfed90000L, cap, ecap);
        bench.function("0000:00:02.0", 0x030000);
        bench.function("0000:00:03.0", 0x020000);
        bench.dmar = new DmarBytes(48, 1).drhd(true, 0, 0xfed90000L).bytes();
        return bench;
    }

    /** A unit of its own for 00:02.0, and one for all others. */
    static Bench pair(long cap0, long ecap0, long cap1, long ecap1) {
        Bench bench = new Bench();
        bench.unit(0xfed90000L, cap0, ecap0);
        bench.unit(0xfed91000L, cap1, ecap1);
        bench.function("0000:00:02.0", 0x030000);
        bench.function("0000:00:03.0", 0x020000);
        bench.dmar = new DmarBytes(48, 5)
                .drhd(false, 0, 0xfed90000L, DmarBytes.scope(1, 0, 0, 2, 0))
                .drhd(true, 0, 0xfed91000L)
                .rmrr(0x8000000, 0x80fffff, DmarBytes.scope(1, 0, 0, 2, 0))
                .rmrr(0x9000000, 0x9000fff, DmarBytes.scope(1, 0, 0, 3, 0))
                .bytes();
        return bench;
    }

    RegistersDouble unit(long base, long cap, long ecap) {
        RegistersDouble unit = new RegistersDouble(flat, cap, ecap);
        units.put(base, unit);
        inOrder.add(unit);
        return unit;
    }

    RegistersDouble first() {
        return units.values().iterator().next();
    }

    /** A function with ATS (queue depth 5) at 0x100 and PASID (a number of bits) at 0x120. */
    byte[] cachingFunction(String address, int pasidBits) {
        byte[] config = new byte[4096];
        config[0x0a] = 0;
        config[0x0b] = 2;
        put32(config, 0x100, 0x1201_000f);
        put32(config, 0x104, 5);
        put32(config, 0x120, 0x0001_001b);
        put32(config, 0x124, pasidBits << 8);
        functions.add(new Writable(PciAddress.parse(address), config));
        return config;
    }

    /** The same, with PRI at 0x140: its status and its capacity. */
    byte[] askingFunction(String address, int status, int capacity) {
        byte[] config = cachingFunction(address, 8);
        put32(config, 0x120, 0x1401_001b);
        put32(config, 0x140, 0x0001_0013);
        put32(config, 0x144, status << 16);
        put32(config, 0x148, capacity);
        return config;
    }

    private static void put32(byte[] bytes, int offset, int value) {
        for (int i = 0; i < 4; i++) {
            bytes[offset + i] = (byte) (value >>> (8 * i));
        }
    }

    /** A function whose configuration space takes what is written. */
    private static final class Writable implements PciFunction {
        private final PciAddress address;
        private final byte[] bytes;

        Writable(PciAddress address, byte[] bytes) {
            this.address = address;
            this.bytes = bytes;
        }

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
            return new ConfigSpace() {
                @Override
                public int size() {
                    return bytes.length;
                }

                @Override
                public int read(int offset, int count) {
                    int value = 0;
                    for (int i = 0; i < count; i++) {
                        value |= (bytes[offset + i] & 0xff) << (8 * i);
                    }
                    return value;
                }

                @Override
                public void write(int offset, int count, int value) {
                    for (int i = 0; i < count; i++) {
                        bytes[offset + i] = (byte) (value >>> (8 * i));
                    }
                }
            };
        }
    }

    PciFunction function(String address, int classCode) {
        return function(address, classCode, null, 0);
    }

    PciFunction function(String address, int classCode, String bridge, int secondaryBus) {
        PciFunction function = new Function(
                PciAddress.parse(address), Optional.ofNullable(bridge).map(PciAddress::parse), classCode, secondaryBus);
        functions.add(function);
        return function;
    }

    VendorContext context(boolean interruptRemapping) {
        return new VendorContext(
                        memory,
                        pool,
                        (base, size) -> {
                            RegistersDouble unit = units.get(base);
                            if (unit == null) {
                                throw new IommuException(Errno.ENXIO, "nothing at 0x" + Long.toHexString(base));
                            }
                            return unit;
                        },
                        this::await,
                        signature -> Optional.ofNullable(signature.equals("DMAR") ? dmar : null),
                        () -> functions,
                        (interruptRemapping ? BootOptions.DEFAULT : BootOptions.NO_INTERRUPT_REMAPPING)
                                .and(commandLine),
                        release)
                .failing(failures);
    }

    Iommu open() {
        return new IntelVendor().open(context(true));
    }

    IommuDevice probe(Iommu iommu, String address, int... aliases) {
        PciAddress wanted = PciAddress.parse(address);
        for (PciFunction function : functions) {
            if (function.address().equals(wanted)) {
                return iommu.probe(function, aliases.length == 0 ? new int[] {wanted.requesterId()} : aliases)
                        .orElseThrow();
            }
        }
        throw new IllegalArgumentException(address);
    }

    /** Reads the context entry of a requester the way the unit would; element 0 is the low word. */
    long[] contextEntry(int requesterId) {
        long root = first().values.get(0x20) & ~0xfffL;
        return contextEntry(root, requesterId);
    }

    long[] contextEntry(long root, int requesterId) {
        long table = flat.load(root + (requesterId >>> 8) * 16L);
        if ((table & 1) == 0) {
            return new long[] {0, 0};
        }
        long entry = (table & ~0xfffL) + (requesterId & 0xff) * 16L;
        return new long[] {flat.load(entry), flat.load(entry + 8)};
    }

    /** Reads the leaf entry of an IOVA the way a unit would walk a table of 4 levels. */
    long leaf(int requesterId, long iova) {
        long table = contextEntry(requesterId)[0] & ~0xfffL;
        int level = (int) (contextEntry(requesterId)[1] & 7) + 2;
        while (true) {
            long entry = flat.load(table + ((iova >>> (12 + 9 * (level - 1))) & 0x1ff) * 8);
            if ((entry & 3) == 0 || level == 1 || (entry & 0x80) != 0) {
                return entry;
            }
            table = entry & 0xffffffffff000L;
            level--;
        }
    }

    /** Reads words of a PASID entry the way a unit in scalable mode would; nothing there reads 0. */
    long[] pasidEntry(int requesterId, int pasid) {
        return pasidEntry(first(), requesterId, pasid);
    }

    long[] pasidEntry(RegistersDouble unit, int requesterId, int pasid) {
        long root = unit.values.get(0x20) & ~0xfffL;
        long half = flat.load(root + (requesterId >>> 7) * 8L);
        if ((half & 1) == 0) {
            return new long[8];
        }
        long context = flat.load((half & ~0xfffL) + (requesterId & 0x7f) * 32L);
        long directory = flat.load((context & ~0xfffL) + (pasid >>> 6) * 8L);
        long[] words = new long[8];
        if ((context & 1) != 0 && (directory & 1) != 0) {
            for (int i = 0; i < 8; i++) {
                words[i] = flat.load((directory & ~0xfffL) + (pasid & 63) * 64L + i * 8L);
            }
        }
        return words;
    }

    /** Walks a table of either stage down to a leaf, or to the first word of 0. */
    long leafBelow(long table, int levels, long iova) {
        long at = table & 0xffffffffff000L;
        for (int level = levels; ; level--) {
            long entry = flat.load(at + ((iova >>> (12 + 9 * (level - 1))) & 0x1ff) * 8);
            if (entry == 0 || level == 1 || (entry & 0x80) != 0) {
                return entry;
            }
            at = entry & 0xffffffffff000L;
        }
    }

    private boolean await(BooleanSupplier condition, long ticks) {
        Runnable first = atNextWait;
        atNextWait = () -> {};
        first.run();
        // Whoever waits, every unit goes on.
        for (int i = 0; i < inOrder.size(); i++) {
            if (inOrder.get(i).await(condition, ticks)) {
                return true;
            }
        }
        return condition.getAsBoolean();
    }

    private record Function(PciAddress address, Optional<PciAddress> upstreamBridge, int classCode, int secondaryBus)
            implements PciFunction {
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
                        case 0x08 -> classCode << 8;
                        case 0x0e -> secondaryBus == 0 ? 0 : 1;
                        case 0x19 -> secondaryBus;
                        default -> 0;
                    };
                }

                @Override
                public void write(int offset, int bytes, int value) {
                    throw new IllegalStateException("the driver does not write configuration space");
                }
            };
        }
    }

    /** Flat memory that keeps which ranges were written back, and tells of stores. */
    static final class WriteBackLog implements SystemMemory {
        private final SystemMemory target;
        final List<Long> writtenBack = new ArrayList<>();
        boolean recording;

        /** What happens right after a word was stored. */
        LongConsumer afterStore = word -> {};

        WriteBackLog(SystemMemory target) {
            this.target = target;
        }

        @Override
        public long load(long physicalAddress) {
            return target.load(physicalAddress);
        }

        @Override
        public void store(long physicalAddress, long value) {
            target.store(physicalAddress, value);
            afterStore.accept(value);
        }

        @Override
        public boolean compareAndSet(long physicalAddress, long expected, long value) {
            return target.compareAndSet(physicalAddress, expected, value);
        }

        @Override
        public void storeRun(long physicalAddress, long first, long increment, int count) {
            target.storeRun(physicalAddress, first, increment, count);
        }

        @Override
        public int leadingClear(long physicalAddress, long mask, int count) {
            return target.leadingClear(physicalAddress, mask, count);
        }

        @Override
        public int leadingSet(long physicalAddress, long mask, int count) {
            return target.leadingSet(physicalAddress, mask, count);
        }

        @Override
        public void writeBack(long physicalAddress, long size) {
            if (recording) {
                for (long pa = physicalAddress; pa < physicalAddress + size; pa += 8) {
                    writtenBack.add(pa);
                }
            }
            target.writeBack(physicalAddress, size);
        }
    }
}
