// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.verdict;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.platform.ConfigSpace;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Without a driver the translation unit is off and a device's addresses are physical: all that these tests need. */
class CoherenceCheckerTest {
    private static final long WORD = 0x0800_0000L;

    private final MachineFactory machines = MachineFactory.load();
    private final Machine machine = machines.create(machines.named("intel-nosc"));
    private final Processor cpu = machine.processors().get(0);
    private final Endpoint gpu = machine.endpoint(BuiltInTopology.GPU);

    @BeforeEach
    void recordFromTheFirstEvent() {
        ConfigSpace config = gpu.config();
        int capability = config.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS);
        config.write(capability + 8, 2, config.read(capability + 8, 2) | 1 << 11);
        machine.trace().start();
    }

    private Findings check() {
        return CoherenceChecker.check(machine, event -> event, who -> who.startsWith("cpu") ? "host" : "guest");
    }

    @Test
    void snoopedTrafficIsCoherent() {
        cpu.store(WORD, 1, MemoryType.WB);
        assertThat(gpu.read(WORD, false)).isEqualTo(1);
        gpu.write(WORD, 2, false);
        assertThat(cpu.load(WORD, MemoryType.WB)).isEqualTo(2);
        assertThat(check().verdict()).isEqualTo(Verdict.COHERENT);
    }

    @Test
    void flushedNoSnoopTrafficIsCoherentAndCounted() {
        cpu.store(WORD, 1, MemoryType.WB);
        cpu.clflush(WORD);
        assertThat(gpu.read(WORD, true)).isEqualTo(1);
        Findings findings = check();
        assertThat(findings.verdict()).isEqualTo(Verdict.COHERENT);
        assertThat(findings.blame()).isNull();
        assertThat(findings.noSnoopSent()).isEqualTo(1);
        assertThat(findings.noSnoopPassed()).isEqualTo(1);
        assertThat(findings.noSnoopBlocked()).isZero();
    }

    @Test
    void aDeviceThatReadsPastADirtyLineIsCorruptionAndWithoutAGuestTheHostsFault() {
        cpu.store(WORD, 1, MemoryType.WB);
        gpu.read(WORD, true);
        Findings findings = check();
        assertThat(findings.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(findings.blame()).isEqualTo(Blame.HOST);
        assertThat(findings.staleReads()).singleElement().satisfies(read -> {
            assertThat(read.who()).isEqualTo("0000:01:00.0");
            assertThat(read.address()).isEqualTo(WORD);
            assertThat(read.expected()).isEqualTo(1);
            assertThat(read.observed()).isZero();
            assertThat(read.why()).contains("cpu0's value").contains("still in a cache");
        });
    }

    @Test
    void aGuestThatDidNotAskForAFlushIsToBlame() {
        machine.trace().initiator("vcpu0");
        cpu.load(WORD, MemoryType.WB);
        gpu.write(WORD, 2, true);
        cpu.load(WORD, MemoryType.WB);
        Findings findings = check();
        assertThat(findings.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(findings.blame()).isEqualTo(Blame.GUEST_DRIVER);
        assertThat(findings.staleReads())
                .first()
                .satisfies(read -> assertThat(read.why())
                        .contains("read an older line from a cache")
                        .contains("asked for no WBINVD"));
    }

    @Test
    void aGuestThatAskedForAFlushInVainIsNotToBlame() {
        machine.trace().initiator("vcpu0");
        cpu.store(WORD, 1, MemoryType.WB);
        machine.trace().guestWbinvd();
        gpu.read(WORD, true);
        assertThat(check().blame()).isEqualTo(Blame.HOST);
    }

    @Test
    void aFlushBeforeTheWriteDoesNotExcuse() {
        machine.trace().initiator("vcpu0");
        machine.trace().guestWbinvd();
        cpu.store(WORD, 1, MemoryType.WB);
        gpu.read(WORD, true);
        assertThat(check().blame()).isEqualTo(Blame.GUEST_DRIVER);
    }

    /** WBINVD works here, and writes the guest's own line over what the device wrote. */
    @Test
    void aGuestThatFlushesItsStoreOnlyAfterTheDevicesWriteIsToBlameHoweverWellTheHostFlushes() {
        machine.trace().initiator("vcpu0");
        cpu.store(WORD, 1, MemoryType.WB);
        gpu.write(WORD, 2, true);
        machine.trace().guestWbinvd();
        cpu.wbinvd();
        cpu.load(WORD, MemoryType.WB);
        Findings findings = check();
        assertThat(findings.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(findings.blame()).isEqualTo(Blame.GUEST_DRIVER);
        assertThat(findings.staleReads())
                .allSatisfy(read -> assertThat(read.why())
                        .contains("the guest's driver had stored to the line at ")
                        .doesNotContain("did not reach the line"));
    }

    @Test
    void aGuestThatFlushedItsStoreByClflushAndThenAskedInVainIsNotToBlame() {
        machine.trace().initiator("vcpu0");
        cpu.store(WORD, 1, MemoryType.WB);
        cpu.clflush(WORD);
        cpu.load(WORD, MemoryType.WB);
        gpu.write(WORD, 2, true);
        machine.trace().guestWbinvd();
        cpu.load(WORD, MemoryType.WB);
        Findings findings = check();
        assertThat(findings.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(findings.blame()).isEqualTo(Blame.HOST);
    }

    @Test
    void aStoreToALineThatAFlushInVainShouldHaveDroppedIsTheHostsFaultInMemoryToo() {
        machine.trace().initiator("vcpu0");
        cpu.load(WORD, MemoryType.WB);
        gpu.write(WORD, 2, true);
        machine.trace().guestWbinvd();
        cpu.store(WORD + 8, 1, MemoryType.WB);
        Findings findings = check();
        assertThat(findings.staleReads()).singleElement().satisfies(read -> {
            assertThat(read.who()).isEqualTo("memory");
            assertThat(read.blame()).isEqualTo(Blame.HOST);
            assertThat(read.why()).contains("did not reach the line");
        });
    }

    @Test
    void aLineThatTheHostDirtiedAndThatLaterCoversADevicesWordIsTheHostsFault() {
        cpu.store(WORD + 8, 1, MemoryType.WB);
        machine.trace().initiator("vcpu0");
        cpu.load(WORD + 64, MemoryType.WB);
        machine.trace().initiator("");
        gpu.write(WORD, 2, true);
        assertThat(check().blame()).isEqualTo(Blame.HOST);
    }

    @Test
    void aDirtyLineThatIsWrittenBackOverADevicesWordIsFoundInMemory() {
        cpu.store(WORD + 8, 1, MemoryType.WB);
        gpu.write(WORD, 2, true);
        Findings findings = check();
        assertThat(findings.verdict()).isEqualTo(Verdict.CORRUPTED);
        assertThat(findings.staleReads()).singleElement().satisfies(read -> {
            assertThat(read.who()).isEqualTo("memory");
            assertThat(read.expected()).isEqualTo(2);
            assertThat(read.observed()).isZero();
            assertThat(read.why()).contains("was written back over what 0000:01:00.0 wrote");
        });
    }

    @Test
    void whatARefusedRequestWouldHaveDoneDoesNotCount() {
        long nowhere = 1L << 44;
        gpu.write(nowhere, 1, true);
        gpu.read(nowhere, true);
        Findings findings = check();
        assertThat(findings.verdict()).isEqualTo(Verdict.COHERENT);
        assertThat(findings.noSnoopSent()).isEqualTo(2);
        assertThat(findings.noSnoopPassed()).isZero();
    }

    @Test
    void aUnitThatWritesHalfAWordLeavesTheOtherHalf() {
        cpu.store(WORD, 0x7_0000_0002L, MemoryType.WB);
        machine.trace().unit(TraceKind.UNIT_WRITE, "unit", WORD + 4, 7, Trace.HALF);
        machine.trace().unit(TraceKind.UNIT_WRITE, "unit", WORD, 2, Trace.HALF);
        assertThat(cpu.load(WORD, MemoryType.WB)).isEqualTo(0x7_0000_0002L);
        assertThat(check().verdict()).isEqualTo(Verdict.COHERENT);
    }

    @Test
    void anotherOwnersOldDataThatADeviceStillSeesIsALeak() {
        cpu.store(WORD, 0x5ec2e7, MemoryType.WB);
        cpu.clflush(WORD);
        cpu.store(WORD, 0, MemoryType.WB);
        assertThat(gpu.read(WORD, true)).isEqualTo(0x5ec2e7);
        assertThat(check().verdict()).isEqualTo(Verdict.LEAKED);
    }

    @Test
    void ownOldDataIsCorruptionButNoLeak() {
        gpu.write(WORD, 7, false);
        cpu.store(WORD, 8, MemoryType.WB);
        assertThat(gpu.read(WORD, true)).isEqualTo(7);
        assertThat(check().verdict()).isEqualTo(Verdict.CORRUPTED);
    }
}
