// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.riscv.Bench.FIRST;
import static org.iommu4j.riscv.Bench.FIRST_ID;
import static org.iommu4j.riscv.Bench.PAGE;
import static org.iommu4j.riscv.Bench.SECOND;
import static org.iommu4j.riscv.Bench.SECOND_ID;
import static org.iommu4j.riscv.Bench.WRITABLE;

import java.util.List;
import java.util.Set;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.riscv.Bench.Settings;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The driver and its unit: registers, directory, queues, faults. */
class RiscvDriverTest {
    private static final int FCTL = 8;
    private static final int DDTP = 16;
    private static final int CQCSR = 72;
    private static final int FQCSR = 76;
    private static final int ICVEC = 760;

    private static final long SV57 = 0x10 | 7 << 9;
    private static final long MSI_FLAT = 1 << 22;
    private static final long END = 1 << 27;
    private static final long BOTH = 2L << 28;
    private static final long WIRES = 1L << 28;
    private static final long CAPABILITIES = SV57 | BOTH;
    private static final long IOVA = 0x4000_0000L;

    private static Errno errnoOf(Runnable action) {
        try {
            action.run();
            return null;
        } catch (IommuException e) {
            return e.errno();
        }
    }

    private static Errno openingOf(Settings settings) {
        return errnoOf(() -> new Bench("7.1", settings, ""));
    }

    // --- opening ---

    @Test
    void anOpenedUnitHasQueuesOf8192And4096EntriesAndADirectoryOfThreeLevels() {
        Bench bench = new Bench("7.1", CAPABILITIES);
        assertThat(bench.unit.get(24) & 31).as("LOG2SZ-1 of cqb").isEqualTo(12);
        assertThat(bench.unit.get(40) & 31).as("LOG2SZ-1 of fqb").isEqualTo(11);
        assertThat(bench.unit.get(CQCSR)).isEqualTo(0x10001);
        assertThat(bench.unit.get(FQCSR)).isEqualTo(0x10001);
        assertThat(bench.unit.get(DDTP) & 15).isEqualTo(4);
        assertThat(bench.unit.takeCommands()).containsExactly("INVAL_DDT all", "VMA", "IOFENCE.C PR PW");
        assertThat(bench.walk(FIRST_ID, 0)).as("no device passes").isEqualTo(-258);
    }

    @ParameterizedTest
    @CsvSource({"3, 4", "2, 3"})
    void theDirectoryHasAsManyLevelsAsTheUnitTakes(int levels, int mode) {
        Bench bench = new Bench("7.1", new Settings(CAPABILITIES).with(unit -> unit.levels = levels), "");
        assertThat(bench.unit.get(DDTP) & 15).isEqualTo(mode);
        // 16 bits of two levels don't hold 0x12345.
        assertThat(bench.iommu.probe(FIRST).isPresent()).isEqualTo(levels == 3);
        bench.attached(SECOND);
        assertThat(bench.walk(SECOND_ID, 0)).isEqualTo(-13);
        assertThat(bench.walk(SECOND_ID + 1, 0)).isEqualTo(-258);
    }

    @Test
    void aDirectoryOfOneLevelHasIdsOf6BitsWhereContextsHave64Bytes() {
        Settings extended = new Settings(CAPABILITIES | MSI_FLAT).with(unit -> unit.levels = 1);
        assertThat(new Bench("7.1", extended, "").iommu.probe(SECOND)).isEmpty();
        Bench base = new Bench("7.1", new Settings(CAPABILITIES).with(unit -> unit.levels = 1), "");
        assertThat(base.iommu.probe(SECOND)).isPresent();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void aUnitThatIsOffOrBareIsTakenOver(int mode) {
        assertThat(openingOf(new Settings(CAPABILITIES).with(unit -> unit.set(DDTP, mode))))
                .isNull();
    }

    @Test
    void aUnitThatIsInUseIsBusyUnlessTheKernelRunsAfterACrash() {
        Settings inUse = new Settings(CAPABILITIES).with(unit -> unit.set(DDTP, 0x1234 << 10 | 3));
        assertThat(openingOf(inUse)).isEqualTo(Errno.EBUSY);
        new Bench("7.1", inUse, "elfcorehdr=0x80000000").iommu.close();
        Settings changing = new Settings(CAPABILITIES).with(unit -> unit.set(DDTP, 1 << 4));
        assertThat(openingOf(changing)).isEqualTo(Errno.EBUSY);
    }

    @Test
    void aUnitWithoutMeaningIsNoDevice() {
        assertThat(openingOf(new Settings(0))).isEqualTo(Errno.ENODEV);
        assertThat(openingOf(new Settings(-1))).isEqualTo(Errno.ENODEV);
        assertThat(openingOf(new Settings(SV57 | 3L << 28))).as("IGS of 3").isEqualTo(Errno.ENODEV);
    }

    @Test
    void aUnitThatDoesNotAnswerTimesOut() {
        assertThat(openingOf(new Settings(CAPABILITIES).with(unit -> unit.silent = true)))
                .isEqualTo(Errno.ETIMEDOUT);
        assertThat(openingOf(new Settings(CAPABILITIES).with(unit -> unit.stuck = true)))
                .isEqualTo(Errno.EINVAL);
    }

    @Test
    void byteOrderIsSetWhereItCanBe() {
        Settings big = new Settings(CAPABILITIES | END).with(unit -> unit.set(FCTL, 1));
        assertThat(new Bench("7.1", big, "").unit.get(FCTL)).isZero();
        Settings bigOnly = new Settings(CAPABILITIES).with(unit -> unit.set(FCTL, 1));
        assertThat(openingOf(bigOnly)).isEqualTo(Errno.EINVAL);
    }

    @Test
    void interruptsAreMessagesWhereTheUnitHasThemElseWires() {
        Bench both = new Bench("7.1", new Settings(SV57 | BOTH).with(unit -> unit.set(FCTL, 2)), "");
        assertThat(both.unit.get(FCTL)).isZero();
        assertThat(both.unit.get(ICVEC)).as("faults 1, counters 3, pages 2").isEqualTo(0x2310);
        assertThat(new Bench("7.1", SV57 | WIRES).unit.get(FCTL)).isEqualTo(2);
    }

    @Test
    void queuesAreAsLongAsTheUnitAllows() {
        Bench bench = new Bench("7.1", new Settings(CAPABILITIES).with(unit -> unit.logEntries = 4), "");
        assertThat(bench.unit.get(24) & 31).isEqualTo(3);
        IommuDomain domain = bench.attached(FIRST);
        domain.map(IOVA, 0x80000, PAGE, 100, Prot.READ_WRITE);
        IotlbGather gather = new IotlbGather();
        domain.unmap(IOVA, 100 * PAGE, gather);
        bench.unit.takeCommands();
        domain.sync(gather);
        assertThat(bench.unit.takeCommands()).as("through a ring of 16").hasSize(101);
    }

    @Test
    void closingTurnsTheUnitOffAndGivesAllBack() {
        Bench bench = new Bench("7.1", CAPABILITIES | MSI_FLAT);
        IommuDomain domain = bench.attached(FIRST);
        assertThat(errnoOf(bench.iommu::close)).isEqualTo(Errno.EBUSY);
        domain.detach(bench.device(FIRST));
        bench.iommu.close();
        bench.iommu.close();
        assertThat(bench.unit.get(DDTP)).isZero();
        assertThat(bench.unit.get(CQCSR)).isZero();
        assertThat(bench.unit.get(FQCSR)).isZero();
        assertThat(bench.unit.mapped).isFalse();
        assertThat(bench.frames.inUse()).isZero();
        assertThat(errnoOf(() -> bench.iommu.probe(FIRST))).isEqualTo(Errno.ENODEV);
    }

    @Test
    void framesOfAUnitThatDoesNotTurnOffAreKept() {
        Bench bench = new Bench("7.1", CAPABILITIES);
        bench.device(FIRST);
        bench.unit.stuck = true;
        bench.iommu.close();
        assertThat(bench.iommu.quarantinedFrames())
                .as("two queues, three tables")
                .isEqualTo(32 + 32 + 3);
        assertThat(bench.frames.inUse()).isEqualTo(67);
    }

    // --- devices and domains ---

    @Test
    void aContextHasItsTableModeAndTagAndIsValidLast() {
        for (long format : new long[] {0, MSI_FLAT}) {
            Bench bench = new Bench("7.1", CAPABILITIES | format);
            PagingDomain domain = (PagingDomain) bench.attached(FIRST);
            long context = ((RiscvDevice) bench.device(FIRST)).contexts()[0];
            long root = (domain.firstStage() & 0xfffffffffffL) << 12;
            assertThat(bench.memory.load(context)).as("tc").isEqualTo(1);
            assertThat(bench.memory.load(context + 8)).as("iohgatp").isZero();
            assertThat(bench.memory.load(context + 16)).as("ta").isEqualTo(1 << 12);
            assertThat(bench.memory.load(context + 24)).as("fsc").isEqualTo(10L << 60 | root >>> 12);
            assertThat(context & (format == 0 ? 31 : 63)).isZero();
        }
    }

    /** Between the two waits the device is refused. */
    @Test
    void aMovingDeviceIsBlockedBetweenItsDomains() {
        Bench bench = new Bench("7.1", CAPABILITIES);
        IommuDomain first = bench.attached(FIRST);
        first.map(IOVA, 0x80000, PAGE, 1, Prot.READ_WRITE);
        IommuDomain second = bench.iommu.allocate(DomainType.UNMANAGED, bench.device(FIRST));
        second.map(IOVA, 0x90000, PAGE, 1, Prot.READ_WRITE);
        bench.unit.takeCommands();
        second.attach(bench.device(FIRST));
        assertThat(bench.unit.takeCommands())
                .containsExactly(
                        "INVAL_DDT 0x12345",
                        "VMA tag 1",
                        "IOFENCE.C PR PW",
                        "INVAL_DDT 0x12345",
                        "VMA tag 2",
                        "IOFENCE.C PR PW",
                        "VMA tag 1",
                        "IOFENCE.C PR PW");
        assertThat(bench.walk(FIRST_ID, IOVA)).isEqualTo(0x90000 | WRITABLE);
    }

    @Test
    void aDomainGoesOnServingItsOtherDevice() {
        Bench bench = new Bench("7.1", CAPABILITIES);
        IommuDomain domain = bench.attached(FIRST);
        domain.attach(bench.device(SECOND));
        domain.map(IOVA, 0x80000, PAGE, 1, Prot.READ);
        bench.unit.takeCommands();
        domain.detach(bench.device(FIRST));
        assertThat(bench.unit.takeCommands()).as("the tag stays in use").doesNotContain("VMA tag 1 ");
        assertThat(bench.walk(FIRST_ID, IOVA)).isEqualTo(-258);
        assertThat(bench.walk(SECOND_ID, IOVA)).isEqualTo(0x80000);
        assertThat(errnoOf(domain::close)).isEqualTo(Errno.EBUSY);
    }

    @Test
    void identityPassesAndBlockedRefuses() {
        Bench bench = new Bench("7.1", CAPABILITIES);
        IommuDevice device = bench.device(FIRST);
        IommuDomain identity = bench.iommu.allocate(DomainType.IDENTITY, device);
        IommuDomain blocked = bench.iommu.allocate(DomainType.BLOCKED, device);
        identity.attach(device);
        assertThat(bench.walk(FIRST_ID, 0x123456)).isEqualTo(0x123456 | WRITABLE);
        blocked.attach(device);
        assertThat(bench.walk(FIRST_ID, 0x123456)).isEqualTo(-258);
    }

    @Test
    void aTableIsTheLargestThatTheUnitWalks() {
        for (int width : new int[] {39, 48, 57}) {
            long modes = width == 39 ? 1 << 9 : width == 48 ? 3 << 9 : 7 << 9;
            Bench bench = new Bench("7.1", 0x10 | modes | BOTH);
            IommuDomain domain = bench.attached(FIRST);
            assertThat(domain.format()).isEqualTo("riscv-sv" + width);
            assertThat(domain.apertureEnd()).isEqualTo((1L << (width - 1)) - 1);
            long last = domain.apertureEnd() - PAGE + 1;
            domain.map(last, 0x80000, PAGE, 1, Prot.READ);
            assertThat(bench.walk(FIRST_ID, last + 5)).isEqualTo(0x80005);
            assertThat(bench.walk(FIRST_ID, domain.apertureEnd() + 1))
                    .as("not canonical")
                    .isEqualTo(-13);
        }
        Bench none = new Bench("7.1", 0x10 | 1 << 8 | BOTH);
        assertThat(errnoOf(() -> none.iommu.allocate(DomainType.DMA, none.device(FIRST))))
                .isEqualTo(Errno.ENODEV);
    }

    @ParameterizedTest
    @EnumSource(IommuCapability.class)
    void noQuestionAboutADeviceIsAnsweredWithYes(IommuCapability capability) {
        Bench bench = new Bench("7.1", (-1L >>> 1 & ~(3L << 28)) | BOTH);
        assertThat(bench.iommu.capable(bench.device(FIRST), capability)).isFalse();
    }

    @Test
    void nothingIsOptional() {
        Bench bench = new Bench("7.1", CAPABILITIES);
        IommuDomain domain = bench.attached(FIRST);
        assertThat(domain.cacheCoherencyEnforcement()).isEmpty();
        assertThat(domain.dirtyTracking()).isEmpty();
        assertThat(domain.nesting()).isEmpty();
        assertThat(domain.pasidAttachment()).isEmpty();
        for (DomainFlag flag : DomainFlag.values()) {
            assertThat(errnoOf(() -> bench.iommu.allocate(DomainType.UNMANAGED, bench.device(FIRST), Set.of(flag))))
                    .isEqualTo(Errno.EOPNOTSUPP);
        }
    }

    // --- what does not complete ---

    @Test
    void aUnitThatStopsAtACommandIsBroken() {
        Bench bench = new Bench("7.1", CAPABILITIES);
        IommuDomain domain = bench.attached(FIRST);
        domain.map(IOVA, 0x80000, PAGE, 1, Prot.READ);
        IommuDomain other = bench.iommu.allocate(DomainType.UNMANAGED, bench.device(FIRST));
        bench.unit.illegalOpcode = 3;
        assertThat(errnoOf(() -> other.attach(bench.device(FIRST)))).isEqualTo(Errno.ETIMEDOUT);
        assertThat(bench.walk(FIRST_ID, IOVA)).as("where it was").isEqualTo(0x80000);
        assertThat(errnoOf(() -> other.attach(bench.device(FIRST)))).isEqualTo(Errno.EIO);
        IotlbGather gather = new IotlbGather();
        domain.unmap(IOVA, PAGE, gather);
        assertThat(errnoOf(() -> domain.sync(gather))).isEqualTo(Errno.EIO);
        assertThat(errnoOf(() -> domain.detach(bench.device(FIRST)))).isEqualTo(Errno.EIO);
        assertThat(bench.walk(FIRST_ID, IOVA)).isEqualTo(-258);
        domain.close();
        other.close();
        assertThat(bench.iommu.quarantinedFrames())
                .as("five levels, and a root")
                .isEqualTo(5 + 1);
    }

    // --- faults ---

    private static long record(int cause, int kind, long id) {
        return cause | (long) kind << 34 | id << 40;
    }

    @Test
    void aRefusalIsReportedWithDeviceAddressAndReason() {
        Bench bench = new Bench("7.1", CAPABILITIES);
        bench.device(FIRST);
        bench.unit.fault(record(15, 3, FIRST_ID), 0x1234);
        bench.unit.fault(record(13, 2, SECOND_ID) | 1L << 32 | 7 << 12, 0x5678);
        bench.unit.fault(record(273, 0, 0), 0x9999);
        bench.unit.fault(record(258, 7, 0xabcdef), -1L);
        List<DmaFault> faults = bench.iommu.takeFaults();
        assertThat(faults)
                .extracting(DmaFault::toString)
                .containsExactly(
                        "riscv-iommu@RSCV0004:00: write by \\_SB.DMA0 at 0x1234 refused, reason 0xf: page fault of a"
                                + " write",
                        "riscv-iommu@RSCV0004:00: read by source-id:0x40 with PASID 0x7 at 0x5678 refused, reason 0xd:"
                                + " page fault of a read",
                        "riscv-iommu@RSCV0004:00: write by source-id:0xabcdef at 0xffffffffffffffff refused, reason"
                                + " 0x102: the device directory's entry is not valid");
        assertThat(bench.iommu.takeFaults()).isEmpty();
    }

    @Test
    void lostRefusalsAreCountedAndRecordingGoesOn() {
        Bench bench = new Bench("7.1", new Settings(CAPABILITIES).with(unit -> unit.logEntries = 3), "");
        for (int i = 0; i < 20; i++) {
            bench.unit.fault(record(13, 2, FIRST_ID), i);
        }
        assertThat(bench.iommu.takeFaults()).extracting(DmaFault::address).containsExactly(0L, 1L, 2L, 3L, 4L, 5L, 6L);
        assertThat(bench.iommu.faultOverflows()).isOne();
        for (int i = 0; i < 5; i++) {
            bench.unit.fault(record(13, 2, FIRST_ID), 100 + i);
        }
        assertThat(bench.iommu.takeFaults()).hasSize(5);
        assertThat(bench.iommu.faultOverflows()).isOne();
    }

    @Test
    void aDeviceThatFirmwareDoesNotNameIsNobodys() {
        Bench bench = new Bench("7.1", CAPABILITIES);
        assertThat(bench.iommu.probe(new NamedDevice("\\_SB.DMA2"))).isEmpty();
        assertThatThrownBy(() -> bench.attached(new NamedDevice("\\_SB.DMA2")));
    }
}
