// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.iommu4j.it.kernel.Replay.hex;

import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.intel.nesting.FirstStageInvalidation;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.iommufd.DirtyRange;
import org.iommu4j.vfio.iommufd.EventQueue;
import org.iommu4j.vfio.iommufd.FaultQueue;
import org.iommu4j.vfio.iommufd.HwInfo;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.Invalidated;
import org.iommu4j.vfio.iommufd.IoasCopy;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.IoasMapFile;
import org.iommu4j.vfio.iommufd.IoasRanges;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;
import org.iommu4j.vfio.iommufd.UserAccount;
import org.jspecify.annotations.Nullable;

/** The agent's calls to iommufd and to the devices' own files, over ours; {@link SimulatedVfio} does the others. */
final class SimulatedIommufd {
    private static final long PAGE = 4096;
    private static final int GET = 0;
    private static final int SET = 1;
    private static final int OPTION_SET = 0;
    private static final int INVALIDATION_BYTES = 24;
    private static final Object MISSING = new Object();

    /** A guest's table of another vendor. */
    private static final GuestTable OTHER_TABLE = new GuestTable() {};

    private final Vfio vfio;
    private final List<VfioDevice> devices;
    private final IommufdOptions options;
    private final IommufdUser user;
    private final UserProcess memoryFile;
    private final UserProcess otherFile;
    private final Map<Long, Iommufd> files = new HashMap<>();
    private final Map<Long, VfioDeviceFile> deviceFiles = new HashMap<>();

    /** What closes the file of each open queue. */
    private final Map<Long, Runnable> queues = new HashMap<>();

    /**
     * Opens no iommufd yet.
     *
     * @param devices the functions, by their number
     * @param machine has the memory of the process's files
     * @param sequence says what the process may lock
     */
    SimulatedIommufd(
            Vfio vfio,
            List<VfioDevice> devices,
            LinuxRelease release,
            Machine machine,
            UserProcess process,
            VfioSequence sequence) {
        this.vfio = vfio;
        this.devices = devices;
        this.options = IommufdOptions.DEFAULT.withRelease(release);
        Set<IommufdUser.Capability> capabilities = EnumSet.allOf(IommufdUser.Capability.class);
        if (!sequence.capIpcLock()) {
            capabilities.remove(IommufdUser.Capability.IPC_LOCK);
        }
        this.user = new IommufdUser(process, new UserAccount(sequence.limit() / PAGE), capabilities);
        this.memoryFile = machine.newProcess(0, true);
        this.otherFile = machine.newProcess(0, true);
    }

    /** Returns the process's file of memory; addresses are offsets. */
    UserProcess memoryFile() {
        return memoryFile;
    }

    /** The agent makes no call either. */
    static final class Skipped extends RuntimeException {
        private static final long serialVersionUID = 1;
    }

    /** Returns the refusal of a number that no file has. */
    static IommuException noFile() {
        return new IommuException(Errno.EBADF, "the number is of no file");
    }

    /** Performs a call, and adds its outputs. */
    void perform(VfioCall call, StringBuilder out) {
        long first = call.argument(0);
        switch (call.kind()) {
            case OPEN_IOMMUFD -> open(first);
            case CLOSE_IOMMUFD -> {
                file(first).close();
                files.remove(first);
            }
            case IOAS_ALLOC -> field(out, "id", file(first).ioasAlloc(call.number(1)));
            case DESTROY_OBJECT -> file(first).destroy(call.number(1));
            case IOAS_MAP ->
                field(
                        out,
                        "iova",
                        file(first)
                                .ioasMap(new IoasMap(
                                        call.number(2),
                                        call.number(1),
                                        VfioCall.address(call.argument(3), call.argument(4)),
                                        call.argument(5),
                                        call.argument(6))));
            case IOAS_UNMAP ->
                field(out, "length", file(first).ioasUnmap(call.number(1), call.argument(2), call.argument(3)));
            case IOAS_COPY ->
                field(
                        out,
                        "iova",
                        file(first)
                                .ioasCopy(new IoasCopy(
                                        call.number(1),
                                        call.number(2),
                                        call.number(3),
                                        call.argument(4),
                                        call.argument(5),
                                        call.argument(6))));
            case IOAS_IOVA_RANGES -> ranges(file(first).ioasIovaRanges(call.number(1), call.number(2)), out);
            case IOAS_ALLOW_IOVAS -> file(first).ioasAllowIovas(call.number(1), call.argument(2), call.argument(3));
            case IOMMUFD_OPTION -> option(file(first), call, out);
            case VFIO_IOAS -> vfioIoas(file(first), call, out);
            case HWPT_ALLOC -> field(out, "id", file(first).hwptAlloc(hwptAlloc(call)));
            case HWPT_INVALIDATE -> invalidate(file(first), call, out);
            case FAULT_QUEUE_ALLOC -> {
                checkFree(call.argument(2));
                FaultQueue queue = file(first).faultQueueAlloc(call.number(1));
                queues.put(call.argument(2), queue::close);
                field(out, "id", queue.id());
            }
            case EVENT_QUEUE_ALLOC -> {
                checkFree(call.argument(5));
                EventQueue queue =
                        file(first).veventqAlloc(call.number(1), call.number(2), call.number(3), call.number(4));
                queues.put(call.argument(5), queue::close);
                field(out, "id", queue.id());
            }
            case CLOSE_QUEUE -> closeQueue(first);
            case VIOMMU_ALLOC ->
                field(
                        out,
                        "id",
                        file(first).viommuAlloc(call.number(1), call.number(2), call.number(3), call.number(4)));
            case VDEVICE_ALLOC ->
                field(out, "id", file(first).vdeviceAlloc(call.number(1), call.number(2), call.argument(3)));
            case HW_QUEUE_ALLOC ->
                file(first)
                        .hwQueueAlloc(
                                call.number(1), call.number(2), call.number(3), call.argument(4), call.argument(5));
            case OPEN_DEVICE_FILE -> deviceFiles.put(first, VfioDeviceFile.open(vfio, devices.get((int) first)));
            case BIND_IOMMUFD -> field(out, "id", bind(first, call.argument(1)));
            case ATTACH_IOMMUFD -> field(out, "id", deviceFile(first).attach(call.number(1)));
            case DETACH_IOMMUFD -> deviceFile(first).detach();
            case HW_INFO -> hardwareInfo(file(first), call, out);
            case SET_DIRTY_TRACKING -> file(first).hwptSetDirtyTracking(call.number(1), call.number(2));
            case GET_DIRTY_BITMAP -> dirtyBitmap(file(first), call, out);
            case IOAS_MAP_FILE ->
                field(
                        out,
                        "iova",
                        file(first)
                                .ioasMapFile(new IoasMapFile(
                                        call.number(2),
                                        call.number(1),
                                        mappedFile(call.number(3)),
                                        call.argument(4),
                                        call.argument(5),
                                        call.argument(6))));
            case ATTACH_PASID -> field(out, "id", deviceFile(first).attachPasid(call.number(2), call.number(1)));
            case DETACH_PASID -> deviceFile(first).detachPasid(call.number(1));
            default -> throw new IllegalArgumentException(call + " is no call to iommufd");
        }
    }

    private static void field(StringBuilder out, String name, long value) {
        out.append(' ').append(name).append('=').append(hex(value));
    }

    private void open(long slot) {
        if (files.containsKey(slot)) {
            throw new Skipped();
        }
        files.put(slot, Iommufd.open(options, user));
    }

    private Iommufd file(long slot) {
        return Optional.ofNullable(files.get(slot)).orElseThrow(SimulatedIommufd::noFile);
    }

    private static void ranges(IoasRanges ranges, StringBuilder out) {
        if (!ranges.fits()) {
            throw new IommuException(Errno.EMSGSIZE, ranges.needed() + " ranges");
        }
        field(out, "alignment", ranges.alignment());
        ranges.ranges()
                .forEach(range -> out.append(" range=")
                        .append(hex(range.start()))
                        .append('-')
                        .append(hex(range.end())));
    }

    private static void option(Iommufd file, VfioCall call, StringBuilder out) {
        int option = call.number(1);
        int object = call.number(3);
        long value = call.argument(4);
        if (call.number(2) == OPTION_SET) {
            file.optionSet(option, object, value);
        } else {
            value = file.optionGet(option, object);
        }
        field(out, "value", value);
    }

    private static void vfioIoas(Iommufd file, VfioCall call, StringBuilder out) {
        switch (call.number(1)) {
            case GET -> field(out, "id", file.vfioIoasGet());
            case SET -> file.vfioIoasSet(call.number(2));
            default -> file.vfioIoasClear();
        }
    }

    private static HwptAlloc hwptAlloc(VfioCall call) {
        int type = call.number(4);
        GuestTable table = switch (type) {
            case HwptAlloc.DATA_NONE -> null;
            case HwptAlloc.DATA_VTD_S1 -> new FirstStageTable(call.argument(5), call.number(6), call.number(7));
            default -> OTHER_TABLE;
        };
        return new HwptAlloc(call.number(1), call.number(2), call.number(3), type, table, call.number(8));
    }

    /** Tells how many ranges were done also where one is refused. */
    private static void invalidate(Iommufd file, VfioCall call, StringBuilder out) {
        boolean leaf = call.number(3) != 0;
        List<FirstStageInvalidation> ranges = List.of(
                        new FirstStageInvalidation(call.argument(4), call.argument(5), leaf),
                        new FirstStageInvalidation(call.argument(6), call.argument(7), leaf))
                .subList(0, call.number(2));
        int done = 0;
        try {
            Invalidated result = file.hwptInvalidate(call.number(1), INVALIDATION_BYTES, ranges);
            done = result.done();
            if (result.failure() != null) {
                throw result.failure();
            }
        } catch (IommuException refusal) {
            if (refusal.errno() != Errno.ENOTTY) {
                field(out, "done", done);
            }
            throw refusal;
        }
        field(out, "done", done);
    }

    private void checkFree(long slot) {
        if (queues.containsKey(slot)) {
            throw new Skipped();
        }
    }

    private void closeQueue(long slot) {
        Runnable close = Optional.ofNullable(queues.remove(slot)).orElseThrow(SimulatedIommufd::noFile);
        close.run();
    }

    private static void hardwareInfo(Iommufd file, VfioCall call, StringBuilder out) {
        HwInfo info = file.getHwInfo(call.number(2), call.number(1), call.number(3));
        List<Integer> words = info.hardware().words();
        field(out, "type", info.hardware().type());
        field(out, "length", (long) words.size() * Integer.BYTES);
        field(out, "pasids", info.maxPasidLog2());
        field(out, "capabilities", info.capabilities());
        for (int i = 0; i < Math.min(words.size(), call.number(4) / Integer.BYTES); i++) {
            if (words.get(i) != 0) {
                field(out, "word[" + i + "]", Integer.toUnsignedLong(words.get(i)));
            }
        }
    }

    private static void dirtyBitmap(Iommufd file, VfioCall call, StringBuilder out) {
        long[] bitmap = file.hwptGetDirtyBitmap(
                new DirtyRange(call.number(1), call.number(2), call.argument(3), call.argument(4), call.argument(5)));
        for (int i = 0; i < bitmap.length; i++) {
            if (bitmap[i] != 0) {
                field(out, "bitmap[" + i + "]", bitmap[i]);
            }
        }
    }

    private @Nullable ProcessMemory mappedFile(int number) {
        return switch (number) {
            case VfioCall.MEMORY_FILE -> memoryFile;
            case VfioCall.OTHER_FILE -> otherFile;
            default -> null;
        };
    }

    // ---- the devices' own files ------------------------------------------------------------------------------------

    /** Returns whether a function has its file open. */
    boolean isOpen(long slot) {
        return deviceFiles.containsKey(slot);
    }

    /** Returns a function's open file. */
    VfioDeviceFile deviceFile(long slot) {
        return Optional.ofNullable(deviceFiles.get(slot)).orElseThrow(SimulatedIommufd::noFile);
    }

    /** Binds a device. Where no file has the number, it is refused where a file of another kind is: with EBADF. */
    private int bind(long slot, long iommufd) {
        VfioDeviceFile opened = deviceFile(slot);
        Iommufd file = files.get(iommufd);
        try {
            return opened.bind(file == null ? MISSING : file);
        } catch (IommuException refusal) {
            throw file == null && refusal.errno() == Errno.EBADFD ? noFile() : refusal;
        }
    }

    /** Closes a function's file. */
    void closeDevice(long slot) {
        VfioDeviceFile closed = deviceFile(slot);
        deviceFiles.remove(slot);
        closed.close();
    }

    /** Closes all files. */
    void exit() {
        deviceFiles.values().forEach(VfioDeviceFile::close);
        queues.values().forEach(Runnable::run);
        files.values().forEach(Iommufd::close);
    }
}
