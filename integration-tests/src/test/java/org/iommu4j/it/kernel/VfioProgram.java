// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.iommu4j.it.kernel.Replay.call;
import static org.iommu4j.it.kernel.Replay.hex;

import org.iommu4j.IommuException;
import org.iommu4j.it.kernel.Replay.Answer;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioDeviceInfo;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;
import org.iommu4j.vfio.VfioRegionInfo;
import org.iommu4j.vfio.type1.DirtyPages;
import org.iommu4j.vfio.type1.DmaMap;
import org.iommu4j.vfio.type1.DmaUnmap;
import org.iommu4j.vfio.type1.IovaRange;
import org.iommu4j.vfio.type1.Type1Info;
import org.iommu4j.vfio.type1.VfioBitmap;
import org.jspecify.annotations.Nullable;

/** The program that asked the guests about VFIO's containers of type 1, call by call. */
final class VfioProgram {
    private static final long PAGE = 4096;
    private static final int READ_WRITE = 3;
    private static final int INFO_BYTES = 4096;

    /** Where the program has its buffers: the pages of some are missing, or can't be written. */
    private static final long BUFFER = 0x7f00_0000_0000L;

    private static final long READ_ONLY = 0x7f10_0000_0000L;
    private static final long NO_ACCESS = 0x7f18_0000_0000L;
    private static final long HOLE = 0x7f20_0000_0000L;
    private static final long HUGE = 0x7f30_0000_0000L;
    private static final long DMA_BUFFER = 0x7f40_0000_0000L;

    private static final String BARS = "mappings of BARs";
    private static final int CONFIG_REGION = 7;
    private static final String FRAMES = "where the kernel put a page";

    private static final String[] EXTENSIONS = {
        "1 VFIO_TYPE1_IOMMU",
        "2 VFIO_SPAPR_TCE_IOMMU",
        "3 VFIO_TYPE1v2_IOMMU",
        "4 VFIO_DMA_CC_IOMMU",
        "5 VFIO_EEH",
        "6 VFIO_TYPE1_NESTING_IOMMU",
        "7 VFIO_SPAPR_TCE_v2_IOMMU",
        "8 VFIO_NOIOMMU_IOMMU",
        "9 VFIO_UNMAP_ALL",
        "10 VFIO_UPDATE_VADDR",
        "11 ext 11",
        "0 ext 0"
    };

    private final Replay out = new Replay();
    private final KernelHost host;
    private final VfioOptions options;
    private final UserProcess root;
    private final ProgramMemory memory;
    private final PciAddress first;
    private final PciAddress second;
    private final PciAddress third;
    private Vfio vfio;

    VfioProgram(KernelHost host, Transcript transcript) {
        this.host = host;
        options = VfioOptions.DEFAULT.withRelease(transcript.release());
        root = host.process(0, true);
        memory = new ProgramMemory(host.machine, root);
        root.allocate(BUFFER, 64, true);
        root.allocate(READ_ONLY, 1, false);
        root.allocate(HOLE, 2, true);
        root.allocate(HUGE, 512, true);
        root.allocate(DMA_BUFFER, 4, true);
        first = transcript.address("qdev");
        second = transcript.address("qdev2");
        third = transcript.address("qdev3");
        vfio = host.newVfio(options);
    }

    /** Runs it. */
    Replay run() {
        VfioContainer container = vfio.openContainer(root);
        out.print("device %s group %d", first, host.groupOf(first));
        beforeTheGroup(container);
        VfioGroup group = openGroup();
        setContainer(container, group);
        VfioDevice device = openDevice(group, first);
        suite(container, 3);
        if (device != null) {
            dma(container, group, device);
        }
        group.close();
        container.close();
        typeOne();
        entryLimit();
        twoGroups();
        notViable();
        out.print("VFIO-TRUTH-DONE");
        return out;
    }

    private void beforeTheGroup(VfioContainer container) {
        out.print("GET_API_VERSION -> %d", container.apiVersion());
        extensions(container, "before any group");
        info(container, "before SET_IOMMU", false);
        map(container, root, "before SET_IOMMU", 0, 0x100000, PAGE, READ_WRITE, DmaMap.SIZE);
        unmap(container, "before SET_IOMMU", 0x100000, PAGE);
        print("SET_IOMMU without group", call(() -> container.setIommu(3)));
    }

    private VfioGroup openGroup() {
        int number = host.groupOf(first);
        VfioGroup group = vfio.openGroup(number);
        out.print("open /dev/vfio/%d -> fd 0", number);
        Answer again = call(() -> {
            vfio.openGroup(number);
        });
        out.print("open group a second time -> %d %s", again.value(), again.errno());
        status(group);
        print("GET_DEVICE_FD before container", call(() -> {
            group.openDevice(first);
        }));
        print("UNSET_CONTAINER before set", call(group::unsetContainer));
        print("SET_CONTAINER bad fd", call(() -> group.setContainer(null)));
        print("SET_CONTAINER /dev/null fd", call(() -> group.setContainer("/dev/null")));
        return group;
    }

    private void setContainer(VfioContainer container, VfioGroup group) {
        print("SET_CONTAINER", call(() -> group.setContainer(container)));
        status(group);
        print("SET_CONTAINER again", call(() -> group.setContainer(container)));
        print("GET_DEVICE_FD before SET_IOMMU", call(() -> {
            group.openDevice(first);
        }));
        extensions(container, "group attached, before SET_IOMMU");
        info(container, "group attached, before SET_IOMMU", false);
        print("SET_IOMMU(99)", call(() -> container.setIommu(99)));
        print("SET_IOMMU(TYPE1v2)", call(() -> container.setIommu(3)));
        print("SET_IOMMU(TYPE1v2) again", call(() -> container.setIommu(3)));
        extensions(container, "after SET_IOMMU(TYPE1v2)");
        info(container, "after SET_IOMMU(TYPE1v2)", true);
        print("GET_INFO argsz=8", call(() -> {
            container.info(8);
        }));
        Type1Info[] small = new Type1Info[1];
        Answer answer = call(() -> {
            small[0] = container.info(24);
        });
        Type1Info got = small[0];
        out.print(
                "GET_INFO argsz=24 -> %d %s argsz_out=%d flags=%s cap_offset=%d",
                answer.value(),
                answer.errno(),
                got == null ? 24 : got.argsz(),
                hex(got == null ? 0 : got.flags()),
                got == null ? 0 : got.capabilityOffset());
        small[0] = null;
        answer = call(() -> {
            small[0] = container.info(16);
        });
        got = small[0];
        out.print(
                "GET_INFO argsz=16 -> %d %s argsz_out=%d flags=%s pgsizes=%s",
                answer.value(),
                answer.errno(),
                got == null ? 16 : got.argsz(),
                hex(got == null ? 0 : got.flags()),
                hex(got == null ? 0 : got.pageSizes()));
        print("GET_DEVICE_FD unknown device", call(() -> {
            group.openDevice(PciAddress.parse("0000:ff:1f.7"));
        }));
    }

    private void print(String what, Answer answer) {
        out.print("%s -> %d %s", what, answer.value(), answer.errno());
    }

    private void status(VfioGroup group) {
        int flags = (group.viable() ? 1 : 0) | (group.containerSet() ? 2 : 0);
        out.print("GROUP_GET_STATUS -> 0 0 flags=%s (1=viable 2=container_set)", hex(flags));
    }

    private void extensions(VfioContainer container, String when) {
        StringBuilder line = new StringBuilder("CHECK_EXTENSION ").append(when).append(':');
        for (String extension : EXTENSIONS) {
            int space = extension.indexOf(' ');
            line.append(' ')
                    .append(extension, space + 1, extension.length())
                    .append('=')
                    .append(container.checkExtension(Integer.parseInt(extension.substring(0, space))));
        }
        out.print("%s", line);
    }

    private void info(VfioContainer container, String when, boolean capabilities) {
        Type1Info info = null;
        String errno = "0";
        try {
            info = container.info(INFO_BYTES);
        } catch (IommuException refusal) {
            errno = refusal.errno().name();
        }
        out.print(
                "GET_INFO %s -> %d %s argsz=%d flags=%s pgsizes=%s cap_offset=%d",
                when,
                info == null ? -1 : 0,
                errno,
                info == null ? INFO_BYTES : info.argsz(),
                hex(info == null ? 0 : info.flags()),
                hex(info == null ? 0 : info.pageSizes()),
                info == null ? 0 : info.capabilityOffset());
        if (info == null || !capabilities) {
            return;
        }
        out.print(
                "  cap MIGRATION v1 flags=0 pgsize_bitmap=%s max_dirty_bitmap_size=%s",
                hex(info.dirtyPageSize()), hex(info.maxDirtyBitmapBytes()));
        out.print("  cap DMA_AVAIL v1 avail=%d", info.dmaAvailable());
        StringBuilder ranges = new StringBuilder();
        for (IovaRange range : info.iovaRanges()) {
            ranges.append(" [")
                    .append(hex(range.start()))
                    .append('-')
                    .append(hex(range.end()))
                    .append(']');
        }
        out.print("  cap IOVA_RANGE v1 nr=%d:%s", info.iovaRanges().size(), ranges);
    }

    private static int available(VfioContainer container) {
        try {
            return container.info(INFO_BYTES).dmaAvailable();
        } catch (IommuException refusal) {
            return 0;
        }
    }

    private void map(VfioContainer container, String name, long address, long iova, long size) {
        map(container, root, name, address, iova, size, READ_WRITE, DmaMap.SIZE);
    }

    private void map(VfioContainer container, String name, long address, long iova, long size, int flags) {
        map(container, root, name, address, iova, size, flags, DmaMap.SIZE);
    }

    private void map(
            VfioContainer container,
            UserProcess caller,
            String name,
            long address,
            long iova,
            long size,
            int flags,
            int argsz) {
        Answer answer = call(() -> {
            if (caller == root) {
                container.map(new DmaMap(argsz, flags, address, iova, size));
            } else {
                container.map(caller, iova, address, size, flags);
            }
        });
        out.print(
                "MAP   %-52s iova=%s size=%s flags=%s argsz=%d -> %d %s",
                name, hex(iova), hex(size), hex(flags), argsz, answer.value(), answer.errno());
    }

    private void unmap(VfioContainer container, String name, long iova, long size) {
        unmap(container, name, iova, size, 0, DmaUnmap.SIZE);
    }

    private void unmap(VfioContainer container, String name, long iova, long size, int flags) {
        unmap(container, name, iova, size, flags, DmaUnmap.SIZE);
    }

    private void unmap(VfioContainer container, String name, long iova, long size, int flags, int argsz) {
        Answer answer = call(() -> container.unmap(new DmaUnmap(argsz, flags, iova, size, null)));
        out.print(
                "UNMAP %-52s iova=%s size=%s flags=%s argsz=%d -> %d %s size_out=%s",
                name,
                hex(iova),
                hex(size),
                hex(flags),
                argsz,
                answer.succeeded() ? 0 : -1,
                answer.errno(),
                hex(answer.succeeded() ? answer.value() : size));
    }

    private @Nullable VfioDevice openDevice(VfioGroup group, PciAddress address) {
        VfioDevice device;
        try {
            device = group.openDevice(address);
        } catch (IommuException refusal) {
            out.print(
                    "GROUP_GET_DEVICE_FD %s -> -1 %s", address, refusal.errno().name());
            return null;
        }
        out.print("GROUP_GET_DEVICE_FD %s -> fd 0", address);
        VfioDeviceInfo info = device.info();
        out.print(
                "  DEVICE_GET_INFO flags=%s regions=%d irqs=%d", hex(info.flags()), info.regions(), info.interrupts());
        ConfigSpace config = device.config();
        out.print(
                "  config region size=%s", hex(device.regionInfo(CONFIG_REGION).size()));
        int before = config.read(4, 2);
        config.write(4, 2, before | 6);
        out.print("  PCI command at open=%s after enabling MEM|BM=%s", hex(before), hex(config.read(4, 2)));
        VfioRegionInfo bar = device.regionInfo(0);
        out.print("  BAR0 size=%s flags=%s", hex(bar.size()), hex(bar.flags()));
        return device;
    }

    private void suite(VfioContainer c, int type) {
        maps(c, type);
        unmaps(c);
        dirty(c);
        out.print("-- huge page backed memory");
        out.printOutside(FRAMES, "madvise(HUGEPAGE)=0 PA of first page");
        map(c, "2 MiB THP", HUGE, 0x40000000, 2 << 20);
        unmap(c, "first 4K page of a 2 MiB mapping", 0x40000000, PAGE);
        unmap(c, "whole", 0x40000000, 2 << 20);
        child(c);
    }

    private void maps(VfioContainer c, int type) {
        long m = BUFFER;
        long top = -PAGE;
        out.print("-- maps (fresh container, type %d)", type);
        map(c, "valid 1 page", m, 0x100000, PAGE);
        map(c, "same iova+size+vaddr again", m, 0x100000, PAGE);
        map(c, "same iova other vaddr", m + PAGE, 0x100000, PAGE);
        map(c, "overlap: 2 pages ending in the mapped page", m, 0xff000, 2 * PAGE);
        map(c, "overlap: superset", m, 0xff000, 3 * PAGE);
        map(c, "adjacent after", m + PAGE, 0x101000, PAGE);
        map(c, "adjacent before", m + 2 * PAGE, 0xff000, PAGE);
        map(c, "same vaddr at a second iova", m, 0x200000, PAGE);
        map(c, "valid 16 pages", m, 0x300000, 16 * PAGE);
        map(c, "iova unaligned", m, 0x400800, PAGE);
        map(c, "vaddr unaligned", m + 8, 0x400000, PAGE);
        map(c, "size unaligned (0x1800)", m, 0x400000, 0x1800);
        map(c, "size zero", m, 0x400000, 0);
        map(c, "iova 0", m + 20 * PAGE, 0, PAGE);
        unmap(c, "iova 0", 0, PAGE);
        map(c, "iova wrap (top page, 2 pages)", m, top, 2 * PAGE);
        map(c, "iova top page, 1 page", m, top, PAGE);
        map(c, "vaddr wrap", top, 0x400000, 2 * PAGE);
        map(c, "vaddr kernel half", 0xffff888000000000L, 0x400000, PAGE);
        map(c, "vaddr NULL page", 0, 0x400000, PAGE);
        map(c, "flags 0 (no read/write)", m, 0x400000, PAGE, 0);
        map(c, "flags unknown 0x8", m, 0x400000, PAGE, READ_WRITE | 8);
        map(c, "flags VADDR (4) alone", m, 0x400000, PAGE, 4);
        map(c, "flags VADDR|READ (5)", m, 0x400000, PAGE, 5);
        map(c, root, "argsz too small (8)", m, 0x400000, PAGE, READ_WRITE, 8);
        map(c, root, "argsz larger than struct (64)", m, 0x400000, PAGE, READ_WRITE, 64);
        map(c, "read-only", m, 0x410000, PAGE, 1);
        map(c, "write-only", m, 0x411000, PAGE, 2);
        map(c, "PROT_READ memory, flags RW", READ_ONLY, 0x420000, PAGE);
        map(c, "PROT_READ memory, flags R", READ_ONLY, 0x420000, PAGE, 1);
        map(c, "PROT_NONE memory", NO_ACCESS, 0x430000, PAGE);
        map(c, "hole after 2 pages of 4", HOLE, 0x440000, 4 * PAGE);
        map(c, "  (nothing left mapped after that failure?) same iova", HOLE, 0x440000, 2 * PAGE);
        map(c, "MSI window 0xfee00000", m, 0xfee00000L, PAGE);
        map(c, "crossing into MSI window", m, 0xfedff000L, 2 * PAGE);
        map(c, "just below MSI window", m, 0xfedff000L, PAGE);
        map(c, "just after MSI window", m, 0xfef00000L, PAGE);
        map(c, "iova 1<<38", m, 1L << 38, PAGE);
        map(c, "iova (1<<39)-1page", m, (1L << 39) - PAGE, PAGE);
        map(c, "iova 1<<39", m, 1L << 39, PAGE);
        map(c, "iova (1<<48)-1page", m, (1L << 48) - PAGE, PAGE);
        map(c, "iova 1<<48", m, 1L << 48, PAGE);
        map(c, "iova 1<<57", m, 1L << 57, PAGE);
        out.print("dma_avail now %d", available(c));
    }

    private void unmaps(VfioContainer c) {
        long top = -PAGE;
        out.print("-- unmaps");
        unmap(c, "exact 1 page", 0x200000, PAGE);
        unmap(c, "again (nothing mapped)", 0x200000, PAGE);
        unmap(c, "never mapped big range", 0x10000000, 0x100000);
        unmap(c, "size zero", 0x100000, 0);
        unmap(c, "iova unaligned", 0x100800, PAGE);
        unmap(c, "size unaligned", 0x100000, 0x800);
        unmap(c, "wraparound", top, 2 * PAGE);
        unmap(c, "top page (nothing there)", top, PAGE);
        unmap(c, "partial: first half of 16-page map", 0x300000, 8 * PAGE);
        unmap(c, "partial: second half of 16-page map", 0x308000, 8 * PAGE);
        unmap(c, "partial: middle page of 16-page map", 0x304000, PAGE);
        unmap(c, "cuts start (range begins before, ends inside)", 0x2f0000, 0x18000);
        unmap(c, "cuts end (range begins inside, ends after)", 0x30c000, 0x10000);
        map(c, "is 16-page map still there? remap middle page", BUFFER, 0x304000, PAGE);
        unmap(c, "16-page map exact", 0x300000, 16 * PAGE);
        unmap(c, "covers 3 adjacent 1-page maps + hole", 0xf0000, 0x20000);
        unmap(c, "flags unknown 0x8", 0x410000, PAGE, 8);
        unmap(c, "argsz too small (8)", 0x410000, PAGE, 0, 8);
        unmap(c, "argsz larger (64)", 0x410000, PAGE, 0, 64);
        unmap(c, "flags GET_DIRTY_BITMAP (1) without tracking", 0x411000, PAGE, 1);
        unmap(c, "flags ALL (2) with size!=0", 0, PAGE, 2);
        unmap(c, "flags ALL (2) with iova!=0", PAGE, 0, 2);
        unmap(c, "flags ALL|DIRTY (3)", 0, 0, 3);
        unmap(c, "flags VADDR (4)", 0x411000, PAGE, 4);
        unmap(c, "flags ALL (2) iova=0 size=0", 0, 0, 2);
        unmap(c, "flags ALL again, empty", 0, 0, 2);
        map(c, "after ALL: 4 pages", BUFFER, 0x100000, 4 * PAGE);
        map(c, "after ALL: 4 pages adjacent", BUFFER + 4 * PAGE, 0x104000, 4 * PAGE);
        unmap(c, "range end exactly at u64 max (iova=0,size=2^64-4096)", 0, top);
        out.print("dma_avail now %d", available(c));
    }

    private void dirty(VfioContainer c) {
        out.print("-- dirty tracking");
        map(c, "4 pages", BUFFER, 0x100000, 4 * PAGE);
        print("DIRTY_PAGES START", call(() -> c.dirtyPages(DirtyPages.of(DirtyPages.START))));
        long[] bitmap = new long[1];
        DirtyPages get = DirtyPages.of(0x100000, 4 * PAGE, new VfioBitmap(PAGE, bitmap));
        Answer answer = call(() -> c.dirtyPages(get));
        out.print("DIRTY_PAGES GET_BITMAP -> %d %s bitmap=%s", answer.value(), answer.errno(), hex(bitmap[0]));
        print("DIRTY_PAGES STOP", call(() -> c.dirtyPages(DirtyPages.of(DirtyPages.STOP))));
        print("DIRTY_PAGES GET_BITMAP when stopped", call(() -> c.dirtyPages(get)));
        unmap(c, "ALL", 0, 0, 2);
    }

    /** A child without CAP_IPC_LOCK, whose limit is 256 KiB, has the container from its parent. */
    private void child(VfioContainer c) {
        out.print("-- RLIMIT_MEMLOCK (child, uid 1000, no CAP_IPC_LOCK)");
        UserProcess child = host.machine.newProcess(64, false);
        child.allocate(BUFFER, 128, true);
        mapInChild(c, child, "limit 256K: map 128K", 0, 0x100000, 32);
        mapInChild(c, child, "limit 256K: +128K (total = limit)", 32, 0x200000, 32);
        mapInChild(c, child, "limit 256K: +4K (over)", 64, 0x300000, 1);
        unmap(c, "free 128K", 0x100000, 32 * PAGE);
        mapInChild(c, child, "then +4K", 64, 0x300000, 1);
        mapInChild(c, child, "same vaddr again at another iova counts again?", 32, 0x400000, 31);
        mapInChild(c, child, "one more 4K", 65, 0x500000, 1);
        unmap(c, "ALL", 0, 0, 2);
        mapInChild(c, child, "300K in one call", 0, 0x100000, 75);
        mapInChild(c, child, "after failed call: 256K", 0, 0x100000, 64);
        unmap(c, "ALL", 0, 0, 2);
        if (child.pinned() != 0 || child.charged() != 0) {
            throw new AssertionError(child.pinned() + " pages pinned and " + child.charged() + " charged at the end");
        }
        child.free(BUFFER, 128);
    }

    private void mapInChild(VfioContainer c, UserProcess child, String name, int page, long iova, int pages) {
        map(c, child, name, BUFFER + page * PAGE, iova, pages * PAGE, READ_WRITE, DmaMap.SIZE);
    }

    // ---- DMA -------------------------------------------------------------------------------------------------------

    private void dma(VfioContainer c, VfioGroup group, VfioDevice device) {
        out.print("-- EDU DMA through the container");
        long m = DMA_BUFFER;
        memory.store(m, "dma-by-vfio");
        map(c, "rw page", m, 0x12345000, PAGE);
        map(c, "read-only page", m + PAGE, 0x12346000, PAGE, 1);
        Endpoint edu = host.machine.endpoint(first);
        long[] read = EduDevice.read(edu, 0x12345000);
        EduDevice.write(edu, 0x12345100, read);
        out.print("rw page: got '%s'", memory.string(m + 0x100));
        EduDevice.write(edu, 0x12346000, read);
        out.print("write to read-only page: '%s' (empty = blocked)", memory.string(m + PAGE));
        unmap(c, "rw page", 0x12345000, PAGE);
        memory.store(m + 0x100, "");
        EduDevice.write(edu, 0x12345100, read);
        out.print("write after unmap: '%s' (empty = blocked)", memory.string(m + 0x100));
        map(c, "flags RW mapping unmapped by device close below", m, 0x12345000, PAGE);
        print("UNSET_CONTAINER while device open", call(group::unsetContainer));
        group.closeDevice(device);
        out.printOutside(BARS, "UNSET_CONTAINER after close(device fd) but its BAR still mmapped");
        print("UNSET_CONTAINER after device close and BAR munmap", call(group::unsetContainer));
        extensions(c, "after UNSET_CONTAINER");
        info(c, "after UNSET_CONTAINER", false);
        print("SET_CONTAINER again", call(() -> group.setContainer(c)));
    }

    // ---- other containers ------------------------------------------------------------------------------------------

    private void typeOne() {
        VfioContainer container = vfio.openContainer(root);
        VfioGroup group = vfio.openGroup(host.groupOf(first));
        group.setContainer(container);
        print("==== second container, SET_IOMMU(TYPE1 v1)", call(() -> container.setIommu(1)));
        extensions(container, "after SET_IOMMU(TYPE1)");
        suite(container, 1);
        group.close();
        container.close();
    }

    private void entryLimit() {
        out.print("==== dma_entry_limit default %d", options.dmaEntryLimit());
        vfio = host.newVfio(options.withDmaEntryLimit(4));
        VfioContainer container = vfio.openContainer(root);
        VfioGroup group = vfio.openGroup(host.groupOf(first));
        group.setContainer(container);
        call(() -> container.setIommu(3));
        for (int i = 0; i < 6; i++) {
            map(
                    container,
                    "map #" + (i + 1) + " with dma_entry_limit=4",
                    BUFFER + i * PAGE,
                    0x100000 + i * 2L * PAGE,
                    PAGE);
            out.print("  avail %d", available(container));
        }
        unmap(container, "one", 0x100000, PAGE);
        out.print("  avail %d", available(container));
        map(container, "after unmap", BUFFER, 0x100000, PAGE);
        group.close();
        container.close();
        vfio = host.newVfio(options);
    }

    private void twoGroups() {
        int number = host.groupOf(second);
        out.print("==== two groups in one container: %s group %d", second, number);
        VfioContainer c = vfio.openContainer(root);
        VfioContainer other = vfio.openContainer(root);
        VfioGroup one = vfio.openGroup(host.groupOf(first));
        VfioGroup two = vfio.openGroup(number);
        status(two);
        one.setContainer(c);
        call(() -> c.setIommu(3));
        map(c, "before 2nd group", DMA_BUFFER, 0x100000, PAGE);
        print("2nd group SET_CONTAINER", call(() -> two.setContainer(c)));
        extensions(c, "with two groups");
        info(c, "with two groups", true);
        print("2nd group into another container as well", call(() -> two.setContainer(other)));
        VfioDevice device = openDevice(two, second);
        if (device != null) {
            memory.store(DMA_BUFFER, "second-group");
            Endpoint edu = host.machine.endpoint(second);
            EduDevice.write(edu, 0x100200, EduDevice.read(edu, 0x100000));
            out.print("device of 2nd group uses the earlier mapping: '%s'", memory.string(DMA_BUFFER + 0x200));
            two.closeDevice(device);
        }
        print("1st group UNSET", call(one::unsetContainer));
        unmap(c, "mapping survives while one group remains", 0x100000, PAGE);
        map(c, "again", DMA_BUFFER, 0x100000, PAGE);
        print("2nd (last) group UNSET", call(two::unsetContainer));
        unmap(c, "after last group left", 0x100000, PAGE);
        extensions(c, "after last group left");
        Answer set = call(() -> one.setContainer(c));
        Answer iommu = call(() -> c.setIommu(3));
        out.print(
                "1st group SET_CONTAINER again -> %d %s; SET_IOMMU again -> %d %s",
                set.value(), set.errno(), iommu.value(), iommu.errno());
        unmap(c, "old mapping gone?", 0x100000, PAGE);
        one.close();
        two.close();
    }

    private void notViable() {
        int number = host.groupOf(third);
        out.print("==== group %d of %s: the other function is bound to a kernel driver (not viable)", number, third);
        VfioGroup group = vfio.openGroup(number);
        out.print("open /dev/vfio/%d -> fd 0", number);
        status(group);
        VfioContainer container = vfio.openContainer(root);
        print("SET_CONTAINER", call(() -> group.setContainer(container)));
        print("SET_IOMMU", call(() -> container.setIommu(3)));
        print("GET_DEVICE_FD", call(() -> {
            group.openDevice(third);
        }));
        Answer unknown = call(() -> {
            vfio.openGroup(9999);
        });
        out.print("open group 9999 -> %d %s", unknown.value(), unknown.errno());
    }

    /** Returns what the process holds: nothing, once all containers are closed. */
    long pinned() {
        return root.pinned();
    }
}
