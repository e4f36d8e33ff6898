// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.Errno;
import org.iommu4j.HardwareInfo;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.PageResponse;
import org.iommu4j.Prot;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.VfioOptions;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestPageRequests;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.iommu4j.vfio.type1.IovaRange;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What iommufd does in the releases on both sides of each change. */
class IommufdRulesTest {
    private static final int UNKNOWN = 9999;

    private static LinuxRelease linux(String release) {
        return LinuxRelease.of(release);
    }

    /** Two devices, the file of each bound to one iommufd with one IOAS. */
    private static final class Bench {
        final TestHost host = new TestHost();
        final TestDevice first = host.add("0000:00:05.0");
        final TestDevice second = host.add("0000:00:06.0");
        final Iommufd iommufd;
        final VfioDeviceFile file;
        final VfioDeviceFile other;
        final int device;
        final int ioas;

        Bench(String release) {
            this(linux(release));
        }

        Bench(LinuxRelease release) {
            host.with(VfioOptions.DEFAULT.withRelease(release));
            iommufd = open(release);
            file = VfioDeviceFile.open(host.vfio(), host.vfio().register(first.id()));
            other = VfioDeviceFile.open(host.vfio(), host.vfio().register(second.id()));
            device = file.bind(iommufd);
            other.bind(iommufd);
            ioas = iommufd.ioasAlloc(0);
        }
    }

    private static Iommufd open(String release) {
        return open(linux(release));
    }

    private static Iommufd open(LinuxRelease release) {
        return Iommufd.open(
                IommufdOptions.DEFAULT.withRelease(release).withNoIommu(true), IommufdUser.root(new TestProcess()));
    }

    /** Returns the errno of a call, null when it succeeds. */
    private static Errno errno(Runnable call) {
        try {
            call.run();
            return null;
        } catch (IommuException refusal) {
            return refusal.errno();
        }
    }

    @Test
    void eachReleaseKnowsItsCalls() {
        Map<String, Integer> last = new HashMap<>(
                Map.of("6.2", 0x88, "6.5", 0x88, "6.6", 0x8a, "6.7", 0x8c, "6.8", 0x8d, "6.11", 0x8e, "6.13", 0x91));
        last.putAll(Map.of("6.14", 0x92, "6.15", 0x93, "6.17", 0x94, "7.2", 0x94, "7.3", 0x95));
        last.forEach((release, number) -> {
            assertThat(errno(() -> IommufdIoctls.checkUnreadable(linux(release), number)))
                    .as(release)
                    .isEqualTo(Errno.EFAULT);
            assertThat(errno(() -> IommufdIoctls.checkUnreadable(linux(release), number + 1)))
                    .as(release)
                    .isEqualTo(Errno.ENOTTY);
        });
        assertThat(errno(() -> open("6.1"))).isEqualTo(Errno.ENOENT);
        open("6.2").close();
        assertThatIllegalArgumentException().isThrownBy(() -> open("9.9"));
    }

    /** The structure of each ioctl as it was when the ioctl came, field by field. */
    @ParameterizedTest
    @CsvSource({
        "0x80, size id, 0",
        "0x81, size flags out_ioas, 0",
        "0x82, size ioas num reserved, 1",
        "0x83, size flags dst src, 3",
        "0x84, size ioas num reserved, 2",
        "0x85, size flags ioas reserved, 3",
        "0x86, size ioas, 2",
        "0x87, size option op object, 1",
        "0x88, size ioas op, 0",
        "0x89, size flags dev pt out_hwpt reserved, 0",
        "0x8a, size flags dev data_len out_type reserved, 1",
        "0x8b, size flags hwpt reserved, 0",
        "0x8c, size hwpt flags reserved, 4",
        "0x8d, size hwpt data_type entry_len entry_num reserved, 1",
        "0x8e, size flags out_fault out_fd, 0",
        "0x8f, size flags ioas fd, 3",
        "0x90, size flags type dev hwpt out_viommu, 0",
        "0x91, size viommu dev out_vdevice, 1",
        "0x92, size reserved, 0",
        "0x93, size flags viommu type depth out_queue out_fd, 0",
        "0x94, size flags viommu type index out_queue, 2",
        "0x95, size flags ioas reserved, 3"
    })
    void anArgumentHasAtLeastTheFieldsThatItsIoctlCameWith(String ioctl, String words, int longs) {
        LinuxRelease newest = LinuxRelease.NEWEST;
        int number = Integer.decode(ioctl);
        long least = 4L * words.split(" ", -1).length + 8L * longs;
        assertThat(errno(() -> IommufdIoctls.check(newest, number, least, true)))
                .isNull();
        assertThat(errno(() -> IommufdIoctls.check(newest, number, least - 1, true)))
                .isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> IommufdIoctls.check(newest, number, 0, true))).isEqualTo(Errno.EINVAL);
        assertThat(errno(() -> IommufdIoctls.check(newest, number, 4096, true))).isNull();
        assertThat(errno(() -> IommufdIoctls.check(newest, number, 4096, false)))
                .isEqualTo(Errno.E2BIG);
    }

    @Test
    void aDeviceHasAFileOfItsOwnSince66() {
        TestHost host = new TestHost();
        TestDevice device = host.add("0000:00:05.0");
        host.with(VfioOptions.DEFAULT.withRelease(linux("6.5")));
        VfioDevice registered = host.vfio().register(device.id());
        assertThat(errno(() -> VfioDeviceFile.open(host.vfio(), registered))).isEqualTo(Errno.ENOENT);
        new Bench("6.6").file.close();
    }

    @ParameterizedTest
    @CsvSource({
        "6.2, ENOENT",
        "6.6.116, ENOENT",
        "6.6.117,",
        "6.12.58, ENOENT",
        "6.12.59,",
        "6.17, ENOENT",
        "6.17.9,",
        "6.18,"
    })
    void aContainersUnmapOfNothingSucceedsSince618(String release, @Nullable Errno errno) {
        Iommufd iommufd = open(release);
        iommufd.vfioIoasSet(iommufd.ioasAlloc(0));
        CompatContainer.Unmapped range = iommufd.vfioContainer().unmap(0x10_0000, 0x1000, 0);
        assertThat(range.bytes()).isZero();
        assertThat(range.failure() instanceof IommuException refusal ? refusal.errno() : null)
                .isEqualTo(errno);
        assertThat(iommufd.vfioContainer()
                        .unmap(0, 0, CompatContainer.UNMAP_ALL)
                        .failure())
                .isNull();
    }

    @Test
    void memoryThatIsTooLongAndWrapsIsAnOverflowSince613() {
        for (String release : List.of("6.12", "6.13")) {
            Bench bench = new Bench(release);
            bench.iommufd.vfioIoasSet(bench.ioas);
            long page = AreaPages.PAGE_SIZE;
            Map<Long, Errno> expected = Map.of(
                    AreaPages.LONGEST,
                    Errno.EOVERFLOW,
                    AreaPages.LONGEST + 1,
                    release.equals("6.12") ? Errno.EINVAL : Errno.EOVERFLOW);
            expected.forEach((length, errno) -> {
                assertThat(errno(() -> bench.iommufd.ioasMap(
                                new IoasMap(IoasMap.READABLE | IoasMap.FIXED_IOVA, bench.ioas, 2 * page, length, 0))))
                        .as("%s, an IOAS, 0x%x bytes", release, length)
                        .isEqualTo(errno);
                assertThat(errno(
                                () -> bench.iommufd.vfioContainer().map(0, 2 * page, length, CompatContainer.MAP_READ)))
                        .as("%s, a container, 0x%x bytes", release, length)
                        .isEqualTo(errno);
            });
        }
    }

    @Test
    void until66ADeviceUpgradesTheHwptThatItJoins() {
        for (String release : List.of("6.6", "6.7")) {
            Bench bench = new Bench(release);
            bench.first.snoopControl = false;
            bench.second.snoopControl = true;
            int made = bench.file.attach(bench.ioas);
            int joined = bench.other.attach(bench.ioas);
            // The first device's unit can't, so that the upgrade is refused and the second gets its own.
            assertThat(joined == made).as(release).isEqualTo(release.equals("6.7"));
            assertThat(bench.iommufd.hwpt(joined).enforced()).as(release).isEqualTo(release.equals("6.6"));
        }
    }

    /** Chosen and searched for alike; the device that can't be enforced is taken by either. */
    @Test
    void aCorrectedHwptRefusesADeviceThatCanBeEnforced() {
        LinuxRelease corrected = linux("7.3").with(List.of(new LinuxRelease.Fix("keepsEnforceableApart", null)));
        for (LinuxRelease release : List.of(linux("7.3"), corrected)) {
            boolean fixed = release.equals(corrected);
            Bench bench = new Bench(release);
            bench.first.snoopControl = false;
            int lets = bench.iommufd.hwptAlloc(new HwptAlloc(0, bench.device, bench.ioas));
            assertThat(errno(() -> bench.other.attach(lets))).isEqualTo(fixed ? Errno.EINVAL : null);
            bench.other.detach();
            assertThat(bench.file.attach(lets)).isEqualTo(lets);
            int made = bench.file.attach(bench.ioas);
            int joined = bench.other.attach(bench.ioas);
            assertThat(joined == made).isEqualTo(!fixed);
            assertThat(bench.iommufd.hwpt(joined).enforced()).isEqualTo(fixed);
            assertThat(bench.file.attach(lets)).isEqualTo(lets);
        }
    }

    @Test
    void anEmptyHwptIsUpgradedUntil66() {
        for (String release : List.of("6.6", "6.7")) {
            Bench bench = new Bench(release);
            bench.first.snoopControl = false;
            int made = bench.iommufd.hwptAlloc(new HwptAlloc(0, bench.device, bench.ioas));
            assertThat(bench.iommufd.hwpt(made).enforced()).isFalse();
            bench.other.attach(made);
            assertThat(bench.iommufd.hwpt(made).enforced()).as(release).isEqualTo(release.equals("6.6"));
            assertThat(bench.iommufd.vfioContainer()).isNotNull();
        }
    }

    @Test
    void driversHaveAnOpForUsersSince67() {
        for (String release : List.of("6.6", "6.7")) {
            Bench bench = new Bench(release);
            bench.file.attach(bench.ioas);
            assertThat(bench.host.iommu.madeForUsers).as(release).isEqualTo(release.equals("6.7") ? 1 : 0);
        }
    }

    @Test
    void aDriverThatNestsNothingIsRefusedFirstSince613() {
        for (String release : List.of("6.12", "6.13")) {
            Bench bench = new Bench(release);
            int plain = bench.iommufd.hwptAlloc(new HwptAlloc(0, bench.device, bench.ioas));
            assertThat(errno(() -> bench.iommufd.hwptAlloc(
                            new HwptAlloc(0, bench.device, plain, HwptAlloc.DATA_VTD_S1, new GuestTable() {}, 0))))
                    .as(release)
                    .isEqualTo(release.equals("6.12") ? Errno.EINVAL : Errno.EOPNOTSUPP);
        }
    }

    @Test
    void theFlagsOfAHwptCameWithTheirReleases() {
        Map<String, Integer> known = Map.of("6.6", 0, "6.7", 3, "6.12", 3, "6.13", 11, "7.3", 11);
        known.forEach((release, flags) -> {
            Bench bench = new Bench(release);
            for (int flag : new int[] {HwptAlloc.NEST_PARENT, HwptAlloc.DIRTY_TRACKING, HwptAlloc.PASID}) {
                assertThat(errno(() -> bench.iommufd.hwptAlloc(new HwptAlloc(flag, bench.device, bench.ioas))))
                        .as("%s, flag %d", release, flag)
                        .isEqualTo((flags & flag) != 0 ? null : Errno.EOPNOTSUPP);
            }
        });
        Bench bench = new Bench("7.3");
        int both = HwptAlloc.FAULT_ID_VALID | HwptAlloc.NEST_PARENT;
        assertThat(errno(() -> bench.iommufd.hwptAlloc(new HwptAlloc(both, bench.device, bench.ioas))))
                .isEqualTo(Errno.EOPNOTSUPP);
        bench.host.iommu.tracksDirty = false;
        assertThat(errno(() ->
                        bench.iommufd.hwptAlloc(new HwptAlloc(HwptAlloc.DIRTY_TRACKING, bench.device, bench.ioas))))
                .isEqualTo(Errno.EOPNOTSUPP);
        assertThat(errno(() ->
                        bench.iommufd.hwptAlloc(new HwptAlloc(HwptAlloc.FAULT_ID_VALID, bench.device, bench.ioas))))
                .isEqualTo(Errno.ENOENT);
    }

    @Test
    void beforeFaultQueuesTheFlagIsUnknown() {
        for (String release : List.of("6.10", "6.11")) {
            Bench bench = new Bench(release);
            int plain = bench.iommufd.hwptAlloc(new HwptAlloc(0, bench.device, bench.ioas));
            HwptAlloc nested = new HwptAlloc(
                    HwptAlloc.FAULT_ID_VALID, bench.device, plain, HwptAlloc.DATA_VTD_S1, new GuestTable() {}, 0);
            assertThat(errno(() -> bench.iommufd.hwptAlloc(nested)))
                    .as(release)
                    .isEqualTo(release.equals("6.10") ? Errno.EOPNOTSUPP : Errno.EINVAL);
        }
    }

    /** Of a function that has the capability, and of one that has not; the driver of either lets it ask. */
    @ParameterizedTest
    @CsvSource({"6.11, EINVAL", "6.12.101, EINVAL", "6.13,", "7.3,"})
    void aVirtualFunctionWithoutPageRequestsMayDeliverFaultsSince613(String release, @Nullable Errno without) {
        TestHost host = new TestHost();
        TestDevice plain = host.add("0000:00:05.0");
        TestDevice asking = host.add("0000:00:06.0", new PageRequesting());
        IommufdContext context =
                new IommufdContext(IommufdOptions.DEFAULT.withRelease(linux(release)), Accounting.USER);
        Ioas ioas = context.table.add(new Ioas());
        TestDevice ofPlain = host.addVirtual("0000:00:05.1", plain);
        TestDevice ofAsking = host.addVirtual("0000:00:06.1", asking);
        for (TestDevice device : List.of(ofPlain, ofAsking, asking)) {
            device.pageRequests = Optional.of(new TestPageRequests());
            BoundDevice bound =
                    BoundDevice.bind(context, host.core().group(device.id()).orElseThrow(), device);
            Hwpt hwpt = HwptAllocator.allocate(context, ioas, device, 0, false, null);
            bound.attach(hwpt.id);
            Hwpt delivering = HwptAllocator.allocate(context, ioas, device, 0, false, null);
            delivering.deliverTo(context.table.add(new FaultQueue(context.table, context.rules, () -> {})));
            Errno expected = device == asking ? null : device == ofAsking ? Errno.EINVAL : without;
            assertThat(errno(() -> bound.attach(delivering.id))).isEqualTo(expected);
            assertThat(bound.hwptId()).isEqualTo((expected == null ? delivering : hwpt).id);
            bound.detach();
            assertThat(errno(() -> bound.attach(delivering.id))).isEqualTo(expected);
            bound.detach();
        }
    }

    /** What a device or its domain reserves is looked at first, and a driver without page requests last. */
    @Test
    void aVirtualFunctionIsRefusedAfterItsReservedRegionsAndBeforeItsDriverIsAsked() {
        TestHost host = new TestHost();
        TestDevice physical = host.add("0000:00:06.0", new PageRequesting());
        TestDevice virtual = host.addVirtual("0000:00:06.1", physical);
        IommufdContext context = new IommufdContext(IommufdOptions.DEFAULT, Accounting.USER);
        Ioas ioas = context.table.add(new Ioas());
        BoundDevice bound =
                BoundDevice.bind(context, host.core().group(virtual.id()).orElseThrow(), virtual);
        Hwpt delivering = HwptAllocator.allocate(context, ioas, virtual, 0, false, null);
        delivering.deliverTo(context.table.add(new FaultQueue(context.table, context.rules, () -> {})));
        assertThat(errno(() -> bound.attach(delivering.id))).isEqualTo(Errno.EINVAL);
        ioas.allow(List.of(new IovaRange(0xfee00000L, 0xfee00fffL)));
        assertThat(errno(() -> bound.attach(delivering.id))).isEqualTo(Errno.EADDRINUSE);
    }

    /** The configuration space of a function with the Page Request capability. */
    private static final class PageRequesting implements ConfigSpace {
        @Override
        public int size() {
            return 4096;
        }

        @Override
        public int read(int offset, int bytes) {
            return offset == 0x100 ? 0x0001_0013 : 0;
        }

        @Override
        public void write(int offset, int bytes, int value) {
            // Nothing here can be written.
        }
    }

    @Test
    void hardwareInformationGrewWithTheReleases() {
        List<Errno> typed = new ArrayList<>();
        List<Integer> pasids = new ArrayList<>();
        List<Long> capabilities = new ArrayList<>();
        for (String release : List.of("6.14", "6.15", "6.16", "6.17", "7.0", "7.1", "6.12.30", "6.12.31")) {
            Bench bench = new Bench(release);
            bench.first.maxPasids = 1 << 16;
            bench.first.hardwareInfo = new HardwareInfo(1, List.of(7));
            typed.add(errno(() -> bench.iommufd.getHwInfo(bench.device, Iommufd.HW_INFO_INPUT_TYPE, 1)));
            HwInfo info = bench.iommufd.getHwInfo(bench.device, 0, 0);
            assertThat(info.hardware().words()).containsExactly(7);
            pasids.add(info.maxPasidLog2());
            capabilities.add(info.capabilities());
        }
        assertThat(typed.subList(0, 6))
                .containsExactly(Errno.EOPNOTSUPP, Errno.EOPNOTSUPP, Errno.EOPNOTSUPP, null, null, null);
        assertThat(pasids).containsExactly(0, 16, 16, 16, 16, 16, 0, 16);
        assertThat(capabilities).containsExactly(1L, 1L, 1L, 1L, 1L, 9L, 1L, 1L);
    }

    @Test
    void aPasidCanBeAttachedSince615() {
        for (String release : List.of("6.14", "6.15")) {
            Bench bench = new Bench(release);
            int hwpt = bench.iommufd.hwptAlloc(new HwptAlloc(HwptAlloc.PASID, bench.device, bench.ioas));
            // The driver's domains take none; before 6.15 the flag itself is unknown.
            assertThat(errno(() -> bench.file.attachPasid(1, hwpt)))
                    .as(release)
                    .isEqualTo(release.equals("6.14") ? Errno.EINVAL : Errno.EOPNOTSUPP);
        }
    }

    @Test
    void aTokenIsReadSince617() {
        for (String release : List.of("6.16", "6.17")) {
            Bench bench = new Bench(release);
            bench.file.close();
            VfioDeviceFile again = VfioDeviceFile.open(bench.host.vfio(), bench.file.device());
            assertThat(errno(() -> again.bind(bench.iommufd, VfioDeviceFile.BIND_TOKEN, null)))
                    .as(release)
                    .isEqualTo(release.equals("6.16") ? Errno.EINVAL : Errno.EFAULT);
        }
    }

    @Test
    void whatWaitsOfADeviceThatMovesIsAnsweredButFrom615To71() {
        Set<String> answering = Set.of("6.11", "6.12.23", "6.13.11", "6.14.2", "7.2", "7.3");
        for (String release : List.of(
                "6.11", "6.12.23", "6.12.24", "6.13.11", "6.13.12", "6.14.2", "6.14.3", "6.15", "7.1", "7.2", "7.3")) {
            for (boolean sameQueue : new boolean[] {false, true}) {
                Moving moving = new Moving(release);
                int waiting = moving.askAndRead(1);
                moving.move(sameQueue);
                String as = release + (sameQueue ? ", the same queue" : "");
                if (sameQueue || answering.contains(release)) {
                    assertThat(moving.requests.answers).as(as).isEqualTo(Map.of(1, PageResponse.INVALID));
                    assertThat(errno(() -> moving.queue.write(waiting, 0))).isEqualTo(Errno.EINVAL);
                } else {
                    assertThat(moving.requests.answers).as(as).isEmpty();
                    moving.queue.write(waiting, 0);
                    assertThat(moving.requests.answers).as(as).isEqualTo(Map.of(1, PageResponse.SUCCESS));
                }
            }
        }
    }

    /** What a move left behind is nobody's: a later move or detachment answers the requests of its own time alone. */
    @Test
    void whatWasLeftWaitingIsAnsweredByItsReaderOrWithTheQueue() {
        Moving moving = new Moving("7.1");
        int first = moving.askAndRead(1);
        moving.move(false);
        moving.moveBack();
        int second = moving.askAndRead(2);
        moving.bound.detach();
        assertThat(moving.requests.answers).isEqualTo(Map.of(2, PageResponse.INVALID));
        assertThat(errno(() -> moving.queue.write(second, 0))).isEqualTo(Errno.EINVAL);
        moving.requests.answers.put(1, PageResponse.FAILURE);
        moving.queue.write(first, 0);
        assertThat(moving.requests.answers.get(1)).as("its driver was first").isEqualTo(PageResponse.FAILURE);
        assertThat(errno(() -> moving.queue.write(first, 0))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void anAreaOfADmaBufIsNotCut() {
        DmaBufPages pages = new DmaBuf(List.of(new DmaBuf.Range(0xe000_0000L, 0x10000))).part(0, 0x10000, true);
        Ioas ioas = new Ioas();
        ioas.mapAt(0x10000, List.of(new Ioas.Piece(pages, 0, 0x10000)), Prot.READ);
        assertThat(errno(() -> ioas.cutAfter(0x10800)))
                .as("before its alignment")
                .isEqualTo(Errno.EOPNOTSUPP);
        assertThat(errno(() -> ioas.cutAfter(0x1ffff))).as("where it ends").isNull();
    }

    /** A device whose HWPT has a queue; made below the ioctls, since those of 6.11 make such HWPTs for guests alone. */
    private static final class Moving {
        final TestHost host = new TestHost();
        final TestDevice device = host.add("0000:00:05.0");
        final TestPageRequests requests = new TestPageRequests();
        final IommufdContext context;
        final Ioas ioas;
        final BoundDevice bound;
        final FaultQueue queue;
        final Hwpt hwpt;

        Moving(String release) {
            context = new IommufdContext(IommufdOptions.DEFAULT.withRelease(linux(release)), Accounting.USER);
            device.pageRequests = Optional.of(requests);
            ioas = context.table.add(new Ioas());
            bound = BoundDevice.bind(context, host.core().group(device.id()).orElseThrow(), device);
            queue = newQueue();
            hwpt = newHwpt(queue);
            bound.attach(hwpt.id);
        }

        private FaultQueue newQueue() {
            return context.table.add(new FaultQueue(context.table, context.rules, () -> {}));
        }

        private Hwpt newHwpt(FaultQueue to) {
            Hwpt made = HwptAllocator.allocate(context, ioas, device, 0, false, null);
            made.deliverTo(to);
            return made;
        }

        int askAndRead(int index) {
            requests.ask(device.id(), index);
            List<PageFault> read = queue.read();
            assertThat(read).hasSize(1);
            return read.get(0).cookie();
        }

        void move(boolean sameQueue) {
            bound.attach(newHwpt(sameQueue ? queue : newQueue()).id);
        }

        void moveBack() {
            bound.attach(hwpt.id);
        }
    }

    @Test
    void aDmaBufIsMappedSince619() {
        DmaBuf buffer = new DmaBuf(List.of(new DmaBuf.Range(0xe000_0000L, 4096)));
        for (String release : List.of("6.18", "6.19")) {
            Bench bench = new Bench(release);
            IoasMapDmaBuf map =
                    new IoasMapDmaBuf(IoasMap.READABLE | IoasMap.FIXED_IOVA, bench.ioas, buffer, 0, 4096, 0x10000);
            bench.file.attach(bench.ioas);
            assertThat(errno(() -> bench.iommufd.ioasMapFile(map)))
                    .as(release)
                    .isEqualTo(release.equals("6.18") ? Errno.EINVAL : null);
            for (long length : new long[] {0, -2}) {
                assertThat(errno(() -> bench.iommufd.ioasMapFile(
                                new IoasMapFile(IoasMap.READABLE, bench.ioas, null, 4096, length, 0))))
                        .as(release)
                        .isEqualTo(release.equals("6.18") ? Errno.EBADF : length == 0 ? Errno.EINVAL : Errno.EOVERFLOW);
            }
            assertThat(errno(() -> bench.iommufd.ioasMapFile(new IoasMapFile(
                            IoasMap.READABLE | IoasMap.FIXED_IOVA, bench.ioas, new TestProcess(), 0, -4096, 0x20000))))
                    .as("too long, and it wraps around")
                    .isEqualTo(Errno.EINVAL);
        }
        Bench detached = new Bench("6.18");
        detached.iommufd.ioasMapFile(
                new IoasMapDmaBuf(IoasMap.READABLE | IoasMap.FIXED_IOVA, detached.ioas, buffer, 0, 4096, 0x10000));
        assertThat(errno(() -> detached.file.attach(detached.ioas)))
                .as("its pages are looked for when a device is attached")
                .isEqualTo(Errno.EINVAL);
    }

    @Test
    void aDirtyBitmapOfNoBytesIsInvalidSince734() {
        for (String release : List.of("6.12.116", "6.12.117", "7.3.3", "7.3.4")) {
            Bench bench = new Bench(release);
            int hwpt = bench.iommufd.hwptAlloc(new HwptAlloc(0, bench.device, bench.ioas));
            assertThat(errno(() -> bench.iommufd.hwptGetDirtyBitmap(new DirtyRange(hwpt, 0, 4096, 0, 4096))))
                    .as(release)
                    .isEqualTo(List.of("6.12.116", "7.3.3").contains(release) ? Errno.EOVERFLOW : Errno.EINVAL);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "6.12.95, ENOENT",
        "6.12.96, EINVAL",
        "6.18.38, ENOENT",
        "6.18.39, EINVAL",
        "7.0, ENOENT",
        "7.1, ENOENT",
        "7.1.3, ENOENT",
        "7.1.4, EINVAL",
        "7.2, EINVAL"
    })
    void anArrayOfInvalidationsIsBoundedSince72(String release, Errno errno) {
        Bench bench = new Bench(release);
        assertThat(errno(() -> bench.iommufd.hwptInvalidate(UNKNOWN, 4097, List.of())))
                .isEqualTo(errno);
    }

    @ParameterizedTest
    @CsvSource({
        "6.12.100,",
        "6.12.101, EINVAL",
        "6.18.38,",
        "6.18.39, EINVAL",
        "7.0,",
        "7.1.3,",
        "7.1.4, EINVAL",
        "7.2, EINVAL"
    })
    void aReadThatIsTooShortIsInvalidSince72(String release, @Nullable Errno errno) {
        Moving moving = new Moving(release);
        moving.requests.ask(moving.device.id(), 1);
        assertThat(errno(() -> assertThat(moving.queue.read(0, 0)).isEmpty())).isEqualTo(errno);
        assertThat(moving.queue.read()).as("it stays").hasSize(1);
    }

    @Test
    void aDeviceWithoutAnIommuIsBoundSince73() {
        for (String release : List.of("7.2", "7.3")) {
            TestHost host = new TestHost();
            Iommufd iommufd = open(release);
            TestDevice device = host.add("0000:00:05.0");
            assertThat(errno(() -> iommufd.bindWithoutIommu(device.id()).unbind()))
                    .as(release)
                    .isEqualTo(release.equals("7.2") ? Errno.EINVAL : null);
        }
    }
}
