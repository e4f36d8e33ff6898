// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.VfioOptions;
import org.iommu4j.vfio.testvendor.PausingProcess;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What a call meets that another one is about to change: areas under construction or held, devices that are reset. */
class BusyObjectsTest {
    private static final long PAGE = 4096;
    private static final long MEMORY = 0x7f00_0000_0000L;
    private static final long FRAMES = 0x4000_0000L;
    private static final long SLOW = MEMORY + 8 * PAGE;
    private static final long BELOW = 0x10000;
    private static final long IOVA = 0x20000;
    /** VFIO_TYPE1_IOMMU. */
    private static final int TYPE1 = 1;

    private static final int FLAGS = IoasMap.FIXED_IOVA | IoasMap.READABLE | IoasMap.WRITEABLE;

    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final PausingProcess process = new PausingProcess(new TestProcess().place(MEMORY, FRAMES, 16, true));
    private final TestHost host = new TestHost();
    private final TestDevice first = host.add("0000:00:05.0");
    private final TestDevice second = host.add("0000:00:06.0");
    private final LinuxRelease release = LinuxRelease.of("7.3");
    private final Iommufd iommufd;
    private final VfioDeviceFile file;
    private final VfioDeviceFile other;
    private final int device;
    private final int ioas;

    BusyObjectsTest() {
        host.with(VfioOptions.DEFAULT.withRelease(release));
        iommufd =
                Iommufd.open(IommufdOptions.DEFAULT.withRelease(release).withNoIommu(true), IommufdUser.root(process));
        file = VfioDeviceFile.open(host.vfio(), host.vfio().register(first.id()));
        other = VfioDeviceFile.open(host.vfio(), host.vfio().register(second.id()));
        device = file.bind(iommufd);
        other.bind(iommufd);
        ioas = iommufd.ioasAlloc(0);
        file.attach(ioas);
    }

    @AfterEach
    void endThreads() {
        process.goOn();
        threads.shutdownNow();
    }

    private static @Nullable Errno errno(Runnable call) {
        try {
            call.run();
            return null;
        } catch (IommuException refusal) {
            return refusal.errno();
        }
    }

    private void map(long memory, long length, long iova) {
        iommufd.ioasMap(new IoasMap(FLAGS, ioas, memory, length, iova));
    }

    /** Starts a call in another thread, and returns when it waits in the process's memory. */
    private <T> Future<T> paused(Callable<T> call) {
        Future<T> running = threads.submit(call);
        process.awaitPause();
        return running;
    }

    private static <T> T end(Future<T> running) throws InterruptedException, ExecutionException, TimeoutException {
        return running.get(60, TimeUnit.SECONDS);
    }

    private Future<Long> mapSlowly() {
        process.pauseAtPin(SLOW);
        return paused(() -> iommufd.ioasMap(new IoasMap(FLAGS, ioas, SLOW, 2 * PAGE, IOVA)));
    }

    @Test
    void anAreaThatIsBeingMappedHasItsAddressesAndNoMemoryYet()
            throws InterruptedException, ExecutionException, TimeoutException {
        IommufdAccess access = iommufd.createAccess((iova, length) -> {}, true);
        access.attach(ioas);
        Future<Long> mapping = mapSlowly();

        checkUnderConstruction(access);
        map(MEMORY, PAGE, BELOW);
        assertThat(iommufd.ioasUnmap(ioas, BELOW, PAGE)).as("elsewhere").isEqualTo(PAGE);

        process.goOn();
        assertThat(end(mapping)).isEqualTo(IOVA);
        assertThat(access.pinPages(IOVA, PAGE, true)).containsExactly(FRAMES + 8 * PAGE);
        access.unpinPages(IOVA, PAGE, true);
        assertThat(iommufd.ioasUnmap(ioas, IOVA, 2 * PAGE)).isEqualTo(2 * PAGE);
        assertThat(process.pinned()).isZero();
        assertThat(process.charged()).isZero();
    }

    @Test
    void anAreaThatIsBeingUnmappedHasItsAddressesAndNoMemoryAnyMore()
            throws InterruptedException, ExecutionException, TimeoutException {
        IommufdAccess access = iommufd.createAccess((iova, length) -> {}, true);
        access.attach(ioas);
        map(SLOW, 2 * PAGE, IOVA);
        process.pauseAtUnpin(FRAMES + 8 * PAGE);
        Future<Long> unmapping = paused(() -> iommufd.ioasUnmap(ioas, IOVA, 2 * PAGE));

        checkUnderConstruction(access);

        process.goOn();
        assertThat(end(unmapping)).isEqualTo(2 * PAGE);
        map(MEMORY, 2 * PAGE, IOVA);
        assertThat(iommufd.ioasUnmap(ioas, 0, -1L)).isEqualTo(2 * PAGE);
        assertThat(process.pinned()).isZero();
        assertThat(process.charged()).isZero();
    }

    private void checkUnderConstruction(IommufdAccess access) {
        assertThat(errno(() -> iommufd.ioasUnmap(ioas, IOVA, 2 * PAGE))).isEqualTo(Errno.EBUSY);
        assertThat(errno(() -> iommufd.ioasUnmap(ioas, IOVA, PAGE)))
                .as("a part of it, which would be ENOENT")
                .isEqualTo(Errno.EBUSY);
        assertThat(errno(() -> iommufd.ioasUnmap(ioas, 0, -1L)))
                .as("everything")
                .isEqualTo(Errno.EBUSY);
        assertThat(errno(() -> map(MEMORY, PAGE, IOVA))).isEqualTo(Errno.EEXIST);
        assertThat(errno(() -> iommufd.ioasCopy(new IoasCopy(FLAGS, ioas, ioas, PAGE, BELOW, IOVA))))
                .isEqualTo(Errno.ENOENT);
        assertThat(errno(() -> access.pinPages(IOVA, PAGE, true))).isEqualTo(Errno.ENOENT);
        assertThat(errno(iommufd::ioasChangeProcess)).isEqualTo(Errno.EBUSY);
        assertThat(errno(() -> iommufd.destroy(ioas))).isEqualTo(Errno.EBUSY);
        assertThat(errno(() -> iommufd.ioasNoIommuGetPa(ioas, IOVA, PAGE))).isEqualTo(Errno.ENOENT);
    }

    @Test
    void anUnmapEndsAtAnAreaUnderConstructionAfterThoseBelow()
            throws InterruptedException, ExecutionException, TimeoutException {
        map(MEMORY, PAGE, BELOW);
        map(MEMORY, PAGE, IOVA + 2 * PAGE);
        Future<Long> mapping = mapSlowly();
        assertThat(errno(() -> iommufd.ioasUnmap(ioas, 0, 1 << 30))).isEqualTo(Errno.EBUSY);
        assertThat(errno(() -> iommufd.ioasUnmap(ioas, BELOW, PAGE)))
                .as("it is gone")
                .isEqualTo(Errno.ENOENT);
        process.goOn();
        end(mapping);
        assertThat(iommufd.ioasUnmap(ioas, 0, -1L)).isEqualTo(3 * PAGE);
        assertThat(process.pinned()).isZero();
    }

    @Test
    void aMapThatFailsGivesItsAddressesBack() throws InterruptedException, TimeoutException {
        long last = MEMORY + 15 * PAGE;
        process.pauseAtPin(last);
        Future<Errno> mapping = paused(() -> errno(() -> map(last, 2 * PAGE, IOVA)));
        assertThat(errno(() -> map(MEMORY, PAGE, IOVA))).isEqualTo(Errno.EEXIST);
        process.goOn();
        try {
            assertThat(end(mapping)).isEqualTo(Errno.EFAULT);
        } catch (ExecutionException e) {
            throw new AssertionError(e);
        }
        map(MEMORY, 2 * PAGE, IOVA);
        assertThat(process.pinned()).isEqualTo(2);
    }

    @Test
    void aPieceOfAnAreaUnderConstructionIsNotCut() throws InterruptedException, ExecutionException, TimeoutException {
        file.detach();
        iommufd.vfioIoasSet(ioas);
        iommufd.vfioContainer().setIommu(TYPE1);
        file.attach(ioas);
        Future<Long> mapping = mapSlowly();
        assertThat(iommufd.vfioContainer().unmap(IOVA, PAGE, 0).failure())
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(Errno.EBUSY));
        process.goOn();
        end(mapping);
        assertThat(iommufd.vfioContainer().unmap(IOVA, PAGE, 0).bytes()).isEqualTo(PAGE);
        assertThat(process.pinned()).isEqualTo(1);
    }

    /** A new domain waits for the area, or the area finds the domain: it is mapped in both, and pinned once. */
    @Test
    void aDeviceThatIsAttachedMeanwhileHasTheArea() throws InterruptedException, ExecutionException, TimeoutException {
        Future<Long> mapping = mapSlowly();
        Future<Integer> attaching =
                threads.submit(() -> other.attach(iommufd.hwptAlloc(new HwptAlloc(0, device, ioas))));
        process.goOn();
        end(mapping);
        int hwpt = end(attaching);
        assertThat(iommufd.hwpt(hwpt).domain().translate(IOVA + PAGE)).isEqualTo(FRAMES + 9 * PAGE);
        assertThat(process.pinned()).isEqualTo(2);
        file.detach();
        assertThat(process.pinned()).isEqualTo(2);
        assertThat(iommufd.ioasUnmap(ioas, IOVA, 2 * PAGE)).isEqualTo(2 * PAGE);
        assertThat(process.pinned()).isZero();
    }

    @Test
    void aFileThatIsClosedMeanwhileEndsWithTheCall() throws InterruptedException, ExecutionException, TimeoutException {
        file.detach();
        other.detach();
        int hwpt = iommufd.hwptAlloc(new HwptAlloc(0, device, ioas));
        Future<Long> mapping = mapSlowly();
        file.close();
        other.close();
        iommufd.close();
        assertThat(iommufd.objects()).as("the call keeps them").isEqualTo(2);
        assertThat(hwpt).isPositive();
        process.goOn();
        end(mapping);
        assertThat(iommufd.objects()).isZero();
        assertThat(process.pinned()).isZero();
        assertThat(process.charged()).isZero();
    }

    // ---- areas that an access holds --------------------------------------------------------------------------------

    /** An access that lets go, after a step of the test's. */
    private final class Holder implements IommufdAccess.Owner {
        final List<Long> held = new ArrayList<>();
        final IommufdAccess access = iommufd.createAccess(this, true);
        Runnable before = () -> {};

        Holder() {
            access.attach(ioas);
        }

        void pin(long iova) {
            access.pinPages(iova, PAGE, true);
            held.add(iova);
        }

        @Override
        public void unmap(long iova, long length) {
            before.run();
            held.removeIf(each -> {
                boolean inRange = each >= iova && each < iova + length;
                if (inRange) {
                    access.unpinPages(each, PAGE, true);
                }
                return inRange;
            });
        }
    }

    @Test
    void anAreaThatIsAboutToBeUnmappedCanBeCopiedButNotPinned() {
        Holder holder = new Holder();
        map(MEMORY, PAGE, IOVA);
        holder.pin(IOVA);
        holder.before = () -> {
            holder.before = () -> {};
            assertThat(errno(() -> holder.access.pinPages(IOVA, PAGE, true))).isEqualTo(Errno.EINVAL);
            assertThat(iommufd.ioasCopy(new IoasCopy(FLAGS, ioas, ioas, PAGE, BELOW, IOVA)))
                    .isEqualTo(BELOW);
        };
        assertThat(iommufd.ioasUnmap(ioas, IOVA, PAGE)).isEqualTo(PAGE);
        assertThat(process.pinned()).isEqualTo(1);
        assertThat(iommufd.ioasUnmap(ioas, BELOW, PAGE)).isEqualTo(PAGE);
        assertThat(process.pinned()).isZero();
    }

    /** Each area is asked for up to 100 times, however many there are. */
    @Test
    void anUnmapOfManyAreasIsNoDeadlock() {
        Holder holder = new Holder();
        for (int i = 0; i < 150; i++) {
            map(MEMORY, PAGE, IOVA + 2L * i * PAGE);
            holder.pin(IOVA + 2L * i * PAGE);
        }
        assertThat(iommufd.ioasUnmap(ioas, 0, -1L)).isEqualTo(150 * PAGE);
        assertThat(process.pinned()).isZero();
    }

    @Test
    void anAccessThatDoesNotLetGoIsAskedHundredAndOneTimes() {
        AtomicInteger asked = new AtomicInteger();
        IommufdAccess access = iommufd.createAccess((iova, length) -> asked.incrementAndGet(), true);
        access.attach(ioas);
        map(MEMORY, PAGE, BELOW);
        map(MEMORY, PAGE, IOVA);
        access.pinPages(IOVA, PAGE, false);
        assertThat(errno(() -> iommufd.ioasUnmap(ioas, 0, -1L))).isEqualTo(Errno.EDEADLK);
        assertThat(asked).hasValue(101);
        assertThat(errno(() -> iommufd.ioasUnmap(ioas, BELOW, PAGE)))
                .as("what is below is unmapped")
                .isEqualTo(Errno.ENOENT);
    }

    @Test
    void whatMayOnlyBeWrittenIsNotPinnedToBeRead() {
        Holder holder = new Holder();
        iommufd.ioasMap(new IoasMap(IoasMap.FIXED_IOVA | IoasMap.WRITEABLE, ioas, MEMORY, PAGE, IOVA));
        assertThat(errno(() -> holder.access.pinPages(IOVA, PAGE, false))).isEqualTo(Errno.EPERM);
        holder.pin(IOVA);
        assertThat(iommufd.ioasUnmap(ioas, IOVA, PAGE)).isEqualTo(PAGE);
    }

    // ---- devices that are reset ------------------------------------------------------------------------------------

    /** The search for a HWPT ends there, and makes none. */
    @Test
    void aDeviceThatIsResetIsNotAttachedNorMovedButDetached() {
        IommuGroup group = host.core().group(first.id()).orElseThrow();
        int hwpt = iommufd.hwptAlloc(new HwptAlloc(0, device, ioas));
        int objects = iommufd.objects();
        group.beginReset(first);
        assertThat(errno(() -> file.attach(hwpt))).isEqualTo(Errno.EBUSY);
        assertThat(errno(() -> file.attach(iommufd.ioasAlloc(0)))).isEqualTo(Errno.EBUSY);
        assertThat(iommufd.objects()).as("the IOAS alone is new").isEqualTo(objects + 1);
        file.detach();
        assertThat(errno(() -> file.attach(ioas))).isEqualTo(Errno.EBUSY);
        group.endReset(first);
        assertThat(file.attach(hwpt)).isEqualTo(hwpt);
    }

    // ---- what goes with an IOAS, and with a domain -----------------------------------------------------------------

    @Test
    void anIoasThatIsDestroyedIsNotThatOfVfiosCallsAnyMore() {
        int compat = iommufd.ioasAlloc(0);
        iommufd.vfioIoasSet(compat);
        iommufd.destroy(compat);
        assertThat(errno(iommufd::vfioIoasGet)).isEqualTo(Errno.ENODEV);
        assertThat(errno(() -> iommufd.vfioContainer().map(IOVA, MEMORY, PAGE, CompatContainer.MAP_READ)))
                .isEqualTo(Errno.ENODEV);
        iommufd.vfioIoasSet(ioas);
        assertThat(errno(() -> iommufd.destroy(ioas))).isEqualTo(Errno.EBUSY);
        assertThat(iommufd.vfioIoasGet()).isEqualTo(ioas);
    }

    /** Linux moves the newest domain of an IOAS to the place of the one that goes. */
    @Test
    void theNewestDomainTakesThePlaceOfTheOneThatGoes() {
        file.detach();
        int oldest = iommufd.hwptAlloc(new HwptAlloc(0, device, ioas));
        iommufd.hwptAlloc(new HwptAlloc(0, device, ioas));
        map(MEMORY, PAGE, IOVA);
        BoundDevice without = iommufd.bindWithoutIommu(host.add("0000:00:07.0").id());
        iommufd.hwptAlloc(new HwptAlloc(0, without.id(), ioas));
        assertThat(errno(() -> iommufd.ioasNoIommuGetPa(ioas, IOVA, PAGE))).isEqualTo(Errno.EOPNOTSUPP);
        iommufd.destroy(oldest);
        assertThat(iommufd.ioasNoIommuGetPa(ioas, IOVA, PAGE).physicalAddress()).isEqualTo(FRAMES);
    }
}
