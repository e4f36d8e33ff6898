// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.capability.PasidAttachment;
import org.junit.jupiter.api.Test;

/** Devices and PASIDs that move, over a hand-made unit: what is undone, what is kept, and in which order. */
class AttacherTest {
    private static final long K4 = 4096;
    private static final int PASID = 5;

    /** Frames of a GCR3 table for 2^16 PASIDs: its root and the table of the lowest. */
    private static final int GCR3_FRAMES = 2;

    private final TestPlatform platform = new TestPlatform();
    private final AmdIommu iommu;
    private final IommuDevice device;

    AttacherTest() {
        // IASup, PPRSup, GTSup, HATS 2, GLXSup 2, PASmax 15, GIoSup.
        platform.efr = 0x8c0 | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48;
        iommu = platform.open();
        device = iommu.probe(platform.expressFunction(1, 0, 16)).orElseThrow();
    }

    private static void refuses(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    private IommuDomain domain(DomainType type) {
        return iommu.allocate(type, device);
    }

    private IommuDomain guest() {
        return iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.PASID));
    }

    private static PasidAttachment pasids(IommuDomain domain) {
        return domain.pasidAttachment().orElseThrow();
    }

    private void breakUnit(IommuDomain domain) {
        IotlbGather gather = new IotlbGather();
        domain.map(0x1000, 0, K4, 1, Prot.READ);
        domain.unmap(0x1000, K4, gather);
        platform.stuck = true;
        refuses(Errno.ETIMEDOUT, () -> domain.sync(gather));
        platform.stuck = false;
    }

    // --- ordinary requests ---

    @Test
    void aMoveBetweenGuestTablesThatFailsLeavesTheOldRootAndKeepsTheNewTables() {
        IommuDomain first = guest();
        IommuDomain second = guest();
        first.attach(device);
        long root = platform.unit.guestRoot(0x100, 0);
        platform.stuck = true;

        refuses(Errno.ETIMEDOUT, () -> second.attach(device));

        assertThat(platform.unit.guestRoot(0x100, 0)).isEqualTo(root);
        assertThat(iommu.quarantinedFrames()).isZero();
        int ids = iommu.state().domainIds().inUse();
        second.close();
        assertThat(iommu.quarantinedFrames())
                .as("its root, which the unit may have seen")
                .isEqualTo(1);
        assertThat(iommu.state().domainIds().inUse()).isEqualTo(ids);
    }

    @Test
    void aMoveToGuestTablesThatFailsKeepsTheNewGcr3TableForGoodAndOnce() {
        IommuDomain host = domain(DomainType.UNMANAGED);
        IommuDomain guest = guest();
        host.attach(device);
        long frames = platform.frames.inUse();
        int ids = iommu.state().domainIds().inUse();
        platform.stuck = true;

        refuses(Errno.ETIMEDOUT, () -> guest.attach(device));

        assertThat(iommu.quarantinedFrames()).isEqualTo(GCR3_FRAMES);
        assertThat(platform.frames.inUse()).isEqualTo(frames + GCR3_FRAMES);
        assertThat(iommu.state().domainIds().inUse()).isEqualTo(ids + 1);
        refuses(Errno.EIO, () -> host.detach(device));
        assertThat(iommu.quarantinedFrames()).as("counted once").isEqualTo(GCR3_FRAMES);
    }

    @Test
    void aMoveThatFailsLeavesTheEntryOfEveryIdAsItWas() {
        TestPlatform each = new TestPlatform();
        each.efr = platform.efr | 1 << 12; // five levels, which word 2 has
        AmdIommu other = each.open();
        IommuDevice aliased = other.probe(each.expressFunction(1, 0, 16), 0x110).orElseThrow();
        IommuDomain guest = other.allocate(DomainType.UNMANAGED, aliased, Set.of(DomainFlag.PASID));
        guest.attach(aliased);
        List<Long> before = words(each, 0x100, 0x110);
        assertThat(before.get(2)).isEqualTo(1L << 54);
        each.stuck = true;

        refuses(
                Errno.ETIMEDOUT,
                () -> other.allocate(DomainType.UNMANAGED, aliased).attach(aliased));

        assertThat(words(each, 0x100, 0x110)).isEqualTo(before);
    }

    private static List<Long> words(TestPlatform platform, int... ids) {
        List<Long> words = new ArrayList<>();
        for (int id : ids) {
            for (int word = 0; word < 4; word++) {
                words.add(platform.unit.deviceTableWord(id, word));
            }
        }
        return words;
    }

    @Test
    void aDeviceThatIsDetachedHoldsNothingMoreAndIsNotAsked() {
        IommuDomain domain = domain(DomainType.UNMANAGED);
        domain.attach(device);
        platform.commands.clear();
        domain.detach(device);
        assertThat(platform.commands).containsExactly("devtab 0100", "pages 1 7ffffffffffff003");
    }

    @Test
    void aBlockingDomainBlocksTheDeviceWithItsPasidsAndTakesItsServices() {
        IommuDomain guest = guest();
        guest.attach(device);
        pasids(guest).attach(device, PASID);
        platform.configWrites.clear();

        domain(DomainType.BLOCKED).attach(device);

        assertThat(platform.unit.deviceTableWord(0x100, 0)).isEqualTo(3);
        assertThat(platform.unit.deviceTableWord(0x100, 1)).isZero();
        assertThat(platform.unit.deviceTableWord(0x100, 2)).isZero();
        assertThat(platform.configWrites).containsExactly("106 = 0", "116 = 0");
    }

    @Test
    void aDeviceThatIsDetachedWithPasidsLeavesNoRootOfItsDomainBehind() {
        IommuDomain guest = guest();
        IommuDomain ofPasid = guest();
        guest.attach(device);
        pasids(ofPasid).attach(device, PASID);
        long gcr3 = platform.unit.gcr3(0x100);

        guest.detach(device);

        assertThat(platform.unit.guestRoot(gcr3, 1, 0)).isZero();
        assertThat(platform.unit.guestRoot(gcr3, 1, PASID)).isNotZero();
    }

    @Test
    void guestTablesThatADeviceLeavesAreForgottenForOrdinaryRequestsAndEveryPasid() {
        IommuDomain guest = guest();
        guest.attach(device);
        pasids(guest).attach(device, PASID);
        pasids(guest).attach(device, PASID + 1);
        platform.commands.clear();

        domain(DomainType.IDENTITY).attach(device);

        // The GCR3 table has domain id 2, the device 0x100 as its queue id, and MaxPend 5.
        assertThat(platform.commands)
                .containsExactly(
                        "devtab 0100",
                        "pages 2 7ffffffffffff003",
                        "guest 2/0 7ffffffffffff007",
                        "guest 2/5 7ffffffffffff007",
                        "iotlb 5010005000100 7ffffffffffff005",
                        "guest 2/6 7ffffffffffff007",
                        "iotlb 6010005000100 7ffffffffffff005",
                        "iotlb 10005000100 7ffffffffffff001");
    }

    @Test
    void aDeviceOfUnitsWithoutPasidsHasItsOwnTurnedOff() {
        TestPlatform without = new TestPlatform();
        AmdIommu other = without.open();
        IommuDevice its = other.probe(without.expressFunction(1, 0, 16)).orElseThrow();
        assertThat(its.maxPasids()).isZero();
        other.allocate(DomainType.DMA, its).attach(its);
        assertThat(without.configWrites).containsExactly("116 = 0", "106 = 8000");
    }

    @Test
    void aGcr3TableIsFreedAfterTheUnitHasForgottenIt() {
        IommuDomain guest = guest();
        guest.attach(device);
        long frames = platform.frames.inUse();
        List<Long> whileWaiting = new ArrayList<>();
        platform.whileWaiting = () -> whileWaiting.add(platform.frames.inUse());

        guest.detach(device);

        assertThat(whileWaiting).isNotEmpty().containsOnly(frames);
        assertThat(platform.frames.inUse()).isEqualTo(frames - GCR3_FRAMES);
    }

    @Test
    void aGcr3TableThatFindsNoMemoryLeavesItsDomainIdFree() {
        IommuDomain guest = guest();
        int ids = iommu.state().domainIds().inUse();
        platform.failNth.arm(1);
        refuses(Errno.ENOMEM, () -> guest.attach(device));
        platform.failNth.disarm();
        assertThat(iommu.state().domainIds().inUse()).isEqualTo(ids);
    }

    @Test
    void aDomainIsClosedOnce() {
        IommuDomain domain = domain(DomainType.UNMANAGED);
        domain.close();
        int ids = iommu.state().domainIds().inUse();
        IommuDomain next = domain(DomainType.UNMANAGED);
        domain.close();
        assertThat(iommu.state().domainIds().inUse()).isEqualTo(ids + 1);
        next.close();
    }

    @Test
    void aClosedDomainTakesNoDevice() {
        IommuDomain domain = domain(DomainType.UNMANAGED);
        domain.close();
        refuses(Errno.ENODEV, () -> domain.attach(device));
        refuses(Errno.ENODEV, () -> domain.detach(device));
    }

    @Test
    void aTallerRootIsWrittenForEveryIdOfADevice() {
        IommuDevice aliased = iommu.probe(platform.function(0, 1, 0, 1), 0x110).orElseThrow();
        HostDomain domain = (HostDomain) domain(DomainType.UNMANAGED);
        domain.attach(aliased);
        long before = domain.entryWord0();

        domain.map(1L << 39, 0, K4, 1, Prot.READ);

        assertThat(domain.entryWord0()).isNotEqualTo(before);
        assertThat(platform.unit.deviceTableWord(0x101, 0)).isEqualTo(domain.entryWord0());
        assertThat(platform.unit.deviceTableWord(0x110, 0)).isEqualTo(domain.entryWord0());
    }

    @Test
    void anIdThatIsSharedIsLeftToTheFunctionThatUsesGuestTables() {
        assertThat(iommu.probe(platform.function(0, 1, 0, 1), 0x1f8)).isPresent();
        IommuDevice user =
                iommu.probe(platform.expressFunction(1, 2, 16), 0x1f8).orElseThrow();
        IommuDevice leaving = iommu.probe(platform.function(0, 1, 0, 3), 0x1f8).orElseThrow();
        IommuDomain identity = domain(DomainType.IDENTITY);
        guest().attach(user);
        identity.attach(leaving);
        assertThat(platform.unit.deviceTableWord(0x1f8, 0)).isEqualTo(0x6000_0000_0000_0003L);

        identity.detach(leaving);

        assertThat(platform.unit.deviceTableWord(0x102, 0) >>> 55 & 1).as("GV").isOne();
        for (int word = 0; word < 3; word++) {
            assertThat(platform.unit.deviceTableWord(0x1f8, word) & ~(1L << 32))
                    .isEqualTo(platform.unit.deviceTableWord(0x102, word) & ~(1L << 32));
        }
    }

    @Test
    void anAliasThatTheTableDoesNotHaveIsLeftAlone() {
        IommuDevice aliased = iommu.probe(platform.function(0, 1, 0, 1), 0xffff).orElseThrow();
        platform.commands.clear();
        domain(DomainType.IDENTITY).attach(aliased);
        assertThat(platform.commands).containsExactly("devtab 0101");
        assertThat(platform.unit.deviceTableWord(0xffff, 0)).isZero();
    }

    @Test
    void anIdOfAnotherSegmentIsNotShared() {
        TestPlatform two = new TestPlatform().withSecondUnit();
        byte[] other = TestPlatform.ivhd10(TestPlatform.SECOND_BASE, 3, TestPlatform.range(8, 0x1ff));
        other[16] = 1;
        two.ivrs =
                TestPlatform.table(2, TestPlatform.ivhd10(TestPlatform.BASE, 2, TestPlatform.range(8, 0x1ff)), other);
        AmdIommu driver = two.open();
        IommuDevice first = driver.probe(two.function(0, 1, 0, 0)).orElseThrow();
        IommuDevice second = driver.probe(two.function(1, 1, 0, 0)).orElseThrow();
        IommuDomain identity = driver.allocate(DomainType.IDENTITY, first);
        identity.attach(first);
        identity.attach(second);

        identity.detach(first);

        assertThat(two.unit.deviceTableWord(0x100, 0)).isEqualTo(3);
        assertThat(two.second.deviceTableWord(0x100, 0)).isEqualTo(0x6000_0000_0000_0003L);
    }

    // --- requests with a PASID ---

    @Test
    void theFirstPasidMakesTheUnitForgetWhatOrdinaryRequestsHadUnderTheirTag() {
        domain(DomainType.IDENTITY).attach(device);
        IommuDomain guest = guest();
        platform.commands.clear();

        pasids(guest).attach(device, PASID);

        assertThat(platform.commands)
                .containsExactly("devtab 0100", "pages 1 7ffffffffffff003", "iotlb 10005000100 7ffffffffffff001");
    }

    @Test
    void aPasidMovesAndBelongsToItsNewDomainAlone() {
        guest().attach(device);
        IommuDomain first = guest();
        IommuDomain second = guest();
        pasids(first).attach(device, PASID);
        pasids(second).attach(device, PASID);

        refuses(Errno.EINVAL, () -> pasids(first).detach(device, PASID));
        first.close();
        refuses(Errno.EBUSY, second::close);
        pasids(second).detach(device, PASID);
        second.close();
        assertThat(platform.unit.guestRoot(0x100, PASID)).isZero();
    }

    @Test
    void aMoveOfAPasidThatFailsLeavesTheOldRootAndKeepsTheNewTables() {
        guest().attach(device);
        IommuDomain first = guest();
        IommuDomain second = guest();
        pasids(first).attach(device, PASID);
        long root = platform.unit.guestRoot(0x100, PASID);
        platform.stuck = true;

        refuses(Errno.ETIMEDOUT, () -> pasids(second).attach(device, PASID));

        assertThat(platform.unit.guestRoot(0x100, PASID)).isEqualTo(root);
        refuses(Errno.EBUSY, first::close);
        second.close();
        assertThat(iommu.quarantinedFrames()).isEqualTo(1);
    }

    @Test
    void aPasidThatLeavesWhileTheUnitDoesNotAnswerKeepsItsTables() {
        guest().attach(device);
        IommuDomain guest = guest();
        pasids(guest).attach(device, PASID);
        platform.stuck = true;

        refuses(Errno.ETIMEDOUT, () -> pasids(guest).detach(device, PASID));

        assertThat(platform.unit.guestRoot(0x100, PASID)).isZero();
        guest.close();
        assertThat(iommu.quarantinedFrames()).isEqualTo(1);
    }

    @Test
    void aBrokenUnitIsGivenNoPasidAndNothingIsKeptForIt() {
        IommuDomain ordinary = guest();
        IommuDomain guest = guest();
        ordinary.attach(device);
        breakUnit(ordinary);

        refuses(Errno.EIO, () -> pasids(guest).attach(device, PASID));

        assertThat(platform.unit.guestRoot(0x100, PASID)).isZero();
        guest.close();
        assertThat(iommu.quarantinedFrames()).isZero();
    }

    @Test
    void aDeviceKeepsItsGcr3TableUntilItMovesWhenItsLastPasidLeaves() {
        domain(DomainType.IDENTITY).attach(device);
        IommuDomain guest = guest();
        pasids(guest).attach(device, PASID);
        long frames = platform.frames.inUse();
        long gcr3 = platform.unit.gcr3(0x100);

        pasids(guest).detach(device, PASID);

        assertThat(platform.unit.gcr3(0x100)).isEqualTo(gcr3);
        assertThat(platform.frames.inUse()).isEqualTo(frames);
    }

    // --- one at a time ---

    @Test
    void everyChangeWaitsForTheOneLock() throws InterruptedException {
        IommuDevice asking =
                iommu.probe(platform.askingFunction(1, 1, 0x8100, 64)).orElseThrow();
        IommuDomain guest = guest();
        IommuDomain tracking = domain(DomainType.UNMANAGED);
        guest.attach(device);
        PageRequests requests = asking.pageRequests().orElseThrow();
        Object lock = ((AmdDomain) guest).attacher();
        List<Runnable> changes = List.of(
                () -> guest.attach(asking),
                () -> pasids(guest).attach(asking, PASID),
                () -> pasids(guest).detach(asking, PASID),
                () -> guest.detach(asking),
                () -> tracking.map(1L << 39, 0, K4, 1, Prot.READ),
                () -> ((HostDomain) tracking).setDirtyTracking(false),
                () -> domain(DomainType.IDENTITY),
                () -> iommu.probe(platform.function(0, 1, 0, 3)),
                requests::enable,
                requests::take,
                requests::disable,
                tracking::close,
                () -> assertThatThrownBy(iommu::close).isInstanceOf(IommuException.class));
        for (Runnable change : changes) {
            Thread other = new Thread(change);
            synchronized (lock) {
                other.start();
                awaitEndOrWaitFor(lock, other);
                assertThat(other.getState())
                        .as("change %d", changes.indexOf(change))
                        .isEqualTo(Thread.State.BLOCKED);
            }
            other.join();
        }
    }

    @Test
    void aThreadThatIsSecondToWantATallerRootLeavesTheFirstOne() throws InterruptedException {
        HostDomain domain = (HostDomain) domain(DomainType.UNMANAGED);
        domain.attach(device);
        Thread other = new Thread(() -> domain.grow(4));
        synchronized (domain.attacher()) {
            other.start();
            awaitEndOrWaitFor(domain.attacher(), other);
            domain.grow(4);
            platform.commands.clear();
        }
        other.join();
        assertThat(domain.table().levels()).isEqualTo(4);
        assertThat(platform.commands).isEmpty();
    }

    private static void awaitEndOrWaitFor(Object lock, Thread thread) {
        while (thread.isAlive() && !waitsFor(lock, thread)) {
            Thread.onSpinWait();
        }
    }

    private static boolean waitsFor(Object lock, Thread thread) {
        ThreadInfo info = ManagementFactory.getThreadMXBean().getThreadInfo(thread.getId());
        return info != null
                && info.getThreadState() == Thread.State.BLOCKED
                && info.getLockInfo() != null
                && info.getLockInfo().getIdentityHashCode() == System.identityHashCode(lock);
    }
}
