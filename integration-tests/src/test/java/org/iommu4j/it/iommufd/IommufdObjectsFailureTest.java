// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.iommufd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.iommu4j.Prot;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.intel.conformance.IntelMachines;
import org.iommu4j.intel.nesting.FirstStageInvalidation;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.iommufd.DirtyRange;
import org.iommu4j.vfio.iommufd.FaultQueue;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.Invalidated;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.IoasMapFile;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdUser;
import org.iommu4j.vfio.iommufd.PageFault;
import org.iommu4j.vfio.iommufd.UserAccount;
import org.junit.jupiter.api.Test;

/**
 * The n-th call of a port fails in what a VMM does for its guest's IOMMU: records of written pages, guests' tables,
 * PASIDs, page requests, and emulated devices beside them. (Virtual IOMMUs call no port.)
 */
class IommufdObjectsFailureTest {
    private static final long PAGE = IommufdBench.PAGE;
    private static final long MEMORY = IommufdBench.MEMORY;
    private static final long IOVA = 0x4000_0000L;
    private static final int FIXED = IoasMap.FIXED_IOVA | IoasMap.WRITEABLE | IoasMap.READABLE;
    private static final int PASID = 5;
    private static final NamedDevice EMULATED = new NamedDevice("mdev0");

    /** A device with all that there is, in a HWPT for PASIDs; HWPTs of each kind; and an emulated device. */
    private static final class Bench implements EveryFailure.Bench {
        final IommufdBench host = new IommufdBench(IntelMachines.withEverything(), "7.3", 700);
        final Iommufd iommufd = host.open(host.failures.processMemory(host.process));
        final VfioDeviceFile file = host.file(host.first);
        final Endpoint endpoint = host.machine.endpoint(IommufdBench.FIRST).fork();
        final int device;
        final int ioas;
        final int large;
        final int empty;
        final int unpinned;
        final int ordinary;
        final int other;
        final int delivering;
        final int parent;
        final int nested;
        final int recording;
        final FaultQueue queue;
        final VfioGroup group;
        VfioDevice emulated;
        private boolean pinned;

        Bench() {
            // The process is charged, so that a charge can fail, too.
            iommufd.optionSet(Iommufd.OPTION_RLIMIT_MODE, 0, 1);
            device = file.bind(iommufd);
            ioas = iommufd.ioasAlloc(0);
            iommufd.ioasMap(new IoasMap(FIXED, ioas, MEMORY, 4 * PAGE, IOVA));
            large = iommufd.ioasAlloc(0);
            iommufd.ioasMap(new IoasMap(FIXED, large, MEMORY + PAGE, 600 * PAGE, IOVA));
            empty = iommufd.ioasAlloc(0);
            unpinned = iommufd.ioasAlloc(0);
            iommufd.ioasMap(new IoasMap(FIXED, unpinned, MEMORY, 600 * PAGE, IOVA));
            ordinary = alloc(HwptAlloc.PASID, ioas);
            other = alloc(HwptAlloc.PASID, large);
            queue = iommufd.faultQueueAlloc(0);
            delivering = iommufd.hwptAlloc(new HwptAlloc(
                    HwptAlloc.FAULT_ID_VALID | HwptAlloc.PASID, device, empty, HwptAlloc.DATA_NONE, null, queue.id()));
            parent = alloc(HwptAlloc.NEST_PARENT, ioas);
            nested = nest();
            recording = alloc(HwptAlloc.DIRTY_TRACKING, ioas);
            file.attach(ordinary);
            endpoint.config().write(4, 2, 6);
            iommufd.vfioIoasSet(unpinned);
            group = host.vfio.openGroup(
                    host.vfio.registerEmulated(EMULATED, this::unmapped).groupId());
            group.setContainer(iommufd);
        }

        int alloc(int flags, int on) {
            return iommufd.hwptAlloc(new HwptAlloc(flags, device, on));
        }

        int nest() {
            return iommufd.hwptAlloc(
                    new HwptAlloc(0, device, parent, HwptAlloc.DATA_VTD_S1, new FirstStageTable(IOVA, 48, 0), 0));
        }

        void open() {
            emulated = group.openDevice(EMULATED);
        }

        void pin() {
            emulated.pinPages(IOVA + PAGE, Prot.READ_WRITE, new long[530]);
            pinned = true;
        }

        void leave() {
            group.closeDevice(emulated);
            emulated = null;
        }

        private void unmapped(long iova, long size) {
            if (pinned) {
                pinned = false;
                emulated.unpinPages(IOVA + PAGE, 530);
            }
        }

        void waits() {
            file.attachPasid(PASID, delivering);
            ask();
        }

        PageFault ask() {
            endpoint.usePasid(PASID);
            endpoint.read(IOVA, false);
            assertThat(endpoint.lastStatus()).isEqualTo(RequestStatus.PAGE_AWAITED);
            host.machine.runPending();
            return queue.read().get(0);
        }

        private String read(Endpoint through) {
            long value = through.read(IOVA, false);
            return through.lastStatus() == RequestStatus.DONE
                    ? Long.toHexString(value)
                    : through.lastStatus().toString();
        }

        @Override
        public IommufdBench host() {
            return host;
        }

        @Override
        public String state() {
            host.machine.runPending();
            Endpoint fresh = host.machine.endpoint(IommufdBench.FIRST).fork();
            String all = "pinned " + host.process.pinned() + ", charged " + host.process.charged() + ", objects "
                    + iommufd.objects() + ", reads " + read(fresh);
            fresh.usePasid(PASID);
            all += ", with PASID " + read(fresh);
            for (int each : new int[] {ioas, large, empty, unpinned}) {
                all += ", ranges " + iommufd.ioasIovaRanges(each, 8).ranges();
            }
            return all;
        }

        @Override
        public void closeAll() {
            List<Runnable> steps = new ArrayList<>();
            if (emulated != null) {
                steps.add(this::leave);
            }
            steps.addAll(List.of(group::close, file::close, queue::close, iommufd::close));
            EveryFailure.runAll(steps);
            assertThat(iommufd.objects()).isZero();
        }
    }

    private static EveryFailure.Operation<Bench> prepared(Consumer<Bench> prepare, Consumer<Bench> run) {
        return EveryFailure.prepared(prepare, run);
    }

    private static DirtyRange range(Bench bench) {
        return new DirtyRange(bench.recording, 0, IOVA, 4 * PAGE, PAGE);
    }

    private static void record(Bench bench) {
        bench.file.attach(bench.recording);
        bench.iommufd.hwptSetDirtyTracking(bench.recording, Iommufd.DIRTY_TRACKING_ENABLE);
        bench.endpoint.write(IOVA + PAGE, 1, false);
    }

    private static Map<String, EveryFailure.Operation<Bench>> calls() {
        Map<String, EveryFailure.Operation<Bench>> all = new LinkedHashMap<>();
        all.put("make a HWPT that records", bench -> bench.alloc(HwptAlloc.DIRTY_TRACKING, bench.unpinned));
        all.put("make a parent", bench -> bench.alloc(HwptAlloc.NEST_PARENT, bench.large));
        all.put("make a HWPT for PASIDs", bench -> bench.alloc(HwptAlloc.PASID, bench.large));
        all.put("make a nested HWPT", Bench::nest);
        all.put(
                "make a HWPT with a queue",
                bench -> bench.iommufd.hwptAlloc(new HwptAlloc(
                        HwptAlloc.FAULT_ID_VALID,
                        bench.device,
                        bench.large,
                        HwptAlloc.DATA_NONE,
                        null,
                        bench.queue.id())));
        all.put(
                "record",
                prepared(
                        bench -> bench.file.attach(bench.recording),
                        bench -> bench.iommufd.hwptSetDirtyTracking(bench.recording, Iommufd.DIRTY_TRACKING_ENABLE)));
        all.put("attach to a HWPT that records", bench -> bench.file.attach(bench.recording));
        all.put("attach to a HWPT with a queue", bench -> bench.file.attach(bench.delivering));
        all.put("attach to a nested HWPT", bench -> bench.file.attach(bench.nested));
        all.put(
                "move from a nested HWPT",
                prepared(bench -> bench.file.attach(bench.nested), bench -> bench.file.attach(bench.other)));
        all.put(
                "move from a HWPT with a queue",
                prepared(bench -> bench.file.attach(bench.delivering), bench -> bench.file.attach(bench.other)));
        all.put("attach a PASID", bench -> bench.file.attachPasid(PASID, bench.other));
        all.put("attach a PASID with a queue", bench -> bench.file.attachPasid(PASID, bench.delivering));
        all.put(
                "move a PASID",
                prepared(
                        bench -> bench.file.attachPasid(PASID, bench.ordinary),
                        bench -> bench.file.attachPasid(PASID, bench.other)));
        all.put(
                "move a PASID to a queue",
                prepared(
                        bench -> bench.file.attachPasid(PASID, bench.ordinary),
                        bench -> bench.file.attachPasid(PASID, bench.delivering)));
        all.put(
                "move a PASID from a queue",
                prepared(
                        bench -> {
                            bench.file.attachPasid(PASID, bench.delivering);
                            bench.ask();
                        },
                        bench -> bench.file.attachPasid(PASID, bench.other)));
        all.put("open an emulated device", Bench::open);
        all.put("pin for an emulated device", prepared(Bench::open, Bench::pin));
        all.put("map page by page", bench -> {
            int fresh = bench.iommufd.ioasAlloc(0);
            bench.iommufd.optionSet(Iommufd.OPTION_HUGE_PAGES, fresh, 0);
            try {
                bench.iommufd.ioasMap(new IoasMap(FIXED, fresh, MEMORY, 600 * PAGE, IOVA));
                bench.alloc(0, fresh);
            } catch (RuntimeException failure) {
                bench.iommufd.destroy(fresh);
                throw failure;
            }
        });
        return all;
    }

    @Test
    void whatFailsChangesNothing() {
        calls().forEach((name, operation) -> {
            long places = EveryFailure.changesNothing(name, Bench::new, operation);
            System.out.printf("%s fails in %d places%n", name, places);
        });
    }

    private static Map<String, EveryFailure.Operation<Bench>> releases() {
        Map<String, EveryFailure.Operation<Bench>> all = new LinkedHashMap<>();
        all.put(
                "stop recording",
                prepared(
                        IommufdObjectsFailureTest::record,
                        bench -> bench.iommufd.hwptSetDirtyTracking(bench.recording, 0)));
        all.put(
                "read a record",
                prepared(
                        IommufdObjectsFailureTest::record,
                        bench -> assertThat(bench.iommufd.hwptGetDirtyBitmap(range(bench)))
                                .containsExactly(0b10)));
        all.put("leave a HWPT that records", prepared(IommufdObjectsFailureTest::record, bench -> bench.file.detach()));
        all.put(
                "leave a nested HWPT",
                prepared(bench -> bench.file.attach(bench.nested), bench -> bench.file.detach()));
        all.put("destroy a nested HWPT", bench -> bench.iommufd.destroy(bench.nested));
        all.put("invalidate for a guest", prepared(bench -> bench.file.attach(bench.nested), bench -> {
            Invalidated result = bench.iommufd.hwptInvalidate(
                    bench.nested, 24, List.of(new FirstStageInvalidation(0, FirstStageInvalidation.ALL_PAGES, false)));
            if (result.failure() != null) {
                throw result.failure();
            }
        }));
        all.put(
                "detach a PASID",
                prepared(bench -> bench.file.attachPasid(PASID, bench.other), bench -> bench.file.detachPasid(PASID)));
        all.put("detach a PASID that waits", prepared(Bench::waits, bench -> bench.file.detachPasid(PASID)));
        all.put("close a queue that is waited for", prepared(Bench::waits, bench -> bench.queue.close()));
        all.put("answer", prepared(Bench::waits, bench -> bench.queue.write(1, 1)));
        all.put("unbind while a PASID waits", prepared(Bench::waits, bench -> bench.file.close()));
        all.put(
                "unmap what an emulated device has pinned",
                prepared(
                        bench -> {
                            bench.open();
                            bench.pin();
                        },
                        bench -> bench.iommufd.ioasUnmap(bench.unpinned, 0, -1L)));
        all.put(
                "close an emulated device",
                prepared(
                        bench -> {
                            bench.open();
                            bench.pin();
                        },
                        Bench::leave));
        return all;
    }

    @Test
    void whatIsReleasedIsGoneWhateverFails() {
        releases().forEach((name, operation) -> {
            long places = EveryFailure.goes(name, Bench::new, operation);
            System.out.printf("%s fails in %d places%n", name, places);
        });
    }

    // ---- another process -------------------------------------------------------------------------------------------

    /** Three mappings of files, of which one is pinned twice; another process takes them over. */
    private static final class Successor implements EveryFailure.Bench {
        final IommufdBench host = new IommufdBench(IommufdBench.named("intel-sc"), "7.3", 16);
        final UserAccount account = new UserAccount(1 << 20);
        final Iommufd iommufd = host.open(host.failures.processMemory(host.process));
        final UserProcess child = host.machine.newProcess(1 << 20, false);
        final Iommufd next =
                iommufd.inheritedBy(new IommufdUser(host.failures.processMemory(child), account, Set.of()));
        final VfioDeviceFile file = host.file(host.first);

        Successor() {
            iommufd.optionSet(Iommufd.OPTION_RLIMIT_MODE, 0, 1);
            file.bind(iommufd);
            int ioas = iommufd.ioasAlloc(0);
            file.attach(ioas);
            for (int i = 0; i < 3; i++) {
                iommufd.ioasMapFile(new IoasMapFile(FIXED, ioas, host.process, MEMORY, 4 * PAGE, IOVA + i * 4L * PAGE));
            }
        }

        @Override
        public IommufdBench host() {
            return host;
        }

        @Override
        public String state() {
            return "pinned " + host.process.pinned() + ", charged " + host.process.charged() + " and "
                    + child.charged();
        }

        @Override
        public void closeAll() {
            EveryFailure.runAll(List.of(file::close, next::close, iommufd::close));
            assertThat(child.charged()).isZero();
        }
    }

    @Test
    void anotherProcessIsChargedForAllOrForNothing() {
        assertThat(EveryFailure.changesNothing(
                        "change the process", Successor::new, bench -> bench.next.ioasChangeProcess()))
                .isEqualTo(3);
    }
}
