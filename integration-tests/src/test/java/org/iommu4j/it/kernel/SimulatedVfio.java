// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.iommu4j.it.kernel.Replay.hex;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.kvm.KvmOptions;
import org.iommu4j.kvm.KvmVfioDevice;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioDeviceInfo;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;
import org.iommu4j.vfio.type1.DirtyPages;
import org.iommu4j.vfio.type1.DmaMap;
import org.iommu4j.vfio.type1.DmaUnmap;
import org.iommu4j.vfio.type1.IovaRange;
import org.iommu4j.vfio.type1.Type1Info;
import org.iommu4j.vfio.type1.VfioBitmap;
import org.jspecify.annotations.Nullable;

/**
 * What the agent does, over our VFIO on a machine of our silicon: it performs a sequence and says what was answered.
 *
 * <p>A file that is closed while others hold it lives on, as the kernel's do: a container until its groups left, a
 * group until its devices are closed and KVM has forgotten it.
 */
final class SimulatedVfio {
    private static final long PAGE = 4096;
    private static final int WORDS = 64;
    private static final int INFO_BYTES = 4096;
    private static final int COMMAND = 4;
    private static final int MEMORY = 2;
    private static final int BUS_MASTER = 4;
    private static final int READ_WRITE = 2;
    private static final int[] AREA_PAGES = {64, 4, 2, 512};
    private static final int READ_ONLY_AREA = 1;

    /** Where the agent has mapped its file of memory. */
    private static final int FILE_AREA = 4;

    private static final int FILE_PAGES = 8;

    private final List<PciAddress> functions;
    private final LinuxRelease release;
    private final Machine machine;
    private final SystemMemory memory;
    private final UserProcess process;
    private final IommuCore core;
    private final Vfio vfio;
    private final SimulatedIommufd iommufd;

    /** The devices that do DMA through their own files, with their configuration space. */
    private final Map<Long, ConfigSpace> bound = new HashMap<>();

    private final Map<Long, VfioContainer> containers = new HashMap<>();
    private final Map<Long, VfioGroup> groups = new HashMap<>();
    private final Map<Long, OpenDevice> devices = new HashMap<>();
    private final Map<Long, VirtualMachine> virtualMachines = new HashMap<>();
    private final Map<Long, KvmVfioDevice> kvmVfios = new HashMap<>();

    /** The files that each kvm-vfio device holds. */
    private final Map<KvmVfioDevice, Set<VfioGroup>> kvmFiles = new HashMap<>();

    private final List<VfioContainer> heldContainers = new ArrayList<>();
    private final List<VfioGroup> heldGroups = new ArrayList<>();

    /** The watched words of each page, by its address, as last seen. */
    private final Map<Long, long[]> seen = new TreeMap<>();

    /** An open device, with the group that it was opened through. */
    private record OpenDevice(VfioGroup group, VfioDevice device, ConfigSpace config) {}

    /**
     * Makes a host.
     *
     * @param functions those bound to vfio-pci, by their number
     * @param kernelsFunctions those that have a kernel's driver
     */
    SimulatedVfio(
            MachineDescription description,
            LinuxRelease release,
            List<PciAddress> functions,
            List<PciAddress> kernelsFunctions,
            VfioSequence sequence) {
        this.functions = functions;
        machine = MachineFactory.load().createFlat(description);
        memory = machine.memory(0);
        core = IommuCore.open(
                IommuVendors.load().open(machine.vendorContext(release)), machine.topology(), DefaultDomainPolicy.DMA);
        for (PciAddress function : kernelsFunctions) {
            core.group(function)
                    .orElseThrow()
                    .useDefaultDomain(core.device(function).orElseThrow());
        }
        this.release = release;
        vfio = new Vfio(core, VfioOptions.DEFAULT.withRelease(release));
        List<VfioDevice> registered = functions.stream().map(vfio::register).toList();
        process = machine.newProcess(sequence.limit() / PAGE, sequence.capIpcLock());
        iommufd = new SimulatedIommufd(vfio, registered, release, machine, process, sequence);
        for (int area = 0; area < AREA_PAGES.length; area++) {
            mapPages(area, 0, AREA_PAGES[area], area != READ_ONLY_AREA);
        }
        iommufd.memoryFile().allocate(0, FILE_PAGES, true);
        fill(FILE_AREA, 0, FILE_PAGES);
    }

    /** Performs calls, and returns the answers: result, errno and outputs. */
    List<String> perform(List<VfioCall> calls) {
        List<String> answers = new ArrayList<>();
        for (VfioCall call : calls) {
            answers.add(perform(call));
            closeHeld();
        }
        return answers;
    }

    /**
     * Closes all files, as the end of the process does.
     *
     * @throws AssertionError where pages stay pinned or charged
     */
    void exit() {
        List.copyOf(kvmVfios.keySet()).forEach(this::closeKvmVfio);
        List.copyOf(devices.keySet()).forEach(this::closeDevice);
        iommufd.exit();
        groups.values().forEach(VfioGroup::close);
        heldGroups.forEach(VfioGroup::close);
        containers.values().forEach(VfioContainer::close);
        heldContainers.forEach(VfioContainer::close);
        if (pinned() != 0 || process.charged() != 0) {
            throw new AssertionError(pinned() + " pages stay pinned, " + process.charged() + " charged");
        }
    }

    private long pinned() {
        return process.pinned() + iommufd.memoryFile().pinned();
    }

    private String perform(VfioCall call) {
        StringBuilder outputs = new StringBuilder();
        try {
            return perform(call, outputs) + " 0" + outputs;
        } catch (IommuException refusal) {
            return "-1 " + refusal.errno().name() + outputs;
        } catch (SimulatedIommufd.Skipped skipped) {
            return "skipped";
        }
    }

    private int perform(VfioCall call, StringBuilder out) {
        long first = call.arguments().isEmpty() ? 0 : call.argument(0);
        return switch (call.kind()) {
            case OPEN_CONTAINER -> done(() -> openContainer(first));
            case CLOSE_CONTAINER -> done(() -> closeContainer(first));
            case OPEN_GROUP -> done(() -> openGroup(first));
            case CLOSE_GROUP -> done(() -> closeGroup(first));
            case SET_CONTAINER -> done(() -> group(first).setContainer(file(call.number(1))));
            case UNSET_CONTAINER -> done(() -> group(first).unsetContainer());
            case GROUP_STATUS -> done(() -> status(group(first), out));
            case OPEN_DEVICE -> done(() -> openDevice(first, call.number(1), out));
            case CLOSE_DEVICE -> done(() -> closeDevice(first));
            case API_VERSION -> container(first).apiVersion();
            case CHECK_EXTENSION -> container(first).checkExtension(call.number(1));
            case SET_IOMMU -> done(() -> container(first).setIommu(call.number(1)));
            case IOMMU_INFO -> done(() -> info(container(first), call.number(1), out));
            case MAP_DMA ->
                done(() -> container(first)
                        .map(new DmaMap(
                                call.number(6),
                                call.number(5),
                                VfioCall.address(call.argument(1), call.argument(2)),
                                call.argument(3),
                                call.argument(4))));
            case UNMAP_DMA -> done(() -> unmap(container(first), call, out));
            case DIRTY_PAGES -> done(() -> dirtyPages(container(first), call, out));
            case DEVICE_INFO -> done(() -> deviceInfo(device(first).device(), call.number(1), out));
            case RESET_DEVICE -> done(() -> device(first).device().reset());
            case BUS_MASTER -> done(() -> busMaster(first, call.number(1), out));
            case DMA -> done(() -> dma(first, call.argument(1), call.argument(2), out));
            case MAP_MEMORY ->
                done(() -> mapPages(first, call.number(1), call.number(2), call.number(3) == READ_WRITE));
            case UNMAP_MEMORY -> done(() -> unmapPages(first, call.number(1), call.number(2)));
            case LOCKED -> done(() -> field(out, "pages", process.charged()));
            case OPEN_MACHINE -> done(() -> openMachine(first));
            case CREATE_KVM_VFIO -> done(() -> createKvmVfio(first));
            case CLOSE_KVM_VFIO -> done(() -> closeKvmVfio(first));
            case ADD_FILE -> done(() -> addFile(kvmVfio(first), group(call.argument(1))));
            case DELETE_FILE -> done(() -> deleteFile(kvmVfio(first), group(call.argument(1))));
            case PINNED -> done(() -> field(out, "pages", pinned()));
            case ADD_DEVICE_FILE -> done(() -> setDeviceFile(kvmVfio(first), KvmVfioDevice.ADD, call.argument(1)));
            case DELETE_DEVICE_FILE ->
                done(() -> setDeviceFile(kvmVfio(first), KvmVfioDevice.DELETE, call.argument(1)));
            case NONCOHERENT -> done(() -> field(out, "count", noncoherent()));
            case OPEN_DEVICE_FILE -> done(() -> openDeviceFile(call, out));
            case BIND_IOMMUFD -> done(() -> bind(call, out));
            case OPEN_IOMMUFD,
                    CLOSE_IOMMUFD,
                    IOAS_ALLOC,
                    DESTROY_OBJECT,
                    IOAS_MAP,
                    IOAS_UNMAP,
                    IOAS_COPY,
                    IOAS_IOVA_RANGES,
                    IOAS_ALLOW_IOVAS,
                    IOMMUFD_OPTION,
                    VFIO_IOAS,
                    HWPT_ALLOC,
                    HWPT_INVALIDATE,
                    FAULT_QUEUE_ALLOC,
                    EVENT_QUEUE_ALLOC,
                    CLOSE_QUEUE,
                    VIOMMU_ALLOC,
                    VDEVICE_ALLOC,
                    HW_QUEUE_ALLOC,
                    ATTACH_IOMMUFD,
                    DETACH_IOMMUFD,
                    HW_INFO,
                    SET_DIRTY_TRACKING,
                    GET_DIRTY_BITMAP,
                    IOAS_MAP_FILE,
                    ATTACH_PASID,
                    DETACH_PASID -> done(() -> iommufd.perform(call, out));
        };
    }

    private static int done(Runnable call) {
        call.run();
        return 0;
    }

    private static void field(StringBuilder out, String name, long value) {
        out.append(' ').append(name).append('=').append(hex(value));
    }

    // ---- files -----------------------------------------------------------------------------------------------------

    private VfioContainer container(long slot) {
        return Optional.ofNullable(containers.get(slot)).orElseThrow(SimulatedIommufd::noFile);
    }

    private VfioGroup group(long slot) {
        return Optional.ofNullable(groups.get(slot)).orElseThrow(SimulatedIommufd::noFile);
    }

    private OpenDevice device(long slot) {
        return Optional.ofNullable(devices.get(slot)).orElseThrow(SimulatedIommufd::noFile);
    }

    private @Nullable Object file(int number) {
        return number == VfioCall.OTHER_FILE ? "/dev/null" : containers.get((long) number);
    }

    private void openContainer(long slot) {
        if (containers.containsKey(slot)) {
            throw new SimulatedIommufd.Skipped();
        }
        containers.put(slot, vfio.openContainer(process));
    }

    private void closeContainer(long slot) {
        heldContainers.add(container(slot));
        containers.remove(slot);
    }

    private void openGroup(long slot) {
        VfioGroup group = vfio.openGroup(
                core.group(functions.get((int) slot)).orElseThrow().id());
        if (groups.putIfAbsent(slot, group) != null) {
            group.close();
        }
    }

    private void closeGroup(long slot) {
        heldGroups.add(group(slot));
        groups.remove(slot);
    }

    private boolean isOpen(long slot) {
        return devices.containsKey(slot) || iommufd.isOpen(slot);
    }

    private void openDevice(long group, long slot, StringBuilder out) {
        if (isOpen(slot)) {
            throw new SimulatedIommufd.Skipped();
        }
        VfioDevice device = group(group).openDevice(functions.get((int) slot));
        devices.put(slot, new OpenDevice(group(group), device, start(device, out)));
    }

    private void openDeviceFile(VfioCall call, StringBuilder out) {
        if (isOpen(call.argument(0))) {
            throw new SimulatedIommufd.Skipped();
        }
        iommufd.perform(call, out);
    }

    private void bind(VfioCall call, StringBuilder out) {
        iommufd.perform(call, out);
        long slot = call.argument(0);
        bound.put(slot, start(iommufd.deviceFile(slot).device(), out));
    }

    /** Makes a device do DMA. */
    private static ConfigSpace start(VfioDevice device, StringBuilder out) {
        ConfigSpace config = device.config();
        int command = config.read(COMMAND, 2);
        field(out, "command", command);
        config.write(COMMAND, 2, command | MEMORY | BUS_MASTER);
        return config;
    }

    private void closeDevice(long slot) {
        if (iommufd.isOpen(slot)) {
            bound.remove(slot);
            iommufd.closeDevice(slot);
            return;
        }
        OpenDevice open = device(slot);
        devices.remove(slot);
        open.group().closeDevice(open.device());
    }

    /** Returns the configuration space of a device that can do DMA. */
    private ConfigSpace configOf(long slot) {
        ConfigSpace config = devices.containsKey(slot) ? device(slot).config() : bound.get(slot);
        if (config == null) {
            throw new SimulatedIommufd.Skipped();
        }
        return config;
    }

    /** Files that nothing holds any more vanish: groups first, since they hold containers. */
    private void closeHeld() {
        heldGroups.removeIf(group ->
                kvmFiles.values().stream().noneMatch(files -> files.contains(group)) && vanishes(group::close));
        heldContainers.removeIf(container -> vanishes(container::close));
    }

    private static boolean vanishes(Runnable close) {
        try {
            close.run();
            return true;
        } catch (IommuException held) {
            if (held.errno() != Errno.EBUSY) {
                throw held;
            }
            return false;
        }
    }

    // ---- calls -----------------------------------------------------------------------------------------------------

    private static void status(VfioGroup group, StringBuilder out) {
        field(out, "flags", (group.viable() ? 1 : 0) | (group.containerSet() ? 2 : 0));
    }

    private static void info(VfioContainer container, int argsz, StringBuilder out) {
        Type1Info info = container.info(argsz);
        field(out, "argsz", info.argsz());
        field(out, "flags", info.flags());
        field(out, "page_sizes", info.pageSizes());
        field(out, "capabilities", argsz < Type1Info.SIZE ? 0 : info.capabilityOffset());
        if (argsz < INFO_BYTES || info.capabilityOffset() == 0) {
            return;
        }
        field(out, "dirty_page_sizes", info.dirtyPageSize());
        field(out, "dirty_bitmap_bytes", info.maxDirtyBitmapBytes());
        field(out, "available", info.dmaAvailable());
        for (IovaRange range : info.iovaRanges()) {
            out.append(" range=").append(hex(range.start())).append('-').append(hex(range.end()));
        }
    }

    private static void unmap(VfioContainer container, VfioCall call, StringBuilder out) {
        VfioBitmap bitmap = bitmap(call.argument(5), call.argument(6));
        long size = container.unmap(
                new DmaUnmap(call.number(4), call.number(3), call.argument(1), call.argument(2), bitmap));
        field(out, "size", size);
        bits(bitmap, out);
    }

    private static void dirtyPages(VfioContainer container, VfioCall call, StringBuilder out) {
        VfioBitmap bitmap = bitmap(call.argument(4), call.argument(5));
        container.dirtyPages(
                new DirtyPages(DirtyPages.SIZE_WITH_RANGE, call.number(1), call.argument(2), call.argument(3), bitmap));
        bits(bitmap, out);
    }

    private static VfioBitmap bitmap(long pageSize, long bytes) {
        return new VfioBitmap(pageSize, bytes, new long[(int) bytes / Long.BYTES]);
    }

    private static void bits(VfioBitmap bitmap, StringBuilder out) {
        for (int i = 0; i < bitmap.data().length; i++) {
            if (bitmap.data()[i] != 0) {
                field(out, "bitmap[" + i + "]", bitmap.data()[i]);
            }
        }
    }

    private static void deviceInfo(VfioDevice device, int argsz, StringBuilder out) {
        VfioDeviceInfo info = device.info(argsz);
        field(out, "flags", info.flags());
        field(out, "regions", info.regions());
        field(out, "interrupts", info.interrupts());
    }

    private void busMaster(long slot, int on, StringBuilder out) {
        ConfigSpace config = configOf(slot);
        config.write(COMMAND, 2, MEMORY | (on == 0 ? 0 : BUS_MASTER));
        field(out, "command", config.read(COMMAND, 2));
    }

    // ---- KVM -------------------------------------------------------------------------------------------------------

    private void openMachine(long slot) {
        if (virtualMachines.containsKey(slot)) {
            throw new SimulatedIommufd.Skipped();
        }
        virtualMachines.put(
                slot, new VirtualMachine(process, machine.processors(), KvmOptions.DEFAULT.withRelease(release)));
    }

    private void createKvmVfio(long slot) {
        VirtualMachine owner = Optional.ofNullable(virtualMachines.get(slot)).orElseThrow(SimulatedIommufd::noFile);
        KvmVfioDevice made = owner.createVfioDevice();
        kvmVfios.put(slot, made);
        kvmFiles.put(made, new HashSet<>());
    }

    private KvmVfioDevice kvmVfio(long slot) {
        return Optional.ofNullable(kvmVfios.get(slot)).orElseThrow(SimulatedIommufd::noFile);
    }

    private void closeKvmVfio(long slot) {
        KvmVfioDevice closed = kvmVfio(slot);
        kvmVfios.remove(slot);
        closed.close();
        kvmFiles.remove(closed);
    }

    private void addFile(KvmVfioDevice device, VfioGroup group) {
        device.addFile(group);
        kvmFiles.get(device).add(group);
    }

    private void deleteFile(KvmVfioDevice device, VfioGroup group) {
        device.deleteFile(group);
        kvmFiles.get(device).remove(group);
    }

    private void setDeviceFile(KvmVfioDevice device, long attribute, long slot) {
        device.setAttribute(KvmVfioDevice.FILES, attribute, new KvmVfioDevice.FileNumber(iommufd.deviceFile(slot)));
    }

    private int noncoherent() {
        return virtualMachines.values().stream()
                .mapToInt(VirtualMachine::noncoherentDmaCount)
                .sum();
    }

    // ---- memory and DMA --------------------------------------------------------------------------------------------

    private void mapPages(long area, int page, int count, boolean writable) {
        unmapPages(area, page, count);
        process.allocate(VfioCall.address(area, page * PAGE), count, writable);
        fill(area, page, count);
    }

    private void fill(long area, int page, int count) {
        for (int i = page; i < page + count; i++) {
            long[] words = new long[WORDS];
            long frame = frame(VfioCall.address(area, i * PAGE));
            for (int word = 0; word < WORDS; word++) {
                words[word] = (area + 1) << 48 | (long) i << 16 | word;
                memory.store(frame + 8L * word, words[word]);
            }
            seen.put(VfioCall.address(area, i * PAGE), words);
        }
    }

    private long frame(long address) {
        long offset = address - VfioCall.address(FILE_AREA, 0);
        return offset < 0 ? process.translate(address) : iommufd.memoryFile().translate(offset);
    }

    private void unmapPages(long area, int page, int count) {
        for (int i = page; i < page + count; i++) {
            long at = VfioCall.address(area, i * PAGE);
            if (process.translate(at) != ProcessMemory.UNMAPPED) {
                process.free(at, 1);
                seen.remove(at);
            }
        }
    }

    private void dma(long slot, long from, long to, StringBuilder out) {
        configOf(slot);
        Endpoint edu = machine.endpoint(functions.get((int) slot));
        long[] buffer = new long[2];
        for (int i = 0; i < buffer.length; i++) {
            long value = edu.read(from + 8L * i, false);
            buffer[i] = edu.lastStatus() == RequestStatus.DONE ? value : 0;
        }
        for (int i = 0; i < buffer.length; i++) {
            edu.write(to + 8L * i, buffer[i], false);
        }
        changes(out);
    }

    /** Names each watched word that has another value than when last seen. */
    private void changes(StringBuilder out) {
        seen.forEach((at, words) -> {
            long frame = frame(at);
            for (int word = 0; word < WORDS; word++) {
                long value = memory.load(frame + 8L * word);
                if (value != words[word]) {
                    words[word] = value;
                    out.append(' ').append((at >>> 44) - 1).append('+');
                    out.append(hex((at & (1L << 44) - 1) + 8L * word))
                            .append('=')
                            .append(hex(value));
                }
            }
        });
    }
}
