// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.iommufd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.PageResponse;
import org.iommu4j.intel.conformance.IntelMachines;
import org.iommu4j.intel.nesting.FirstStageInvalidation;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.iommufd.BoundDevice;
import org.iommu4j.vfio.iommufd.DirtyRange;
import org.iommu4j.vfio.iommufd.FaultQueue;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.Invalidated;
import org.iommu4j.vfio.iommufd.IoasCopy;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.IoasMapFile;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdAccess;
import org.iommu4j.vfio.iommufd.IommufdUser;
import org.iommu4j.vfio.iommufd.NoIommuAddress;
import org.iommu4j.vfio.iommufd.PageFault;
import org.iommu4j.vfio.iommufd.UserAccount;
import org.junit.jupiter.api.Test;

/** The objects of an iommufd: how long they live, who is charged, and what devices do with them. */
class IommufdObjectsTest {
    private static final long PAGE = IommufdBench.PAGE;
    private static final long MEMORY = IommufdBench.MEMORY;
    private static final long IOVA = 0x40000000L;
    private static final int RW = IoasMap.WRITEABLE | IoasMap.READABLE;
    private static final int FIXED = RW | IoasMap.FIXED_IOVA;
    private static final int PASID = 5;

    private static IommufdBench everything(String release) {
        return new IommufdBench(IntelMachines.withEverything(), release, 16);
    }

    private static void assertRefused(Errno errno, Runnable call) {
        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(call::run)
                .satisfies(refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    private static int map(Iommufd iommufd, int ioas, int pages) {
        iommufd.ioasMap(new IoasMap(FIXED, ioas, MEMORY, pages * PAGE, IOVA));
        return ioas;
    }

    // ---- page requests ---------------------------------------------------------------------------------------------

    /** A device whose PASID is in a HWPT that delivers page requests. */
    private static final class Asker {
        final IommufdBench bench = everything("7.3");
        final Iommufd iommufd = bench.open();
        final VfioDeviceFile file = bench.file(bench.first);
        final int device = file.bind(iommufd);
        final int ioas = iommufd.ioasAlloc(0);
        final FaultQueue queue = iommufd.faultQueueAlloc(0);
        final int hwpt = iommufd.hwptAlloc(new HwptAlloc(
                HwptAlloc.FAULT_ID_VALID | HwptAlloc.PASID, device, ioas, HwptAlloc.DATA_NONE, null, queue.id()));
        final Endpoint endpoint = bench.machine.endpoint(IommufdBench.FIRST).fork();

        Asker() {
            file.attach(iommufd.hwptAlloc(new HwptAlloc(HwptAlloc.PASID, device, ioas)));
            file.attachPasid(PASID, hwpt);
            endpoint.config().write(4, 2, 6);
            endpoint.usePasid(PASID);
        }

        PageFault ask() {
            return ask(PASID);
        }

        PageFault ask(int pasid) {
            endpoint.usePasid(pasid);
            endpoint.read(IOVA, false);
            assertThat(endpoint.lastStatus()).isEqualTo(RequestStatus.PAGE_AWAITED);
            bench.machine.runPending();
            List<PageFault> faults = queue.read();
            assertThat(faults).hasSize(1);
            return faults.get(0);
        }
    }

    @Test
    void aPageThatADeviceAsksForIsMappedAndUsed() {
        Asker asker = new Asker();
        PageFault fault = asker.ask();
        assertThat(fault.deviceId()).isEqualTo(asker.device);
        assertThat(fault.pasid()).isEqualTo(PASID);
        assertThat(fault.request().address()).isEqualTo(IOVA);
        assertThat(fault.last()).isTrue();
        assertRefused(Errno.EINVAL, () -> asker.queue.write(fault.cookie(), 2));
        assertRefused(Errno.EINVAL, () -> asker.queue.write(fault.cookie() + 1, 0));
        map(asker.iommufd, asker.ioas, 1);
        asker.queue.write(fault.cookie(), 0);
        asker.bench.machine.runPending();
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(PageResponse.SUCCESS.code());
        assertThat(asker.endpoint.read(IOVA, false)).isEqualTo(MEMORY);
        assertRefused(Errno.EINVAL, () -> asker.queue.write(fault.cookie(), 0));
    }

    @Test
    void whatWaitsIsAnsweredWhenTheDeviceLeaves() {
        Asker asker = new Asker();
        PageFault fault = asker.ask();
        assertRefused(Errno.EBUSY, () -> asker.iommufd.destroy(asker.queue.id()));
        asker.file.detachPasid(PASID);
        asker.bench.machine.runPending();
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(PageResponse.INVALID.code());
        assertRefused(Errno.EINVAL, () -> asker.queue.write(fault.cookie(), 0));
        asker.iommufd.destroy(asker.hwpt);
        assertRefused(Errno.EBUSY, () -> asker.iommufd.destroy(asker.queue.id()));
        asker.queue.close();
        asker.iommufd.destroy(asker.queue.id());
        assertRefused(Errno.EBADF, () -> asker.queue.read());
    }

    /** The file keeps what the closed iommufd has; after it nobody answers until the PASID leaves. */
    @Test
    void anOpenQueueKeepsAClosedFilesObjects() {
        Asker asker = new Asker();
        PageFault fault = asker.ask();
        asker.iommufd.close();
        asker.queue.write(fault.cookie(), 1);
        asker.ask();
        asker.file.close();
        assertThat(asker.iommufd.objects())
                .as("the IOAS, two HWPTs and the queue")
                .isEqualTo(4);
        asker.queue.close();
        assertThat(asker.iommufd.objects()).isZero();
    }

    @Test
    void whatWaitsIsNotAnsweredByClosingTheQueue() {
        Asker asker = new Asker();
        PageFault fault = asker.ask();
        int before = asker.endpoint.lastPageResponse();
        asker.queue.close();
        asker.bench.machine.runPending();
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(before);
        assertRefused(Errno.EBADF, () -> asker.queue.write(fault.cookie(), 0));
        asker.file.detachPasid(PASID);
        asker.bench.machine.runPending();
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(PageResponse.INVALID.code());
    }

    /** One queue serves two PASIDs: what another does, or is refused, answers nothing. */
    @Test
    void onlyThePasidThatLeavesHasItsRequestsAnswered() {
        Asker asker = new Asker();
        asker.file.attachPasid(PASID + 1, asker.hwpt);
        PageFault fault = asker.ask();
        PageFault other = asker.ask(PASID + 1);
        int plain = asker.iommufd.hwptAlloc(new HwptAlloc(0, asker.device, asker.ioas));
        assertRefused(Errno.EINVAL, () -> asker.file.attachPasid(PASID, plain));
        assertRefused(Errno.EINVAL, () -> asker.file.attach(plain));
        asker.file.detachPasid(PASID + 1);
        asker.bench.machine.runPending();
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(PageResponse.INVALID.code());
        assertRefused(Errno.EINVAL, () -> asker.queue.write(other.cookie(), 0));
        map(asker.iommufd, asker.ioas, 1);
        asker.queue.write(fault.cookie(), 0);
        asker.bench.machine.runPending();
        assertThat(asker.endpoint.lastPageResponse()).isEqualTo(PageResponse.SUCCESS.code());
    }

    /** Observed in Linux 7.0: the number 0 is iommufd's for requests without a PASID, and VFIO does not refuse it. */
    @Test
    void pasidZeroIsTheOrdinaryRequestsAndVfioKeepsItApart() {
        IommufdBench bench = everything("7.3");
        Iommufd iommufd = bench.open();
        VfioDeviceFile file = bench.file(bench.first);
        int device = file.bind(iommufd);
        int ioas = map(iommufd, iommufd.ioasAlloc(0), 1);
        int hwpt = iommufd.hwptAlloc(new HwptAlloc(0, device, ioas));
        int other = iommufd.hwptAlloc(new HwptAlloc(0, device, ioas));
        Endpoint endpoint = bench.machine.endpoint(IommufdBench.FIRST);

        endpoint.config().write(4, 2, 6);
        assertThat(file.attachPasid(0, hwpt)).isEqualTo(hwpt);
        endpoint.write(IOVA, 1, false);
        assertThat(endpoint.lastStatus()).isEqualTo(RequestStatus.DONE);
        assertRefused(Errno.EBUSY, () -> file.attach(hwpt));
        assertRefused(Errno.ENOENT, () -> file.attach(99));
        file.detach();
        endpoint.write(IOVA, 2, false);
        assertThat(endpoint.lastStatus()).isEqualTo(RequestStatus.DONE);
        assertThat(file.attachPasid(0, other)).isEqualTo(other);
        file.detachPasid(0);
        endpoint.write(IOVA, 3, false);
        assertThat(endpoint.lastStatus()).isNotEqualTo(RequestStatus.DONE);

        file.attach(hwpt);
        assertRefused(Errno.EBUSY, () -> file.attachPasid(0, other));
        file.detachPasid(0);
        endpoint.write(IOVA, 4, false);
        assertThat(endpoint.lastStatus()).isEqualTo(RequestStatus.DONE);
    }

    /** Observed in Linux 7.0: VFIO's list of PASIDs has no place for it, and is asked before the object is. */
    @Test
    void aPasidFromBit31OnHasNoPlace() {
        IommufdBench bench = everything("7.3");
        VfioDeviceFile file = bench.file(bench.first);
        file.bind(bench.open());
        assertRefused(Errno.ENOSPC, () -> file.attachPasid(-1, 99));
        assertRefused(Errno.ENOSPC, () -> file.attachPasid(Integer.MIN_VALUE, 99));
        assertRefused(Errno.ENOENT, () -> file.attachPasid(Integer.MAX_VALUE, 99));
    }

    @Test
    void pasidsAndOrdinaryRequestsNeedHwptsThatWereMadeForThem() {
        IommufdBench bench = everything("7.3");
        Iommufd iommufd = bench.open();
        VfioDeviceFile file = bench.file(bench.first);
        int device = file.bind(iommufd);
        int ioas = map(iommufd, iommufd.ioasAlloc(0), 1);
        int plain = iommufd.hwptAlloc(new HwptAlloc(0, device, ioas));
        int forPasids = iommufd.hwptAlloc(new HwptAlloc(HwptAlloc.PASID, device, ioas));
        assertRefused(Errno.EINVAL, () -> file.attachPasid(PASID, plain));
        file.attach(plain);
        assertRefused(Errno.EINVAL, () -> file.attachPasid(PASID, forPasids));
        file.attach(forPasids);
        file.attachPasid(PASID, forPasids);
        assertRefused(Errno.EINVAL, () -> file.attach(plain));
        Endpoint endpoint = bench.machine.endpoint(IommufdBench.FIRST).fork();
        endpoint.config().write(4, 2, 6);
        endpoint.usePasid(PASID);
        assertThat(endpoint.read(IOVA, false)).isEqualTo(MEMORY);
        file.detachPasid(PASID);
        endpoint.read(IOVA, false);
        assertThat(endpoint.lastStatus()).isNotEqualTo(RequestStatus.DONE);
        file.attach(plain);
    }

    // ---- written pages ---------------------------------------------------------------------------------------------

    @Test
    void writtenPagesAreReported() {
        IommufdBench bench = everything("6.12");
        Iommufd iommufd = bench.open();
        VfioDeviceFile file = bench.file(bench.first);
        int device = file.bind(iommufd);
        int ioas = map(iommufd, iommufd.ioasAlloc(0), 4);
        int hwpt = iommufd.hwptAlloc(new HwptAlloc(HwptAlloc.DIRTY_TRACKING, device, ioas));
        file.attach(hwpt);
        Endpoint endpoint = bench.machine.endpoint(IommufdBench.FIRST);
        endpoint.config().write(4, 2, 6);
        endpoint.write(IOVA, 1, false);
        DirtyRange range = new DirtyRange(hwpt, 0, IOVA, 4 * PAGE, PAGE);
        assertThat(iommufd.hwptGetDirtyBitmap(range)).containsExactly(0);

        iommufd.hwptSetDirtyTracking(hwpt, Iommufd.DIRTY_TRACKING_ENABLE);
        endpoint.write(IOVA + 2 * PAGE, 1, false);
        DirtyRange keep = new DirtyRange(hwpt, DirtyRange.NO_CLEAR, IOVA, 4 * PAGE, PAGE);
        assertThat(iommufd.hwptGetDirtyBitmap(keep)).containsExactly(0b100);
        assertThat(iommufd.hwptGetDirtyBitmap(range)).containsExactly(0b100);
        assertThat(iommufd.hwptGetDirtyBitmap(range)).containsExactly(0);
        endpoint.write(IOVA + PAGE, 1, false);
        assertThat(iommufd.hwptGetDirtyBitmap(new DirtyRange(hwpt, 0, IOVA, 4 * PAGE, 2 * PAGE)))
                .containsExactly(0b1);
        endpoint.write(IOVA + 3 * PAGE, 1, false);
        iommufd.hwptSetDirtyTracking(hwpt, 0);
        iommufd.hwptSetDirtyTracking(hwpt, Iommufd.DIRTY_TRACKING_ENABLE);
        assertThat(iommufd.hwptGetDirtyBitmap(range)).as("an old record").containsExactly(0);
        assertRefused(Errno.EINVAL, () -> iommufd.hwptGetDirtyBitmap(new DirtyRange(hwpt, 0, IOVA + 1, PAGE, PAGE)));
    }

    // ---- nested HWPTs ----------------------------------------------------------------------------------------------

    @Test
    void aNestedHwptHoldsItsParentAndPassesInvalidationsOn() {
        IommufdBench bench = everything("7.3");
        Iommufd iommufd = bench.open();
        VfioDeviceFile file = bench.file(bench.first);
        int device = file.bind(iommufd);
        int ioas = map(iommufd, iommufd.ioasAlloc(0), 4);
        int parent = iommufd.hwptAlloc(new HwptAlloc(HwptAlloc.NEST_PARENT, device, ioas));
        int nested = iommufd.hwptAlloc(
                new HwptAlloc(0, device, parent, HwptAlloc.DATA_VTD_S1, new FirstStageTable(IOVA, 48, 0), 0));
        assertRefused(Errno.EBUSY, () -> iommufd.destroy(parent));
        assertThat(iommufd.ioasIovaRanges(ioas, 8).needed()).isEqualTo(1);
        file.attach(nested);
        // The device's interrupt window is reserved in the parent's IOAS.
        assertThat(iommufd.ioasIovaRanges(ioas, 8).needed()).isEqualTo(2);
        assertRefused(Errno.EBUSY, () -> iommufd.destroy(nested));
        FirstStageInvalidation all = new FirstStageInvalidation(0, FirstStageInvalidation.ALL_PAGES, false);
        Invalidated result =
                iommufd.hwptInvalidate(nested, 24, List.of(all, new FirstStageInvalidation(8, 1, false), all));
        assertThat(result.done()).isEqualTo(1);
        assertThat(result.failure().errno()).isEqualTo(Errno.EINVAL);
        assertThat(iommufd.hwptInvalidate(nested, 24, List.of(all, all)).done()).isEqualTo(2);
        assertRefused(Errno.EINVAL, () -> iommufd.hwptInvalidate(parent, 24, List.of(all)));
        assertRefused(Errno.EINVAL, () -> iommufd.hwptInvalidate(nested, 0, List.of(all)));
        file.detach();
        iommufd.destroy(nested);
        iommufd.destroy(parent);
        iommufd.destroy(ioas);
    }

    // ---- accesses --------------------------------------------------------------------------------------------------

    @Test
    void whatAnAccessPinsIsUnmappedOnceItLetsGo() {
        IommufdBench bench = new IommufdBench(IommufdBench.named("amd"), "7.3", 16);
        Iommufd iommufd = bench.open();
        int ioas = map(iommufd, iommufd.ioasAlloc(0), 8);
        List<Long> asked = new ArrayList<>();
        boolean[] stubborn = {true};
        IommufdAccess[] access = new IommufdAccess[1];
        access[0] = iommufd.createAccess(
                (iova, length) -> {
                    asked.add(iova);
                    if (!stubborn[0]) {
                        access[0].unpinPages(IOVA + PAGE, 2 * PAGE, true);
                    }
                },
                true);
        assertRefused(Errno.ENOENT, () -> access[0].pinPages(IOVA, PAGE, false));
        access[0].attach(ioas);
        assertRefused(Errno.EBUSY, () -> iommufd.destroy(ioas));
        assertRefused(Errno.EBUSY, () -> iommufd.destroy(access[0].id()));
        long[] frames = access[0].pinPages(IOVA + PAGE, 2 * PAGE, true);
        assertThat(frames)
                .containsExactly(bench.process.translate(MEMORY + PAGE), bench.process.translate(MEMORY + 2 * PAGE));
        assertThat(bench.process.pinned()).isEqualTo(2);
        assertThat(bench.account.charged()).isEqualTo(2);
        assertRefused(Errno.ENOENT, () -> access[0].pinPages(IOVA + 7 * PAGE, 2 * PAGE, false));
        assertThat(bench.process.pinned()).isEqualTo(2);

        assertRefused(Errno.EDEADLK, () -> iommufd.ioasUnmap(ioas, 0, -1L));
        assertThat(asked).contains(IOVA);
        stubborn[0] = false;
        assertThat(iommufd.ioasUnmap(ioas, 0, -1L)).isEqualTo(8 * PAGE);
        assertThat(bench.process.pinned()).isZero();
        assertThat(bench.account.charged()).isZero();
        stubborn[0] = true;
        access[0].close();
        iommufd.destroy(ioas);
    }

    /** An access that moves lets go of what it has pinned where it was. */
    @Test
    void anAccessThatMovesUnpinsInItsOldIoas() {
        IommufdBench bench = new IommufdBench(IommufdBench.named("amd"), "7.3", 16);
        Iommufd iommufd = bench.open();
        int a = map(iommufd, iommufd.ioasAlloc(0), 8);
        int b = iommufd.ioasAlloc(0);
        IommufdAccess[] access = new IommufdAccess[1];
        access[0] = iommufd.createAccess(
                (iova, length) -> {
                    assertRefused(Errno.ENOENT, () -> access[0].pinPages(IOVA, PAGE, false));
                    access[0].unpinPages(IOVA + PAGE, 2 * PAGE, true);
                },
                true);
        access[0].attach(a);
        access[0].pinPages(IOVA + PAGE, 2 * PAGE, true);
        access[0].replace(b);
        assertThat(bench.process.pinned()).isZero();
        iommufd.destroy(a);
        assertRefused(Errno.EBUSY, () -> iommufd.destroy(b));
    }

    @Test
    void anAccessReadsAndWritesAndMoves() {
        IommufdBench bench = new IommufdBench(IommufdBench.named("intel-sc"), "7.3", 16);
        Iommufd iommufd = bench.open();
        int a = map(iommufd, iommufd.ioasAlloc(0), 4);
        int b = iommufd.ioasAlloc(0);
        iommufd.ioasMap(new IoasMap(IoasMap.READABLE | IoasMap.FIXED_IOVA, b, MEMORY + PAGE, PAGE, IOVA));
        IommufdAccess access = iommufd.createAccess((iova, length) -> {}, false);
        access.attach(a);
        assertRefused(Errno.EINVAL, () -> access.attach(b));
        long[] words = new long[2];
        access.readWrite(bench.machine.memory(0), IOVA, words, false);
        assertThat(words[0]).isEqualTo(MEMORY);
        access.readWrite(bench.machine.memory(0), IOVA + PAGE - 8, new long[] {7, 8}, true);
        access.replace(b);
        access.readWrite(bench.machine.memory(0), IOVA, words, false);
        assertThat(words[0]).isEqualTo(8);
        assertRefused(Errno.EPERM, () -> access.readWrite(bench.machine.memory(0), IOVA, words, true));
        assertRefused(Errno.EINVAL, () -> access.readWrite(bench.machine.memory(0), IOVA + 4, words, false));
        assertThat(bench.process.pinned()).isZero();
        iommufd.destroy(a);
        access.detach();
        assertRefused(Errno.EINVAL, access::detach);
        access.close();
        iommufd.close();
    }

    // ---- who is charged --------------------------------------------------------------------------------------------

    @Test
    void aPageIsPinnedAndChargedOnceWhateverUsesIt() {
        IommufdBench bench = new IommufdBench(IommufdBench.named("intel-mixed"), "7.3", 16);
        Iommufd iommufd = bench.open();
        VfioDeviceFile first = bench.file(bench.first);
        VfioDeviceFile second = bench.file(bench.second);
        first.bind(iommufd);
        second.bind(iommufd);
        int a = map(iommufd, iommufd.ioasAlloc(0), 8);
        int b = iommufd.ioasAlloc(0);
        iommufd.ioasCopy(new IoasCopy(FIXED, b, a, 4 * PAGE, IOVA, IOVA + 2 * PAGE));
        assertThat(bench.process.pinned()).as("nothing is attached").isZero();
        first.attach(a);
        assertThat(bench.process.pinned()).isEqualTo(8);
        second.attach(a);
        assertThat(bench.process.pinned()).as("two HWPTs").isEqualTo(8);
        second.attach(b);
        assertThat(bench.process.pinned()).as("a copy").isEqualTo(8);
        assertThat(bench.account.charged()).isEqualTo(8);
        first.detach();
        assertThat(bench.process.pinned()).as("the copy alone").isEqualTo(4);
        assertThat(bench.read(IommufdBench.SECOND, IOVA)).isEqualTo(MEMORY + 2 * PAGE);
        second.detach();
        assertThat(bench.process.pinned()).isZero();
        assertThat(bench.process.isDirty(MEMORY + 2 * PAGE)).isTrue();
        assertThat(bench.process.isDirty(MEMORY + 9 * PAGE)).isFalse();
    }

    @Test
    void whoIsChargedIsChosenBeforeThereIsAnObject() {
        IommufdBench bench = new IommufdBench(IommufdBench.named("intel-sc"), "7.3", 16);
        UserProcess limited = bench.machine.newProcess(4, false);
        limited.allocate(MEMORY, 8, true);
        UserAccount account = new UserAccount(6);
        Iommufd iommufd = Iommufd.open(bench.options, new IommufdUser(limited, account, Set.of()));
        assertRefused(Errno.EPERM, () -> iommufd.optionSet(Iommufd.OPTION_RLIMIT_MODE, 0, 1));
        Iommufd able =
                iommufd.inheritedBy(new IommufdUser(limited, account, Set.of(IommufdUser.Capability.SYS_RESOURCE)));
        VfioDeviceFile file = bench.file(bench.first);
        able.optionSet(Iommufd.OPTION_RLIMIT_MODE, 0, 1);
        file.bind(iommufd);
        assertRefused(Errno.EBUSY, () -> able.optionSet(Iommufd.OPTION_RLIMIT_MODE, 0, 0));
        int ioas = iommufd.ioasAlloc(0);
        file.attach(ioas);
        assertRefused(Errno.ENOMEM, () -> map(iommufd, ioas, 5));
        map(iommufd, ioas, 4);
        assertThat(limited.charged()).isEqualTo(4);
        assertThat(account.charged()).isZero();
        file.close();
        iommufd.close();
        able.close();
        assertThat(limited.charged()).isZero();

        Iommufd ofUser = Iommufd.open(bench.options, new IommufdUser(limited, account, Set.of()));
        VfioDeviceFile again = bench.file(bench.first);
        again.bind(ofUser);
        int other = ofUser.ioasAlloc(0);
        again.attach(other);
        assertRefused(Errno.ENOMEM, () -> map(ofUser, other, 7));
        map(ofUser, other, 6);
        assertThat(account.charged()).isEqualTo(6);
        assertThat(limited.charged()).isZero();
    }

    @Test
    void pagesAreChargedWhenTheyAreMapped() {
        IommufdBench bench = everything("7.3");
        UserAccount account = new UserAccount(2);
        Iommufd iommufd = Iommufd.open(bench.options, new IommufdUser(bench.process, account, Set.of()));
        int device = bench.file(bench.first).bind(iommufd);
        int ioas = iommufd.ioasAlloc(0);
        int hwpt = iommufd.hwptAlloc(new HwptAlloc(0, device, ioas));
        long pinned = bench.process.pinned();
        assertRefused(Errno.ENOMEM, () -> map(iommufd, ioas, 3));
        assertThat(bench.process.pinned()).isEqualTo(pinned);
        assertThat(account.charged()).isZero();
        assertThat(iommufd.hwpt(hwpt).domain().translate(IOVA)).isEqualTo(IommuDomain.UNMAPPED);
        map(iommufd, ioas, 2);
        assertThat(account.charged()).isEqualTo(2);
        // The first domain of another IOAS maps what is there.
        int parent = iommufd.ioasAlloc(0);
        map(iommufd, parent, 1);
        assertRefused(Errno.ENOMEM, () -> iommufd.hwptAlloc(new HwptAlloc(0, device, parent)));
        assertThat(iommufd.ioasUnmap(ioas, IOVA, 2 * PAGE)).isEqualTo(2 * PAGE);
        assertThat(account.charged()).isZero();
        iommufd.hwptAlloc(new HwptAlloc(HwptAlloc.NEST_PARENT, device, parent));
        assertThat(account.charged()).isEqualTo(1);
        // A domain that refuses is asked before the account that is full.
        IoasMap readOnly =
                new IoasMap(IoasMap.FIXED_IOVA | IoasMap.READABLE, parent, MEMORY + PAGE, 3 * PAGE, IOVA + PAGE);
        assertRefused(Errno.EINVAL, () -> iommufd.ioasMap(readOnly));
        assertThat(account.charged()).isEqualTo(1);
        assertThat(bench.process.pinned()).isEqualTo(pinned + 1);
    }

    @Test
    void nobodyIsChargedWhereTheProcessMayLockWhateverWasChosen() {
        IommufdBench bench = new IommufdBench(IommufdBench.named("intel-sc"), "7.3", 16);
        UserAccount account = new UserAccount(0);
        Iommufd iommufd = Iommufd.open(
                bench.options, new IommufdUser(bench.process, account, Set.of(IommufdUser.Capability.values())));
        iommufd.optionSet(Iommufd.OPTION_RLIMIT_MODE, 0, 1);
        VfioDeviceFile file = bench.file(bench.first);
        file.bind(iommufd);
        int ioas = iommufd.ioasAlloc(0);
        file.attach(ioas);
        map(iommufd, ioas, 4);

        assertThat(bench.process.pinned()).isEqualTo(4);
        assertThat(bench.process.charged()).isZero();
        assertThat(account.charged()).isZero();
    }

    /** Observed in Linux 7.0. */
    @Test
    void aFileIsNotMappedBehindItsEnd() {
        IommufdBench bench = new IommufdBench(IommufdBench.named("intel-sc"), "7.3", 16);
        Iommufd iommufd = bench.open();
        VfioDeviceFile file = bench.file(bench.first);
        file.bind(iommufd);
        int ioas = iommufd.ioasAlloc(0);
        file.attach(ioas);
        UserProcess memfd = bench.machine.newProcess(0, false);
        memfd.allocate(0, 4, true);
        assertRefused(
                Errno.EINVAL, () -> iommufd.ioasMapFile(new IoasMapFile(FIXED, ioas, memfd, 3 * PAGE, 2 * PAGE, IOVA)));
        assertThat(memfd.pinned()).isZero();
        assertThat(bench.account.charged()).isZero();
        iommufd.ioasMapFile(new IoasMapFile(FIXED, ioas, memfd, 2 * PAGE, 2 * PAGE, IOVA));
    }

    /** Observed in Linux 7.0. */
    @Test
    void memoryThatEndsWithTheLastByteOfAllAddressesIsTakenForOneThatWraps() {
        IommufdBench bench = new IommufdBench(IommufdBench.named("intel-sc"), "7.3", 16);
        Iommufd iommufd = bench.open();
        int ioas = iommufd.ioasAlloc(0);
        assertRefused(Errno.EOVERFLOW, () -> iommufd.ioasMap(new IoasMap(FIXED, ioas, PAGE, -PAGE, IOVA)));
        assertRefused(Errno.EOVERFLOW, () -> iommufd.ioasMap(new IoasMap(FIXED, ioas, -PAGE, PAGE, IOVA)));
        iommufd.ioasMap(new IoasMap(FIXED, ioas, -2 * PAGE, PAGE, IOVA));
    }

    @Test
    void anotherProcessTakesFilesOver() {
        IommufdBench bench = new IommufdBench(IommufdBench.named("intel-sc"), "7.3", 16);
        Iommufd iommufd = bench.open();
        UserAccount nextAccount = new UserAccount(3);
        Iommufd next = iommufd.inheritedBy(new IommufdUser(bench.machine.newProcess(0, false), nextAccount, Set.of()));
        VfioDeviceFile file = bench.file(bench.first);
        file.bind(iommufd);
        int ioas = iommufd.ioasAlloc(0);
        file.attach(ioas);
        UserProcess memfd = bench.machine.newProcess(0, false);
        memfd.allocate(0, 4, true);
        iommufd.ioasMapFile(new IoasMapFile(FIXED, ioas, memfd, PAGE, 2 * PAGE, IOVA));
        assertThat(bench.account.charged()).isEqualTo(2);
        assertThat(memfd.pinned()).isEqualTo(2);
        next.ioasChangeProcess();
        assertThat(bench.account.charged()).isZero();
        assertThat(nextAccount.charged()).isEqualTo(2);
        iommufd.ioasMapFile(new IoasMapFile(FIXED, ioas, memfd, 0, 4 * PAGE, 0x50000000L));
        assertRefused(Errno.ENOMEM, next::ioasChangeProcess);
        assertThat(nextAccount.charged()).isEqualTo(2);
        assertThat(bench.account.charged()).isEqualTo(4);
        iommufd.ioasMap(new IoasMap(RW, ioas, MEMORY, PAGE, 0));
        assertRefused(Errno.EINVAL, next::ioasChangeProcess);
        file.close();
        next.close();
        iommufd.close();
        assertThat(memfd.pinned()).isZero();
        assertThat(nextAccount.charged()).isZero();
        assertThat(bench.account.charged()).isZero();
    }

    // ---- lifetimes -------------------------------------------------------------------------------------------------

    @Test
    void aBoundDeviceKeepsAClosedFilesObjects() {
        IommufdBench bench = new IommufdBench(IommufdBench.named("intel-sc"), "7.3", 16);
        Iommufd iommufd = bench.open();
        VfioDeviceFile file = bench.file(bench.first);
        file.bind(iommufd);
        int ioas = map(iommufd, iommufd.ioasAlloc(0), 4);
        file.attach(ioas);
        iommufd.close();
        assertRefused(Errno.EBADF, () -> iommufd.ioasAlloc(0));
        assertThat(bench.read(IommufdBench.FIRST, IOVA)).isEqualTo(MEMORY);
        assertRefused(Errno.EBUSY, bench.core::close);
        file.close();
        assertThat(bench.read(IommufdBench.FIRST, IOVA)).isEqualTo(-1);
        assertThat(bench.process.pinned()).isZero();
        assertThat(iommufd.objects()).isZero();
        bench.core.close();
        bench.iommu.close();
        assertThat(bench.machine.frames().inUse()).isZero();
    }

    @Test
    void idsAreTheLowestThatAreFree() {
        IommufdBench bench = new IommufdBench(IommufdBench.named("intel-sc"), "7.3", 1);
        Iommufd iommufd = bench.open();
        assertThat(List.of(iommufd.ioasAlloc(0), iommufd.ioasAlloc(0), iommufd.ioasAlloc(0)))
                .containsExactly(1, 2, 3);
        iommufd.destroy(2);
        assertRefused(Errno.ENOENT, () -> iommufd.ioasIovaRanges(2, 1));
        assertThat(iommufd.ioasAlloc(0)).isEqualTo(2);
        assertRefused(Errno.ENOENT, () -> iommufd.hwpt(2));
    }

    // ---- without an IOMMU ------------------------------------------------------------------------------------------

    @Test
    void aDeviceWithoutAnIommuHasItsAddressesToldAndNothingBlocked() {
        IommufdBench bench = new IommufdBench(IommufdBench.named("intel-sc"), "7.3", 16);
        PciAddress alone = PciAddress.parse("0000:05:00.0");
        Iommufd iommufd = Iommufd.open(bench.options.withNoIommu(true), IommufdUser.root(bench.process));
        BoundDevice device = iommufd.bindWithoutIommu(alone);
        int ioas = map(iommufd, iommufd.ioasAlloc(0), 4);
        assertRefused(Errno.EOPNOTSUPP, () -> iommufd.ioasNoIommuGetPa(ioas, IOVA, PAGE));
        assertRefused(Errno.EOPNOTSUPP, () -> iommufd.getHwInfo(device.id(), 0, 0));
        assertRefused(Errno.EOPNOTSUPP, () -> iommufd.hwptAlloc(new HwptAlloc(HwptAlloc.PASID, device.id(), ioas)));
        int hwpt = device.attach(ioas);
        assertThat(iommufd.hwpt(hwpt).enforced()).isFalse();
        NoIommuAddress at = iommufd.ioasNoIommuGetPa(ioas, IOVA + 0x10, 8 * PAGE);
        assertThat(at.physicalAddress()).isEqualTo(bench.process.translate(MEMORY + 0x10));
        assertThat(at.length()).isEqualTo(4 * PAGE - 0x10);
        assertThat(iommufd.ioasNoIommuGetPa(ioas, IOVA, 8).length()).isEqualTo(8);
        assertRefused(Errno.ENOENT, () -> iommufd.ioasNoIommuGetPa(ioas, IOVA + 4 * PAGE, 1));
        assertRefused(Errno.EINVAL, () -> iommufd.ioasNoIommuGetPa(ioas, IOVA, 0));
        assertRefused(Errno.EOVERFLOW, () -> iommufd.ioasNoIommuGetPa(ioas, -1L, 1));
        // A device with an IOMMU never joins such a HWPT: it gets its own, in the same IOAS.
        VfioDeviceFile file = bench.file(bench.first);
        file.bind(iommufd);
        assertThat(file.attach(ioas)).isNotEqualTo(hwpt);
        assertRefused(Errno.EINVAL, () -> file.attach(hwpt));
        // But the other way round nobody looks.
        int real = file.attach(ioas);
        assertThat(device.attach(real)).isEqualTo(real);
        assertRefused(Errno.EOPNOTSUPP, () -> iommufd.ioasNoIommuGetPa(ioas, IOVA, 1));
        device.unbind();
        file.close();
        iommufd.close();
        assertThat(bench.process.pinned()).isZero();
    }
}
