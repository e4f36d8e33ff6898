// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Set;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.intel.acpi.DmarBytes;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Page requests against a unit that answers and asks for nothing by itself: entries, descriptors and registers in hex.
 */
class PageRequestsTest {
    private static final String DEVICE = "0000:00:02.0";
    private static final long BASE = 0xfed90000L;
    private static final long ECAP = Bench.ECAP_SCALABLE | 1L << 29;
    private static final int PASID = 5;

    /** PRG Response PASID Required, and Stopped. */
    private static final int STATUS = 0x8100;

    /** A page request of 00:02.0 with PASID 5. */
    private static final long REQUEST = 0x5_0010_0101L;

    private static final long READ = 1;
    private static final long WRITE = 2;
    private static final long LAST = 4;

    private Bench bench = new Bench();
    private byte[] config = new byte[0];
    private Iommu iommu = open(STATUS, 64, ECAP);
    private IommuDevice device = bench.probe(iommu, DEVICE);
    private RegistersDouble unit = bench.first();
    private IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.PASID));
    private PageRequests requests = device.pageRequests().orElseThrow();
    private int tail;

    PageRequestsTest() {
        assertThat(domain.pasidAttachment().orElseThrow().attach(device, PASID).attached())
                .isTrue();
    }

    private Iommu open(int status, int capacity, long ecap) {
        bench = new Bench();
        bench.unit(BASE, Bench.CAP_LARGE, ecap);
        config = bench.askingFunction(DEVICE, status, capacity);
        bench.dmar = new DmarBytes(48, 1).drhd(true, 0, BASE).bytes();
        return bench.open();
    }

    private static void assertErrno(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        e -> assertThat(e.errno()).as(e.getMessage()).isEqualTo(errno));
    }

    /** Queues a request, as the unit does. */
    private void ask(long low, long high) {
        long queue = unit.values.get(0xd0) & ~0xfffL;
        bench.flat.store(queue + tail, low);
        bench.flat.store(queue + tail + 8, high);
        tail = (tail + 32) & 0xffff;
        unit.values.put(0xc8, tail);
        unit.values.put(0xdc, unit.values.get(0xdc) | 1);
    }

    private static long page(long address, int group, long flags) {
        return address | (long) group << 3 | flags;
    }

    /** The descriptors since the last call, without ordinary waits. */
    private List<String> descriptors() {
        return unit.takeLog().stream()
                .filter(descriptor -> !descriptor.matches("[0-9a-f]*25 .*"))
                .toList();
    }

    @Test
    void theUnitIsToldWhereTheQueueIsAndMayTakeRequests() {
        assertThat(unit.values.get(0xd0) & 0xfff).as("PQA: 16 frames").isEqualTo(4);
        assertThat(unit.values.get(0xe0)).as("PECTL: masked").isEqualTo(0x80000000L);
        long context = bench.flat.load((bench.flat.load(unit.values.get(0x20) & ~0xfffL) & ~0xfffL) + 0x10 * 32);
        assertThat(context & 0x1f).as("PRE, PASIDE, DTE, P").isEqualTo(0x1d);
        domain.pasidAttachment().orElseThrow().detach(device, PASID);
        domain.close();
        iommu.close();
        assertThat(bench.pool.inUse()).isZero();
    }

    @Test
    void aClosedUnitIsToldOfNoQueue() {
        domain.pasidAttachment().orElseThrow().detach(device, PASID);
        unit.values.put(0xdc, 3);
        iommu.close();
        assertThat(unit.values.get(0xc0)).as("PQH").isZero();
        assertThat(unit.values.get(0xc8)).as("PQT").isZero();
        assertThat(unit.values.get(0xd0)).as("PQA").isZero();
        assertThat(unit.values.get(0xdc)).as("PRS").isZero();
    }

    @Test
    void whoAsksAClosedDriverForRequestsMeetsNoMemoryThatIsSomebodyElsesByNow() {
        requests.enable();
        ask(REQUEST, page(0x7000_1000L, 3, READ | LAST));
        assertThat(requests.take()).hasSize(1);
        domain.pasidAttachment().orElseThrow().detach(device, PASID);
        iommu.close();
        long end = 0x400000;
        for (long pa = 0x100000; pa < end; pa += 8) {
            bench.flat.store(pa, 0x4747474747474747L);
        }

        assertThat(requests.take()).isEmpty();

        assertThat(unit.values.get(0xc0)).as("PQH").isZero();
        for (long pa = 0x100000; pa < end; pa += 8) {
            assertThat(bench.flat.load(pa)).as("0x%x", pa).isEqualTo(0x4747474747474747L);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 0x80000000, 0x04000000})
    void whoAnswersAClosedDriverLateIsRefused(int stuck) {
        domain.pasidAttachment().orElseThrow().detach(device, PASID);
        UnitCaches caches = ((IntelIommu) iommu).state().units().get(0).caches();
        unit.stuck = stuck;
        iommu.close();
        unit.recording = true;

        assertErrno(Errno.EIO, () -> caches.respondToPageRequest(0x10, PASID, 3, 0));
        ask(REQUEST, page(0x7000_1000L, 3, READ | LAST));
        assertThat(requests.take()).isEmpty();

        assertThat(unit.takeLog()).isEmpty();
    }

    @Test
    void requestsThatComeWhileTheDriverIsClosedAreNotRead() {
        domain.pasidAttachment().orElseThrow().detach(device, PASID);
        unit.recording = true;
        bench.atNextWait = () -> {
            ask(REQUEST, page(0x7000_1000L, 3, READ | LAST));
            assertThat(requests.take()).isEmpty();
        };

        iommu.close();

        assertThat(unit.takeLog()).isEmpty();
    }

    @Test
    void aDeviceMayNotAskAClosedDriver() {
        iommu = open(STATUS, 64, ECAP);
        device = bench.probe(iommu, DEVICE);
        PageRequests own = device.pageRequests().orElseThrow();
        iommu.close();

        assertErrno(Errno.ENODEV, own::enable);

        assertThat(config[0x144]).isZero();
    }

    @Test
    void aUnitThatMayStillTranslateKeepsItsTablesAndItsQueueOfRequests() {
        long queue = unit.values.get(0xd0);
        domain.pasidAttachment().orElseThrow().detach(device, PASID);
        unit.stuck = 0x80000000;

        iommu.close();

        assertThat(unit.values.get(0xd0)).as("PQA").isEqualTo(queue);
        // Root and context table, PASID directory and table, and 16 frames of page requests.
        assertThat(bench.pool.inUse()).isEqualTo(iommu.quarantinedFrames()).isEqualTo(20);
    }

    @Test
    void aQueueThatTheUnitWasNeverToldOfIsNotTakenFromIt() {
        Bench other = new Bench();
        RegistersDouble early = other.unit(BASE, Bench.CAP_LARGE, ECAP);
        other.function(DEVICE, 0x020000);
        other.dmar = new DmarBytes(48, 1).drhd(true, 0, BASE).bytes();
        // An earlier kernel's, of a unit that does not let itself be turned off.
        early.leaveOn();
        early.stuck = 0x80000000;
        early.values.put(0xd0, 0x5004L);

        assertErrno(Errno.ETIMEDOUT, other::open);

        assertThat(early.values.get(0xd0)).isEqualTo(0x5004);
        assertThat(other.pool.inUse()).isZero();
    }

    @ParameterizedTest
    @CsvSource({"64, 32", "32, 32", "5, 5", "-1, 32"})
    void aDeviceMayAskOnlyWhenItIsWanted(int capacity, int allocation) {
        iommu = open(STATUS, capacity, ECAP);
        device = bench.probe(iommu, DEVICE);
        PageRequests own = device.pageRequests().orElseThrow();
        assertThat(config[0x144]).isZero();
        own.enable();
        assertThat(config[0x144]).isEqualTo((byte) 1);
        assertThat(config[0x14c]).isEqualTo((byte) allocation);
        config[0x144] = 0x55;
        own.enable();
        assertThat(config[0x144]).as("on already").isEqualTo((byte) 0x55);
        own.disable();
        assertThat(config[0x144]).isZero();
        own.enable();
        iommu.close();
        assertThat(config[0x144]).as("closed").isZero();
    }

    @Test
    void aDeviceThatHasNotStoppedIsBusy() {
        iommu = open(0x8000, 64, ECAP);
        device = bench.probe(iommu, DEVICE);
        PageRequests own = device.pageRequests().orElseThrow();
        assertErrno(Errno.EBUSY, own::enable);
        assertThat(config[0x144]).as("reset, not enabled").isEqualTo((byte) 2);
    }

    @Test
    void wholeGroupsAreHandedOutAndAnsweredOnce() {
        requests.enable();
        unit.recording = true;
        ask(REQUEST, page(0x7000_1000L, 3, READ));
        ask(REQUEST, page(0x8000_0000L, 4, WRITE | LAST));
        assertThat(requests.take())
                .containsExactly(new PageRequestGroup(
                        device.id(), PASID, 4, List.of(new PageRequest(0x8000_0000L, false, true, false, false))));
        assertThat(unit.values.get(0xc0)).as("PQH").isEqualTo(64);
        assertThat(unit.values.get(0xdc)).as("PPR").isZero();
        ask(REQUEST, page(0x7000_2000L, 3, READ | WRITE | LAST));
        List<PageRequestGroup> groups = requests.take();
        assertThat(groups).hasSize(1);
        assertThat(groups.get(0).pages())
                .containsExactly(
                        new PageRequest(0x7000_1000L, true, false, false, false),
                        new PageRequest(0x7000_2000L, true, true, false, false));
        assertThat(descriptors()).as("nothing is answered yet").isEmpty();

        requests.respond(groups.get(0), PageResponse.SUCCESS);
        assertThat(descriptors()).containsExactly("500100019 1c");
        assertErrno(Errno.EINVAL, () -> requests.respond(groups.get(0), PageResponse.SUCCESS));
        assertThat(descriptors()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"SUCCESS, 500100019", "INVALID, 500101019", "FAILURE, 50010f019"})
    void anAnswerHasItsCode(PageResponse response, String low) {
        requests.enable();
        ask(REQUEST, page(0x7000_1000L, 0x1ff, READ | LAST));
        PageRequestGroup group = requests.take().get(0);
        unit.recording = true;
        requests.respond(group, response);
        assertThat(descriptors()).containsExactly(low + " ffc");
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "a PASID that is not attached, 600100101, 600101019 1c",
        "no PASID, 100001, 101009 1c",
        "privilege, 20000500100101, 500101019 1c",
        "execution, 10000500100101, 500101019 1c",
        "another type, 500100102, 500101019 1c",
        "a device that may not ask, 500180101, 500181019 1c"
    })
    void whatIsNotHandedOutIsAnsweredAsInvalid(String what, String low, String answer) {
        requests.enable();
        unit.recording = true;
        long word = Long.parseLong(low, 16);
        ask(word, page(0x7000_1000L, 3, READ));
        ask(word, page(0x7000_2000L, 3, READ | LAST));
        assertThat(requests.take()).isEmpty();
        assertThat(descriptors()).as(what).containsExactly(answer);
        assertThat(unit.values.get(0xc0)).isEqualTo(64);
    }

    @Test
    void aStopMarkerIsNotAnswered() {
        requests.enable();
        unit.recording = true;
        ask(REQUEST, page(0, 3, LAST));
        assertThat(requests.take()).isEmpty();
        assertThat(descriptors()).isEmpty();
    }

    @Test
    void theQueueIsReadAroundItsEnd() {
        requests.enable();
        for (int i = 0; i < 5000; i++) {
            ask(REQUEST, page(i * 0x1000L, i & 511, READ | LAST));
            if (i % 7 == 0) {
                for (PageRequestGroup group : requests.take()) {
                    requests.respond(group, PageResponse.SUCCESS);
                }
            }
        }
        assertThat(requests.take()).hasSize(4999 % 7);
        assertThat(requests.overflows()).isZero();
    }

    @Test
    void anOverflowForgetsPartsOfGroupsAndStartsTheQueueAgain() {
        requests.enable();
        ask(REQUEST, page(0x1000, 1, READ | LAST));
        ask(REQUEST, page(0x2000, 2, READ));
        unit.values.put(0xdc, 3);
        assertThat(requests.take()).extracting(PageRequestGroup::index).containsExactly(1);
        assertThat(unit.values.get(0xdc)).isZero();
        assertThat(requests.overflows()).isEqualTo(1);
        ask(REQUEST, page(0x3000, 2, READ | LAST));
        assertThat(requests.take())
                .extracting(PageRequestGroup::pages)
                .containsExactly(List.of(new PageRequest(0x3000, true, false, false, false)));
        assertThat(requests.overflows()).isEqualTo(1);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void whoLeavesAPasidIsDrainedAndWhatIsOpenIsAnsweredAsInvalid(boolean moved) {
        requests.enable();
        ask(REQUEST, page(0x1000, 1, READ | LAST));
        PageRequestGroup taken = requests.take().get(0);
        ask(REQUEST, page(0x2000, 2, READ | LAST));
        unit.recording = true;
        if (moved) {
            IommuDomain other = iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.PASID));
            assertThat(other.pasidAttachment()
                            .orElseThrow()
                            .attach(device, PASID)
                            .attached())
                    .isTrue();
        } else {
            domain.pasidAttachment().orElseThrow().detach(device, PASID);
        }
        List<String> descriptors = descriptors();
        int drain = -1;
        for (int i = 0; i < descriptors.size(); i++) {
            drain = descriptors.get(i).matches("[0-9a-f]*a5 .*") ? i : drain;
        }
        // The PASID cache, the IOTLB, the device's TLB; the wait with PD; then the answers, what was read late too.
        assertThat(drain).isEqualTo(3);
        assertThat(descriptors.subList(4, descriptors.size())).containsExactlyInAnyOrder("500101019 c", "500101019 14");
        assertErrno(Errno.EINVAL, () -> requests.respond(taken, PageResponse.SUCCESS));
        assertThat(requests.take()).isEmpty();
    }

    @Test
    void aDeviceThatIsStoppedGetsAllItsAnswers() {
        requests.enable();
        ask(REQUEST, page(0x1000, 1, READ | LAST));
        unit.recording = true;
        requests.disable();
        assertThat(descriptors()).hasSize(2).last().isEqualTo("500101019 c");
        ask(REQUEST, page(0x1000, 2, READ | LAST));
        assertThat(requests.take()).as("late").isEmpty();
        assertThat(descriptors()).containsExactly("500101019 14");
    }

    @Test
    void aUnitThatDoesNotAnswerIsBroken() {
        requests.enable();
        ask(REQUEST, page(0x1000, 1, READ | LAST));
        ask(REQUEST, page(0x1000, 2, READ | LAST));
        List<PageRequestGroup> groups = requests.take();
        unit.frozen = true;
        assertErrno(Errno.ETIMEDOUT, () -> requests.respond(groups.get(0), PageResponse.SUCCESS));
        unit.frozen = false;
        assertErrno(Errno.EIO, () -> requests.respond(groups.get(1), PageResponse.SUCCESS));
        assertErrno(Errno.EIO, () -> requests.disable());
        assertThat(config[0x144]).as("off all the same").isZero();
    }

    @Test
    void aUnitThatIsGoneHasNoRequests() {
        requests.enable();
        ask(REQUEST, page(0x1000, 1, READ | LAST));
        unit.gone = true;
        assertThat(requests.take()).isEmpty();
    }

    @Test
    void whoLacksSomethingHasNoPageRequests() {
        assertThat(open(0x0100, 64, ECAP)).isNotNull();
        assertThat(bench.probe(bench.open(), DEVICE).pageRequests())
                .as("answers would carry a PASID")
                .isEmpty();
        for (long missing : new long[] {1L << 29, 1L << 40, 1L << 43, 1L << 2}) {
            assertThat(bench.probe(open(STATUS, 64, ECAP & ~missing), DEVICE).pageRequests())
                    .as("ECAP without 0x%x", missing)
                    .isEmpty();
        }
    }

    @ParameterizedTest
    @CsvSource({"6.10, false", "6.11, true"})
    void pageRequestsAreHandedOutSinceTheReleaseThatHasSomebodyForThem(String release, boolean handedOut) {
        Bench other = new Bench();
        other.unit(BASE, Bench.CAP_LARGE, ECAP);
        other.askingFunction(DEVICE, STATUS, 64);
        other.dmar = new DmarBytes(48, 1).drhd(true, 0, BASE).bytes();
        other.release = LinuxRelease.named(release);
        assertThat(other.probe(other.open(), DEVICE).pageRequests().isPresent()).isEqualTo(handedOut);
    }
}
