// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

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
import org.iommu4j.LinuxRelease;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Page requests over a hand-made unit: entries, commands and registers by numbers of the test's own. */
class PageRequestsTest {
    /** IASup, PPRSup, GTSup, HATS 2, GLXSup 2, PASmax 15, GIoSup. */
    private static final long EFR = 0x8c0 | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48;

    private static final int PASID = 5;
    /** PRG Response PASID Required, and Stopped. */
    private static final int STATUS = 0x8100;

    /** A page request of 01:00.0 with PASID 5, GN and US; R, W, and the last of its group. */
    private static final long REQUEST = 0x1140_0000_0005_0100L;

    private static final long READ = 1L << 50;
    private static final long WRITE = 1L << 53;
    private static final long LAST = 1L << 41;

    private final TestPlatform platform = new TestPlatform();
    private AmdIommu iommu;
    private PciFunction function;
    private IommuDevice device;
    private IommuDomain domain;
    private PageRequests requests;
    private long tail;

    PageRequestsTest() {
        open(EFR, STATUS, 64);
    }

    private void open(long efr, int status, int capacity) {
        platform.efr = efr;
        iommu = platform.open();
        function = platform.askingFunction(1, 0, status, capacity);
        device = iommu.probe(function).orElseThrow();
        domain = guest();
        domain.attach(device);
        domain.pasidAttachment().orElseThrow().attach(device, PASID);
        requests = device.pageRequests().orElseThrow();
        tail = 0;
        platform.commands.clear();
    }

    private IommuDomain guest() {
        return iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.PASID));
    }

    private static void refuses(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    /** Logs a request, as the unit does. */
    private void ask(long word0, int group, long page) {
        long log = platform.unit.registers[0x38 / 8] & 0x000f_ffff_ffff_f000L;
        platform.memory.store(log + tail, word0 | (long) group << 32);
        platform.memory.store(log + tail + 8, page);
        tail = (tail + 16) & 0x1fff;
        platform.unit.registers[0x2038 / 8] = tail;
    }

    private List<String> commands() {
        List<String> commands = new ArrayList<>(platform.commands);
        platform.commands.clear();
        return commands;
    }

    private int control() {
        ConfigSpace config = function.config();
        return config.read(0x124, 2);
    }

    @ParameterizedTest
    @CsvSource({"0, 0", "0x20000000000, 0x8000000000", "0x4000000000000, 0x200000000000"}) // PPRAutoRspSup, EPHSup
    void theUnitIsToldWhereTheLogIsAndTurnedOn(long features, long enabled) {
        open(EFR | features, STATUS, 64);
        assertThat(platform.unit.registers[0x38 / 8] >>> 56).as("512 entries").isEqualTo(9);
        assertThat(platform.unit.registers[0x18 / 8] & (0xa000 | 1L << 39 | 1L << 45))
                .as("PprLogEn, PprEn, PprAutoRspEn, EPHEn")
                .isEqualTo(0xa000 | enabled);
        assertThat(platform.unit.registers[0x2080 / 8]).as("success").isZero();
        domain.pasidAttachment().orElseThrow().detach(device, PASID);
        domain.detach(device);
        domain.close();
        iommu.close();
        assertThat(platform.unit.registers[0x18 / 8] & 0xa000).isZero();
    }

    @ParameterizedTest
    @CsvSource({"0x8100, 3", "0x0100, 1"})
    void theEntryLetsTheDeviceAskAndSaysWhetherAnswersCarryThePasid(int status, int bits) {
        open(EFR, status, 64);
        assertThat(platform.unit.deviceTableWord(0x100, 0) >>> 52 & 3)
                .as("GPRP, PPR")
                .isEqualTo(bits);
        requests.enable();
        ask(REQUEST | READ | LAST, 3, 0x1000);
        requests.respond(requests.take().get(0), PageResponse.SUCCESS);
        assertThat(commands()).containsExactly(bits == 3 ? "ppr 500000100 300000004" : "ppr 100 300000000");
        domain.detach(device);
        assertThat(platform.unit.deviceTableWord(0x100, 0) >>> 52 & 3).isZero();
    }

    @ParameterizedTest
    @CsvSource({"64, 32", "5, 5", "-1, 32"})
    void aDeviceMayAskOnlyWhenItIsWantedAndNotBlocked(int capacity, int allocation) {
        open(EFR, STATUS, capacity);
        assertThat(control()).isZero();
        requests.enable();
        assertThat(control()).isEqualTo(1);
        assertThat(function.config().read(0x12c, 4)).isEqualTo(allocation);
        domain.detach(device);
        assertThat(control()).as("blocked").isZero();
        domain.attach(device);
        assertThat(control()).as("wanted").isEqualTo(1);
        requests.disable();
        assertThat(control()).isZero();
        domain.detach(device);
        domain.attach(device);
        assertThat(control()).as("not wanted").isZero();
    }

    @Test
    void aDeviceThatHasNotStoppedIsBusy() {
        open(EFR, 0x8000, 64);
        refuses(Errno.EBUSY, () -> requests.enable());
        assertThat(control()).as("reset, not enabled").isEqualTo(2);
    }

    @Test
    void wholeGroupsAreHandedOutAndAnsweredOnce() {
        requests.enable();
        ask(REQUEST | READ, 3, 0x7000_1000L);
        ask(REQUEST | WRITE | LAST, 4, 0x8000_0000L);
        assertThat(requests.take())
                .containsExactly(new PageRequestGroup(
                        device.id(), PASID, 4, List.of(new PageRequest(0x8000_0000L, false, true, false, false))));
        assertThat(platform.unit.registers[0x2030 / 8]).as("head").isEqualTo(32);
        ask(REQUEST | READ | WRITE | LAST, 3, 0x7000_2000L);
        List<PageRequestGroup> groups = requests.take();
        assertThat(groups).hasSize(1);
        assertThat(groups.get(0).pages())
                .containsExactly(
                        new PageRequest(0x7000_1000L, true, false, false, false),
                        new PageRequest(0x7000_2000L, true, true, false, false));
        assertThat(commands()).as("nothing is answered yet").isEmpty();
        requests.respond(groups.get(0), PageResponse.SUCCESS);
        assertThat(commands()).containsExactly("ppr 500000100 300000004");
        refuses(Errno.EINVAL, () -> requests.respond(groups.get(0), PageResponse.SUCCESS));
        assertThat(commands()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"SUCCESS, 1ff", "INVALID, 11ff", "FAILURE, f1ff"})
    void anAnswerHasItsCode(PageResponse response, String upper) {
        requests.enable();
        ask(REQUEST | READ | LAST, 0x1ff, 0x1000);
        requests.respond(requests.take().get(0), response);
        assertThat(commands()).containsExactly("ppr 500000100 " + upper + "00000004");
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "a PASID that is not attached, 1144020300060100, 600000100 100300000004",
        "a PASID of 20 bits, 11442a03bcde0100, abcde00000100 100300000004",
        "PASID 0, 1144020300000100, 100 100300000004",
        "no PASID, 1044020300000100, 100 100300000000",
        "privilege, 1104020300050100, 500000100 100300000004",
        "execution, 1146020300050100, 500000100 100300000004",
        "a reserved bit, 11c4020300050100, 500000100 100300000004",
        "another code, 2144020300050100, 500000100 100300000004",
        "a device that may not ask, 1144020300050108, 500000108 100300000004"
    })
    void whatIsNotHandedOutIsAnsweredAsInvalid(String what, String word0, String answer) {
        requests.enable();
        long word = Long.parseLong(word0, 16);
        ask(word & ~LAST, 0, 0x1000);
        ask(word, 0, 0x2000);
        assertThat(requests.take()).isEmpty();
        assertThat(commands()).as(what).containsExactly("ppr " + answer);
    }

    @Test
    void theInterfaceIsTurnedOnOnceAndStaysOnWhileTheDeviceMoves() {
        requests.enable();
        platform.configWrites.clear();
        requests.enable();
        guest().attach(device);
        assertThat(platform.configWrites).isEmpty();
        assertThat(control() & 1).isOne();
    }

    @Test
    void aDeviceThatMayNotAskForTranslationsIsTurnedOnWhenItMay() {
        domain.pasidAttachment().orElseThrow().detach(device, PASID);
        domain.detach(device);
        requests.enable();
        assertThat(control() & 1).isZero();
        domain.attach(device);
        assertThat(control() & 1).isOne();
    }

    @Test
    void pageRequestsNeedPasidsAndAnIotlb() {
        TestPlatform older = new TestPlatform();
        older.efr = EFR;
        older.release = LinuxRelease.named("6.1");
        assertThat(older.open()
                        .probe(older.askingFunction(1, 0, STATUS, 64))
                        .orElseThrow()
                        .pageRequests())
                .isEmpty();
        TestPlatform without = new TestPlatform();
        without.efr = EFR;
        without.capabilityHeader &= ~(1 << 24); // IotlbSup
        IommuDevice device =
                without.open().probe(without.askingFunction(1, 0, STATUS, 64)).orElseThrow();
        assertThat(device.maxPasids()).isPositive();
        assertThat(device.pageRequests()).isEmpty();
    }

    @Test
    void aClosedDriverTurnsNothingOnAndSendsNoAnswers() {
        requests.enable();
        ask(REQUEST | READ | LAST, 3, 0x1000);
        PageRequestGroup group = requests.take().get(0);
        domain.pasidAttachment().orElseThrow().detach(device, PASID);
        domain.detach(device);
        iommu.close();
        platform.configWrites.clear();
        refuses(Errno.ENODEV, requests::enable);
        refuses(Errno.ENODEV, () -> requests.respond(group, PageResponse.SUCCESS));
        assertThat(platform.configWrites).isEmpty();
    }

    @Test
    void aStopMarkerIsNotAnswered() {
        requests.enable();
        ask(REQUEST | LAST, 3, 0);
        assertThat(requests.take()).isEmpty();
        assertThat(commands()).isEmpty();
    }

    @Test
    void anEntryThatIsNotWrittenYetIsReadTheNextTime() {
        requests.enable();
        ask(0, 0, 0);
        assertThat(requests.take()).isEmpty();
        tail -= 16;
        ask(REQUEST | READ | LAST, 3, 0x1000);
        assertThat(requests.take()).hasSize(1);
    }

    @Test
    void theLogIsReadAroundItsEnd() {
        requests.enable();
        for (int i = 0; i < 1500; i++) {
            ask(REQUEST | READ | LAST, i & 511, i * 0x1000L);
            assertThat(requests.take())
                    .extracting(PageRequestGroup::pages)
                    .containsExactly(List.of(new PageRequest(i * 0x1000L, true, false, false, false)));
        }
        assertThat(requests.overflows()).isZero();
    }

    @Test
    void anOverflowForgetsPartsOfGroupsAndStartsTheLogAgain() {
        requests.enable();
        ask(REQUEST | READ | LAST, 1, 0x1000);
        ask(REQUEST | READ, 2, 0x2000);
        platform.unit.registers[0x2020 / 8] = 1 << 5;
        assertThat(requests.take()).extracting(PageRequestGroup::index).containsExactly(1);
        assertThat(requests.overflows()).isEqualTo(1);
        assertThat(platform.unit.registers[0x2020 / 8]).as("PprOverflow").isZero();
        assertThat(platform.unit.registers[0x18 / 8] & 0xa000).isEqualTo(0xa000);
        assertThat(platform.unit.registers[0x2038 / 8]).isZero();
        tail = 0;
        ask(REQUEST | READ | LAST, 2, 0x3000);
        assertThat(requests.take())
                .extracting(PageRequestGroup::pages)
                .containsExactly(List.of(new PageRequest(0x3000, true, false, false, false)));
        assertThat(requests.overflows()).isEqualTo(1);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void whatIsOpenWhenAPasidLeavesIsAnsweredAsInvalidAfterItIsForgotten(boolean moved) {
        requests.enable();
        ask(REQUEST | READ | LAST, 1, 0x1000);
        PageRequestGroup taken = requests.take().get(0);
        ask(REQUEST | READ | LAST, 2, 0x2000);
        if (moved) {
            assertThat(guest().pasidAttachment()
                            .orElseThrow()
                            .attach(device, PASID)
                            .attached())
                    .isTrue();
        } else {
            domain.pasidAttachment().orElseThrow().detach(device, PASID);
        }
        List<String> commands = commands();
        assertThat(commands).hasSize(4);
        assertThat(commands.get(0)).startsWith("guest ");
        assertThat(commands.get(1)).startsWith("iotlb ");
        assertThat(commands.subList(2, 4))
                .containsExactlyInAnyOrder("ppr 500000100 100100000004", "ppr 500000100 100200000004");
        refuses(Errno.EINVAL, () -> requests.respond(taken, PageResponse.SUCCESS));
    }

    @Test
    void aDeviceThatIsStoppedGetsAllItsAnswersAfterItAnsweredAnInvalidation() {
        requests.enable();
        ask(REQUEST | READ | LAST, 1, 0x1000);
        requests.disable();
        List<String> commands = commands();
        assertThat(commands).hasSize(2);
        assertThat(commands.get(0)).startsWith("iotlb ");
        assertThat(commands.get(1)).isEqualTo("ppr 500000100 100100000004");
        ask(REQUEST | READ | LAST, 2, 0x1000);
        assertThat(requests.take()).as("late").isEmpty();
        assertThat(commands()).containsExactly("ppr 500000100 100200000004");
    }

    @Test
    void aUnitThatDoesNotAnswerIsBroken() {
        requests.enable();
        ask(REQUEST | READ | LAST, 1, 0x1000);
        ask(REQUEST | READ | LAST, 2, 0x1000);
        List<PageRequestGroup> groups = requests.take();
        platform.stuck = true;
        refuses(Errno.ETIMEDOUT, () -> requests.respond(groups.get(0), PageResponse.SUCCESS));
        platform.stuck = false;
        refuses(Errno.EIO, () -> requests.respond(groups.get(1), PageResponse.SUCCESS));
        refuses(Errno.EIO, () -> requests.disable());
        assertThat(control()).as("off all the same").isZero();
    }

    @Test
    void whoLacksSomethingHasNoPageRequests() {
        assertThat(iommu.probe(platform.expressFunction(1, 1, 16)).orElseThrow().pageRequests())
                .as("no PRI")
                .isEmpty();
        for (long missing : new long[] {1 << 1, 1 << 4}) {
            platform.efr = EFR & ~missing;
            AmdIommu other = platform.open();
            assertThat(other.probe(platform.askingFunction(1, 2, STATUS, 64))
                            .orElseThrow()
                            .pageRequests())
                    .as("EFR without 0x%x", missing)
                    .isEmpty();
            assertThat(platform.unit.registers[0x18 / 8] & 0xa000).isZero();
        }
    }
}
