// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.iommufd.CompatContainer;
import org.iommu4j.vfio.iommufd.DirtyRange;
import org.iommu4j.vfio.iommufd.FaultQueue;
import org.iommu4j.vfio.iommufd.HwInfo;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.IoasCopy;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.IoasMapFile;
import org.iommu4j.vfio.iommufd.IoasRanges;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdIoctls;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;
import org.jspecify.annotations.Nullable;

/** {@code iommufd_truth.c} on our side: the same calls in the same order, the same lines. */
final class IommufdProgram extends Program {
    private static final long ALL = -1L;
    private static final int UNKNOWN = 9999;
    private static final String[] EXTENSIONS = {
        "0",
        "TYPE1",
        "SPAPR_TCE",
        "TYPE1v2",
        "DMA_CC",
        "EEH",
        "TYPE1_NESTING",
        "SPAPR_TCE_v2",
        "NOIOMMU",
        "UNMAP_ALL",
        "UPDATE_VADDR",
        "11"
    };
    private static final int[] EXTENSION_ORDER = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0};

    private final Transcript transcript;
    private final IommufdOptions options;
    private Iommufd file;

    /** The 64 pages, the read-only one, and the four of which two are not there. */
    private final long m;

    private final long ro = 0x7f5000000000L;
    private final long hole = 0x7f6000000000L;

    /** A device through its own file. */
    private final class Device {
        final PciAddress address;
        VfioDeviceFile file;
        int id;

        Device(PciAddress address) {
            this.address = address;
            this.file = VfioDeviceFile.open(host.vfio, host.registered.get(address));
        }
    }

    IommufdProgram(KernelHost host, UserProcess process, Transcript transcript, IommufdOptions options) {
        super(host, process);
        this.transcript = transcript;
        this.options = options;
        this.file = Iommufd.open(options, IommufdUser.root(process));
        // Where the kernel put the memory is not printed, but its alignment is what the second free IOVA follows.
        this.m = 0x7f4000000000L
                + transcript.lines().stream()
                        .filter(line -> line.text().startsWith("IOAS_MAP any iova again, 16 pages"))
                        .mapToLong(line -> line.number("iova_out"))
                        .findFirst()
                        .orElse(0);
        process.allocate(m, 64, true);
        process.allocate(ro, 1, false);
        process.allocate(hole, 2, true);
    }

    private Iommufd open() {
        return Iommufd.open(options, IommufdUser.root(process));
    }

    // ---- the calls -------------------------------------------------------------------------------------------------

    private void destroy(@Nullable String what, int id) {
        int r = call(() -> file.destroy(id));
        if (what != null) {
            print("DESTROY %s -> %d %s", what, r, errno());
        }
    }

    private int ioas(@Nullable String what, int size, int flags, boolean tail) {
        int r = call(() -> {
            IommufdIoctls.check(transcript.release(), 0x81, size, !tail);
            return file.ioasAlloc(flags);
        });
        if (what != null) {
            print("IOAS_ALLOC %s size=%d flags=%s -> %d %s", what, size, hex(flags), Math.min(r, 0), errno());
        }
        return r;
    }

    private int ioas(@Nullable String what) {
        return ioas(what, 12, 0, false);
    }

    private void ranges(String what, int id, int room) {
        IoasRanges[] out = new IoasRanges[1];
        int r = call(() -> {
            out[0] = file.ioasIovaRanges(id, room);
            if (!out[0].fits()) {
                throw new IommuException(Errno.EMSGSIZE, "more ranges than " + room);
            }
        });
        StringBuilder text = new StringBuilder(String.format(
                "IOAS_IOVA_RANGES %s num_in=%d -> %d %s num=%d align=%s",
                what,
                room,
                r,
                errno(),
                out[0] == null ? room : out[0].needed(),
                hex(out[0] == null ? 0 : out[0].alignment())));
        if (r == 0) {
            out[0].ranges()
                    .forEach(range -> text.append(" [")
                            .append(hex(range.start()))
                            .append('-')
                            .append(hex(range.end()))
                            .append(']'));
        }
        print("%s", text);
    }

    private void allow(String what, int id, long... bounds) {
        int r = call(() -> file.ioasAllowIovas(id, bounds));
        print("IOAS_ALLOW_IOVAS %s n=%d -> %d %s", what, bounds.length / 2, r, errno());
    }

    private long map(@Nullable String what, int id, int flags, long address, long length, long iova) {
        long[] out = {iova};
        int r = call(() -> {
            out[0] = file.ioasMap(new IoasMap(flags, id, address, length, iova));
        });
        if (what != null) {
            print(
                    "IOAS_MAP %-42s flags=%s len=%s iova=%s -> %d %s iova_out=%s",
                    what, hex(flags), hex(length), hex(iova), r, errno(), hex(out[0]));
        }
        return out[0];
    }

    private void fixed(String what, int id, long address, long length, long iova) {
        map(what, id, 7, address, length, iova);
    }

    private void unmap(@Nullable String what, int id, long iova, long length) {
        long[] out = {length};
        int r = call(() -> {
            out[0] = file.ioasUnmap(id, iova, length);
        });
        if (what != null) {
            print(
                    "IOAS_UNMAP %-40s iova=%s len=%s -> %d %s len_out=%s",
                    what, hex(iova), hex(length), r, errno(), hex(out[0]));
        }
    }

    private void copy(String what, int to, int from, int flags, long length, long toIova, long fromIova) {
        long[] out = {toIova};
        int r = call(() -> {
            out[0] = file.ioasCopy(new IoasCopy(flags, to, from, length, toIova, fromIova));
        });
        print(
                "IOAS_COPY %-41s flags=%s len=%s dst=%s src=%s -> %d %s dst_out=%s",
                what, hex(flags), hex(length), hex(toIova), hex(fromIova), r, errno(), hex(out[0]));
    }

    private void option(String what, int option, int op, int id, long value) {
        long[] out = {value};
        int r = call(() -> {
            if (op == 0) {
                file.optionSet(option, id, value);
            } else if (op == 1) {
                out[0] = file.optionGet(option, id);
            } else {
                throw new IommuException(Errno.EOPNOTSUPP, "no operation " + op);
            }
        });
        print(
                "OPTION %s option=%d op=%s object=%s val=%d -> %d %s val_out=%d",
                what,
                option,
                op == 0 ? "SET" : op == 1 ? "GET" : "?",
                id == 0 ? "0" : "ioas",
                value,
                r,
                errno(),
                out[0]);
    }

    private int vfioIoas(String what, int op, int id) {
        int[] out = {id};
        int r = call(() -> {
            switch (op) {
                case 0 -> out[0] = file.vfioIoasGet();
                case 1 -> file.vfioIoasSet(id);
                case 2 -> file.vfioIoasClear();
                default -> throw new IommuException(Errno.EOPNOTSUPP, "no operation " + op);
            }
        });
        print(
                "VFIO_IOAS %s -> %d %s%s",
                what, r, errno(), r == 0 && op == 0 ? (out[0] != 0 ? " (an id)" : " (0)") : "");
        return r < 0 ? 0 : out[0];
    }

    private int hwpt(@Nullable String what, int flags, int device, int on, int type, @Nullable GuestTable data) {
        int r = call(() -> file.hwptAlloc(new HwptAlloc(flags, device, on, type, data, 0)));
        if (what != null) {
            print(
                    "HWPT_ALLOC %-34s flags=%s(%s%s%s%s) data_type=%d -> %d %s",
                    what,
                    hex(flags),
                    (flags & 1) != 0 ? "NEST_PARENT " : "",
                    (flags & 2) != 0 ? "DIRTY " : "",
                    (flags & 4) != 0 ? "FAULT " : "",
                    (flags & 8) != 0 ? "PASID" : "",
                    type,
                    Math.min(r, 0),
                    errno());
        }
        return Math.max(r, 0);
    }

    private int hwpt(@Nullable String what, int flags, int device, int on) {
        return hwpt(what, flags, device, on, 0, null);
    }

    private void dirty(String what, int hwpt, int flags) {
        int r = call(() -> file.hwptSetDirtyTracking(hwpt, flags));
        print("HWPT_SET_DIRTY_TRACKING %s flags=%d -> %d %s", what, flags, r, errno());
    }

    private void bitmap(String what, int hwpt, int flags, long iova, long length, long pageSize) {
        long[] out = {0};
        int r = call(() -> {
            out[0] = file.hwptGetDirtyBitmap(new DirtyRange(hwpt, flags, iova, length, pageSize))[0];
        });
        print(
                "HWPT_GET_DIRTY_BITMAP %s flags=%d len=%s page=%s -> %d %s bitmap=%s",
                what, flags, hex(length), hex(pageSize), r, errno(), hex(out[0]));
    }

    private void hardware(String what, int device, int flags, int type, int size) {
        HwInfo[] out = new HwInfo[1];
        int r = call(() -> {
            out[0] = file.getHwInfo(device, flags, type);
        });
        StringBuilder text = new StringBuilder(String.format(
                "GET_HW_INFO %s size=%d flags=%d in_type=%d -> %d %s", what, size, flags, type, r, errno()));
        if (r == 0) {
            // The capabilities lie behind the 32 bytes of the structure's first form.
            text.append(String.format(
                    " type=%d len=%d max_pasid_log2=%d caps=%s words:",
                    out[0].hardware().type(),
                    out[0].hardware().words().size() * 4,
                    out[0].maxPasidLog2(),
                    hex(size < 40 ? 0 : out[0].capabilities())));
            for (int i = 0; i < 8; i++) {
                int word = i < out[0].hardware().words().size()
                        ? out[0].hardware().words().get(i)
                        : 0;
                text.append(' ').append(hex(Integer.toUnsignedLong(word)));
            }
        }
        print("%s", text);
    }

    // ---- devices ---------------------------------------------------------------------------------------------------

    private int bind(VfioDeviceFile device, @Nullable String what, int flags, @Nullable Object to) {
        int r = call(() -> device.bind(to, flags, null));
        if (what != null) {
            print(
                    "VFIO_DEVICE_BIND_IOMMUFD %s flags=%s -> %d %s%s",
                    what, hex(flags), Math.min(r, 0), errno(), r < 0 ? "" : " (an id)");
        }
        return r;
    }

    private int attach(Device device, @Nullable String what, int to) {
        int r = call(() -> device.file.attach(to));
        if (what != null) {
            print(
                    "ATTACH_IOMMUFD_PT %s: %s -> %d %s%s",
                    device.address,
                    what,
                    Math.min(r, 0),
                    errno(),
                    r < 0 ? "" : r == to ? " pt_out=same" : " pt_out=another id");
        }
        return Math.max(r, 0);
    }

    private void attachPasid(Device device, String what, int to, int pasid) {
        int r = call(() -> {
            device.file.attachPasid(pasid, to);
        });
        print("ATTACH_IOMMUFD_PT %s: %s pasid=%d -> %d %s", device.address, what, pasid, r, errno());
    }

    private void detach(Device device, String what) {
        int r = call(() -> device.file.detach());
        print("DETACH_IOMMUFD_PT %s: %s -> %d %s", device.address, what, r, errno());
    }

    private Device openBound(PciAddress address, String format) {
        Device device = new Device(address);
        int r = bind(device.file, null, 0, file);
        device.id = Math.max(r, 0);
        print(format, address, Math.min(r, 0), errno());
        return device;
    }

    private void extensions(String when) {
        StringBuilder text = new StringBuilder("VFIO_CHECK_EXTENSION on /dev/iommu, " + when + ":");
        CompatContainer container = file.vfioContainer();
        for (int extension : EXTENSION_ORDER) {
            int r = call(() -> container.checkExtension(extension));
            text.append(' ').append(EXTENSIONS[extension]).append('=').append(r).append(r < 0 ? "/" + errno() : "");
        }
        print("%s", text);
    }

    private void coherent(String what) {
        int r = call(() -> file.vfioContainer().checkExtension(4));
        print("DMA_CC through compat IOAS, %s -> %d %s", what, r, errno());
    }

    // ---- the program -----------------------------------------------------------------------------------------------

    @Override
    void run() {
        print("open /dev/iommu -> fd");
        callsByNumber();
        int[] ids = ioasWithoutDevices();
        options(ids);
        devices(ids[0], ids[1]);
        file = open();
        compat();
        print("IOMMUFD-TRUTH-DONE");
    }

    private void callsByNumber() {
        print("==== calls by number, empty argument (size 0, then NULL)");
        for (int number = 0x80; number < 0x98; number++) {
            int at = number;
            call(() -> IommufdIoctls.check(transcript.release(), at, 0, true));
            String empty = errno();
            call(() -> IommufdIoctls.checkUnreadable(transcript.release(), at));
            print("ioctl %s size=0 -> %s, NULL -> %s", hex(number), empty, errno());
        }
    }

    private int[] ioasWithoutDevices() {
        print("==== IOAS without devices");
        int a = ioas("first");
        int b = ioas("second");
        ioas("flags 1", 12, 1, false);
        ioas("size too small", 8, 0, false);
        int c = ioas("size larger, zero tail", 20, 0, false);
        destroy("it", c);
        ioas("size larger, nonzero tail", 20, 0, true);
        ranges("fresh, no room", a, 0);
        ranges("fresh", a, 8);
        ranges("unknown id", UNKNOWN, 8);
        allow("two ranges", a, 0x100000, 0x1fffff, 0x300000, 0x3fffff);
        ranges("after", a, 8);
        fixed("inside", a, m, PAGE, 0x100000);
        fixed("outside", a, m, PAGE, 0x200000);
        long iova = map("any", a, 6, m, PAGE, 0);
        unmap("it", a, iova, PAGE);
        allow("a list that leaves the map out", a, 0x300000, 0x3fffff);
        allow("overlapping list", a, 0x100000, 0x1fffff, 0x180000, 0x2fffff);
        allow("start > last", a, 0x2000, 0x1fff);
        allow("unaligned", a, 0x100800, 0x1fffff);
        ranges("after the refused lists", a, 8);
        allow("empty list", a);
        ranges("after", a, 8);
        unmap("all", a, 0, ALL);
        print("-- maps, no device attached");
        fixed("valid 1 page", a, m, PAGE, 0x100000);
        fixed("same again", a, m, PAGE, 0x100000);
        fixed("overlap before", a, m, 2 * PAGE, 0xff000);
        fixed("overlap superset", a, m, 3 * PAGE, 0xff000);
        fixed("adjacent after", a, m + PAGE, PAGE, 0x101000);
        fixed("same VA at a second iova", a, m, PAGE, 0x200000);
        fixed("valid 16 pages", a, m, 16 * PAGE, 0x300000);
        fixed("iova unaligned", a, m, PAGE, 0x470800);
        unmap("it", a, 0x470800, PAGE);
        fixed("VA unaligned, iova alike", a, m + 8, PAGE, 0x480008);
        fixed("VA unaligned", a, m + 8, PAGE, 0x490000);
        fixed("length unaligned", a, m, 0x1800, 0x410000);
        fixed("length 0", a, m, 0, 0x420000);
        fixed("length 2^64-1", a, m, ALL, 0x420000);
        fixed("iova wrap", a, m, 2 * PAGE, -PAGE);
        fixed("iova top page", a, m, PAGE, -PAGE);
        fixed("VA wrap", a, -PAGE, 2 * PAGE, 0x430000);
        fixed("VA NULL page", a, 0, PAGE, 0x430000);
        fixed("VA kernel half", a, 0xffff888000000000L, PAGE, 0x440000);
        fixed("PROT_READ memory RW", a, ro, PAGE, 0x450000);
        fixed("hole after 2 of 4", a, hole, 4 * PAGE, 0x460000);
        map("FIXED only (no R/W)", a, 1, m, PAGE, 0x500000);
        map("FIXED|READ", a, 5, m, PAGE, 0x510000);
        map("FIXED|WRITE", a, 3, m, PAGE, 0x520000);
        map("unknown flag 8", a, 15, m, PAGE, 0x530000);
        map("any iova R|W", a, 6, m, PAGE, 0);
        map("any iova again, 16 pages", a, 6, m, 16 * PAGE, 0);
        map("unknown IOAS", UNKNOWN, 7, m, PAGE, 0x540000);
        print("-- copies");
        copy("1 page fixed", b, a, 7, PAGE, 0x100000, 0x100000);
        copy("same again", b, a, 7, PAGE, 0x100000, 0x100000);
        copy("any", b, a, 6, PAGE, 0, 0x100000);
        copy("part of 16 pages", b, a, 7, 4 * PAGE, 0x300000, 0x302000);
        copy("two areas", b, a, 7, 2 * PAGE, 0x310000, 0x100000);
        copy("source not mapped", b, a, 7, PAGE, 0x320000, 0x900000);
        copy("within one IOAS", a, a, 7, PAGE, 0x700000, 0x100000);
        copy("length 0", b, a, 7, 0, 0x330000, 0x100000);
        copy("source read-only, asks write", b, a, 7, PAGE, 0x340000, 0x510000);
        copy("unknown source", b, UNKNOWN, 7, PAGE, 0x350000, 0x100000);
        copy("source unaligned", b, a, 7, PAGE, 0x360000, 0x100800);
        print("-- unmaps");
        unmap("exact 1 page", a, 0x200000, PAGE);
        unmap("again", a, 0x200000, PAGE);
        unmap("first half of 16", a, 0x300000, 8 * PAGE);
        unmap("middle page of 16", a, 0x304000, PAGE);
        unmap("begins before, ends inside", a, 0x2f0000, 0x18000);
        unmap("begins inside, ends after", a, 0x308000, 0x10000);
        unmap("16 pages exact", a, 0x300000, 16 * PAGE);
        unmap("two adjacent areas", a, 0x100000, 2 * PAGE);
        unmap("a range with areas and holes", a, 0x400000, 0x100000);
        unmap("length 0", a, 0x100000, 0);
        unmap("wrap", a, -PAGE, 2 * PAGE);
        unmap("iova unaligned", a, 0x700800, PAGE);
        unmap("all: 0, 2^64-1", a, 0, ALL);
        unmap("all again", a, 0, ALL);
        unmap("0, 2^64-4096", a, 0, -PAGE);
        unmap("unknown IOAS", UNKNOWN, 0, ALL);
        return new int[] {a, b};
    }

    private void options(int[] ids) {
        int a = ids[0];
        print("-- options");
        Iommufd kept = file;
        file = open();
        print("(a fresh /dev/iommu, no objects)");
        option("rlimit mode", 0, 1, 0, 0);
        option("rlimit mode", 0, 0, 0, 1);
        option("rlimit mode", 0, 1, 0, 0);
        option("rlimit mode", 0, 0, 0, 2);
        option("rlimit mode", 0, 0, 0, 0);
        ioas("one");
        option("rlimit mode", 0, 0, 0, 1);
        file.close();
        file = kept;
        print("(the first one)");
        option("rlimit mode", 0, 1, 0, 0);
        option("rlimit mode", 0, 0, 0, 1);
        option("rlimit mode", 0, 1, 0, 0);
        option("rlimit mode", 0, 0, 0, 2);
        option("rlimit mode with object", 0, 1, a, 0);
        option("huge pages", 1, 1, a, 0);
        option("huge pages", 1, 0, a, 0);
        option("huge pages", 1, 1, a, 0);
        option("huge pages", 1, 0, a, 2);
        option("huge pages no object", 1, 1, 0, 0);
        option("unknown", 2, 1, 0, 0);
        option("unknown op", 0, 2, 0, 0);
        option("huge pages", 1, 0, a, 1);
        fixed("with a map", a, m, PAGE, 0x100000);
        option("huge pages with maps", 1, 0, a, 0);
        option("rlimit mode with maps", 0, 0, 0, 0);
        unmap("", a, 0, ALL);
        print("-- VFIO_IOAS");
        vfioIoas("GET (none)", 0, 0);
        vfioIoas("CLEAR (none)", 2, 0);
        vfioIoas("SET", 1, a);
        int got = vfioIoas("GET", 0, 0);
        print("  is the one set: %d", got == a ? 1 : 0);
        vfioIoas("SET unknown id", 1, UNKNOWN);
        vfioIoas("CLEAR", 2, 0);
        vfioIoas("GET", 0, 0);
        vfioIoas("unknown op", 3, 0);
        print("-- destroy");
        destroy("IOAS with maps", ids[1]);
        destroy("again", ids[1]);
        destroy("id 0", 0);
        destroy("unknown", UNKNOWN);
        ids[1] = ioas("new second");
        newerCalls(a);
    }

    private void newerCalls(int a) {
        print("-- newer calls");
        FaultQueue[] queue = new FaultQueue[1];
        int r = call(() -> {
            queue[0] = file.faultQueueAlloc(0);
        });
        print("FAULT_QUEUE_ALLOC -> %d %s", r, errno());
        if (r == 0) {
            destroy("the fault queue, its fd open", queue[0].id());
            queue[0].close();
            destroy("its fd closed", queue[0].id());
        }
        UserProcess memfd = host.process(Long.MAX_VALUE, true);
        memfd.allocate(0, 4, true);
        r = call(() -> {
            file.ioasMapFile(new IoasMapFile(7, a, memfd, 0, 4 * PAGE, 0x100000));
        });
        print("IOAS_MAP_FILE memfd -> %d %s", r, errno());
        r = call(() -> {
            file.ioasMapFile(new IoasMapFile(7, a, host.process(0, false), 0, 4 * PAGE, 0x200000));
        });
        print("IOAS_MAP_FILE /dev/null -> %d %s", r, errno());
        r = call(() -> file.ioasChangeProcess());
        print("IOAS_CHANGE_PROCESS -> %d %s", r, errno());
        unmap("", a, 0, ALL);
    }

    private void devices(int a, int b) {
        print("==== devices");
        extensions("no device, no compat IOAS");
        Device t = new Device(KernelHost.FIRST);
        print("open cdev of %s -> fd", t.address);
        binding(t, a);
        hardware(t);
        int h;
        int parent;
        print("-- HWPT_ALLOC, every flag");
        for (int flags = 0; flags < 17; flags++) {
            int made = hwpt("on an IOAS", flags, t.id, a);
            if (made != 0) {
                destroy(null, made);
            }
        }
        hwpt("unknown device", 0, UNKNOWN, a);
        hwpt("unknown IOAS", 0, t.id, UNKNOWN);
        hwpt("data_type 9", 0, t.id, a, 9, new GuestTable() {});
        h = hwpt("plain", 0, t.id, a);
        parent = hwpt("parent", 1, t.id, a);
        int tracked = hwpt("dirty", 2, t.id, a);
        nesting(t, a, h, parent);
        dirtyTracking(t, a, h, tracked);
        attaching(t, a, b, h, parent);
        mapsThatDoNotFit(t);
        mapsWhileAttached(t, a);
        dma(t, a, b);
        twoDevices(t, a, b);
    }

    private void binding(Device t, int a) {
        int r = call(() -> {
            t.file.info();
        });
        print("DEVICE_GET_INFO before bind -> %d %s", r, errno());
        attach(t, "before bind", a);
        detach(t, "before bind");
        bind(t.file, "fd -1", 0, null);
        bind(t.file, "/dev/null", 0, new Object());
        bind(t.file, "/dev/vfio/vfio", 0, host.vfio.openContainer(process));
        bind(t.file, "unknown flag", 8, file);
        bind(t.file, "TOKEN flag, argsz 16", 1, file);
        int group = host.registered.get(t.address).groupId();
        VfioGroup[] opened = new VfioGroup[1];
        r = call(() -> {
            opened[0] = host.vfio.openGroup(group);
        });
        print("open group %d while cdev open, not bound -> %s", group, r < 0 ? errno() : "fd");
        bind(t.file, "while its group is open", 0, file);
        opened[0].close();
        t.id = bind(t.file, "ok", 0, file);
        bind(t.file, "again", 0, file);
        VfioDeviceFile second = VfioDeviceFile.open(host.vfio, host.registered.get(t.address));
        print("second open of the cdev -> fd");
        bind(second, "on the second open", 0, file);
        second.close();
        r = call(() -> {
            host.vfio.openGroup(group);
        });
        print("open group while cdev bound -> %s", r < 0 ? errno() : "fd");
        int[] flags = {0};
        r = call(() -> {
            flags[0] = t.file.info().flags();
        });
        print("DEVICE_GET_INFO after bind -> %d %s flags=%s", r, errno(), hex(flags[0]));
        destroy("the device while bound", t.id);
    }

    private void hardware(Device t) {
        hardware("", t.id, 0, 0, 40);
        hardware("size 32", t.id, 0, 0, 32);
        hardware("INPUT_TYPE intel", t.id, 1, 1, 40);
        hardware("INPUT_TYPE 99", t.id, 1, 99, 40);
        hardware("unknown flag", t.id, 2, 0, 40);
        hardware("unknown device", UNKNOWN, 0, 0, 40);
    }

    private void nesting(Device t, int a, int h, int parent) {
        for (int width = 39; width <= 57; width += 9) {
            GuestTable table = new FirstStageTable(0x2000000, width, 0);
            if (parent != 0) {
                int nested = hwpt("VTD_S1 width " + width + " on parent", 0, t.id, parent, 1, table);
                if (nested != 0) {
                    attach(t, "nested hwpt", nested);
                    detach(t, "nested");
                    destroy("nested", nested);
                }
            }
            if (width == 39) {
                hwpt("VTD_S1 on plain hwpt", 0, t.id, h, 1, table);
                hwpt("VTD_S1 on IOAS", 0, t.id, a, 1, table);
            }
        }
        if (parent != 0) {
            hwpt("no data on hwpt", 0, t.id, parent);
        }
    }

    private void dirtyTracking(Device t, int a, int h, int tracked) {
        print("-- dirty tracking");
        dirty("plain hwpt", h, 1);
        bitmap("plain hwpt", h, 0, 0, PAGE, PAGE);
        if (tracked == 0) {
            return;
        }
        fixed("4 pages", a, m, 4 * PAGE, 0x100000);
        bitmap("before enabling", tracked, 0, 0x100000, 4 * PAGE, PAGE);
        dirty("enable, not attached", tracked, 1);
        dirty("enable again", tracked, 1);
        dirty("unknown flag", tracked, 2);
        bitmap("4 pages", tracked, 0, 0x100000, 4 * PAGE, PAGE);
        bitmap("NO_CLEAR", tracked, 1, 0x100000, 4 * PAGE, PAGE);
        bitmap("page size 3", tracked, 0, 0x100000, 4 * PAGE, 3);
        bitmap("unaligned", tracked, 0, 0x100800, 4 * PAGE, PAGE);
        bitmap("unmapped", tracked, 0, 0x900000, 4 * PAGE, PAGE);
        attach(t, "dirty hwpt", tracked);
        enable(t.address);
        write(t.address, 0x102000);
        bitmap("after a device write to page 2", tracked, 0, 0x100000, 4 * PAGE, PAGE);
        bitmap("again", tracked, 0, 0x100000, 4 * PAGE, PAGE);
        dirty("disable", tracked, 0);
        bitmap("after disable", tracked, 0, 0x100000, 4 * PAGE, PAGE);
        detach(t, "dirty");
        unmap("", a, 0, ALL);
        destroy("dirty hwpt", tracked);
    }

    private void attaching(Device t, int a, int b, int h, int parent) {
        print("-- attach, replace, detach, destroy");
        attach(t, "unknown id", UNKNOWN);
        attach(t, "its own device id", t.id);
        int o1 = attach(t, "an IOAS (auto hwpt)", a);
        int o2 = attach(t, "the same IOAS again", a);
        print("  same hwpt: %d", o1 == o2 ? 1 : 0);
        ranges("attached", a, 8);
        destroy("IOAS, hwpts on it and a device attached", a);
        destroy("auto hwpt while attached", o1);
        attach(t, "its auto hwpt by id", o1);
        attach(t, "explicit hwpt of the same IOAS (replace)", h);
        destroy("the earlier auto hwpt", o1);
        destroy("explicit hwpt while attached", h);
        o2 = attach(t, "second IOAS (replace)", b);
        destroy("explicit hwpt once replaced", h);
        attachPasid(t, "PASID", b, 1);
        detach(t, "once");
        detach(t, "twice");
        destroy("auto hwpt after detach", o2);
        if (parent != 0) {
            attach(t, "nest parent hwpt", parent);
            detach(t, "nest parent");
            destroy("IOAS with an explicit hwpt on it", a);
            destroy("nest parent", parent);
        }
    }

    private void mapsThatDoNotFit(Device t) {
        print("-- attach to an IOAS with maps the device cannot take");
        int c = ioas(null);
        fixed("in the MSI window", c, m, PAGE, 0xfee00000L);
        attach(t, "IOAS with a map in the MSI window", c);
        detach(t, "-");
        unmap("", c, 0, ALL);
        fixed("at 1<<58", c, m, PAGE, 1L << 58);
        attach(t, "IOAS with a map above the aperture", c);
        detach(t, "-");
        unmap("", c, 0, ALL);
        fixed("NULL VA", c, 0, PAGE, 0x100000);
        attach(t, "IOAS with a map of no memory", c);
        detach(t, "-");
        unmap("", c, 0, ALL);
        allow("the MSI window", c, 0xfee00000L, 0xfeefffffL);
        attach(t, "IOAS whose allow list names the MSI window", c);
        detach(t, "-");
        allow("none", c);
        destroy("it", c);
    }

    private void mapsWhileAttached(Device t, int a) {
        print("-- maps with a device attached");
        attach(t, "IOAS", a);
        ranges("attached", a, 8);
        fixed("1 page", a, m, PAGE, 0x100000);
        fixed("VA NULL", a, 0, PAGE, 0x200000);
        fixed("PROT_READ memory RW", a, ro, PAGE, 0x210000);
        map("PROT_READ memory R", a, 5, ro, PAGE, 0x220000);
        fixed("hole after 2 of 4", a, hole, 4 * PAGE, 0x230000);
        fixed("MSI window", a, m, PAGE, 0xfee00000L);
        fixed("crossing into the MSI window", a, m, 2 * PAGE, 0xfedff000L);
        fixed("just below", a, m, PAGE, 0xfedff000L);
        fixed("1<<39", a, m, PAGE, 1L << 39);
        fixed("(1<<48)-1 page", a, m, PAGE, (1L << 48) - PAGE);
        fixed("1<<57", a, m, PAGE, 1L << 57);
        map("any", a, 6, m, PAGE, 0);
        allow("leaves maps out", a, 0x100000, 0x1fffff);
        unmap("half of a map", a, 0x100000, 0x800);
        unmap("all", a, 0, ALL);
    }

    private void dma(Device t, int a, int b) {
        print("-- DMA");
        enable(t.address);
        putString(m, "dma-by-iommufd");
        putString(m + 0x100, "");
        putString(m + PAGE, "");
        fixed("rw", a, m, PAGE, 0x12345000L);
        map("r", a, 5, m + PAGE, PAGE, 0x12346000L);
        read(t.address, 0x12345000L);
        write(t.address, 0x12345100L);
        print("rw page: got '%s'", getString(m + 0x100));
        write(t.address, 0x12346000L);
        print("write to read-only page: '%s' (empty = blocked)", getString(m + PAGE));
        attach(t, "second IOAS (replace)", b);
        putString(m + 0x100, "");
        write(t.address, 0x12345100L);
        print("after replace, old map: '%s' (empty = blocked)", getString(m + 0x100));
        attach(t, "first IOAS again", a);
        write(t.address, 0x12345100L);
        print("back: '%s'", getString(m + 0x100));
        detach(t, "-");
        putString(m + 0x100, "");
        write(t.address, 0x12345100L);
        print("after detach: '%s' (empty = blocked)", getString(m + 0x100));
        detach(t, "-");
        unmap("", a, 0, ALL);
    }

    private void twoDevices(Device t, int a, int b) {
        print("-- two devices");
        Device u = openBound(KernelHost.SECOND, "open and bind %s -> %d %s");
        int o1 = attach(t, "IOAS", a);
        int o2 = attach(u, "the same IOAS", a);
        print("  one hwpt for both: %d", o1 == o2 ? 1 : 0);
        vfioIoas("SET", 1, a);
        coherent("both attached");
        extensions("two devices attached");
        detach(t, "-");
        coherent("second alone");
        destroy("hwpt still used by the second", o2);
        detach(u, "-");
        coherent("none attached");
        int h = hwpt("explicit for the 1st", 0, t.id, a);
        o2 = attach(u, "IOAS (2nd device), explicit hwpt of the 1st exists", a);
        print("  uses that explicit hwpt: %d", o2 == h ? 1 : 0);
        attach(u, "the 1st device's explicit hwpt", h);
        coherent("2nd on the explicit hwpt");
        detach(u, "-");
        destroy("hwpt", h);
        print("-- order: hwpt allocated, maps first or last");
        fixed("first", a, m, PAGE, 0x100000);
        h = hwpt("with maps present", 0, t.id, a);
        coherent("hwpt with maps, no device attached");
        attach(t, "it", h);
        coherent("attached");
        attach(u, "2nd device, it", h);
        coherent("both");
        detach(t, "-");
        detach(u, "-");
        destroy("it", h);
        h = hwpt("parent with maps present", 1, t.id, a);
        coherent("nest parent");
        if (h != 0) {
            destroy("it", h);
        }
        unmap("", a, 0, ALL);
        vfioIoas("CLEAR", 2, 0);
        groupRules(a, b);
        print("-- close order");
        o1 = attach(t, "IOAS", a);
        destroy("device id while attached", t.id);
        t.file.close();
        destroy("device id after close(cdev)", t.id);
        destroy("auto hwpt after close(cdev)", o1);
        destroy("IOAS after close(cdev)", a);
        attach(u, "IOAS B", b);
        file.close();
        detach(u, "after close(iommufd)");
        u.file.close();
    }

    private void groupRules(int a, int b) {
        print("-- group rules for cdevs");
        Device w = openBound(
                KernelHost.THIRD, "open and bind %s (the group's other function has a kernel driver) -> %d %s");
        w.file.close();
        Device p = openBound(KernelHost.FOURTH, "open and bind %s -> %d %s");
        int group = host.registered.get(KernelHost.FOURTH).groupId();
        int other = host.registered.get(KernelHost.FIFTH).groupId();
        Device q = openBound(KernelHost.FIFTH, "open and bind %s (same group " + group + "/" + other + ") -> %d %s");
        Iommufd file2 = open();
        VfioDeviceFile q2 = VfioDeviceFile.open(host.vfio, host.registered.get(KernelHost.FIFTH));
        bind(q2, "other function, another iommufd", 0, file2);
        q2.close();
        attach(p, "IOAS A", a);
        attach(q, "IOAS B", b);
        attach(q, "IOAS A", a);
        attach(p, "IOAS B (replace, other function attached)", b);
        detach(p, "-");
        detach(q, "-");
        q.file.close();
        q2 = VfioDeviceFile.open(host.vfio, host.registered.get(KernelHost.FIFTH));
        bind(q2, "other function, another iommufd, once free", 0, file2);
        q2.close();
        file2.close();
        p.file.close();
    }

    private void compat() {
        print("==== compat: /dev/iommu as a VFIO container");
        VfioGroup g = host.vfio.openGroup(host.registered.get(KernelHost.FIRST).groupId());
        VfioGroup h = host.vfio.openGroup(host.registered.get(KernelHost.SECOND).groupId());
        print("open groups -> fd fd");
        CompatContainer container = file.vfioContainer();
        print("VFIO_GET_API_VERSION -> %d", container.apiVersion());
        extensions("fresh");
        int r = call(() -> container.setIommu(3));
        print("VFIO_SET_IOMMU(TYPE1v2) before a group -> %d %s", r, errno());
        r = call(() -> g.setContainer(file));
        print("GROUP_SET_CONTAINER -> %d %s", r, errno());
        extensions("group attached");
        if (opened("GET_DEVICE_FD before SET_IOMMU", g, KernelHost.FIRST)) {
            g.closeDevice(host.registered.get(KernelHost.FIRST));
        }
        r = call(() -> container.setIommu(99));
        print("VFIO_SET_IOMMU(99) -> %d %s", r, errno());
        r = call(() -> container.setIommu(3));
        print("VFIO_SET_IOMMU(TYPE1v2) -> %d %s", r, errno());
        r = call(() -> container.setIommu(3));
        print("VFIO_SET_IOMMU(TYPE1v2) again -> %d %s", r, errno());
        extensions("after SET_IOMMU, no device open");
        boolean d = opened("GET_DEVICE_FD", g, KernelHost.FIRST);
        extensions("device open");
        vfioIoas("GET", 0, 0);
        r = call(() -> h.setContainer(file));
        print("2nd group SET_CONTAINER -> %d %s", r, errno());
        boolean e = opened("2nd GET_DEVICE_FD", h, KernelHost.SECOND);
        extensions("two devices open");
        r = call(() -> container.map(0x100000, m, 4 * PAGE, 3));
        print("MAP_DMA -> %d %s", r, errno());
        r = call(() -> container.map(0x100000, m, 4 * PAGE, 3));
        print("MAP_DMA again -> %d %s", r, errno());
        unmapDma("middle page", container, 0x101000, PAGE, 0);
        unmapDma("exact", container, 0x100000, 4 * PAGE, 0);
        unmapDma("nothing", container, 0x100000, 4 * PAGE, 0);
        unmapDma("ALL", container, 0, 0, 2);
        if (d) {
            r = call(g::unsetContainer);
            print("UNSET_CONTAINER, device open -> %d %s", r, errno());
            g.closeDevice(host.registered.get(KernelHost.FIRST));
        }
        r = call(g::unsetContainer);
        print("UNSET_CONTAINER -> %d %s", r, errno());
        extensions("one group left");
        if (e) {
            h.closeDevice(host.registered.get(KernelHost.SECOND));
        }
        h.close();
        extensions("no group left");
        g.close();
    }

    private boolean opened(String what, VfioGroup group, PciAddress device) {
        int r = call(() -> {
            group.openDevice(device);
        });
        print("%s -> %s", what, r < 0 ? errno() : "fd");
        return r == 0;
    }

    private void unmapDma(String what, CompatContainer container, long iova, long size, int flags) {
        CompatContainer.Unmapped[] out = new CompatContainer.Unmapped[1];
        int r = call(() -> {
            out[0] = container.unmap(iova, size, flags);
            if (out[0].failure() != null) {
                throw out[0].failure();
            }
        });
        print("UNMAP_DMA %s -> %d %s size_out=%s", what, r, errno(), hex(out[0].bytes() < 0 ? size : out[0].bytes()));
    }
}
