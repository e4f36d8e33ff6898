// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;

/**
 * {@code mixed_truth.c} on our side, one story a machine: where the kernel's copy of its only unit's capabilities was
 * changed between calls, we have two units, of which one is believed to have snoop control and the other not.
 */
final class MixedUnitsProgram {
    /** What two real units do not do: the first device is used again after the flip, and meets its own unit. */
    static final List<Comparison.Outside> OUTSIDE = List.of(new Comparison.Outside(
            "the first device meets the second's unit",
            line -> line.text().contains("(its unit has the 2nd's SC now)")));

    private static final long IOVA = 0x100000;
    private static final long MEMORY = 0x7f4000000000L;

    private final Transcript transcript;
    private final IommufdOptions options;
    private final boolean hasIommufd;
    private final List<String> lines;

    MixedUnitsProgram(Transcript transcript, IommufdOptions options, List<String> lines) {
        this.transcript = transcript;
        this.options = options;
        this.hasIommufd =
                transcript.lines().stream().noneMatch(line -> line.text().equals("/dev/iommu: absent"));
        this.lines = lines;
    }

    /** One story on a machine of its own. */
    private final class Story extends Program {
        private final boolean first;
        private final boolean second;
        private final boolean mapEarly;
        private final boolean iommufd;
        private final boolean explicit;
        private VfioContainer container;
        private Iommufd file;

        Story(KernelHost host, boolean first, boolean second, boolean mapEarly, boolean iommufd, boolean explicit) {
            super(host, host.process(Long.MAX_VALUE, true));
            this.first = first;
            this.second = second;
            this.mapEarly = mapEarly;
            this.iommufd = iommufd;
            this.explicit = explicit;
            process.allocate(MEMORY, 4, true);
        }

        @Override
        void run() {
            if (explicit) {
                explicitHwpt();
            } else if (iommufd) {
                automaticHwpt();
            } else {
                type1();
            }
        }

        private void snoopControl(boolean on) {
            long ecap = transcript.hardware().extendedCapabilities().orElseThrow();
            print("[snoop control of the unit is now %d, ecap %x]", on ? 1 : 0, on ? ecap | 0x80 : ecap & ~0x80L);
        }

        private void coherent(String what) {
            int r = call(() -> iommufd ? file.vfioContainer().checkExtension(4) : container.checkExtension(4));
            print("  VFIO_DMA_CC_IOMMU, %s -> %d %s", what, r, errno());
        }

        private void dma(PciAddress device, String what) {
            enable(device);
            putString(MEMORY, what);
            putString(MEMORY + 0x100, "");
            read(device, IOVA);
            write(device, IOVA + 0x100);
            print("  DMA by %s through iova 0x100000: '%s'", what, getString(MEMORY + 0x100));
        }

        // ---- type 1 ------------------------------------------------------------------------------------------------

        private void setContainer(VfioGroup group, String what) {
            int r = call(() -> group.setContainer(container));
            print("  SET_CONTAINER %s -> %d %s", what, r, errno());
        }

        private void map(long iova, int page) {
            int r = call(() -> container.map(iova, MEMORY + page * PAGE, PAGE, 3));
            print("  MAP iova=%s -> %d %s", hex(iova), r, errno());
        }

        private void type1() {
            print(
                    "-- type1: 1st group's unit SC=%d, then 2nd group's unit SC=%d, %s",
                    first ? 1 : 0, second ? 1 : 0, mapEarly ? "one map before the 2nd" : "no map before the 2nd");
            snoopControl(first);
            container = host.vfio.openContainer(process);
            VfioGroup g =
                    host.vfio.openGroup(host.registered.get(KernelHost.FIRST).groupId());
            VfioGroup h =
                    host.vfio.openGroup(host.registered.get(KernelHost.SECOND).groupId());
            setContainer(g, "1st");
            int r = call(() -> container.setIommu(3));
            print("  SET_IOMMU -> %d %s", r, errno());
            coherent("1st alone");
            if (mapEarly) {
                map(IOVA, 0);
            }
            snoopControl(second);
            coherent("1st alone, after the flip");
            setContainer(h, "2nd");
            coherent("both");
            if (!mapEarly) {
                map(IOVA, 0);
            }
            map(0x200000, 1);
            boolean d = open(g, KernelHost.FIRST);
            boolean e = open(h, KernelHost.SECOND);
            print("  GET_DEVICE_FD -> %s %s", d ? "fd" : "-1", e ? "fd" : "-1");
            if (d) {
                dma(KernelHost.FIRST, "first");
            }
            if (e) {
                dma(KernelHost.SECOND, "second");
            }
            close(g, KernelHost.FIRST, d);
            close(h, KernelHost.SECOND, e);
            r = call(g::unsetContainer);
            print("  UNSET_CONTAINER 1st -> %d %s", r, errno());
            coherent("2nd alone");
            snoopControl(first);
            setContainer(g, "1st again");
            coherent("both");
            r = call(h::unsetContainer);
            print("  UNSET_CONTAINER 2nd -> %d %s", r, errno());
            coherent("1st alone");
            long[] out = {PAGE};
            r = call(() -> {
                out[0] = container.unmap(IOVA, PAGE, 0);
            });
            print("  UNMAP iova=%s -> %d %s size_out=%s", hex(IOVA), r, errno(), hex(out[0]));
            g.close();
            h.close();
            container.close();
        }

        private boolean open(VfioGroup group, PciAddress device) {
            return call(() -> {
                        group.openDevice(device);
                    })
                    == 0;
        }

        private void close(VfioGroup group, PciAddress device, boolean open) {
            if (open) {
                group.closeDevice(host.registered.get(device));
            }
        }

        // ---- iommufd -----------------------------------------------------------------------------------------------

        private VfioDeviceFile openFile(PciAddress device) {
            return VfioDeviceFile.open(host.vfio, host.registered.get(device));
        }

        private int bind(VfioDeviceFile device, String what) {
            int r = call(() -> device.bind(file));
            print("  BIND_IOMMUFD %s -> %d %s", what, Math.min(r, 0), errno());
            return r;
        }

        private int attach(VfioDeviceFile device, String what, int to) {
            int r = call(() -> device.attach(to));
            print("  ATTACH %s -> %d %s", what, Math.min(r, 0), errno());
            return Math.max(r, 0);
        }

        private void detach(VfioDeviceFile device, String what) {
            int r = call(device::detach);
            print("  DETACH %s -> %d %s", what, r, errno());
        }

        private void mapIoas(int ioas) {
            int r = call(() -> {
                file.ioasMap(new IoasMap(7, ioas, MEMORY, PAGE, IOVA));
            });
            print("  IOAS_MAP iova=%s -> %d %s", hex(IOVA), r, errno());
        }

        private OptionalInt hwpt(String what, int device, int ioas) {
            int r = call(() -> file.hwptAlloc(new HwptAlloc(0, device, ioas)));
            print("  HWPT_ALLOC %s flags=0 -> %d %s", what, Math.min(r, 0), errno());
            return r < 0 ? OptionalInt.empty() : OptionalInt.of(r);
        }

        private void destroy(String what, int id) {
            int r = call(() -> file.destroy(id));
            print("  DESTROY %s -> %d %s", what, r, errno());
        }

        private int openIoas() {
            file = Iommufd.open(options, IommufdUser.root(process));
            int ioas = file.ioasAlloc(0);
            file.vfioIoasSet(ioas);
            return ioas;
        }

        private void automaticHwpt() {
            print(
                    "-- iommufd: 1st device's unit SC=%d, 2nd device's unit SC=%d, %s",
                    first ? 1 : 0, second ? 1 : 0, mapEarly ? "one map before the 2nd" : "no map before the 2nd");
            int ioas = openIoas();
            snoopControl(first);
            VfioDeviceFile d = openFile(KernelHost.FIRST);
            VfioDeviceFile e = openFile(KernelHost.SECOND);
            bind(d, "1st");
            int h1 = attach(d, "1st to the IOAS", ioas);
            coherent("1st attached");
            if (mapEarly) {
                mapIoas(ioas);
            }
            snoopControl(second);
            bind(e, "2nd");
            int h2 = attach(e, "2nd to the IOAS", ioas);
            print("  one hwpt for both: %d", h1 == h2 ? 1 : 0);
            coherent("both");
            if (!mapEarly) {
                mapIoas(ioas);
            }
            dma(KernelHost.FIRST, "first");
            dma(KernelHost.SECOND, "second");
            attach(e, "2nd to the 1st's hwpt", h1);
            coherent("after that");
            dma(KernelHost.SECOND, "second");
            detach(d, "1st");
            coherent("2nd alone");
            detach(e, "2nd");
            d.close();
            e.close();
            file.close();
        }

        private void explicitHwpt() {
            print(
                    "-- iommufd, explicit hwpt of the 1st (SC=%d), 2nd (SC=%d) attached to it, %s",
                    first ? 1 : 0, second ? 1 : 0, mapEarly ? "one map in the IOAS first" : "no map");
            int ioas = openIoas();
            if (mapEarly) {
                mapIoas(ioas);
            }
            snoopControl(first);
            VfioDeviceFile d = openFile(KernelHost.FIRST);
            VfioDeviceFile e = openFile(KernelHost.SECOND);
            int i1 = bind(d, "1st");
            int h = hwpt("for the 1st", i1, ioas).orElseThrow();
            coherent("hwpt allocated");
            attach(d, "1st to it", h);
            coherent("1st attached");
            snoopControl(second);
            int i2 = bind(e, "2nd");
            attach(e, "2nd to it", h);
            coherent("both");
            if (!mapEarly) {
                mapIoas(ioas);
            }
            dma(KernelHost.SECOND, "second");
            OptionalInt h2 = hwpt("for the 2nd, same IOAS", i2, ioas);
            coherent("two hwpts");
            if (h2.isPresent()) {
                attach(d, "1st to the 2nd's hwpt (its unit has the 2nd's SC now)", h2.getAsInt());
                coherent("after that");
            }
            detach(d, "1st");
            detach(e, "2nd");
            destroy("1st's hwpt", h);
            if (h2.isPresent()) {
                destroy("2nd's hwpt", h2.getAsInt());
            }
            d.close();
            e.close();
            file.close();
        }
    }

    private void tell(boolean first, boolean second, boolean mapEarly, boolean iommufd, boolean explicit) {
        Story story = new Story(
                KernelHost.ofTwoUnits(transcript, Set.of(KernelHost.SECOND), first, second),
                first,
                second,
                mapEarly,
                iommufd,
                explicit);
        try {
            story.run();
        } finally {
            lines.addAll(story.lines());
        }
    }

    /** Tells all stories. */
    void run() {
        KernelHost host = KernelHost.ofTwoUnits(transcript, Set.of(KernelHost.SECOND), true, true);
        lines.add(String.format(
                "devices %s group %d, %s group %d; ecap %x",
                KernelHost.FIRST,
                host.registered.get(KernelHost.FIRST).groupId(),
                KernelHost.SECOND,
                host.registered.get(KernelHost.SECOND).groupId(),
                transcript.hardware().extendedCapabilities().orElseThrow()));
        for (boolean early : new boolean[] {false, true}) {
            tell(true, false, early, false, false);
            tell(false, true, early, false, false);
        }
        tell(true, true, true, false, false);
        tell(false, false, true, false, false);
        if (!hasIommufd) {
            lines.add("/dev/iommu: absent");
        } else {
            for (boolean explicit : new boolean[] {false, true}) {
                for (boolean early : new boolean[] {false, true}) {
                    tell(true, false, early, true, explicit);
                    tell(false, true, early, true, explicit);
                }
            }
        }
        lines.add(String.format(
                "[snoop control of the unit is now 1, ecap %x]",
                transcript.hardware().extendedCapabilities().orElseThrow() | 0x80));
        lines.add("MIXED-TRUTH-DONE");
    }
}
