// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.List;
import java.util.Set;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioDeviceInfo;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioRegionInfo;
import org.iommu4j.vfio.iommufd.CompatContainer;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;
import org.iommu4j.vfio.iommufd.UserAccount;
import org.jspecify.annotations.Nullable;

/** {@code vfio_truth.c} with {@code /dev/iommu} as the container, on our side. */
final class CompatProgram extends Program {
    private static final String[] EXTENSIONS = {
        "ext 0",
        "VFIO_TYPE1_IOMMU",
        "VFIO_SPAPR_TCE_IOMMU",
        "VFIO_TYPE1v2_IOMMU",
        "VFIO_DMA_CC_IOMMU",
        "VFIO_EEH",
        "VFIO_TYPE1_NESTING_IOMMU",
        "VFIO_SPAPR_TCE_v2_IOMMU",
        "VFIO_NOIOMMU_IOMMU",
        "VFIO_UNMAP_ALL",
        "VFIO_UPDATE_VADDR",
        "ext 11"
    };
    private static final int[] ORDER = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0};
    private static final int MAP_SIZE = 32;
    private static final int UNMAP_SIZE = 24;
    private static final int ROOM = 4096;
    private static final int CONFIG_REGION = 7;

    private static final long TOP = -PAGE;

    /** What no line of ours can say: where Linux put the memory. */
    static final List<Comparison.Outside> OUTSIDE = List.of(new Comparison.Outside(
            "physical addresses and huge pages of a process",
            line -> line.text().startsWith("madvise(")));

    private final IommufdOptions options;
    private Iommufd file;
    private CompatContainer container;

    CompatProgram(KernelHost host, UserProcess process, IommufdOptions options) {
        super(host, process);
        this.options = options;
        reopen();
    }

    private void reopen() {
        file = Iommufd.open(options, IommufdUser.root(process));
        container = file.vfioContainer();
    }

    // ---- the calls -------------------------------------------------------------------------------------------------

    private void extensions(String when) {
        StringBuilder text = new StringBuilder("CHECK_EXTENSION " + when + ":");
        for (int extension : ORDER) {
            int r = call(() -> container.checkExtension(extension));
            text.append(' ').append(EXTENSIONS[extension]).append('=').append(r).append(r < 0 ? "/" + errno() : "");
        }
        print("%s", text);
    }

    private void status(VfioGroup group) {
        print(
                "GROUP_GET_STATUS -> 0 0 flags=%s (1=viable 2=container_set)",
                hex((group.viable() ? 1 : 0) | (group.containerSet() ? 2 : 0)));
    }

    private void info(String when, boolean quiet) {
        CompatContainer.Info[] out = new CompatContainer.Info[1];
        int r = call(() -> {
            out[0] = container.info(ROOM);
        });
        print(
                "GET_INFO %s -> %d %s argsz=%d flags=%s pgsizes=%s cap_offset=%d",
                when,
                r,
                errno(),
                r < 0 ? ROOM : out[0].argsz(),
                hex(r < 0 ? 0 : out[0].flags()),
                hex(r < 0 ? 0 : out[0].pageSizes()),
                r < 0 ? 0 : out[0].capabilityOffset());
        if (r == 0 && !quiet) {
            print("  cap DMA_AVAIL v1 avail=%d", out[0].availableMappings());
            StringBuilder text = new StringBuilder(
                    "  cap IOVA_RANGE v1 nr=" + out[0].ranges().size() + ":");
            out[0].ranges()
                    .forEach(range -> text.append(" [")
                            .append(hex(range.start()))
                            .append('-')
                            .append(hex(range.end()))
                            .append(']'));
            print("%s", text);
        }
    }

    private void smallInfo() {
        int r = call(() -> {
            container.info(8);
        });
        print("GET_INFO argsz=8 -> %d %s", r, errno());
        CompatContainer.Info some = container.info(24);
        print(
                "GET_INFO argsz=24 -> 0 0 argsz_out=%d flags=%s cap_offset=%d",
                some.argsz(), hex(some.flags()), some.capabilityOffset());
        some = container.info(16);
        print(
                "GET_INFO argsz=16 -> 0 0 argsz_out=%d flags=%s pgsizes=%s",
                some.argsz(), hex(some.flags()), hex(some.pageSizes()));
    }

    private long available() {
        return container.info(ROOM).availableMappings();
    }

    private void map(String what, long address, long iova, long size, int flags, int argsz) {
        int r = call(() -> {
            container.map(argsz, iova, address, size, flags);
        });
        print(
                "MAP   %-52s iova=%s size=%s flags=%s argsz=%d -> %d %s",
                what, hex(iova), hex(size), hex(flags), argsz, r, errno());
    }

    private void map(String what, long address, long iova, long size) {
        map(what, address, iova, size, 3, MAP_SIZE);
    }

    private void unmap(String what, long iova, long size, int flags, int argsz) {
        long[] out = {size};
        int r = call(() -> {
            CompatContainer.Unmapped result = container.unmap(argsz, iova, size, flags);
            if (result.bytes() >= 0) {
                out[0] = result.bytes();
            }
            if (result.failure() != null) {
                throw result.failure();
            }
        });
        print(
                "UNMAP %-52s iova=%s size=%s flags=%s argsz=%d -> %d %s size_out=%s",
                what, hex(iova), hex(size), hex(flags), argsz, r, errno(), hex(out[0]));
    }

    private void unmap(String what, long iova, long size) {
        unmap(what, iova, size, 0, UNMAP_SIZE);
    }

    private VfioGroup openGroup(int id) {
        return host.vfio.openGroup(id);
    }

    private int groupOf(PciAddress device) {
        return host.registered.get(device).groupId();
    }

    private boolean openDevice(VfioGroup group, PciAddress device) {
        int r = call(() -> {
            group.openDevice(device);
        });
        print("GROUP_GET_DEVICE_FD %s -> %s %s", device, r < 0 ? "-1" : "fd", errno());
        if (r == 0) {
            VfioDevice opened = host.registered.get(device);
            VfioDeviceInfo info = opened.info();
            print(
                    "  DEVICE_GET_INFO flags=%s regions=%d irqs=%d",
                    hex(info.flags()), info.regions(), info.interrupts());
            ConfigSpace config = opened.config();
            print(
                    "  config region size=%s",
                    hex(opened.regionInfo(CONFIG_REGION).size()));
            int before = config.read(4, 2);
            config.write(4, 2, before | 6);
            print("  PCI command at open=%s after enabling MEM|BM=%s", hex(before), hex(config.read(4, 2)));
            VfioRegionInfo bar = opened.regionInfo(0);
            print("  BAR0 size=%s flags=%s", hex(bar.size()), hex(bar.flags()));
        }
        return r == 0;
    }

    private int setContainer(VfioGroup group, @Nullable Object to) {
        return call(() -> group.setContainer(to));
    }

    // ---- the program -----------------------------------------------------------------------------------------------

    @Override
    void run() {
        int gn = groupOf(KernelHost.FIRST);
        print("device %s group %d", KernelHost.FIRST, gn);
        print("GET_API_VERSION -> %d", container.apiVersion());
        extensions("before any group");
        info("before SET_IOMMU", true);
        map("before SET_IOMMU", 0, 0x100000, PAGE);
        unmap("before SET_IOMMU", 0x100000, PAGE);
        int r = call(() -> container.setIommu(3));
        print("SET_IOMMU without group -> %d %s", r, errno());
        VfioGroup g = openGroup(gn);
        print("open /dev/vfio/%d -> fd 0", gn);
        r = call(() -> {
            host.vfio.openGroup(gn);
        });
        print("open group a second time -> %s %s", r < 0 ? "-1" : "fd", errno());
        status(g);
        r = call(() -> {
            g.openDevice(KernelHost.FIRST);
        });
        print("GET_DEVICE_FD before container -> %d %s", r, errno());
        r = call(g::unsetContainer);
        print("UNSET_CONTAINER before set -> %d %s", r, errno());
        r = setContainer(g, null);
        print("SET_CONTAINER bad fd -> %d %s", r, errno());
        r = setContainer(g, new Object());
        print("SET_CONTAINER /dev/null fd -> %d %s", r, errno());
        r = setContainer(g, file);
        print("SET_CONTAINER -> %d %s", r, errno());
        status(g);
        r = setContainer(g, file);
        print("SET_CONTAINER again -> %d %s", r, errno());
        r = call(() -> {
            g.openDevice(KernelHost.FIRST);
        });
        print("GET_DEVICE_FD before SET_IOMMU -> %d %s", r, errno());
        boolean leaked = r == 0; // the program never closes this file
        extensions("group attached, before SET_IOMMU");
        info("group attached, before SET_IOMMU", true);
        r = call(() -> container.setIommu(99));
        print("SET_IOMMU(99) -> %d %s", r, errno());
        r = call(() -> container.setIommu(3));
        print("SET_IOMMU(TYPE1v2) -> %d %s", r, errno());
        r = call(() -> container.setIommu(3));
        print("SET_IOMMU(TYPE1v2) again -> %d %s", r, errno());
        extensions("after SET_IOMMU(TYPE1v2)");
        info("after SET_IOMMU(TYPE1v2)", false);
        smallInfo();
        r = call(() -> {
            g.openDevice(PciAddress.parse("0000:ff:1f.7"));
        });
        print("GET_DEVICE_FD unknown device -> %d %s", r, errno());
        boolean opened = openDevice(g, KernelHost.FIRST);
        suite(3);
        if (opened) {
            dma(g);
        }
        if (opened) {
            g.closeDevice(host.registered.get(KernelHost.FIRST));
        }
        secondContainer(leaked, g);
    }

    private void dma(VfioGroup g) {
        PciAddress edu = KernelHost.FIRST;
        print("-- EDU DMA through the container");
        long m = 0x7fa000000000L;
        process.allocate(m, 4, true);
        putString(m, "dma-by-vfio");
        putString(m + 0x100, "");
        putString(m + PAGE, "");
        map("rw page", m, 0x12345000L, PAGE);
        map("read-only page", m + PAGE, 0x12346000L, PAGE, 1, MAP_SIZE);
        read(edu, 0x12345000L);
        write(edu, 0x12345100L);
        print("rw page: got '%s'", getString(m + 0x100));
        write(edu, 0x12346000L);
        print("write to read-only page: '%s' (empty = blocked)", getString(m + PAGE));
        unmap("rw page", 0x12345000L, PAGE);
        putString(m + 0x100, "");
        write(edu, 0x12345100L);
        print("write after unmap: '%s' (empty = blocked)", getString(m + 0x100));
        map("flags RW mapping unmapped by device close below", m, 0x12345000L, PAGE);
        int r = call(g::unsetContainer);
        print("UNSET_CONTAINER while device open -> %d %s", r, errno());
        r = call(g::unsetContainer);
        print("UNSET_CONTAINER after close(device fd) but its BAR still mmapped -> %d %s", r, errno());
        r = call(g::unsetContainer);
        print("UNSET_CONTAINER after device close and BAR munmap -> %d %s", r, errno());
        extensions("after UNSET_CONTAINER");
        info("after UNSET_CONTAINER", true);
        r = setContainer(g, file);
        print("SET_CONTAINER again -> %d %s", r, errno());
    }

    private void secondContainer(boolean leaked, VfioGroup first) {
        if (leaked) {
            first.closeDevice(host.registered.get(KernelHost.FIRST));
        }
        first.close();
        file.close();
        reopen();
        VfioGroup g = openGroup(groupOf(KernelHost.FIRST));
        setContainer(g, file);
        int r = call(() -> container.setIommu(1));
        print("==== second container, SET_IOMMU(TYPE1 v1) -> %d %s", r, errno());
        extensions("after SET_IOMMU(TYPE1)");
        suite(1);
        g.close();
        file.close();
        limit();
        twoGroups();
        notViable();
        print("VFIO-TRUTH-DONE");
    }

    private void suite(int type) {
        long m = 0x7f4000000000L;
        long ro = 0x7f5000000000L;
        long hole = 0x7f6000000000L;
        long none = 0x7f7000000000L;
        process.allocate(m, 64, true);
        if (type == 3) {
            process.allocate(ro, 1, false);
            process.allocate(hole, 2, true);
        }
        print("-- maps (fresh container, type %d)", type);
        map("valid 1 page", m, 0x100000, PAGE);
        map("same iova+size+vaddr again", m, 0x100000, PAGE);
        map("same iova other vaddr", m + PAGE, 0x100000, PAGE);
        map("overlap: 2 pages ending in the mapped page", m, 0xff000, 2 * PAGE);
        map("overlap: superset", m, 0xff000, 3 * PAGE);
        map("adjacent after", m + PAGE, 0x101000, PAGE);
        map("adjacent before", m + 2 * PAGE, 0xff000, PAGE);
        map("same vaddr at a second iova", m, 0x200000, PAGE);
        map("valid 16 pages", m, 0x300000, 16 * PAGE);
        map("iova unaligned", m, 0x400800, PAGE);
        map("vaddr unaligned", m + 8, 0x400000, PAGE);
        map("size unaligned (0x1800)", m, 0x400000, 0x1800);
        map("size zero", m, 0x400000, 0);
        map("iova 0", m + 20 * PAGE, 0, PAGE);
        unmap("iova 0", 0, PAGE);
        map("iova wrap (top page, 2 pages)", m, TOP, 2 * PAGE);
        map("iova top page, 1 page", m, TOP, PAGE);
        map("vaddr wrap", TOP, 0x400000, 2 * PAGE);
        map("vaddr kernel half", 0xffff888000000000L, 0x400000, PAGE);
        map("vaddr NULL page", 0, 0x400000, PAGE);
        map("flags 0 (no read/write)", m, 0x400000, PAGE, 0, MAP_SIZE);
        map("flags unknown 0x8", m, 0x400000, PAGE, 3 | 8, MAP_SIZE);
        map("flags VADDR (4) alone", m, 0x400000, PAGE, 4, MAP_SIZE);
        map("flags VADDR|READ (5)", m, 0x400000, PAGE, 5, MAP_SIZE);
        map("argsz too small (8)", m, 0x400000, PAGE, 3, 8);
        map("argsz larger than struct (64)", m, 0x400000, PAGE, 3, 64);
        map("read-only", m, 0x410000, PAGE, 1, MAP_SIZE);
        map("write-only", m, 0x411000, PAGE, 2, MAP_SIZE);
        map("PROT_READ memory, flags RW", ro, 0x420000, PAGE, 3, MAP_SIZE);
        map("PROT_READ memory, flags R", ro, 0x420000, PAGE, 1, MAP_SIZE);
        map("PROT_NONE memory", none, 0x430000, PAGE, 3, MAP_SIZE);
        map("hole after 2 pages of 4", hole, 0x440000, 4 * PAGE, 3, MAP_SIZE);
        map("  (nothing left mapped after that failure?) same iova", hole, 0x440000, 2 * PAGE, 3, MAP_SIZE);
        map("MSI window 0xfee00000", m, 0xfee00000L, PAGE);
        map("crossing into MSI window", m, 0xfedff000L, 2 * PAGE);
        map("just below MSI window", m, 0xfedff000L, PAGE);
        map("just after MSI window", m, 0xfef00000L, PAGE);
        map("iova 1<<38", m, 1L << 38, PAGE);
        map("iova (1<<39)-1page", m, (1L << 39) - PAGE, PAGE);
        map("iova 1<<39", m, 1L << 39, PAGE);
        map("iova (1<<48)-1page", m, (1L << 48) - PAGE, PAGE);
        map("iova 1<<48", m, 1L << 48, PAGE);
        map("iova 1<<57", m, 1L << 57, PAGE);
        print("dma_avail now %d", available());
        print("-- unmaps");
        unmap("exact 1 page", 0x200000, PAGE);
        unmap("again (nothing mapped)", 0x200000, PAGE);
        unmap("never mapped big range", 0x10000000, 0x100000);
        unmap("size zero", 0x100000, 0);
        unmap("iova unaligned", 0x100800, PAGE);
        unmap("size unaligned", 0x100000, 0x800);
        unmap("wraparound", TOP, 2 * PAGE);
        unmap("top page (nothing there)", TOP, PAGE);
        unmap("partial: first half of 16-page map", 0x300000, 8 * PAGE);
        unmap("partial: second half of 16-page map", 0x308000, 8 * PAGE);
        unmap("partial: middle page of 16-page map", 0x304000, PAGE);
        unmap("cuts start (range begins before, ends inside)", 0x2f0000, 0x18000);
        unmap("cuts end (range begins inside, ends after)", 0x30c000, 0x10000);
        map("is 16-page map still there? remap middle page", m, 0x304000, PAGE);
        unmap("16-page map exact", 0x300000, 16 * PAGE);
        unmap("covers 3 adjacent 1-page maps + hole", 0xf0000, 0x20000);
        unmap("flags unknown 0x8", 0x410000, PAGE, 8, UNMAP_SIZE);
        unmap("argsz too small (8)", 0x410000, PAGE, 0, 8);
        unmap("argsz larger (64)", 0x410000, PAGE, 0, 64);
        unmap("flags GET_DIRTY_BITMAP (1) without tracking", 0x411000, PAGE, 1, UNMAP_SIZE);
        unmap("flags ALL (2) with size!=0", 0, PAGE, 2, UNMAP_SIZE);
        unmap("flags ALL (2) with iova!=0", PAGE, 0, 2, UNMAP_SIZE);
        unmap("flags ALL|DIRTY (3)", 0, 0, 3, UNMAP_SIZE);
        unmap("flags VADDR (4)", 0x411000, PAGE, 4, UNMAP_SIZE);
        unmap("flags ALL (2) iova=0 size=0", 0, 0, 2, UNMAP_SIZE);
        unmap("flags ALL again, empty", 0, 0, 2, UNMAP_SIZE);
        map("after ALL: 4 pages", m, 0x100000, 4 * PAGE);
        map("after ALL: 4 pages adjacent", m + 4 * PAGE, 0x104000, 4 * PAGE);
        unmap("range end exactly at u64 max (iova=0,size=2^64-4096)", 0, TOP);
        print("dma_avail now %d", available());
        print("-- dirty tracking");
        map("4 pages", m, 0x100000, 4 * PAGE);
        for (String what : List.of("START", "GET_BITMAP", "STOP", "GET_BITMAP when stopped")) {
            int r = call(() -> container.dirtyPages());
            print("DIRTY_PAGES %s -> %d %s%s", what, r, errno(), what.equals("GET_BITMAP") ? " bitmap=0" : "");
        }
        unmap("ALL", 0, 0, 2, UNMAP_SIZE);
        hugePages();
        limitOfAnotherUser();
        process.free(m, 64);
    }

    private void hugePages() {
        print("-- huge page backed memory");
        long huge = 0x7f8000000000L;
        process.allocate(huge, 512, true);
        print("outside");
        map("2 MiB THP", huge, 0x40000000L, 2L << 20);
        unmap("first 4K page of a 2 MiB mapping", 0x40000000L, PAGE);
        unmap("whole", 0x40000000L, 2L << 20);
        process.free(huge, 512);
    }

    /** A child with another user's limit, 64 pages, calls through the same file. */
    private void limitOfAnotherUser() {
        print("-- RLIMIT_MEMLOCK (child, uid 1000, no CAP_IPC_LOCK)");
        UserProcess child = host.process(64, false);
        CompatContainer parents = container;
        Iommufd inherited = file.inheritedBy(new IommufdUser(child, new UserAccount(64), Set.of()));
        container = inherited.vfioContainer();
        long x = 0x7f9000000000L;
        child.allocate(x, 128, true);
        map("limit 256K: map 128K", x, 0x100000, 32 * PAGE);
        map("limit 256K: +128K (total = limit)", x + 32 * PAGE, 0x200000, 32 * PAGE);
        map("limit 256K: +4K (over)", x + 64 * PAGE, 0x300000, PAGE);
        unmap("free 128K", 0x100000, 32 * PAGE);
        map("then +4K", x + 64 * PAGE, 0x300000, PAGE);
        map("same vaddr again at another iova counts again?", x + 32 * PAGE, 0x400000, 31 * PAGE);
        map("one more 4K", x + 65 * PAGE, 0x500000, PAGE);
        unmap("ALL", 0, 0, 2, UNMAP_SIZE);
        map("300K in one call", x, 0x100000, 75 * PAGE);
        map("after failed call: 256K", x, 0x100000, 64 * PAGE);
        unmap("ALL", 0, 0, 2, UNMAP_SIZE);
        inherited.close();
        child.free(x, 128);
        container = parents;
    }

    private void limit() {
        print("==== dma_entry_limit default 65535");
        reopen();
        VfioGroup g = openGroup(groupOf(KernelHost.FIRST));
        setContainer(g, file);
        container.setIommu(3);
        long m = 0x7fb000000000L;
        process.allocate(m, 8, true);
        for (int i = 0; i < 6; i++) {
            map("map #" + (i + 1) + " with dma_entry_limit=4", m + i * PAGE, 0x100000 + i * 2L * PAGE, PAGE);
            print("  avail %d", available());
        }
        unmap("one", 0x100000, PAGE);
        print("  avail %d", available());
        map("after unmap", m, 0x100000, PAGE);
        g.close();
        file.close();
    }

    private void twoGroups() {
        int gn2 = groupOf(KernelHost.SECOND);
        print("==== two groups in one container: %s group %d", KernelHost.SECOND, gn2);
        reopen();
        Iommufd file2 = Iommufd.open(options, IommufdUser.root(process));
        VfioGroup g = openGroup(groupOf(KernelHost.FIRST));
        VfioGroup h = openGroup(gn2);
        status(h);
        setContainer(g, file);
        container.setIommu(3);
        long m = 0x7fc000000000L;
        process.allocate(m, 8, true);
        map("before 2nd group", m, 0x100000, PAGE);
        int r = setContainer(h, file);
        print("2nd group SET_CONTAINER -> %d %s", r, errno());
        extensions("with two groups");
        info("with two groups", false);
        r = setContainer(h, file2);
        print("2nd group into another container as well -> %d %s", r, errno());
        if (openDevice(h, KernelHost.SECOND)) {
            putString(m, "second-group");
            putString(m + 0x200, "");
            read(KernelHost.SECOND, 0x100000);
            write(KernelHost.SECOND, 0x100200);
            print("device of 2nd group uses the earlier mapping: '%s'", getString(m + 0x200));
            h.closeDevice(host.registered.get(KernelHost.SECOND));
        }
        r = call(g::unsetContainer);
        print("1st group UNSET -> %d %s", r, errno());
        unmap("mapping survives while one group remains", 0x100000, PAGE);
        map("again", m, 0x100000, PAGE);
        r = call(h::unsetContainer);
        print("2nd (last) group UNSET -> %d %s", r, errno());
        unmap("after last group left", 0x100000, PAGE);
        extensions("after last group left");
        r = setContainer(g, file);
        String first = r + " " + errno();
        r = call(() -> container.setIommu(3));
        print("1st group SET_CONTAINER again -> %s; SET_IOMMU again -> %d %s", first, r, errno());
        unmap("old mapping gone?", 0x100000, PAGE);
        g.close();
        h.close();
        file.close();
        file2.close();
    }

    private void notViable() {
        int gn3 = groupOf(KernelHost.THIRD);
        print(
                "==== group %d of %s: the other function is bound to a kernel driver (not viable)",
                gn3, KernelHost.THIRD);
        VfioGroup h = openGroup(gn3);
        print("open /dev/vfio/%d -> fd 0", gn3);
        status(h);
        reopen();
        int r = setContainer(h, file);
        print("SET_CONTAINER -> %d %s", r, errno());
        r = call(() -> container.setIommu(3));
        print("SET_IOMMU -> %d %s", r, errno());
        r = call(() -> {
            h.openDevice(KernelHost.THIRD);
        });
        print("GET_DEVICE_FD -> %d %s", r, errno());
        r = call(() -> {
            host.vfio.openGroup(9999);
        });
        print("open group 9999 -> %s %s", r < 0 ? "-1" : "fd", errno());
    }
}
