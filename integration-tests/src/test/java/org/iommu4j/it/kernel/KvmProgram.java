// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Predicate;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.kvm.KvmOptions;
import org.iommu4j.kvm.KvmVfioDevice;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;

/**
 * {@code kvm_truth.c} on our side: the calls of the kvm-vfio device, and the CPUs that an emulated WBINVD reaches. What
 * the scheduler did is taken from the transcript's trace ({@link WbinvdTrace}).
 */
final class KvmProgram extends Program {
    /** What has no model, or is no answer. */
    static final List<Comparison.Outside> OUTSIDE = List.of(
            outside("/dev/kvm itself", text -> text.startsWith("open /dev/kvm ")),
            outside("a parameter of kvm_amd, an input", text -> text.startsWith("kvm_amd npt=")),
            outside("probes that the program asks for, an input", text -> text.startsWith("PROBE ")),
            outside(
                    "what the scheduler did, an input",
                    text -> text.startsWith("MOVE ")
                            || text.startsWith("vCPU thread now on ")
                            || text.contains(": vcpu_load: ")
                            || text.startsWith("affinity: ")
                            || text.matches("\\(mark \\d+ not reached\\)")),
            outside(
                    "when the guest executed WBINVD, an input",
                    text -> text.contains(": kvm_exit: ") || text.contains(": emulate_wbinvd: ")),
            outside("on which CPU WBINVD ran, which SEEN says again", text -> text.matches("TRACE .*: ran2?: .*")),
            outside("what a guest's program exits with", text -> text.startsWith("KVM_RUN ")));

    private static final long MEMORY = 0x7f4000000000L;
    private static final int GUEST_PAGES = 16;

    /** A file that is none of VFIO. */
    private record OtherFile(String name) {}

    private final Transcript transcript;
    private final IommufdOptions options;
    private final PciAddress first;
    private final VfioDevice device;
    private final int groupNumber;
    private final int secondGroupNumber;
    private final List<VirtualMachine> machines = new ArrayList<>();
    /** How many of the machine's CPUs the kernel was built to use: the first line says it. */
    private final int cpus;

    private int secondWindows;
    private long registered;
    private long unregistered;

    KvmProgram(KernelHost host, UserProcess process, Transcript transcript, IommufdOptions options) {
        super(host, process);
        this.transcript = transcript;
        this.options = options;
        this.first = transcript.address("qdev");
        this.device = Objects.requireNonNull(host.registered.get(first), "registered");
        this.groupNumber = device.groupId();
        this.secondGroupNumber = Objects.requireNonNull(host.registered.get(transcript.address("qdev2")), "registered")
                .groupId();
        String line = transcript.lines().get(0).text();
        this.cpus = Integer.parseInt(line.substring(line.lastIndexOf(' ') + 1));
        process.allocate(MEMORY, GUEST_PAGES, true);
    }

    private static Comparison.Outside outside(String name, Predicate<String> lines) {
        return new Comparison.Outside(name, line -> lines.test(line.text()));
    }

    /** Returns how often a load between the two steps of a WBINVD explains a mask. */
    int secondWindows() {
        return secondWindows;
    }

    // ---- the calls -------------------------------------------------------------------------------------------------

    private VirtualMachine newMachine(List<Processor> processors) {
        VirtualMachine vm =
                new VirtualMachine(process, processors, KvmOptions.DEFAULT.withRelease(transcript.release()));
        vm.addMemory(0, 0, GUEST_PAGES * PAGE, MEMORY);
        machines.add(vm);
        return vm;
    }

    private VirtualMachine newMachine() {
        return newMachine(processors(new ArrayList<>()));
    }

    private List<Processor> processors(List<Integer> ran) {
        List<Processor> processors = new ArrayList<>();
        for (Processor each : host.machine.processors().subList(0, cpus)) {
            processors.add(new WatchedProcessor(each, ran::add));
        }
        return processors;
    }

    /** Creates a kvm-vfio device and holds its file, if it is not refused. */
    private Optional<KvmVfioDevice> create(VirtualMachine vm) {
        List<KvmVfioDevice> created = new ArrayList<>();
        call(() -> created.add(vm.createVfioDevice()));
        return created.stream().findFirst();
    }

    private String created(Optional<KvmVfioDevice> kvmVfio) {
        return kvmVfio.isPresent() ? "fd 0" : "-1 " + errno();
    }

    /** Returns the device of a file, which is -1 where none could be created. */
    private static KvmVfioDevice of(Optional<KvmVfioDevice> kvmVfio) {
        return kvmVfio.orElseThrow(() -> new IommuException(Errno.EBADF, "no file"));
    }

    private void create(VirtualMachine vm, int flags, String what) {
        int r = call(() -> {
            vm.createDevice(VirtualMachine.DEVICE_TYPE_VFIO, flags).ifPresent(KvmVfioDevice::close);
        });
        print("KVM_CREATE_DEVICE VFIO %s -> %d %s", what, r, errno());
    }

    private void add(Optional<KvmVfioDevice> kvmVfio, Object file, String what) {
        int r = set(kvmVfio, KvmVfioDevice.ADD, file);
        print("KVM_DEV_VFIO_FILE_ADD %s -> %d %s", what, r, errno());
    }

    private void delete(Optional<KvmVfioDevice> kvmVfio, Object file, String what) {
        int r = set(kvmVfio, KvmVfioDevice.DELETE, file);
        print("KVM_DEV_VFIO_FILE_DEL %s -> %d %s", what, r, errno());
    }

    private int set(Optional<KvmVfioDevice> kvmVfio, long attribute, Object file) {
        return call(() -> of(kvmVfio).setAttribute(KvmVfioDevice.FILES, attribute, new KvmVfioDevice.FileNumber(file)));
    }

    private void addCounted(Optional<KvmVfioDevice> kvmVfio, Object file, String what) {
        add(kvmVfio, file, what);
        noncoherent();
    }

    private void deleteCounted(Optional<KvmVfioDevice> kvmVfio, Object file, String what) {
        delete(kvmVfio, file, what);
        noncoherent();
    }

    private long registrations() {
        return machines.stream().mapToLong(VirtualMachine::registrations).sum();
    }

    private long unregistrations() {
        return registrations()
                - machines.stream()
                        .mapToLong(VirtualMachine::noncoherentDmaCount)
                        .sum();
    }

    private void forgetCounts() {
        registered = registrations();
        unregistered = unregistrations();
    }

    private void noncoherent() {
        print(
                "   [noncoherent: register x%d, unregister x%d]",
                registrations() - registered, unregistrations() - unregistered);
        forgetCounts();
    }

    private void setIommu(VfioContainer container, String before) {
        int r = call(() -> container.setIommu(3));
        print("%sSET_IOMMU -> %d %s VFIO_DMA_CC_IOMMU=%d", before, r, errno(), container.checkExtension(4));
    }

    private Optional<VfioGroup> openGroupAgain() {
        List<VfioGroup> opened = new ArrayList<>();
        call(() -> opened.add(host.vfio.openGroup(groupNumber)));
        print("open group again -> %s", opened.isEmpty() ? errno() : "fd");
        return opened.stream().findFirst();
    }

    // ---- the rules of kvm-vfio -------------------------------------------------------------------------------------

    private void attributes(VirtualMachine vm, Optional<KvmVfioDevice> kvmVfio) {
        for (int group = 0; group < 3; group++) {
            for (int attribute = 0; attribute < 5; attribute++) {
                int g = group;
                int a = attribute;
                int r = call(() -> of(kvmVfio).requireAttribute(g, a));
                print("KVM_HAS_DEVICE_ATTR group=%d attr=%d -> %d %s", g, a, r, errno());
            }
        }
        int r = call(() -> of(kvmVfio).readAttribute(1, 1));
        print("KVM_GET_DEVICE_ATTR group=1 attr=1 -> %d %s", r, errno());
        for (int[] each : new int[][] {{1, 4}, {1, 0}, {2, 1}}) {
            r = call(() -> of(kvmVfio).setAttribute(each[0], each[1], new KvmVfioDevice.FileNumber(null)));
            print("KVM_SET_DEVICE_ATTR group=%d attr=%d -> %d %s", each[0], each[1], r, errno());
        }
        r = call(() -> of(kvmVfio).setAttribute(1, 1, null));
        print("KVM_DEV_VFIO_FILE_ADD pointer NULL -> %d %s", r, errno());
        r = call(() -> of(kvmVfio).setAttribute(1, 2, null));
        print("KVM_DEV_VFIO_FILE_DEL pointer 8 -> %d %s", r, errno());
        OtherFile nothing = new OtherFile("/dev/null");
        VfioContainer container = host.vfio.openContainer(process);
        add(kvmVfio, null, "fd -1");
        add(kvmVfio, null, "fd 9999 (closed)");
        add(kvmVfio, nothing, "/dev/null");
        add(kvmVfio, container, "the container");
        add(kvmVfio, vm, "the VM's own fd");
        delete(kvmVfio, null, "fd -1");
        delete(kvmVfio, nothing, "/dev/null");
        if (hasIommufd()) {
            Iommufd file = Iommufd.open(options, IommufdUser.root(process));
            add(kvmVfio, file, "/dev/iommu");
            file.close();
        } else {
            print("/dev/iommu: absent");
        }
        container.close();
    }

    /** Returns whether the kernel was built with iommufd. */
    private boolean hasIommufd() {
        return transcript.lines().stream().noneMatch(line -> line.text().equals("/dev/iommu: absent"));
    }

    private void rules() {
        print("==== kvm-vfio rules");
        VirtualMachine vm = newMachine();
        print("KVM_CHECK_EXTENSION KVM_CAP_DEVICE_CTRL -> %d", vm.answersDeviceControl() ? 1 : 0);
        create(vm, VirtualMachine.CREATE_DEVICE_TEST, "flags=TEST");
        create(vm, 2, "flags=2");
        Optional<KvmVfioDevice> kvmVfio = create(vm);
        print("KVM_CREATE_DEVICE VFIO -> %s", created(kvmVfio));
        create(vm, 0, "again");
        create(vm, VirtualMachine.CREATE_DEVICE_TEST, "flags=TEST when one exists");
        attributes(vm, kvmVfio);
        forgetCounts();
        VfioGroup g = host.vfio.openGroup(groupNumber);
        VfioGroup h = host.vfio.openGroup(secondGroupNumber);
        withoutContainer(kvmVfio, g);
        inContainers(kvmVfio, g, h);
        VfioContainer container = addedFirst(kvmVfio, g, h);
        devices(kvmVfio, g, container);
        twoMachines(kvmVfio, g);
        closing(vm, kvmVfio, g);
        h.close();
        container.close();
        deviceFile();
    }

    private void withoutContainer(Optional<KvmVfioDevice> kvmVfio, VfioGroup g) {
        print("-- group %d (device %s), no container", groupNumber, first);
        delete(kvmVfio, g, "group never added");
        addCounted(kvmVfio, g, "group, no container");
        add(kvmVfio, g, "the same fd again");
        addCounted(kvmVfio, g, "dup of it");
        deleteCounted(kvmVfio, g, "by the dup");
        delete(kvmVfio, g, "again (missing)");
    }

    private void inContainers(Optional<KvmVfioDevice> kvmVfio, VfioGroup g, VfioGroup h) {
        print("-- group in a container, no SET_IOMMU");
        VfioContainer container = host.vfio.openContainer(process);
        g.setContainer(container);
        addCounted(kvmVfio, g, "group");
        deleteCounted(kvmVfio, g, "group");
        print("-- group in a container, SET_IOMMU(TYPE1v2)");
        setIommu(container, "");
        addCounted(kvmVfio, g, "group");
        print("-- a second group joins kvm-vfio: first without container, then both in one container");
        addCounted(kvmVfio, h, "2nd group, no container");
        deleteCounted(kvmVfio, h, "2nd group");
        int r = call(() -> h.setContainer(container));
        print("2nd group SET_CONTAINER -> %d %s VFIO_DMA_CC_IOMMU=%d", r, errno(), container.checkExtension(4));
        addCounted(kvmVfio, h, "2nd group");
        deleteCounted(kvmVfio, g, "1st group");
        deleteCounted(kvmVfio, h, "2nd group");
        h.unsetContainer();
        g.unsetContainer();
        container.close();
    }

    private VfioContainer addedFirst(Optional<KvmVfioDevice> kvmVfio, VfioGroup g, VfioGroup h) {
        print("-- added before it has a container; then container and SET_IOMMU; then another group is added (all are"
                + " tested anew)");
        VfioContainer container = host.vfio.openContainer(process);
        addCounted(kvmVfio, g, "group, no container");
        g.setContainer(container);
        container.setIommu(3);
        print("container and SET_IOMMU after ADD");
        noncoherent();
        addCounted(kvmVfio, h, "2nd group, no container");
        print("-- UNSET_CONTAINER while in kvm-vfio");
        unsetContainer(g);
        noncoherent();
        deleteCounted(kvmVfio, h, "2nd group (1st has no container now)");
        deleteCounted(kvmVfio, g, "1st group");
        return container;
    }

    private void unsetContainer(VfioGroup g) {
        int r = call(g::unsetContainer);
        print("UNSET_CONTAINER -> %d %s", r, errno());
    }

    private void devices(Optional<KvmVfioDevice> kvmVfio, VfioGroup g, VfioContainer container) {
        print("-- device fd (from the group)");
        g.setContainer(container);
        container.setIommu(3);
        VfioDevice opened = g.openDevice(first);
        print("GET_DEVICE_FD -> fd");
        addCounted(kvmVfio, opened, "device fd");
        addCounted(kvmVfio, g, "its group as well");
        deleteCounted(kvmVfio, opened, "device fd");
        deleteCounted(kvmVfio, g, "its group");
        print("-- UNSET_CONTAINER while device open and group in kvm-vfio");
        add(kvmVfio, g, "group");
        unsetContainer(g);
        g.closeDevice(opened);
        noncoherent();
    }

    private void twoMachines(Optional<KvmVfioDevice> kvmVfio, VfioGroup g) {
        print("-- two VMs, one group");
        VirtualMachine other = newMachine();
        Optional<KvmVfioDevice> othersVfio = create(other);
        addCounted(othersVfio, g, "group, in VM 2 while in VM 1");
        VfioDevice opened = g.openDevice(first);
        print("GET_DEVICE_FD while in two VMs -> fd");
        deleteCounted(kvmVfio, g, "group, from VM 1");
        deleteCounted(othersVfio, g, "group, from VM 2 while device open");
        g.closeDevice(opened);
        othersVfio.ifPresent(KvmVfioDevice::close);
        other.close();
    }

    private void closing(VirtualMachine vm, Optional<KvmVfioDevice> kvmVfio, VfioGroup g) {
        print("-- close(group fd) while in kvm-vfio");
        add(kvmVfio, g, "group");
        g.unsetContainer();
        g.close();
        Optional<VfioGroup> again = openGroupAgain();
        noncoherent();
        print("-- close(kvm-vfio fd)");
        kvmVfio.ifPresent(KvmVfioDevice::close);
        noncoherent();
        Optional<KvmVfioDevice> another = create(vm);
        print("KVM_CREATE_DEVICE VFIO after closing the first -> %s", created(another));
        if (again.isEmpty()) {
            again = openGroupAgain();
        }
        print("-- close(VM fd)");
        if (another.isPresent() && again.isPresent()) {
            addCounted(another, again.orElseThrow(), "group");
        }
        vm.close();
        print("VM fd closed, kvm-vfio fd %s", another.isPresent() ? "open" : "already closed");
        noncoherent();
        if (another.isPresent()) {
            another.orElseThrow().close();
            print("kvm-vfio fd closed");
            noncoherent();
        }
        if (again.isEmpty()) {
            again = openGroupAgain();
        }
        again.ifPresent(VfioGroup::close);
    }

    private void deviceFile() {
        if (!hasIommufd()) {
            print("-- cdev of %s -> ENOENT", first);
            return;
        }
        VfioDeviceFile[] opened = new VfioDeviceFile[1];
        int r = call(() -> {
            opened[0] = VfioDeviceFile.open(host.vfio, device);
        });
        print("-- cdev of %s -> %s", first, r < 0 ? errno() : "fd");
        if (r < 0) {
            return;
        }
        VfioDeviceFile cdev = opened[0];
        VirtualMachine vm = newMachine();
        Optional<KvmVfioDevice> kvmVfio = create(vm);
        addCounted(kvmVfio, cdev, "cdev fd, not bound");
        add(kvmVfio, cdev, "again");
        deleteCounted(kvmVfio, cdev, "cdev");
        Iommufd file = Iommufd.open(options, IommufdUser.root(process));
        r = call(() -> cdev.bind(file));
        print("VFIO_DEVICE_BIND_IOMMUFD -> %d %s", Math.min(r, 0), errno());
        addCounted(kvmVfio, cdev, "cdev fd, bound");
        r = call(() -> {
            host.vfio.openGroup(groupNumber);
        });
        print("open its group -> %s", r < 0 ? errno() : "fd");
        cdev.close();
        print("cdev closed while in kvm-vfio");
        noncoherent();
        kvmVfio.ifPresent(KvmVfioDevice::close);
        print("kvm-vfio closed");
        noncoherent();
        file.close();
        vm.close();
    }

    // ---- WBINVD ----------------------------------------------------------------------------------------------------

    private void wbinvdTests(VfioGroup g) {
        List<TranscriptLine> lines = transcript.lines().stream()
                .dropWhile(line -> !line.text().startsWith("==== WBINVD"))
                .takeWhile(line -> !line.text().endsWith("-DONE"))
                .toList();
        print("%s", lines.get(0).text());
        WbinvdTrace.tests(lines.subList(1, lines.size())).forEach(test -> wbinvdTest(g, test));
    }

    private void wbinvdTest(VfioGroup g, List<TranscriptLine> test) {
        List<Integer> ran = new ArrayList<>();
        List<Processor> processors = processors(ran);
        VirtualMachine vm = newMachine(processors);
        Optional<KvmVfioDevice> kvmVfio = create(vm);
        WbinvdTrace trace = new WbinvdTrace(test, vm, processors, ran);
        trace.replay(
                () -> {
                    int r = set(kvmVfio, KvmVfioDevice.ADD, g);
                    return r + " " + errno();
                },
                () -> {
                    int r = set(kvmVfio, KvmVfioDevice.DELETE, g);
                    return r + " " + errno();
                });
        trace.lines().forEach(line -> print("%s", line));
        secondWindows += trace.secondWindows();
        kvmVfio.ifPresent(KvmVfioDevice::close);
        vm.close();
    }

    // ---- the program -----------------------------------------------------------------------------------------------

    @Override
    void run() {
        print(
                "device %s group %d, %s group %d; host CPUs %d",
                first, groupNumber, transcript.address("qdev2"), secondGroupNumber, cpus);
        transcript.lines().stream()
                .skip(1)
                .takeWhile(line -> !line.text().startsWith("===="))
                .forEach(line -> print("(an input)"));
        rules();
        VfioContainer container = host.vfio.openContainer(process);
        VfioGroup g = host.vfio.openGroup(groupNumber);
        g.setContainer(container);
        setIommu(container, "==== group " + groupNumber + ": ");
        wbinvdTests(g);
        g.close();
        container.close();
        print("KVM-TRUTH-DONE");
    }
}
