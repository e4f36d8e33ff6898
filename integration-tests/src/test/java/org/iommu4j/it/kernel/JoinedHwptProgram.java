// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.iommu4j.kvm.KvmOptions;
import org.iommu4j.kvm.KvmVfioDevice;
import org.iommu4j.kvm.Vcpu;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.VfioFile;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;

/**
 * {@code h2_truth.c} on our side: a device that can be enforced joins the HWPT of one that can't, which then leaves
 * KVM; and a group of two functions behind units that differ. {@link #WITHOUT} are behind the unit without snoop
 * control.
 */
final class JoinedHwptProgram extends Program {
    /** Who is behind the unit that is believed to lack snoop control: the first device, and one of a group. */
    static final Set<PciAddress> WITHOUT = Set.of(KernelHost.FIRST, KernelHost.FIFTH);

    /** Inputs of the kernel's run, and what a guest's own program does. */
    static final List<Comparison.Outside> OUTSIDE = List.of(
            new Comparison.Outside(
                    "probes that the program asks for", line -> line.text().startsWith("PROBE ")),
            new Comparison.Outside("traces of the kernel", line -> line.text().startsWith("TRACE ")),
            new Comparison.Outside(
                    "what a guest's program exits with", line -> line.text().startsWith("KVM_RUN ")));

    private final Transcript transcript;
    private final IommufdOptions options;
    private final Set<Integer> ran = new TreeSet<>();
    private int registered;
    private VirtualMachine vm;
    private KvmVfioDevice kvmVfio;
    private Vcpu vcpu;
    private Iommufd file;

    JoinedHwptProgram(KernelHost host, UserProcess process, Transcript transcript, IommufdOptions options) {
        super(host, process);
        this.transcript = transcript;
        this.options = options;
        newMachine();
    }

    private void newMachine() {
        List<Processor> processors = new ArrayList<>();
        for (Processor processor :
                host.machine.processors().subList(0, transcript.hardware().cpus())) {
            processors.add(new WatchedProcessor(processor, ran::add));
        }
        vm = new VirtualMachine(process, processors, KvmOptions.DEFAULT.withRelease(transcript.release()));
        kvmVfio = vm.createVfioDevice();
        vcpu = vm.createVcpu(processors.get(0));
        registered = 0;
    }

    // ---- the calls -------------------------------------------------------------------------------------------------

    private void snoopControl(boolean on) {
        long ecap = transcript.hardware().extendedCapabilities().orElseThrow();
        print("[snoop control of the unit is now %d, ecap %x]", on ? 1 : 0, on ? ecap | 0x80 : ecap & ~0x80L);
    }

    private void coherent(String what) {
        int r = call(() -> file.vfioContainer().checkExtension(4));
        print("VFIO_DMA_CC_IOMMU, %s -> %d %s", what, r, errno());
    }

    private void bind(VfioDeviceFile device, String what) {
        int r = call(() -> device.bind(file));
        print("BIND_IOMMUFD %s -> %d %s", what, Math.min(r, 0), errno());
    }

    private int attach(VfioDeviceFile device, String what, int to) {
        int r = call(() -> device.attach(to));
        print("ATTACH %s -> %d %s", what, Math.min(r, 0), errno());
        return Math.max(r, 0);
    }

    private void detach(VfioDeviceFile device, String what) {
        int r = call(device::detach);
        print("DETACH %s -> %d %s", what, r, errno());
    }

    private void add(VfioFile added, String what) {
        int r = call(() -> kvmVfio.addFile(added));
        print("KVM_DEV_VFIO_FILE_ADD %s -> %d %s", what, r, errno());
        noncoherent();
    }

    private void delete(VfioFile deleted, String what) {
        int r = call(() -> kvmVfio.deleteFile(deleted));
        print("KVM_DEV_VFIO_FILE_DEL %s -> %d %s", what, r, errno());
        noncoherent();
    }

    private void noncoherent() {
        int now = vm.noncoherentDmaCount();
        print(
                "   [noncoherent: register x%d, unregister x%d]",
                Math.max(now - registered, 0), Math.max(registered - now, 0));
        registered = now;
    }

    /** The vCPU runs, and its guest executes WBINVD once. */
    private void run(String name) {
        print("KVM_RUN");
        for (TranscriptLine line : transcript.lines()) {
            if (line.text().startsWith("SEEN " + name + ":")) {
                for (int i = line.number() - 2; transcriptLine(i).startsWith("TRACE "); i--) {
                    print("TRACE");
                }
            }
        }
        vcpu.loadOn(vcpu.processor());
        ran.clear();
        long mask = 1;
        for (int cpu = 0; cpu < transcript.hardware().cpus(); cpu++) {
            mask |= vcpu.dirtied(host.machine.processors().get(cpu)) ? 1L << cpu : 0;
        }
        vcpu.wbinvd();
        print(
                "SEEN %s: WBINVD #1 emulated on host CPU 0%s",
                name,
                ran.isEmpty()
                        ? ": no host WBINVD (a NOP)"
                        : ", mask=" + hex(mask) + ", ran on {"
                                + ran.stream().map(String::valueOf).collect(Collectors.joining(",")) + "}");
    }

    private String transcriptLine(int before) {
        return transcript.lines().stream()
                .filter(line -> line.number() == before + 1)
                .map(TranscriptLine::text)
                .findFirst()
                .orElse("");
    }

    // ---- the program -----------------------------------------------------------------------------------------------

    @Override
    void run() {
        for (TranscriptLine line : transcript.lines()) {
            if (line.text().startsWith("PROBE ")) {
                print("PROBE");
            }
        }
        file = Iommufd.open(options, IommufdUser.root(process));
        int ioas = file.ioasAlloc(0);
        file.vfioIoasSet(ioas);
        VfioDeviceFile d = VfioDeviceFile.open(host.vfio, host.registered.get(KernelHost.FIRST));
        VfioDeviceFile e = VfioDeviceFile.open(host.vfio, host.registered.get(KernelHost.SECOND));
        print("-- the first device, behind a unit without snoop control");
        snoopControl(false);
        bind(d, "1st");
        int h1 = attach(d, "1st to the IOAS", ioas);
        coherent("1st attached");
        add(d, "1st (cdev)");
        print("-- the second, behind a unit with snoop control");
        snoopControl(true);
        bind(e, "2nd");
        int h2 = attach(e, "2nd to the IOAS", ioas);
        print("one hwpt for both: %d", h1 == h2 ? 1 : 0);
        snoopControl(false);
        coherent("both");
        add(e, "2nd (cdev)");
        run("H2 both in");
        print("-- the first leaves KVM; asked now is the second alone, whose unit has snoop control");
        snoopControl(true);
        delete(d, "1st");
        detach(d, "1st");
        d.close();
        coherent("2nd alone, on the hwpt that it joined");
        run("H2 after");
        print("-- the cure: the second is attached anew");
        detach(e, "2nd");
        attach(e, "2nd to the IOAS again", ioas);
        coherent("2nd, a new hwpt");
        kvmVfio.close();
        vm.close();
        e.close();
        file.close();
        mixedGroup();
        snoopControl(true);
        print("H2-TRUTH-DONE");
    }

    private void mixedGroup() {
        print(
                "-- a group of two functions behind two units: %s (snoop control) is registered with VFIO, its sister"
                        + " (none) has no driver; type1",
                KernelHost.FOURTH);
        host.vfio.unregister(host.registered.get(KernelHost.FIFTH));
        snoopControl(false);
        VfioContainer container = host.vfio.openContainer(process);
        VfioGroup g = host.vfio.openGroup(host.registered.get(KernelHost.FOURTH).groupId());
        print("open group -> fd");
        int r = call(() -> g.setContainer(container));
        print("SET_CONTAINER -> %d %s", r, errno());
        r = call(() -> container.setIommu(3));
        print(
                "SET_IOMMU (all devices of the group are asked) -> %d %s VFIO_DMA_CC_IOMMU=%d",
                r, errno(), container.checkExtension(4));
        snoopControl(true);
        newMachine();
        add(g, "group (only the registered device is asked)");
        print("VFIO_DMA_CC_IOMMU=%d", container.checkExtension(4));
        run("H3");
        kvmVfio.close();
        vm.close();
        g.close();
        container.close();
    }
}
