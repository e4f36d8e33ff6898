// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.Consumer;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.StaleRead;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.vfio.VfioFile;
import org.junit.jupiter.api.Test;

/** What a case can do with virtual machines: vCPUs that move, types of memory, several guests. */
class AssignedGuestTest {
    private static final MachineFactory MACHINES = MachineFactory.load();

    private static final Wiring SILENT_VMM = new Wiring() {
        @Override
        public boolean addsToKvm(VfioFile file) {
            return false;
        }
    };

    private record Story(Consumer<Scenario> action) implements Case {
        @Override
        public String name() {
            return "story";
        }

        @Override
        public String about() {
            return "a test's";
        }

        @Override
        public boolean needsSecondDevice() {
            return true;
        }

        @Override
        public void run(Scenario scenario) {
            action.accept(scenario);
        }
    }

    private static Outcome run(Wiring wiring, Consumer<Scenario> action) {
        return new CaseRunner(MACHINES, IommuVendors.load(), wiring)
                .run(new Story(action), MACHINES.named("intel-nosc"), LinuxRelease.NEWEST);
    }

    private static Outcome run(Consumer<Scenario> action) {
        return run(Wiring.DIRECT, action);
    }

    private static void assertVerdict(Outcome outcome, Verdict verdict) {
        assertThat(outcome.verdict()).as("%s", outcome.staleReads()).isEqualTo(verdict);
    }

    // The mask of CPUs on which a guest's WBINVD runs; as real kernels answered with one vCPU and three CPUs.

    /** KVM is told of the device after the vCPU was made, and knows where it runs all the same. */
    @Test
    void aVcpuThatMovesIsFlushedWhereItEnteredTheGuest() {
        Outcome outcome = run(scenario -> {
            AssignedGuest guest = AssignedGuest.assign(scenario, scenario.device());
            GuestDevice device = guest.device(scenario.device(), 0);
            int word = device.store(0x1111);
            guest.moveTo(2);
            device.wbinvd();
            device.deviceRead(word);
        });
        assertVerdict(outcome, Verdict.COHERENT);
        assertThat(outcome.timeline())
                .extracting(TimelineEntry::text)
                .containsSubsequence("vcpu0 enters the guest on cpu1", "vcpu0 moves to cpu2");
    }

    /** KVM empties the mask although the vCPU goes on where it is: what it stores there next is missed. */
    @Test
    void aVcpuThatMovesAfterAFlushIsMissedWhereItWas() {
        Outcome outcome = run(scenario -> {
            AssignedGuest guest = AssignedGuest.assign(scenario, scenario.device());
            GuestDevice device = guest.device(scenario.device(), 0);
            device.sendToDevice(0x1111, true);
            int word = device.store(0x2222);
            guest.moveTo(2);
            device.wbinvd();
            device.deviceRead(word);
        });
        assertVerdict(outcome, Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
        assertThat(outcome.staleReads())
                .singleElement()
                .satisfies(read -> assertThat(read.why()).contains("did not reach the line"));
    }

    @Test
    void enteringTheGuestAgainBeforeItMovesClosesThatHole() {
        Outcome outcome = run(scenario -> {
            AssignedGuest guest = AssignedGuest.assign(scenario, scenario.device());
            GuestDevice device = guest.device(scenario.device(), 0);
            device.sendToDevice(0x1111, true);
            int word = device.store(0x2222);
            guest.enter();
            guest.moveTo(2);
            device.wbinvd();
            device.deviceRead(word);
        });
        assertVerdict(outcome, Verdict.COHERENT);
    }

    /** A file that is added while the vCPU runs does not make KVM remember where. */
    @Test
    void aDeviceAddedToARunningGuestFindsTheMaskEmpty() {
        Outcome outcome = run(new FirstGroupUntold(), scenario -> {
            AssignedGuest guest = AssignedGuest.assign(scenario, scenario.device());
            GuestDevice device = guest.device(scenario.device(), 0);
            int word = device.store(0x1111);
            guest.add(scenario.secondDevice());
            guest.moveTo(2);
            device.wbinvd();
            device.deviceRead(word);
        });
        assertVerdict(outcome, Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
    }

    private static final class FirstGroupUntold implements Wiring {
        private boolean first = true;

        @Override
        public boolean addsToKvm(VfioFile file) {
            boolean told = !first;
            first = false;
            return told;
        }
    }

    // Types of memory.

    @Test
    void aBufferMappedUncachedNeedsNoFlushWhereKvmHonoursIt() {
        Outcome outcome = run(scenario -> {
            GuestDevice device =
                    AssignedGuest.assign(scenario, scenario.device()).device(scenario.device(), 0);
            device.mapBuffer(MemoryType.UC);
            device.sendToDevice(0x1111, false);
            device.receiveFromDevice(0x2222, false);
        });
        assertVerdict(outcome, Verdict.COHERENT);
        assertThat(outcome.noSnoopPassed()).isEqualTo(2);
    }

    @Test
    void aBufferMappedUncachedThatKvmKeepsInCachesIsTheHostsFault() {
        Outcome outcome = run(SILENT_VMM, scenario -> {
            GuestDevice device =
                    AssignedGuest.assign(scenario, scenario.device()).device(scenario.device(), 0);
            device.mapBuffer(MemoryType.UC);
            device.sendToDevice(0x1111, false);
            device.receiveFromDevice(0x2222, false);
        });
        assertVerdict(outcome, Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
        assertThat(outcome.staleReads())
                .hasSize(2)
                .allSatisfy(read -> assertThat(read.why()).endsWith("the guest had mapped it uncached"));
    }

    // Owners.

    @Test
    void aSecondDeviceIsItsGuestsToo() {
        Outcome outcome = run(scenario -> {
            AssignedGuest guest = AssignedGuest.assign(scenario, scenario.device());
            guest.add(scenario.secondDevice());
            guest.device(scenario.secondDevice(), 0).sendToDevice(0x1111, false);
        });
        assertVerdict(outcome, Verdict.CORRUPTED);
        assertThat(outcome.blame()).isEqualTo(Blame.GUEST_DRIVER);
    }

    @Test
    void oneGuestsFlushDoesNotExcuseAnother() {
        Outcome outcome = run(scenario -> {
            GuestDevice first =
                    AssignedGuest.assign(scenario, scenario.device()).device(scenario.device(), 0);
            GuestDevice second =
                    AssignedGuest.assign(scenario, scenario.secondDevice()).device(scenario.secondDevice(), 0);
            first.sendToDevice(0x1111, true);
            int word = second.store(0x2222);
            first.sendToDevice(0x3333, false);
            second.deviceRead(word);
        });
        assertVerdict(outcome, Verdict.CORRUPTED);
        assertThat(outcome.staleReads())
                .extracting(StaleRead::blame)
                .containsExactly(Blame.GUEST_DRIVER, Blame.GUEST_DRIVER);
        assertThat(outcome.staleReads().get(1).why()).startsWith("vm1.vcpu0's value");
    }

    /** The kernel zeroes the page for the next guest as always, through the caches, and the device reads past them. */
    @Test
    void whatAGuestLeftInMemoryAndAnotherReadsIsALeak() {
        Outcome outcome = run(scenario -> {
            AssignedGuest first = AssignedGuest.assign(scenario, scenario.device());
            first.device(scenario.device(), 0).receiveFromDevice(0x5ec2e7, true);
            long page = first.vm().translate(Scenario.GUEST_ADDRESS);
            first.close();
            AssignedGuest second = AssignedGuest.assign(scenario, scenario.device());
            assertThat(second.vm().translate(Scenario.GUEST_ADDRESS)).isEqualTo(page);
            scenario.machine().processors().get(0).store(page, 0, MemoryType.WB);
            assertThat(second.device(scenario.device(), 0).deviceRead(0)).isEqualTo(0x5ec2e7);
        });
        assertVerdict(outcome, Verdict.LEAKED);
        assertThat(outcome.blame()).isEqualTo(Blame.HOST);
        assertThat(outcome.staleReads().get(0).why()).contains("it saw data of vm0,");
    }
}
